//! The codecs' modules, frozen.
//!
//! Before anything else a new interpreter imports `encodings` and two of its modules, and reads them from files: a sixth
//! of its creation. So the code that main has of them goes into CPython's table of frozen modules
//! (PyImport_FrozenModules, Include/cpython/import.h), which it looks into first. It is the code that the files have,
//! and guest.py has the modules look as if they had come from there.

use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::object::{Obj, Py, PyResult, Raised, own_source};
use super::types::_frozen;
use super::{api, lock};

/// A table that CPython has until main ends. It is never freed: others may have made it a part of theirs.
struct Table {
    entries: Box<[_frozen]>,
    modules: Vec<Module>,
    /// What was there before: a host's, or nothing.
    before: *const _frozen,
}

// SAFETY: the pointers are to what the table owns, and to a table of a host's, which CPython uses from every thread.
unsafe impl Send for Table {}

#[derive(PartialEq)]
struct Module {
    name: CString,
    is_package: bool,
    /// The marshalled code object.
    code: Vec<u8>,
}

/// The last one: the next life of CPython most often has the same modules.
static TABLE: Mutex<Option<Table>> = Mutex::new(None);

/// The variable that points to the table. CPython reads it at each import, in every thread.
fn variable() -> &'static AtomicPtr<_frozen> {
    // SAFETY: CPython's variable, a pointer that lives as long as the process. It is written to only here, or by a host
    // that has to know when nobody reads.
    unsafe { AtomicPtr::from_ptr(api().PyImport_FrozenModules.0.cast()) }
}

/// Freezes what new interpreters would read from files. Attached to main, before the library makes any. An interpreter
/// that is being created meanwhile finds the old table or the new one. Whatever is in the way, the files are there.
pub fn freeze(py: Py) {
    let modules = modules(py).unwrap_or_else(|Raised| {
        pass_interrupt_on(py);
        Vec::new()
    });
    py.clear();
    if modules.is_empty() {
        return;
    }
    let before = variable().load(Ordering::Acquire).cast_const();
    let mut last = lock(&TABLE);
    let same = |table: &Table| table.modules == modules && table.before.is_null() && before.is_null();
    if !last.as_ref().is_some_and(same) {
        std::mem::forget(last.replace(Table::new(modules, before)));
    }
    let entries = last.as_ref().map_or(before, |table| table.entries.as_ptr());
    variable().store(entries.cast_mut(), Ordering::Release);
}

/// Ctrl-C can come while Python code runs here, and is the host's: it comes once more when that goes on.
fn pass_interrupt_on(py: Py) {
    let Some(raised) = py.take_exception() else { return };
    // SAFETY: attached; live objects.
    unsafe {
        if (py.api.PyErr_GivenExceptionMatches)(raised.as_ptr(), py.api.PyExc_KeyboardInterrupt.get()) != 0 {
            (py.api.PyErr_SetInterrupt)();
        }
    }
}

impl Table {
    fn new(modules: Vec<Module>, before: *const _frozen) -> Table {
        let mut entries: Vec<_frozen> = modules.iter().map(entry).collect();
        // SAFETY: a table ends with an entry without a name, and a host's lives as long as CPython has it.
        unsafe {
            let mut next = before;
            while !next.is_null() && !(*next).name.is_null() {
                entries.push(*next);
                next = next.add(1);
            }
        }
        entries.push(_frozen { name: ptr::null(), code: ptr::null(), size: 0, is_package: 0 });
        Table { entries: entries.into_boxed_slice(), modules, before }
    }
}

fn entry(module: &Module) -> _frozen {
    _frozen {
        name: module.name.as_ptr(),
        code: module.code.as_ptr(),
        size: module.code.len() as i32,
        is_package: i32::from(module.is_package),
    }
}

/// Main ends: who starts CPython next, the library or a host, may do so with another standard library.
pub fn thaw() {
    if let Some(table) = &*lock(&TABLE) {
        let (ours, before) = (table.entries.as_ptr().cast_mut(), table.before.cast_mut());
        // Unless a host has put another one there.
        let _ = variable().compare_exchange(ours, before, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// The names of what is frozen.
pub fn names<'py>(py: Py<'py>) -> PyResult<Obj<'py>> {
    let table = lock(&TABLE);
    let modules = table.as_ref().map_or(&[][..], |table| &table.modules);
    // SAFETY: a new tuple; SetItem takes the references to its items over.
    unsafe {
        let tuple = py.owned((py.api.PyTuple_New)(modules.len() as isize))?;
        for (index, module) in modules.iter().enumerate() {
            let name = py.str(&module.name.to_string_lossy())?;
            py.check((py.api.PyTuple_SetItem)(tuple.as_ptr(), index as isize, name.into_ptr()))?;
        }
        Ok(tuple)
    }
}

/// What frozen.py found.
fn modules(py: Py) -> PyResult<Vec<Module>> {
    const SOURCE: &CStr = own_source(concat!(include_str!("frozen.py"), "\0"));
    let found = py.run_own(SOURCE, "modules")?;
    // SAFETY: attached; live objects. What GetItem gives is borrowed from the list, which nobody else has.
    unsafe {
        let item = |tuple, index| py.borrowed((py.api.PyTuple_GetItem)(tuple, index));
        let module = |index| {
            let tuple = (py.api.PyList_GetItem)(found.as_ptr(), index);
            let name = item(tuple, 0)?.to_text(usize::MAX).ok_or(Raised)?;
            let (code, mut data, mut len) = (item(tuple, 2)?, ptr::null_mut(), 0);
            py.check((py.api.PyBytes_AsStringAndSize)(code.as_ptr(), &mut data, &mut len))?;
            Ok(Module {
                name: CString::new(name).map_err(|_| Raised)?,
                is_package: item(tuple, 1)?.to_i64() == Some(1),
                code: std::slice::from_raw_parts(data.cast(), len as usize).to_vec(),
            })
        };
        (0..(py.api.PyList_Size)(found.as_ptr())).map(module).collect()
    }
}
