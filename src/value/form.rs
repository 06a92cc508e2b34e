//! Parts of memory, as another process describes them: nothing of that is believed.

use std::any::Any;
use std::ffi::CStr;
use std::sync::Arc;

use super::buffer::{Claim, Keeps, LENT, MOST_DIMENSIONS, Tell, WRITABLE, check_layout};
use super::element::load;
use super::export::{Access, Export};
use super::{Builder, NotCopied, subpy_buffer, subpy_value};

/// What the elements are, and how they lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form<'a> {
    pub format: &'a CStr,
    pub itemsize: usize,
    pub shape: &'a [usize],
    /// None: in C's order, without gaps.
    pub strides: Option<&'a [isize]>,
}

/// Where a part of memory lies in it: its lowest byte, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub start: usize,
    pub len: usize,
}

impl Form<'_> {
    fn buffer(&self, memory: &Export, place: Place) -> Result<subpy_buffer, NotCopied> {
        let wrong = |why: &str| NotCopied::NotShareable(format!("no such buffer: {why}"));
        if place.start.checked_add(place.len).is_none_or(|end| end > memory.len()) {
            return Err(wrong("it does not lie in the memory"));
        }
        let dimensions = self.shape.len();
        if self.itemsize == 0 {
            return Err(wrong("its elements have no size"));
        }
        if dimensions == 0 || self.strides.is_some_and(|strides| strides.len() != dimensions) {
            return Err(wrong("it has no dimensions, or not as many strides"));
        }
        let buffer = subpy_buffer {
            size: size_of::<subpy_buffer>(),
            data: memory.data().wrapping_add(place.start).cast_mut().cast(),
            len: place.len,
            format: self.format.as_ptr(),
            itemsize: self.itemsize,
            shape: self.shape.as_ptr(),
            strides: self.strides.map_or(std::ptr::null(), <[isize]>::as_ptr),
            ndim: i32::try_from(dimensions).unwrap_or(i32::MAX),
            flags: 0,
            release: None,
            userdata: std::ptr::null_mut(),
        };
        // SAFETY: the pointers are of slices that live, as long as it says.
        unsafe { check_layout(&buffer) }.map_err(|why| wrong(&why))?;
        Ok(buffer)
    }
}

impl Export {
    /// Bytes, and what keeps them. None: no memory.
    pub fn of_bytes(start: *mut u8, len: usize, access: Access, keeps: Box<dyn Any + Send>) -> Option<Arc<Export>> {
        Export::new((start.cast(), len), c"B", 1, &[len.cast_signed()], access, keeps)
    }

    /// A copy of bytes, and what is kept with it. None: no memory.
    pub fn of_copied<T: Send + 'static>(bytes: &[u8], keeps: T) -> Option<Arc<Export>> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len()).ok()?;
        copy.extend_from_slice(bytes);
        let (start, len) = (copy.as_mut_ptr(), copy.len());
        Export::of_bytes(start, len, Access::Copied, Box::new((copy, keeps)))
    }

    /// A copy of all its bytes, to which others may write meanwhile. None: no memory.
    pub fn copy_bytes(&self) -> Option<Vec<u8>> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(self.len()).ok()?;
        // SAFETY: as many bytes as there are, which it keeps, and as there is room for.
        unsafe {
            load(self.data(), copy.as_mut_ptr(), self.len());
            copy.set_len(self.len());
        }
        Some(copy)
    }

    /// Whether whoever gets it as a result may write to it.
    pub fn is_offered_for_writing(&self) -> bool {
        self.flags() & WRITABLE != 0
    }

    /// The part at this place, as a result has it: in C's order.
    pub fn part(self: &Arc<Export>, place: Place, form: Form, access: Access) -> Result<Arc<Export>, NotCopied> {
        let buffer = Form { strides: None, ..form }.buffer(self, place)?;
        let mut shape = [0; MOST_DIMENSIONS];
        let shape = &mut shape[..form.shape.len()];
        shape.iter_mut().zip(form.shape).for_each(|(to, from)| *to = from.cast_signed());
        let len = if shape.contains(&0) { 0 } else { place.len };
        let keeps = Box::new(Arc::clone(self));
        Export::new((buffer.data, len), form.format, form.itemsize, shape, access, keeps).ok_or(NotCopied::NoMemory)
    }

    /// The same as a BUFFER to be passed, with a claim of its own.
    pub fn pass_part(
        self: &Arc<Export>,
        place: Place,
        form: Form,
        (writable, lent): (bool, bool),
        tell: Tell,
        block: &mut Builder,
    ) -> Result<subpy_value, NotCopied> {
        let flags = if writable { WRITABLE } else { 0 } | if lent { LENT } else { 0 };
        let buffer = subpy_buffer { flags, ..form.buffer(self, place)? };
        // SAFETY: it was checked.
        let claim = unsafe { Claim::new(&buffer, Some(Keeps::Export(Arc::clone(self))), tell) };
        claim.and_then(|claim| claim.attach(block)).ok_or(NotCopied::NoMemory)
    }
}

impl Claim {
    /// The address of the lowest byte, and how many bytes there are from there to the highest.
    pub fn extent(&self) -> (usize, usize) {
        let start = self.data().addr();
        if self.len() == 0 {
            return (start, 0);
        }
        let reach = |below: bool| {
            let each = self.shape().iter().zip(self.strides()).filter(|(_, stride)| (**stride < 0) == below);
            each.map(|(len, stride)| (len - 1).unsigned_abs() * stride.unsigned_abs()).sum::<usize>()
        };
        let (below, above) = (reach(true), reach(false));
        (start - below, below + above + self.itemsize())
    }

    /// The elements one after the other, in memory that stays: its own, or a copy. None: no memory.
    pub fn gathered(self: &Arc<Claim>) -> Option<Arc<Export>> {
        Export::of_claim(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_in_its_memory() {
        let memory = Export::of_copied(&[7; 48], ()).unwrap();
        let form = Form { format: c"d", itemsize: 8, shape: &[2, 2], strides: None };
        let part = |start, len, form| memory.part(Place { start, len }, form, Access::Fixed);
        let good = part(16, 32, form).unwrap();
        assert_eq!(
            (good.data(), good.len(), good.shape(), good.format()),
            (memory.data().wrapping_add(16), 32, &[2, 2][..], "d")
        );
        let pass = |start, len, form| {
            let mut block = Builder::of_bytes();
            memory.pass_part(Place { start, len }, form, (true, false), |_, _| (), &mut block).is_ok()
        };
        assert!(pass(16, 32, form) && pass(0, 48, Form { strides: Some(&[-32, 8]), ..form }));
        let refused = |start, len, form| part(start, len, form).is_err() && !pass(start, len, form);
        assert!(refused(17, 32, form) && refused(usize::MAX, 32, form) && refused(16, usize::MAX, form));
        assert!(refused(16, 31, form) && refused(0, 48, form));
        for shape in [&[][..], &[3, 2], &[usize::MAX, 2], &[1 << 62, 1 << 62], &[1; 65]] {
            assert!(refused(16, 32, Form { shape, ..form }), "{shape:?}");
        }
        for (format, itemsize) in [(c"d", 4), (c"d", 0), (c"", 8), (c"B", 8), (c"xyz", 0)] {
            assert!(refused(16, 32, Form { format, itemsize, ..form }), "{format:?}");
        }
        for strides in [&[16][..], &[32, 32], &[isize::MIN, 8], &[isize::MAX, isize::MAX]] {
            assert!(!pass(16, 32, Form { strides: Some(strides), ..form }), "{strides:?}");
        }
    }
}
