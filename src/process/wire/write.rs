//! Values to bytes.

use std::ptr;

use super::pass::{Block, Way, is_handle, pass};
use super::{Describe, FEW, FEW_COUNT, FEW_KIND, FEW_MARK, Keys, Sent, Sink, VALUE, none_to_send};
use crate::value::{
    Args, BOOL, DICT, FEW_KEYS, FLOAT, INT, MAX_DEPTH, NotCopied, OwnedValue, Rows, STR, TAG_BITS, TUPLE, copy_text,
    element_size, is_plain, subpy_pair, subpy_value,
};

/// Writes the values of a message, one after the other. When one was not written, the message is of no use.
pub struct Writer<'a, S: Sink> {
    sink: &'a mut S,
    start: *mut u8,
    len: usize,
    capacity: usize,
}

/// A container on the way.
struct Level<'a> {
    kind: i32,
    elements: &'a [subpy_value],
    next: usize,
    /// Where the next element goes.
    at: usize,
}

impl<'a> Level<'a> {
    fn new(kind: i32, elements: &'a [subpy_value], at: usize) -> Level<'a> {
        Level { kind, elements, next: 0, at }
    }

    /// Which entry of a dict with few the element is the key of, that was taken last.
    #[inline]
    fn key(&self) -> Option<usize> {
        let index = self.next - 1;
        (self.kind == DICT && self.elements.len() <= 2 * FEW_KEYS && index.is_multiple_of(2)).then_some(index / 2)
    }
}

impl<'a, S: Sink> Writer<'a, S> {
    #[inline]
    pub fn new(sink: &'a mut S) -> Writer<'a, S> {
        let ready = sink.ready();
        let (start, capacity) = (ready.as_mut_ptr().cast(), size_of_val(ready));
        Writer { sink, start, len: 0, capacity }
    }

    /// How many bytes the message has.
    pub fn finish(self) -> usize {
        self.len
    }

    /// The positional arguments as a TUPLE, the others as a DICT, or None if there are none. Or a few.
    #[inline]
    pub fn args(&mut self, args: Args, describe: &mut Describe) -> Result<(), NotCopied> {
        if args.kwargs.is_empty() && self.few(args.items)? {
            return Ok(());
        }
        self.items(args.items, describe)?;
        if args.kwargs.is_empty() {
            return self.root(subpy_value::none()).map(drop);
        }
        self.pairs(args.kwargs, describe)
    }

    /// Arguments that are a few plain values. False: they are not, and nothing was written.
    #[inline]
    fn few(&mut self, items: &[subpy_value]) -> Result<bool, NotCopied> {
        if items.len() > FEW || !items.iter().all(is_plain) {
            return Ok(false);
        }
        let at = self.reserve((1 + items.len()) * size_of::<u64>())?;
        let mut head = FEW_MARK | (items.len() as u64) << FEW_COUNT;
        for (index, value) in items.iter().enumerate() {
            head |= (value.kind as u64) << (index as u32 * FEW_KIND);
            self.put_word(at + (1 + index) * size_of::<u64>(), plain(value).as_int() as u64);
        }
        self.put_word(at, head);
        Ok(true)
    }

    /// Checked entries, as a DICT.
    pub fn pairs(&mut self, pairs: &[subpy_pair], describe: &mut Describe) -> Result<(), NotCopied> {
        let dict = subpy_value::pointing(DICT, pairs.as_ptr().cast(), pairs.len());
        // SAFETY: checked by `Args::check` or `check_main_names`.
        unsafe { self.value(&dict, describe) }
    }

    /// All values of the rows as one TUPLE.
    pub fn rows(&mut self, rows: &Rows, describe: &mut Describe) -> Result<(), NotCopied> {
        self.items(rows.values(), describe)
    }

    /// Checked values, as one TUPLE.
    #[inline]
    fn items(&mut self, items: &[subpy_value], describe: &mut Describe) -> Result<(), NotCopied> {
        let tuple = subpy_value::pointing(TUPLE, items.as_ptr().cast(), items.len());
        // SAFETY: checked by `Args::check` or `Rows::check`.
        unsafe { self.value(&tuple, describe) }
    }

    pub fn text(&mut self, text: &str) -> Result<(), NotCopied> {
        let text = subpy_value::pointing(STR, text.as_ptr(), text.len());
        // SAFETY: a text.
        unsafe { self.value(&text, &mut none_to_send) }
    }

    /// None for a text that is not there.
    pub fn optional_text(&mut self, text: Option<&str>) -> Result<(), NotCopied> {
        match text {
            Some(text) => self.text(text),
            None => self.root(subpy_value::none()).map(drop),
        }
    }

    pub fn number(&mut self, number: u64) -> Result<(), NotCopied> {
        self.root(subpy_value::int(number as i64)).map(drop)
    }

    /// A value of the library's own. Nothing of this process is seen where it is written, but what is in the value.
    pub fn owned(&mut self, value: &OwnedValue, describe: &mut Describe) -> Result<(), NotCopied> {
        // SAFETY: an owned value is complete.
        unsafe { self.value(value.as_value(), describe) }
    }

    /// The same, faster, if it was made of Python objects: its block is copied as it is. Addresses of this process can be
    /// seen for a moment where it is written, so this is for those who have nothing to hide from the reader.
    pub fn block(&mut self, value: &OwnedValue, describe: &mut Describe) -> Result<(), NotCopied> {
        if self.copied(value)? { Ok(()) } else { self.owned(value, describe) }
    }

    /// False: it has no block of elements, there are handles in it, or it is in another order. Nothing was written then.
    pub(super) fn copied(&mut self, value: &OwnedValue) -> Result<bool, NotCopied> {
        let root = value.as_value();
        // SAFETY: the root of an owned value.
        let Some(contents) = (unsafe { root.block() }).filter(|_| root.is_container()) else { return Ok(false) };
        let (size, before) = (contents.len(), self.len);
        let at = self.reserve(size.checked_add(VALUE).ok_or(NotCopied::NoMemory)?)? + VALUE;
        // SAFETY: there is room for them.
        let done = unsafe {
            let start = self.start.add(at);
            ptr::copy_nonoverlapping(contents.as_ptr(), start, size);
            pass(Block { start, size, from: contents.as_ptr().addr() }, root, MAX_DEPTH, Way::Out)
        };
        if done.is_err() {
            self.len = before;
            return Ok(false);
        }
        self.put(before, sent(root, root.len, size as u64));
        self.pad().map(|()| true)
    }

    /// Any value.
    ///
    /// # Safety
    /// It was checked.
    pub unsafe fn value(&mut self, value: &subpy_value, describe: &mut Describe) -> Result<(), NotCopied> {
        if is_plain(value) {
            return self.root(plain(value)).map(drop);
        }
        if is_handle(value.kind) {
            return match describe(value)? {
                Sent::Word(word) => self.root(sent(value, 0, word)).map(drop),
                Sent::Value(of) => {
                    let of = [*of.as_value()];
                    // SAFETY: an owned value is complete, and lives until it is written.
                    unsafe { self.elements(value, &of, &mut none_to_send) }
                }
            };
        }
        // SAFETY: promised by the caller.
        unsafe {
            if element_size(value.kind) != 1 {
                return self.elements(value, value.elements(), describe);
            }
            self.root(sent(value, value.len, 0))?;
            let at = self.reserve(value.len)?;
            self.copy(value.bytes(), at);
            self.pad()
        }
    }

    /// A root, and these elements in its block.
    ///
    /// # Safety
    /// Checked values.
    unsafe fn elements(
        &mut self,
        root: &subpy_value,
        elements: &[subpy_value],
        describe: &mut Describe,
    ) -> Result<(), NotCopied> {
        let at = self.root(subpy_value::none())?;
        let block = self.len;
        let array = self.array(elements.len())?;
        // Most have nothing else.
        let done = self.put_plain(array, elements);
        if done < elements.len() {
            let level = Level { kind: root.kind, elements, next: done, at: array + done * VALUE };
            // SAFETY: promised by the caller.
            unsafe { self.fill(level, block, &mut Keys::new(), describe)? };
        }
        let len = if root.is_container() { root.len } else { 1 };
        self.put(at, sent(root, len, (self.len - block) as u64));
        self.pad()
    }

    /// Writes the rest of these elements, and appends what is in them.
    ///
    /// # Safety
    /// Checked values.
    unsafe fn fill(
        &mut self,
        mut level: Level,
        block: usize,
        keys: &mut Keys,
        describe: &mut Describe,
    ) -> Result<(), NotCopied> {
        let mut outer: Vec<Level> = Vec::new();
        loop {
            let Some(value) = level.elements.get(level.next) else {
                let Some(container) = outer.pop() else { return Ok(()) };
                level = container;
                continue;
            };
            let at = level.at;
            level.next += 1;
            level.at += VALUE;
            if is_plain(value) {
                self.put(at, plain(value));
                let more = self.put_plain(level.at, &level.elements[level.next..]);
                level.next += more;
                level.at += more * VALUE;
                continue;
            }
            if is_handle(value.kind) {
                match describe(value)? {
                    Sent::Word(word) => self.put(at, sent(value, 0, word)),
                    Sent::Value(of) => {
                        let (of, array) = ([*of.as_value()], self.array(1)?);
                        self.put(at, sent(value, 1, (array - block) as u64));
                        // SAFETY: an owned value is complete. There is no handle in it, so this ends.
                        unsafe { self.fill(Level::new(value.kind, &of, array), block, keys, &mut none_to_send)? };
                    }
                }
                continue;
            }
            if !value.is_container() {
                let place = value.pointer().addr();
                let key = if value.kind == STR && value.flags & TAG_BITS == 0 { level.key() } else { None };
                let known = key.and_then(|key| keys.find(key, place, value.len));
                let offset = match known {
                    Some(offset) => offset,
                    None => {
                        let bytes = value.len.checked_add(1).ok_or(NotCopied::NoMemory)?;
                        let to = self.reserve(bytes)?;
                        // SAFETY: promised by the caller.
                        self.copy(unsafe { value.bytes() }, to);
                        // SAFETY: there is room for the NUL.
                        unsafe { self.start.add(to + value.len).write(0) };
                        to - block
                    }
                };
                if let Some(key) = key {
                    keys.met(key, place, value.len, offset);
                }
                self.put(at, sent(value, value.len, offset as u64));
                continue;
            }
            // SAFETY: promised by the caller.
            let elements = unsafe { value.elements() };
            let array = self.array(elements.len())?;
            self.put(at, sent(value, value.len, (array - block) as u64));
            outer.try_reserve(1).map_err(|_| NotCopied::NoMemory)?;
            outer.push(std::mem::replace(&mut level, Level::new(value.kind, elements, array)));
        }
    }

    /// Appends a root; where it lies.
    #[inline]
    fn root(&mut self, root: subpy_value) -> Result<usize, NotCopied> {
        let at = self.reserve(VALUE)?;
        self.put(at, root);
        Ok(at)
    }

    /// Room for an array; where it lies.
    #[inline]
    fn array(&mut self, count: usize) -> Result<usize, NotCopied> {
        self.pad()?;
        self.reserve(count.checked_mul(VALUE).ok_or(NotCopied::NoMemory)?)
    }

    /// Zeros up to a multiple of 8.
    #[inline]
    fn pad(&mut self) -> Result<(), NotCopied> {
        let missing = self.len.next_multiple_of(8) - self.len;
        if missing > 0 {
            let at = self.reserve(missing)?;
            // SAFETY: there is room.
            unsafe { self.start.add(at).write_bytes(0, missing) };
        }
        Ok(())
    }

    /// Room for so many bytes more; where they lie.
    #[inline]
    fn reserve(&mut self, size: usize) -> Result<usize, NotCopied> {
        let (at, end) = (self.len, self.len.checked_add(size).ok_or(NotCopied::NoMemory)?);
        if end > self.capacity {
            self.grow(end)?;
        }
        self.len = end;
        Ok(at)
    }

    #[cold]
    fn grow(&mut self, end: usize) -> Result<(), NotCopied> {
        let end = end.checked_next_multiple_of(8).ok_or(NotCopied::NoMemory)?;
        let room = self.sink.room(self.len, end).ok_or(NotCopied::NoMemory)?;
        assert!(size_of_val(room) >= end, "as much room as was asked for");
        (self.start, self.capacity) = (room.as_mut_ptr().cast(), size_of_val(room));
        Ok(())
    }

    #[inline]
    fn put(&mut self, at: usize, value: subpy_value) {
        debug_assert!(at.is_multiple_of(8) && at + VALUE <= self.len);
        // SAFETY: `reserve` has made room for it; the memory is aligned, and so is the place.
        unsafe { self.start.add(at).cast::<subpy_value>().write(value) }
    }

    #[inline]
    fn put_word(&mut self, at: usize, word: u64) {
        debug_assert!(at.is_multiple_of(8) && at + size_of::<u64>() <= self.len);
        // SAFETY: as above.
        unsafe { self.start.add(at).cast::<u64>().write(word) }
    }

    /// Writes as many elements as are plain; how many.
    #[inline]
    fn put_plain(&mut self, at: usize, elements: &[subpy_value]) -> usize {
        let mut done = 0;
        while let Some(value) = elements.get(done).filter(|value| is_plain(value)) {
            self.put(at + done * VALUE, plain(value));
            done += 1;
        }
        done
    }

    #[inline]
    fn copy(&mut self, bytes: &[u8], at: usize) {
        debug_assert!(at + bytes.len() <= self.len);
        // SAFETY: `reserve` has made room for them.
        unsafe { copy_text(bytes, self.start.add(at)) }
    }
}

/// How a value is written that is not plain.
#[inline]
fn sent(value: &subpy_value, len: usize, word: u64) -> subpy_value {
    subpy_value { kind: value.kind, flags: value.flags & TAG_BITS, len, ..subpy_value::int(word as i64) }
}

/// What nobody reads of it may be anything, and is not for others.
#[inline]
fn plain(value: &subpy_value) -> subpy_value {
    match value.kind {
        INT => subpy_value::int(value.as_int()),
        FLOAT => subpy_value::float(value.as_float()),
        BOOL => subpy_value::bool(value.as_bool()),
        _ => subpy_value::none(),
    }
}
