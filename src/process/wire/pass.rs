//! Going once through the copy of a block: pointers become offsets, or offsets become pointers.

use super::read::NotRead;
use super::{DESCRIBED, Got, Keys, Restore, VALUE};
use crate::value::{
    BIGINT, BOOL, BYTES, Builder, DICT, ERROR, FEW_KEYS, FLOAT, INT, MAX_DEPTH, NONE, STR, TAG_BITS, ValueRef,
    check_alone, check_tag, element_size, ints, is_ascii, is_plain, subpy_value,
};

/// The copy of a block.
pub(super) struct Block {
    /// Aligned for values.
    pub start: *mut u8,
    pub size: usize,
    /// What the places in its values count from.
    pub from: usize,
}

/// What is done with it.
pub(super) enum Way<'a, 'b> {
    /// It is checked, and what is to be freed with it goes to the builder.
    In(&'a mut Restore<'b>, &'a mut Builder),
    /// It is the library's own.
    Out,
}

/// A container on the way, or a handle with what says what it is of.
struct Level {
    kind: i32,
    first: *mut subpy_value,
    next: *mut subpy_value,
    end: *mut subpy_value,
    /// The value that has these elements.
    owner: *mut subpy_value,
    /// A dict with few entries.
    few: bool,
}

impl Level {
    /// Which entry of a dict with few this is the key of.
    #[inline]
    fn key(&self, at: *mut subpy_value) -> Option<usize> {
        if !self.few {
            return None;
        }
        let index = count(self.first, at);
        index.is_multiple_of(2).then_some(index / 2)
    }
}

pub(super) fn damaged<T>(why: &str) -> Result<T, NotRead> {
    Err(NotRead::Damaged(why.into()))
}

/// `root` has the elements that the block begins with, nested so deep at most. Afterwards they are complete; the root's
/// own tag was not looked at.
///
/// # Safety
/// The block is the caller's alone when it is read; so are the places that it is written to.
pub(super) unsafe fn pass(block: Block, root: &subpy_value, deepest: usize, mut way: Way) -> Result<(), NotRead> {
    let Block { start, size, from } = block;
    let handle = is_handle(root.kind);
    let mut pieces = Pieces { end: 0, size };
    let mut keys = Keys::new();
    let open = |pieces: &mut Pieces, value: &subpy_value, owner: *mut subpy_value, offset: usize| {
        let each = if is_handle(value.kind) { VALUE } else { element_size(value.kind) };
        let bytes = value.len.checked_mul(each)?;
        if !offset.is_multiple_of(align_of::<subpy_value>()) || !pieces.take(offset, bytes) {
            return None;
        }
        let first: *mut subpy_value = start.wrapping_add(offset).cast();
        let end = first.wrapping_byte_add(bytes);
        let few = value.kind == DICT && value.len <= FEW_KEYS;
        Some(Level { kind: value.kind, first, next: first, end, owner, few })
    };
    let Some(mut level) = open(&mut pieces, root, std::ptr::null_mut(), 0) else {
        return damaged("its elements are not where they belong");
    };
    // How many levels are around a handle that is looked into.
    let mut described = handle.then_some(0);
    let mut outer: Vec<Level> = Vec::new();
    loop {
        if level.next == level.end {
            let Some(container) = outer.pop() else { return Ok(()) };
            let Level { kind, first, owner, .. } = std::mem::replace(&mut level, container);
            // SAFETY: values of the block, of which all that is behind this one is complete.
            unsafe {
                if is_handle(kind) {
                    described = None;
                    restore(&mut way, owner, Got::Value(ValueRef::of_checked(&*first)))?;
                } else if (*owner).flags != 0 && matches!(way, Way::In(..)) {
                    check_tag(&*owner).map_err(NotRead::Damaged)?;
                }
            }
            continue;
        }
        let at = level.next;
        level.next = at.wrapping_add(1);
        // SAFETY: an element of the block, aligned; every bit pattern can be read.
        let head = unsafe { &*at };
        if is_plain(head) {
            if head.kind == INT && level.kind != DICT {
                // SAFETY: the elements from here to the end, which nobody writes to meanwhile.
                let rest = unsafe { std::slice::from_raw_parts(level.next, count(level.next, level.end)) };
                level.next = level.next.wrapping_add(ints(rest));
            }
            continue;
        }
        let value = *head;
        if value.flags & !TAG_BITS != 0 {
            return damaged("flags has unknown bits set");
        }
        let offset = (value.as_int() as usize).wrapping_sub(from);
        match value.kind {
            STR | BYTES | BIGINT => {
                let key = if value.kind == STR && value.flags == 0 { level.key(at) } else { None };
                let place = start.wrapping_add(offset);
                if value.len.checked_add(1).is_some_and(|bytes| pieces.take(offset, bytes)) {
                    if let Some(key) = key {
                        keys.met(key, offset, value.len, offset);
                    }
                } else if key.is_some_and(|key| keys.find(key, offset, value.len).is_some()) {
                    // It was checked when it was met first.
                    // SAFETY: an element of the block.
                    unsafe { set(&way, at, place, offset) };
                    continue;
                } else {
                    return damaged("a text or bytes are not where they belong");
                }
                // SAFETY: an element of the block, and a piece of it that no other value has.
                unsafe {
                    set(&way, at, place, offset);
                    if let Way::In(..) = way {
                        place.add(value.len).write(0);
                        // Not through the element: a processor waits when it reads at once what was written in part.
                        let bytes = std::slice::from_raw_parts(place, value.len);
                        let is_text = value.kind == STR && is_ascii(bytes);
                        if value.flags != 0 || !is_text && value.kind != BYTES {
                            check_alone(&*at).map_err(NotRead::Damaged)?;
                        }
                    }
                }
            }
            NONE | BOOL | INT | FLOAT => {
                // One of them with a tag.
                // SAFETY: it points nowhere.
                unsafe { check_alone(&value) }.map_err(NotRead::Damaged)?;
            }
            kind if is_handle(kind) => {
                if described.is_some() || value.flags != 0 || matches!(way, Way::Out) {
                    return damaged("a handle is where none can be");
                }
                if value.len == 0 {
                    // SAFETY: an element of the block.
                    unsafe { restore(&mut way, at, Got::Word(value.as_int() as u64))? };
                    continue;
                }
                let inner = open(&mut pieces, &value, at, offset).filter(|_| value.len == 1);
                let Some(inner) = inner else { return damaged("what a handle is of is not where it belongs") };
                described = Some(outer.len());
                enter(&mut outer, &mut level, inner)?;
            }
            kind => {
                if element_size(kind) == 0 {
                    return damaged(&format!("kind {kind} is not one of SUBPY_KIND_*"));
                }
                let deepest = deepest.max(described.map_or(0, |around| around + DESCRIBED));
                if outer.len() + 1 >= deepest {
                    return damaged(&format!("nested deeper than {MAX_DEPTH} levels"));
                }
                let Some(inner) = open(&mut pieces, &value, at, offset) else {
                    return damaged("elements are not where they belong");
                };
                // SAFETY: an element of the block.
                unsafe { set(&way, at, start.wrapping_add(offset), offset) };
                enter(&mut outer, &mut level, inner)?;
            }
        }
    }
}

/// Which part of a block was met.
struct Pieces {
    end: usize,
    size: usize,
}

impl Pieces {
    /// False: it does not lie behind those that were met, or not in the block.
    #[inline]
    fn take(&mut self, offset: usize, bytes: usize) -> bool {
        let fits = self.end <= offset && offset <= self.size && bytes <= self.size - offset;
        if fits {
            self.end = offset + bytes;
        }
        fits
    }
}

fn enter(outer: &mut Vec<Level>, level: &mut Level, inner: Level) -> Result<(), NotRead> {
    outer.try_reserve(1).map_err(|_| NotRead::NO_MEMORY)?;
    outer.push(std::mem::replace(level, inner));
    Ok(())
}

fn count(next: *mut subpy_value, end: *mut subpy_value) -> usize {
    (end.addr() - next.addr()) / VALUE
}

/// A kind that hooks send and make.
pub(super) fn is_handle(kind: i32) -> bool {
    subpy_value { kind, ..subpy_value::none() }.is_handle() || kind == ERROR
}

/// # Safety
/// A value that may be written.
#[inline]
unsafe fn set(way: &Way, at: *mut subpy_value, place: *mut u8, offset: usize) {
    // SAFETY: promised by the caller.
    unsafe {
        match way {
            Way::In(..) => (*at).u.as_bytes = place,
            Way::Out => (*at).u.as_int = offset as i64,
        }
    }
}

/// # Safety
/// A value that may be written.
unsafe fn restore(way: &mut Way, at: *mut subpy_value, got: Got) -> Result<(), NotRead> {
    let Way::In(restore, builder) = way else { return damaged("a handle is where none can be") };
    // SAFETY: promised by the caller.
    unsafe {
        let made = restore((*at).kind, got, builder).map_err(NotRead::Refused)?;
        at.write(made);
    }
    Ok(())
}
