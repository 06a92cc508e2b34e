//! Where a reader of values is.

use std::ptr;

use super::super::types::PyObject;
pub(super) use crate::value::FEW_KEYS;
use crate::value::{self, subpy_value};

/// A container that is being read.
pub(super) struct Reading {
    pub(super) object: *mut PyObject,
    pub(super) kind: i32,
    /// Where its values go in the block: the first, the next, the end (a dict's keys and values take turns).
    pub(super) first: usize,
    pub(super) next: usize,
    pub(super) end: usize,
    /// PyDict_Next's position, and the value that belongs to the key that was read last, if that is not read yet.
    pub(super) position: isize,
    pub(super) value: *mut PyObject,
}

impl Reading {
    /// `value` is the object's, with the offset of its elements.
    #[inline]
    pub(super) fn new(object: *mut PyObject, value: &subpy_value) -> Reading {
        let len = if value.kind == value::DICT { value.len * 2 } else { value.len };
        let first = value.as_int() as usize;
        let end = first + len * size_of::<subpy_value>();
        Reading { object, kind: value.kind, first, next: first, end, position: 0, value: ptr::null_mut() }
    }

    /// How many elements were read, with the one that was begun.
    pub(super) fn done(&self) -> usize {
        (self.next - self.first) / size_of::<subpy_value>()
    }

    /// Where the value of the last element that was read goes.
    #[inline]
    pub(super) fn last_place(&self) -> usize {
        self.next - size_of::<subpy_value>()
    }

    /// Where the value of the next element goes.
    #[inline]
    pub(super) fn next_place(&mut self) -> usize {
        self.next += size_of::<subpy_value>();
        self.last_place()
    }
}

/// The keys of the last dict with few, and their values: rows of a table have the same ones, which are then the same
/// objects. They are alive, since nothing is freed while a value is read, and their text lies in the block.
pub(super) type Keys = [Key; FEW_KEYS];
pub(super) type Key = (*mut PyObject, Text);

/// Offset and length of a text in the block.
pub(super) type Text = (usize, usize);
