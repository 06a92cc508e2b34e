//! Less noise from code that is being interrupted: CPython prints each KeyboardInterrupt that comes in a `__del__` or in
//! a callback of a weak reference ("Exception ignored in ..."), and until the code ends there may be hundreds. The first
//! is shown.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use super::api;
use super::interrupt::Interrupts;
use super::object::{Obj, Py, PyResult};
use super::output::definition;
use super::types::{METH_O, PyMethodDef, PyObject};

const HOOK: &CStr = c"unraisablehook";
const CAPSULE: &CStr = c"subpy.unraisablehook";

struct Before {
    /// sys.unraisablehook as it was, a strong reference.
    hook: *mut PyObject,
    shown: Cell<bool>,
    interrupts: Arc<Interrupts>,
}

struct Definition(PyMethodDef);

// SAFETY: constant data.
unsafe impl Sync for Definition {}

static DEFINITION: Definition = Definition(definition(HOOK, unraisable, METH_O));

/// What stands in for sys.unraisablehook, a strong reference. Given back with `loud`.
pub struct Quiet(*mut PyObject);

/// Puts the hook in its place. None without memory, or when there is no such hook. Attached; no exception is set.
pub fn quiet(py: Py, interrupts: &Arc<Interrupts>) -> Option<Quiet> {
    let hook = put_in_place(py, interrupts);
    py.clear();
    hook.ok().map(|hook| Quiet(hook.into_ptr()))
}

fn put_in_place<'py>(py: Py<'py>, interrupts: &Arc<Interrupts>) -> PyResult<Obj<'py>> {
    // SAFETY: attached. The capsule owns what its pointer points to, and that a reference to the hook; the function owns
    // the capsule. The definition is static.
    unsafe {
        let hook = py.borrowed((py.api.PySys_GetObject)(HOOK.as_ptr()))?;
        let before = Before { hook: hook.into_ptr(), shown: Cell::new(false), interrupts: Arc::clone(interrupts) };
        let before = Box::into_raw(Box::new(before));
        let capsule = (py.api.PyCapsule_New)(before.cast(), CAPSULE.as_ptr(), Some(forget));
        if capsule.is_null() {
            give_back(before);
        }
        let capsule = py.owned(capsule)?;
        let (definition, null) = (ptr::from_ref(&DEFINITION.0).cast_mut(), ptr::null_mut());
        let quiet = py.owned((py.api.PyCMethod_New)(definition, capsule.as_ptr(), null, ptr::null_mut()))?;
        py.check((py.api.PySys_SetObject)(HOOK.as_ptr(), quiet.as_ptr()))?;
        Ok(quiet)
    }
}

/// Puts the hook back that was there, unless code has put another one in its place. Attached to the same interpreter;
/// an exception that is set stays.
pub fn loud(py: Py, Quiet(quiet): Quiet) {
    let raised = py.take_exception();
    // SAFETY: attached; the reference is given back once; the function's capsule is what `put_in_place` gave it.
    unsafe {
        if let Ok(quiet) = py.owned(quiet)
            && (py.api.PySys_GetObject)(HOOK.as_ptr()) == quiet.as_ptr()
            && let Ok(capsule) = quiet.attr(c"__self__")
        {
            let before = (py.api.PyCapsule_GetPointer)(capsule.as_ptr(), CAPSULE.as_ptr()).cast::<Before>();
            (py.api.PySys_SetObject)(HOOK.as_ptr(), (*before).hook);
        }
        py.clear();
        if let Some(raised) = raised {
            py.set_exception(raised);
        }
    }
}

unsafe fn give_back(before: *mut Before) {
    // SAFETY: made by `put_in_place`, given back once. Attached.
    unsafe {
        let before = Box::from_raw(before);
        (api().Py_DecRef)(before.hook);
    }
}

unsafe extern "C" fn forget(capsule: *mut PyObject) {
    // SAFETY: CPython destroys the capsule that `put_in_place` made, once, with the GIL.
    unsafe { give_back((api().PyCapsule_GetPointer)(capsule, CAPSULE.as_ptr()).cast()) }
}

unsafe extern "C" fn unraisable(capsule: *mut PyObject, argument: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL, with a live argument and the capsule that the function owns, which keeps
    // the hook alive.
    unsafe {
        let py = Py::attached(api());
        let before = &*(py.api.PyCapsule_GetPointer)(capsule, CAPSULE.as_ptr()).cast::<Before>();
        let kind = py.borrowed(argument).and_then(|argument| argument.attr(c"exc_type"));
        let is_ours = kind.is_ok_and(|kind| kind.as_ptr() == py.api.PyExc_KeyboardInterrupt.get());
        py.clear();
        let arguments = [argument];
        let show = || (py.api.PyObject_Vectorcall)(before.hook, arguments.as_ptr(), 1, ptr::null_mut());
        if !is_ours {
            return show();
        }
        if before.shown.replace(true) {
            (py.api.Py_IncRef)(py.none());
            return py.none();
        }
        // Not to be hit: that would be noise about the noise.
        before.interrupts.showing(show)
    }
}
