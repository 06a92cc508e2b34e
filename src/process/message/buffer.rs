//! A buffer: what one process has, and what the other is to make of it.

use std::ffi::CString;

use crate::value::{
    BYTES, Form, MOST_DIMENSIONS, NotCopied, OwnedValue, Place, STR, TUPLE, ValueRef, View, subpy_value,
};

/// Where its memory is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Memory<'a> {
    /// Beside it.
    Bytes(&'a [u8]),
    /// In a copy that was sent with this number: all of it.
    Copy(u64, usize),
    /// In memory of the host's that both see, by its number.
    Region(u64, Place),
}

/// A buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shared<'a> {
    /// A host's: what it is told when Python has let go of it.
    pub number: u64,
    pub memory: Memory<'a>,
    pub form: Form<'a>,
    pub writable: bool,
    pub lent: bool,
}

const IS_BYTES: i64 = 0;
const IS_COPY: i64 = 1;
const IS_REGION: i64 = 2;

const WRITABLE: i64 = 1;
const LENT: i64 = 2;
const IN_ORDER: i64 = 4;

/// As many fields come first; then the shape, and the strides if there are any.
const FIELDS: usize = 9;

impl Shared<'_> {
    /// As a value, of its own.
    pub fn to_value(self) -> Result<OwnedValue, NotCopied> {
        let Shared { number, memory, form, writable, lent } = self;
        let (kind, id, place, bytes) = match memory {
            Memory::Bytes(bytes) => (IS_BYTES, 0, Place { start: 0, len: bytes.len() }, bytes),
            Memory::Copy(id, len) => (IS_COPY, id, Place { start: 0, len }, &[][..]),
            Memory::Region(id, place) => (IS_REGION, id, place, &[][..]),
        };
        let flag = |is: bool, flag| if is { flag } else { 0 };
        let flags = flag(writable, WRITABLE) | flag(lent, LENT) | flag(form.strides.is_none(), IN_ORDER);
        let format = form.format.to_bytes();
        let strides = form.strides.unwrap_or_default();
        let mut fields = Vec::new();
        let count = FIELDS + form.shape.len() + strides.len();
        fields.try_reserve_exact(count).map_err(|_| NotCopied::NoMemory)?;
        fields.extend([
            subpy_value::int(number.cast_signed()),
            subpy_value::int(kind),
            subpy_value::int(id.cast_signed()),
            subpy_value::int(place.start as i64),
            subpy_value::int(place.len as i64),
            subpy_value::int(flags),
            subpy_value::int(form.itemsize as i64),
            subpy_value::pointing(STR, format.as_ptr(), format.len()),
            subpy_value::pointing(BYTES, bytes.as_ptr(), bytes.len()),
        ]);
        fields.extend(form.shape.iter().map(|len| subpy_value::int(*len as i64)));
        fields.extend(strides.iter().map(|stride| subpy_value::int(*stride as i64)));
        let all = subpy_value::pointing(TUPLE, fields.as_ptr().cast(), fields.len());
        OwnedValue::copy_of(&all).ok_or(NotCopied::NoMemory)
    }
}

/// One that was read, with what its form points to. Whether the form fits the memory is to be seen (`Export::part`).
pub struct SharedBuffer<'a> {
    value: ValueRef<'a>,
    format: CString,
    dimensions: usize,
    shape: [usize; MOST_DIMENSIONS],
    strides: [isize; MOST_DIMENSIONS],
}

impl<'a> SharedBuffer<'a> {
    pub fn of_value(value: ValueRef<'a>) -> Result<SharedBuffer<'a>, NotCopied> {
        let format = match value.element(7).map(ValueRef::view) {
            Some(View::Str(format)) => text_of(format)?,
            _ => return Err(damaged()),
        };
        let numbers = (FIELDS..).map_while(|at| value.element(at)).count();
        let (shape, strides) = ([0; MOST_DIMENSIONS], [0; MOST_DIMENSIONS]);
        let mut read = SharedBuffer { value, format, dimensions: 0, shape, strides };
        let in_order = read.int(5).ok_or_else(damaged)? & IN_ORDER != 0;
        read.dimensions = if in_order { numbers } else { numbers / 2 };
        if read.dimensions > MOST_DIMENSIONS || !in_order && !numbers.is_multiple_of(2) {
            return Err(damaged());
        }
        for at in 0..read.dimensions {
            let len = read.int(FIELDS + at).ok_or_else(damaged)?;
            read.shape[at] = usize::try_from(len).map_err(|_| damaged())?;
            if !in_order {
                read.strides[at] = read.int(FIELDS + read.dimensions + at).ok_or_else(damaged)? as isize;
            }
        }
        if read.find().is_some() { Ok(read) } else { Err(damaged()) }
    }

    fn int(&self, at: usize) -> Option<i64> {
        match self.value.element(at)?.view() {
            View::Int(number) => Some(number),
            _ => None,
        }
    }

    fn find(&self) -> Option<Shared<'_>> {
        let size = |at| usize::try_from(self.int(at)?).ok();
        let flags = self.int(5)?;
        let (id, place) = (self.int(2)?.cast_unsigned(), Place { start: size(3)?, len: size(4)? });
        let memory = match (self.int(1)?, self.value.element(8)?.view()) {
            (IS_BYTES, View::Bytes(bytes)) => Memory::Bytes(bytes),
            (IS_COPY, _) => Memory::Copy(id, place.len),
            (IS_REGION, _) => Memory::Region(id, place),
            _ => return None,
        };
        let strides = (flags & IN_ORDER == 0).then_some(&self.strides[..self.dimensions]);
        let form = Form { format: &self.format, itemsize: size(6)?, shape: &self.shape[..self.dimensions], strides };
        let number = self.int(0)?.cast_unsigned();
        Some(Shared { number, memory, form, writable: flags & WRITABLE != 0, lent: flags & LENT != 0 })
    }

