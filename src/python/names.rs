//! Names as Python strings. To make one anew and to hash it costs a tenth of a call, so an interpreter keeps some.

use std::cell::UnsafeCell;
use std::mem;
use std::ptr::NonNull;

use super::object::{Obj, Py, PyResult};
use super::types::PyObject;

/// A program calls few callables by name. Two that share a place take turns.
const PLACES: usize = 64;

/// Longer ones are made anew.
const LONGEST: usize = 64;

/// The names that were used last in one interpreter.
pub struct Names(UnsafeCell<[Option<Name>; PLACES]>);

// SAFETY: used with the GIL of the interpreter alone, which nothing in here gives away.
unsafe impl Send for Names {}
// SAFETY: as above.
unsafe impl Sync for Names {}

struct Name {
    text: Box<str>,
    /// A strong reference.
    object: NonNull<PyObject>,
}

impl Default for Names {
    fn default() -> Names {
        Names(UnsafeCell::new([const { None }; PLACES]))
    }
}

impl Names {
    /// The str, interned: CPython then finds attributes and parameters by comparing pointers. Attached to the
    /// interpreter.
    #[inline]
    pub fn get<'py>(&self, py: Py<'py>, text: &str) -> PyResult<Obj<'py>> {
        let place = place(text);
        // SAFETY: the GIL is held (`py`) until the reference to the place is gone; an object in it is alive.
        unsafe {
            match &(&*self.0.get())[place] {
                Some(name) if *name.text == *text => py.borrowed(name.object.as_ptr()),
                _ => self.make(py, text, place),
            }
        }
    }

    #[cold]
    fn make<'py>(&self, py: Py<'py>, text: &str, place: usize) -> PyResult<Obj<'py>> {
        let mut object = py.str(text)?.into_ptr();
        // SAFETY: attached; a str, whose reference is handed through. The place is borrowed only while no Python runs.
        unsafe {
            (py.api.PyUnicode_InternInPlace)(&mut object);
            let object = py.owned(object)?;
            if text.len() <= LONGEST
                && let Some(kept) = NonNull::new(py.borrowed(object.as_ptr())?.into_ptr())
            {
                let before = (*self.0.get())[place].replace(Name { text: text.into(), object: kept });
                if let Some(name) = before {
                    (py.api.Py_DecRef)(name.object.as_ptr());
                }
            }
            Ok(object)
        }
    }

    /// Gives all back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        // SAFETY: as in `make`.
        let names = unsafe { mem::replace(&mut *self.0.get(), [const { None }; PLACES]) };
        for name in names.into_iter().flatten() {
            // SAFETY: the reference that was kept.
            unsafe { (py.api.Py_DecRef)(name.object.as_ptr()) }
        }
    }
}

/// Names differ in their length and at their ends.
#[inline]
fn place(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (first, last) = (bytes.first().copied().unwrap_or(0), bytes.last().copied().unwrap_or(0));
    (bytes.len() + usize::from(first) * 5 + usize::from(last) * 11) % PLACES
}
