//! Bytes to values.

use std::fmt;

use super::pass::{Block, Way, damaged, is_handle, pass};
use super::{FEW, FEW_COUNT, FEW_KIND, FEW_MARK, Got, Restore, Source, VALUE};
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
    #[inline]
    pub fn value(&mut self, restore: &mut Restore) -> Result<OwnedValue, NotRead> {
        match self.root() {
            Some(root) if is_plain(&root) => Ok(OwnedValue::of_plain(&root)),
            Some(root) => self.rest_of(root, MAX_DEPTH, restore),
            None => damaged("it ends within a value"),
        }
    }

    /// The next value, if it points nowhere. None: it is another one, and nobody can tell where the next begins.
    #[inline]
    pub fn plain(&mut self) -> Option<OwnedValue> {
        self.root().filter(is_plain).map(|root| OwnedValue::of_plain(&root))
    }

    /// The same of one that has values: each may be nested as deep as any other.
    #[inline]
    pub fn values(&mut self, restore: &mut Restore) -> Result<OwnedValue, NotRead> {
        match self.root() {
            Some(root) if is_plain(&root) => Ok(OwnedValue::of_plain(&root)),
            Some(root) => self.rest_of(root, MAX_DEPTH + 1, restore),
            None => damaged("it ends within a value"),
        }
    }

    fn rest_of(&mut self, root: subpy_value, deepest: usize, restore: &mut Restore) -> Result<OwnedValue, NotRead> {
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

    /// Arguments that are a few, without memory of their own. None: they are not, and are still the next.
    #[inline]
    pub fn few<'b>(&mut self, into: &'b mut [subpy_value; FEW]) -> Option<&'b [subpy_value]> {
        let mut rest = self.rest;
        let head = word(rest.take(size_of::<u64>())?, 0);
        // Without the mark it is no number.
        let count = usize::try_from((head ^ FEW_MARK) >> FEW_COUNT).ok().filter(|count| *count <= FEW)?;
        let words = rest.take(count * size_of::<u64>())?;
        let few = &mut into[..count];
        for (index, value) in few.iter_mut().enumerate() {
            let kind = (head >> (index as u32 * FEW_KIND)) as i32 & ((1 << FEW_KIND) - 1);
            *value = subpy_value { kind, ..subpy_value::int(word(words, index) as i64) };
        }
        if !few.iter().all(is_plain) {
            return None;
        }
        self.rest = rest;
        Some(few)
    }

    /// The next value, which is a number.
    pub fn number(&mut self) -> Result<usize, NotRead> {
        match self.root() {
            Some(root) if root.head() == INT as u64 => Ok(root.as_int() as usize),
            _ => damaged("a number is missing"),
        }
    }

    /// Whether that was all.
    #[inline]
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

/// One of the words that were taken.
#[inline]
fn word(taken: *const u8, index: usize) -> u64 {
    // SAFETY: it is one of them; any bytes are a number.
    unsafe { taken.cast::<u64>().add(index).read_unaligned() }
}
