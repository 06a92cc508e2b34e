//! Bytes to values.

use std::fmt;
use std::ptr;

use super::pass::{Block, Way, damaged, is_handle, pass};
use super::{Got, Restore, Source, VALUE};
use crate::value::{
    Builder, INT, MAX_DEPTH, NotCopied, OwnedValue, RawBlock, TAG_BITS, TUPLE, check_alone, check_tag, element_size,
    is_plain, subpy_value,
};

/// Why a message was not read.
#[derive(Debug)]
pub enum NotRead {
    /// It is none.
    Damaged(String),
    /// What it stands for was not made, or there was no memory.
    Refused(NotCopied),
}

impl NotRead {
    pub const NO_MEMORY: NotRead = NotRead::Refused(NotCopied::NoMemory);
}

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            NotRead::Damaged(why) => write!(f, "what came from the other process is no message: {why}"),
            NotRead::Refused(NotCopied::NoMemory) => f.write_str("out of memory"),
            NotRead::Refused(NotCopied::NotFound(handle, what)) => write!(f, "{handle} is not the handle of {what}"),
            NotRead::Refused(NotCopied::NotShareable(why)) => f.write_str(why),
        }
    }
}

/// Reads the values of a message, one after the other.
pub struct Reader<'a> {
    rest: Source<'a>,
}

impl<'a> Reader<'a> {
    pub fn new(message: impl Into<Source<'a>>) -> Reader<'a> {
        Reader { rest: message.into() }
    }

    /// The next value, in memory of its own.
    pub fn value(&mut self, restore: &mut Restore) -> Result<OwnedValue, NotRead> {
        self.nested(MAX_DEPTH, restore)
    }

    /// The same of one that has values: each may be nested as deep as any other.
    pub fn values(&mut self, restore: &mut Restore) -> Result<OwnedValue, NotRead> {
        self.nested(MAX_DEPTH + 1, restore)
    }

    fn nested(&mut self, deepest: usize, restore: &mut Restore) -> Result<OwnedValue, NotRead> {
        let Some(root) = self.root() else { return damaged("it ends within a value") };
        if is_plain(&root) {
            return Ok(OwnedValue::of_plain(&root));
        }
        if root.flags & !TAG_BITS != 0 {
            return damaged("flags has unknown bits set");
        }
        match element_size(root.kind) {
            0 if is_handle(root.kind) => self.handle(root, restore),
            // SAFETY: it points nowhere. It has a tag, or is of no kind.
            0 => Err(NotRead::Damaged(unsafe { check_alone(&root) }.err().unwrap_or_default())),
            1 => {
                let Some(bytes) = self.rest.take(root.len) else { return damaged("it ends within a text or bytes") };
                // SAFETY: there are so many; and they are checked.
                unsafe {
                    let copy = OwnedValue::copy_bytes(root, bytes).ok_or(NotRead::NO_MEMORY)?;
                    check_alone(copy.as_value()).map_err(NotRead::Damaged)?;
                    Ok(copy)
                }
            }
            _ => {
                let mut attached = Builder::of_bytes();
                let block = self.block(&root, deepest, restore, &mut attached)?;
                // SAFETY: its elements are complete.
                unsafe {
                    let value = block.finish(root, attached);
                    check_tag(value.as_value()).map_err(NotRead::Damaged)?;
                    Ok(value)
                }
            }
        }
    }

    /// The next value, if it is a TUPLE of a few values that point nowhere, as most arguments are: without memory of its
    /// own. None: it is something else, and is still the next.
    #[inline]
    pub fn plain<'b>(&mut self, into: &'b mut [subpy_value; 8]) -> Option<&'b [subpy_value]> {
        let mut rest = Reader { rest: self.rest };
        let root = rest.root()?;
        let size = root.len.checked_mul(VALUE)?;
        if root.head() != TUPLE as u64 || root.len > into.len() || root.as_int() as usize != size {
            return None;
        }
        let bytes = rest.rest.take(size)?;
        // SAFETY: there are so many bytes, and room for them; every bit pattern is a value.
        unsafe { ptr::copy_nonoverlapping(bytes, into.as_mut_ptr().cast(), size) };
        let values = &into[..root.len];
        if !values.iter().all(is_plain) {
            return None;
        }
        *self = rest;
        Some(values)
    }

    /// The next value, which is a number.
    pub fn number(&mut self) -> Result<usize, NotRead> {
        match self.root() {
            Some(root) if root.head() == INT as u64 => Ok(root.as_int() as usize),
            _ => damaged("a number is missing"),
        }
    }

    /// Whether that was all.
    pub fn end(self) -> Result<(), NotRead> {
        if self.rest.len == 0 { Ok(()) } else { damaged("it goes on behind its last value") }
    }

    #[inline]
    fn root(&mut self) -> Option<subpy_value> {
        let bytes = self.rest.take(VALUE)?;
        // SAFETY: there are so many bytes; every bit pattern is a value, and is looked at in the copy alone.
        Some(unsafe { bytes.cast::<subpy_value>().read_unaligned() })
    }

    /// The root's block, with all values in it complete.
    fn block(
        &mut self,
        root: &subpy_value,
        deepest: usize,
        restore: &mut Restore,
        attached: &mut Builder,
    ) -> Result<RawBlock, NotRead> {
        let size = root.as_int() as usize;
        let Some(bytes) = self.rest.take(size) else { return damaged("it ends within a block") };
        // SAFETY: there are so many bytes; the copy is nobody else's.
        unsafe {
            let block = RawBlock::copy(bytes, size).ok_or(NotRead::NO_MEMORY)?;
            pass(Block { start: block.contents(), size, from: 0 }, root, deepest, Way::In(restore, attached))?;
            Ok(block)
        }
    }

    fn handle(&mut self, root: subpy_value, restore: &mut Restore) -> Result<OwnedValue, NotRead> {
        if root.flags != 0 || root.len > 1 {
            return damaged("a handle has a tag or a length");
        }
        let mut attached = Builder::of_bytes();
        let made = if root.len == 0 {
            restore(root.kind, Got::Word(root.as_int() as u64), &mut attached)
        } else {
            let mut inside = Builder::of_bytes();
            let block = self.block(&root, MAX_DEPTH, restore, &mut inside)?;
            // SAFETY: its element is complete.
            let value = unsafe { block.finish(subpy_value { kind: TUPLE, ..root }, inside) };
            let Some(only) = value.as_ref().element(0) else { return damaged("a handle has no value") };
            restore(root.kind, Got::Value(only), &mut attached)
        };
        made.map(|made| attached.finish_bytes(made)).map_err(NotRead::Refused)
    }
}
