//! Changes of the environment, which all interpreters share. CPython calls setenv() for them with the GIL of its interpreter, and
//! so do not all others that read it with another: for the local time (`TZ`), addresses, locales. glibc's setenv() frees the
//! table that they read when a name is new (until 2.41). So new names come into a table of the library's, that is never freed;
//! what is there already is changed and removed by glibc, which frees nothing then.

use std::collections::HashSet;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::c_function::{Static, definition, function};
use super::object::{Obj, Py, PyResult};
use super::types::{METH_VARARGS, PyCFunction, PyMethodDef, PyObject};
use super::{api, lock};
use crate::platform::environment;

type Table = &'static [AtomicPtr<c_char>];

struct Ours {
    table: Table,
    /// What was put into one. Each text is there once.
    entries: Option<HashSet<&'static [u8]>>,
}

/// Whoever changes the environment through an interpreter has it.
static OURS: Mutex<Ours> = Mutex::new(Ours { table: &[], entries: None });

/// The functions of the module `posix` in this interpreter that change the environment, as guest.py has them call: one that
/// sets a name, and one that removes one. Both take bytes.
pub fn functions(py: Py<'_>) -> PyResult<[Obj<'_>; 2]> {
    // SAFETY: they take nothing but their arguments.
    let function = |definition| unsafe { function(py, definition, None) };
    Ok([function(&DEFINITIONS.0[0])?, function(&DEFINITIONS.0[1])?])
}

static DEFINITIONS: Static<[PyMethodDef; 2]> = Static([method(c"putenv", put), method(c"unsetenv", unset)]);

const fn method(name: &'static CStr, function: PyCFunction) -> PyMethodDef {
    definition(name, function, METH_VARARGS)
}

unsafe extern "C" fn put(_: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL and a tuple, which keeps the texts alive.
    unsafe {
        let py = Py::attached(api());
        let put = || Ok(set(text(py, args, 0)?, text(py, args, 1)?));
        done(py, put())
    }
}

unsafe extern "C" fn unset(_: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above. glibc frees neither the table nor what is in it.
    unsafe {
        let py = Py::attached(api());
        let unset = || {
            let (name, _ours) = (text(py, args, 0)?, lock(&OURS));
            Ok(Some(libc::unsetenv(name.as_ptr())))
        };
        done(py, unset())
    }
}

/// An argument, which is bytes without a NUL, or a ValueError.
///
/// # Safety
/// Attached, with a live tuple, which outlives the text.
unsafe fn text<'a>(py: Py, args: *mut PyObject, index: isize) -> PyResult<&'a CStr> {
    let mut data = ptr::null_mut();
    // SAFETY: promised by the caller; a borrowed reference, or NULL with an exception.
    unsafe {
        let bytes = py.borrowed((py.api.PyTuple_GetItem)(args, index))?;
        py.check((py.api.PyBytes_AsStringAndSize)(bytes.as_ptr(), &mut data, ptr::null_mut()))?;
        Ok(CStr::from_ptr(data))
    }
}

/// None, or the OSError of `errno`, or a MemoryError.
fn done(py: Py, status: PyResult<Option<c_int>>) -> *mut PyObject {
    // SAFETY: attached.
    unsafe {
        match status {
            Ok(Some(0)) => py.borrowed(py.none()).map_or(ptr::null_mut(), Obj::into_ptr),
            Ok(Some(_)) => (py.api.PyErr_SetFromErrno)(py.api.PyExc_OSError.get()),
            Ok(None) => (py.api.PyErr_NoMemory)(),
            Err(_) => ptr::null_mut(),
        }
    }
}

/// As setenv() does: 0, or -1 with `errno`. None: no memory.
fn set(name: &CStr, value: &CStr) -> Option<c_int> {
    let mut ours = lock(&OURS);
    let bytes = name.to_bytes();
    let is_it = |entry: &CStr| entry.to_bytes().strip_prefix(bytes).is_some_and(|rest| rest.starts_with(b"="));
    if bytes.is_empty() || bytes.contains(&b'=') || entries().any(is_it) {
        // SAFETY: two texts. It replaces what is there and frees nothing, or refuses the name.
        return Some(unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) });
    }
    ours.add(bytes, value.to_bytes_with_nul()).map(|()| 0)
}

/// What is in the environment. Whoever changes it has `OURS`, or calls setenv() past the library.
fn entries() -> impl Iterator<Item = &'static CStr> {
    let mut place = environment().load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: a table that ends with NULL, or none. Neither it nor a text is freed.
        unsafe {
            let entry = place.as_ref()?.load(Ordering::Acquire);
            place = place.add(1);
            (!entry.is_null()).then(|| CStr::from_ptr(entry))
        }
    })
}

impl Ours {
    /// A name that is not there. None: no memory.
    fn add(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let (entry, count) = (self.entry(name, value)?, entries().count());
        let is_current = ptr::eq(environment().load(Ordering::Relaxed), self.table.as_ptr());
        if !is_current || count + 1 >= self.table.len() {
            self.make_table(count + 1)?;
        }
        // Who reads meanwhile sees one end or the other.
        self.table[count + 1].store(ptr::null_mut(), Ordering::Relaxed);
        self.table[count].store(entry.as_ptr().cast_mut().cast(), Ordering::Release);
        environment().store(self.table.as_ptr().cast_mut(), Ordering::Release);
        Some(())
    }

    /// One with room for so many entries, and some more, that has what there is now. The one before stays: somebody may read it.
    fn make_table(&mut self, len: usize) -> Option<()> {
        let mut table = Vec::new();
        table.try_reserve_exact(2 * (len + 1)).ok()?;
        table.extend(entries().map(|entry| AtomicPtr::new(entry.as_ptr().cast_mut())));
        table.resize_with(table.capacity(), AtomicPtr::default);
        self.table = table.leak();
        Some(())
    }

    /// `name=value`, of which there is one for good.
    fn entry(&mut self, name: &[u8], value: &[u8]) -> Option<&'static [u8]> {
        let mut text = Vec::new();
        text.try_reserve_exact(name.len() + 1 + value.len()).ok()?;
        text.extend_from_slice(name);
        text.push(b'=');
        text.extend_from_slice(value);
        let entries = self.entries.get_or_insert_default();
        if let Some(known) = entries.get(&*text) {
            return Some(known);
        }
        entries.try_reserve(1).ok()?;
        let text: &'static [u8] = text.leak();
        entries.insert(text);
        Some(text)
    }
}
