//! Values as bytes, from one process to another, and back.
//!
//! A message is values in a row. Each begins with its root, a `subpy_value`, and is a multiple of 8 bytes long:
//!
//! | root | `len` | `u` | behind it |
//! |---|---|---|---|
//! | NONE, BOOL, INT, FLOAT | 0 | as always | nothing |
//! | STR, BYTES, BIGINT | bytes | 0 | the bytes |
//! | TUPLE, LIST, DICT | elements | the block's size | the block: first the elements, then what is in them |
//! | OBJECT, BUFFER, QUEUE, ERROR | 0 | a word | nothing |
//! | the same | 1 | the block's size | the block: a value that says what it is of, and what is in that |
//!
//! Flags are a tag and nothing else. Values in a block have the offset of their bytes or elements in it, where others
//! have a pointer. These pieces lie in the order in which one meets them who goes into each value before he goes on to
//! the next: so none is part of another, and none is met twice. Behind bytes there is room for a NUL. The only pieces
//! that are shared are short keys of dicts with few ([`FEW_KEYS`], [`LONGEST_SHARED`]), as in the blocks that are made of
//! Python objects. Both sides are the same library, thus of the same layout.
//!
//! Most arguments are a few values of the first row. They are shorter, so that they lie beside the turn in the memory that
//! both see ([`FEW_MARK`]): a word that says their number and kinds, and a word for each.
//!
//! Whoever reads believes nothing: bytes are copied first, and then checked as what comes from C.

mod pass;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::marker::PhantomData;
use std::mem::MaybeUninit;

pub use read::{NotRead, Reader};
pub use write::Writer;

use crate::value::{Builder, FEW_KEYS, LONGEST_SHARED, NotCopied, OwnedValue, ValueRef, subpy_value};

const VALUE: usize = size_of::<subpy_value>();

/// A value inside one that says what a handle is of may be nested this much deeper than others.
const DESCRIBED: usize = 8;

/// So many arguments are a few.
pub const FEW: usize = 8;

/// In the first word of a few: no root has this bit. Their number is in the bits from 32 on, and the kind of each in four
/// bits from the first one on.
const FEW_MARK: u64 = 1 << 63;
const FEW_COUNT: u32 = 32;
const FEW_KIND: u32 = 4;

/// Where a message is written.
///
/// # Safety
/// The memory stays where it is, and as large as it is, until the next call.
pub unsafe trait Sink {
    /// Makes room for `size` bytes or more, of which the first `kept` are as they were. None: no memory.
    fn room(&mut self, kept: usize, size: usize) -> Option<&mut [MaybeUninit<u64>]>;

    /// What is there already.
    fn ready(&mut self) -> &mut [MaybeUninit<u64>];
}

// SAFETY: a vector that nobody touches stays as it is.
unsafe impl Sink for Vec<u64> {
    fn room(&mut self, _kept: usize, size: usize) -> Option<&mut [MaybeUninit<u64>]> {
        let words = size.div_ceil(size_of::<u64>());
        self.try_reserve(words.saturating_sub(self.len())).ok()?;
        self.resize(self.capacity(), 0);
        Some(self.ready())
    }

    #[inline]
    fn ready(&mut self) -> &mut [MaybeUninit<u64>] {
        let (start, len) = (self.as_mut_ptr().cast(), self.len());
        // SAFETY: the vector's own; initialised is more than uninitialised, and writers only write.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }
}

/// A message to be read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    start: *const u8,
    len: usize,
    lives: PhantomData<&'a [u8]>,
}

impl<'a> Source<'a> {
    /// In memory that another process may write to meanwhile.
    ///
    /// # Safety
    /// There are `len` bytes to read as long as this lives.
    pub unsafe fn shared(start: *const u8, len: usize) -> Source<'a> {
        Source { start, len, lives: PhantomData }
    }

    /// The next `size` bytes, and what fills them up to a multiple of 8. None: there are not so many.
    fn take(&mut self, size: usize) -> Option<*const u8> {
        let whole = size.checked_next_multiple_of(8).filter(|whole| *whole <= self.len)?;
        let taken = self.start;
        // SAFETY: it has been looked that there are so many.
        self.start = unsafe { self.start.add(whole) };
        self.len -= whole;
        Some(taken)
    }
}

impl<'a> From<&'a [u8]> for Source<'a> {
    fn from(bytes: &'a [u8]) -> Source<'a> {
        Source { start: bytes.as_ptr(), len: bytes.len(), lives: PhantomData }
    }
}

/// What a message has for an OBJECT, a BUFFER, a QUEUE or an ERROR.
pub enum Sent {
    /// A number that the other side knows.
    Word(u64),
    /// What the other side needs to make one of its own. There are no such kinds in it.
    Value(OwnedValue),
}

/// The same, as it is read.
pub enum Got<'a> {
    Word(u64),
    Value(ValueRef<'a>),
}

/// Says what stands for a value of these kinds in a message.
pub type Describe<'a> = dyn FnMut(&subpy_value) -> Result<Sent, NotCopied> + 'a;

/// Makes the value of this kind, and attaches to the builder what keeps it.
pub type Restore<'a> = dyn FnMut(i32, Got, &mut Builder) -> Result<subpy_value, NotCopied> + 'a;

/// There is none where it is asked for.
pub fn none_to_send(value: &subpy_value) -> Result<Sent, NotCopied> {
    Err(NotCopied::NotShareable(format!("a value of kind {} cannot go to another process here", value.kind)))
}

/// The same, for those who read.
pub fn none_to_get(kind: i32, _: Got, _: &mut Builder) -> Result<subpy_value, NotCopied> {
    Err(NotCopied::NotShareable(format!("a value of kind {kind} cannot come from another process here")))
}

/// The texts of the keys that were met last, by their place in a dict: where each lies, its length, and its offset.
struct Keys([(usize, usize, usize); FEW_KEYS]);

impl Keys {
    fn new() -> Keys {
        Keys([(usize::MAX, 0, 0); FEW_KEYS])
    }

    /// The offset of a key's text that was met before.
    #[inline]
    fn find(&self, entry: usize, place: usize, len: usize) -> Option<usize> {
        let (known, of_len, offset) = self.0[entry];
        (known == place && of_len == len).then_some(offset)
    }

    #[inline]
    fn met(&mut self, entry: usize, place: usize, len: usize, offset: usize) {
        if len <= LONGEST_SHARED {
            self.0[entry] = (place, len, offset);
        }
    }
}
