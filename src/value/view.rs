//! Reading a whole value safely.

use std::sync::Arc;

use super::{
    BIGINT, BOOL, BUFFER, BYTES, Claim, DICT, Export, FLOAT, INT, LIST, NONE, OBJECT, OwnedValue, QUEUE, STR, TUPLE,
    subpy_value,
};

/// An owned value, or a part of one, to be read.
#[derive(Clone, Copy)]
pub struct ValueRef<'a>(&'a subpy_value);

/// What a value is. The elements of TUPLE, LIST and DICT are at [`ValueRef::element`].
pub enum View<'a> {
    None,
    Bool(bool),
    Int(i64),
    BigInt(&'a str),
    Float(f64),
    Str(&'a str),
    Bytes(&'a [u8]),
    Tuple,
    List,
    Dict,
    /// By its handle.
    Queue(u64),
    /// By its handle.
    Object(u64),
    /// At [`ValueRef::export`].
    Buffer,
    /// A kind that is not one of these.
    Unknown(i32),
}

impl OwnedValue {
    pub fn as_ref(&self) -> ValueRef<'_> {
        ValueRef(self.as_value())
    }
}

impl<'a> ValueRef<'a> {
    /// A value that was checked, with all that it points to.
    pub(crate) fn of_checked(value: &'a subpy_value) -> ValueRef<'a> {
        ValueRef(value)
    }

    pub fn view(self) -> View<'a> {
        // SAFETY: an owned value is complete, and its text is UTF-8.
        let text = || unsafe { std::str::from_utf8_unchecked(self.0.bytes()) };
        match self.0.kind {
            NONE => View::None,
            BOOL => View::Bool(self.0.as_bool()),
            INT => View::Int(self.0.as_int()),
            BIGINT => View::BigInt(text()),
            FLOAT => View::Float(self.0.as_float()),
            STR => View::Str(text()),
            // SAFETY: as above.
            BYTES => View::Bytes(unsafe { self.0.bytes() }),
            TUPLE => View::Tuple,
            LIST => View::List,
            DICT => View::Dict,
            OBJECT => View::Object(self.0.as_int().cast_unsigned()),
            BUFFER => View::Buffer,
            QUEUE => View::Queue(self.0.as_int().cast_unsigned()),
            kind => View::Unknown(kind),
        }
    }

    /// What it stands for (`value::tag`), or 0.
    pub fn tag(self) -> u32 {
        self.0.tag()
    }

    /// What a BUFFER shares. None: no memory.
    pub fn export(self) -> Option<Arc<Export>> {
        if self.0.kind != BUFFER {
            return None;
        }
        // SAFETY: an owned value is the library's own, and alive.
        unsafe { Export::of(self.0) }
    }

    /// What is claimed of a BUFFER that was passed. None: it is none that the library has taken over.
    pub fn claim(self) -> Option<Arc<Claim>> {
        // SAFETY: a value that is claimed is the library's own, and alive.
        self.0.is_claimed().then(|| unsafe { Claim::of(self.0) })
    }

    /// The n-th element of a container; a DICT's are key, value, key, value...
    pub fn element(self, n: usize) -> Option<ValueRef<'a>> {
        if !self.0.is_container() {
            return None;
        }
        // SAFETY: an owned value is complete.
        unsafe { self.0.elements() }.get(n).map(ValueRef)
    }
}