    /// What it says.
    pub fn get(&self) -> Shared<'_> {
        self.find().expect("it was looked at when it was read")
    }
}

/// A copy, for which there may be no memory: the other process says how long it is.
fn text_of(format: &str) -> Result<CString, NotCopied> {
    let mut copy = Vec::new();
    // With a NUL behind it.
    copy.try_reserve_exact(format.len() + 1).map_err(|_| NotCopied::NoMemory)?;
    copy.extend_from_slice(format.as_bytes());
    CString::new(copy).map_err(|_| damaged())
}

fn damaged() -> NotCopied {
    NotCopied::NotShareable("what came from the other process is no buffer".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(check: impl Fn(&Shared)) {
        let (shape, strides) = ([2, 3], [-24, 8]);
        let form = Form { format: c"d", itemsize: 8, shape: &shape, strides: Some(&strides) };
        let bytes = Memory::Bytes(&[1, 2, 3]);
        let region = Memory::Region(u64::MAX, Place { start: 5, len: 48 });
        let first = Shared { number: u64::MAX, memory: bytes, form, writable: true, lent: false };
        check(&first);
        check(&Shared { memory: region, lent: true, ..first });
        let form = Form { shape: &[], strides: None, ..form };
        check(&Shared { memory: Memory::Copy(1, 2), writable: false, number: 0, form, ..first });
    }

    #[test]
    fn they_come_as_they_went() {
        each(|shared| {
            let value = shared.to_value().unwrap();
            let read = SharedBuffer::of_value(value.as_ref()).unwrap();
            assert_eq!(read.get(), *shared);
        });
    }

    #[test]
    fn what_is_none_is_refused() {
        each(|shared| {
            let value = shared.to_value().unwrap();
            let count = (0..).take_while(|at| value.as_ref().element(*at).is_some()).count();
            // SAFETY: an owned value is complete.
            let fields = unsafe { value.as_value().items() }.to_vec();
            let refused = |fields: &[subpy_value]| {
                let all = subpy_value::pointing(TUPLE, fields.as_ptr().cast(), fields.len());
                let copy = OwnedValue::copy_of(&all).unwrap();
                SharedBuffer::of_value(copy.as_ref()).is_err()
            };
            for at in 0..count {
                let mut wrong = fields.clone();
                wrong[at] = subpy_value::none();
                let is_beside = at == 8 && !matches!(shared.memory, Memory::Bytes(_));
                assert!(refused(&wrong) || is_beside, "{at}");
                wrong[at] = subpy_value::int(-1);
                // A number that may be any, or a stride.
                let any = [0, 2, 5].contains(&at) || at >= FIELDS + shared.form.shape.len();
                assert!(refused(&wrong) || any || is_beside, "{at}");
            }
            assert!((0..FIELDS).all(|len| refused(&fields[..len])));
        });
        assert!(SharedBuffer::of_value(OwnedValue::none().as_ref()).is_err());
    }

    #[test]
    fn it_has_as_many_dimensions_as_any_other() {
        let is_read = |dimensions: usize, strides: bool| {
            let (shape, each) = (vec![1; dimensions], vec![8; dimensions]);
            let form = Form { format: c"d", itemsize: 8, shape: &shape, strides: strides.then_some(&each[..]) };
            let memory = Memory::Bytes(&[0; 8]);
            let value = Shared { number: 1, memory, form, writable: false, lent: false }.to_value().unwrap();
            SharedBuffer::of_value(value.as_ref()).is_ok()
        };
        for strides in [false, true] {
            assert!(is_read(MOST_DIMENSIONS, strides) && !is_read(MOST_DIMENSIONS + 1, strides));
        }
    }
}
