//! Short texts as Python strings. To make one anew and to hash it costs a tenth of a call, and programs use the same
//! names and keys again and again, so an interpreter keeps some.

use std::cell::UnsafeCell;
use std::ptr::NonNull;

use super::object::{Obj, Py, PyResult};
use super::types::PyObject;
use crate::value::{SHORT, ends};

/// Two texts of the same set are kept, the third takes turns with them.
const SETS: usize = 128;
const WAYS: usize = 2;

/// Longer ones are made anew.
const LONGEST: usize = 64;

/// A new text takes the place of another one only when so many were not there, so that texts that come once and never
/// again, however many, hardly cost more than without a table.
const PATIENCE: usize = 8;

/// The texts that one interpreter keeps, for names and for the keys of dicts.
#[derive(Default)]
pub struct Names(UnsafeCell<Table>);

// SAFETY: used with the GIL of the interpreter alone, and borrowed only while nothing runs that could give it away or
// come back here.
unsafe impl Send for Names {}
// SAFETY: as above.
unsafe impl Sync for Names {}

#[derive(Default)]
struct Table {
    /// Set after set; without any until the first text is kept.
    kept: Vec<Option<Kept>>,
    missed: usize,
}

#[derive(Clone, Copy)]
struct Kept {
    ends: (u64, u64),
    len: usize,
    /// A strong reference to an interned str.
    object: NonNull<PyObject>,
}

impl Names {
    /// The str, interned: CPython then finds attributes and parameters by comparing pointers. Attached to the
    /// interpreter.
    #[inline]
    pub fn get<'py>(&self, py: Py<'py>, text: &str) -> PyResult<Obj<'py>> {
        self.get_or_make(py, text, true)
    }

    /// The str, for the key of a dict.
    #[inline]
    pub fn key<'py>(&self, py: Py<'py>, text: &str) -> PyResult<Obj<'py>> {
        self.get_or_make(py, text, false)
    }

    #[inline]
    fn get_or_make<'py>(&self, py: Py<'py>, text: &str, interned: bool) -> PyResult<Obj<'py>> {
        match self.find(py, text) {
            // SAFETY: attached; what is kept is alive.
            Some(object) => unsafe { py.borrowed(object.as_ptr()) },
            None => self.make(py, text, interned),
        }
    }

    /// `dict[key] = value`, without counting a key that is kept.
    ///
    /// # Safety
    /// The value must be alive, and all keys of the dict be str: to compare others can run Python code (BytesWarning), which
    /// may come back here and have another text take the place of this one.
    #[inline(always)]
    pub unsafe fn set_item<'py>(&self, py: Py<'py>, dict: &Obj<'py>, key: &str, value: *mut PyObject) -> PyResult<()> {
        // SAFETY: promised by the caller; both keys are alive.
        let set = |key| py.check(unsafe { (py.api.PyDict_SetItem)(dict.as_ptr(), key, value) });
        match self.find(py, key) {
            Some(key) => set(key.as_ptr()),
            None => set(self.make(py, key, false)?.as_ptr()),
        }
    }

    /// A text that is kept, borrowed from the table: until it changes.
    #[inline(always)]
    fn find(&self, py: Py, text: &str) -> Option<NonNull<PyObject>> {
        let ends = ends(text.as_bytes());
        // SAFETY: the GIL is held (`py`), and nothing in here gives it away.
        let table = unsafe { &*self.0.get() };
        let at = set(ends, text.len());
        let same = |kept: &&Kept| kept.ends == ends && kept.len == text.len();
        let kept = table.kept.get(at..at + WAYS)?.iter().flatten().find(same)?;
        (text.len() <= SHORT || kept.is(py, text)).then_some(kept.object)
    }

    /// A str that is not kept; maybe it is from now on. It has to be `interned` in any case, or only when it is kept.
    #[cold]
    #[inline(never)]
    fn make<'py>(&self, py: Py<'py>, text: &str, interned: bool) -> PyResult<Obj<'py>> {
        let place = self.place(text);
        if place.is_none() && !interned {
            return py.str(text);
        }
        let object = py.interned(text)?;
        if let Some(place) = place {
            // SAFETY: attached; the table is borrowed only while the two change places.
            unsafe {
                let kept = NonNull::new(py.borrowed(object.as_ptr())?.into_ptr());
                let kept = kept.map(|object| Kept { ends: ends(text.as_bytes()), len: text.len(), object });
                let before = std::mem::replace(&mut (&mut *self.0.get()).kept[place], kept);
                if let Some(before) = before {
                    (py.api.Py_DecRef)(before.object.as_ptr());
                }
            }
        }
        Ok(object)
    }

    /// Where a text that was not there is to be kept, if it is.
    fn place(&self, text: &str) -> Option<usize> {
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        // SAFETY: as in `find`: only memory is asked for in here.
        let table = unsafe { &mut *self.0.get() };
        if table.kept.is_empty() {
            // Without memory nothing is kept.
            table.kept.try_reserve_exact(SETS * WAYS).ok()?;
            table.kept.resize(SETS * WAYS, None);
        }
        let at = set(ends(text.as_bytes()), text.len());
        if let Some(free) = (at..at + WAYS).find(|place| table.kept[*place].is_none()) {
            return Some(free);
        }
        table.missed += 1;
        let way = table.missed / PATIENCE % WAYS;
        table.missed.is_multiple_of(PATIENCE).then_some(at + way)
    }

    /// Gives all back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        // SAFETY: as in `make`.
        let kept = unsafe { std::mem::take(&mut *self.0.get()) }.kept;
        for kept in kept.into_iter().flatten() {
            // SAFETY: the reference that was kept.
            unsafe { (py.api.Py_DecRef)(kept.object.as_ptr()) }
        }
    }
}

impl Kept {
    /// Of the same length.
    #[cold]
    fn is(&self, py: Py, text: &str) -> bool {
        let mut len = 0;
        // SAFETY: attached; a str that is kept, which has UTF-8, which lives as long as it does.
        unsafe {
            let data = (py.api.PyUnicode_AsUTF8AndSize)(self.object.as_ptr(), &mut len);
            if data.is_null() {
                // No memory for it now: a new one may find some.
                py.clear();
                return false;
            }
            std::slice::from_raw_parts(data.cast::<u8>(), len as usize) == text.as_bytes()
        }
    }
}

/// The first place of the set that a text belongs to.
#[inline]
fn set((first, last): (u64, u64), len: usize) -> usize {
    // Fibonacci hashing: what differs anywhere differs in the upper bits of the product.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (first.wrapping_mul(FACTOR) ^ last).wrapping_add(len as u64).wrapping_mul(FACTOR);
    (mixed >> (u64::BITS - SETS.ilog2())) as usize * WAYS
}
