//! Less noise from code that is being interrupted: CPython prints each KeyboardInterrupt that comes in a `__del__` or in
//! a callback of a weak reference ("Exception ignored in ..."), and until the code ends there may be hundreds. The first
//! is shown.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use super::api;
use super::c_function::{InCapsule, Static, capsule, definition, function, in_capsule};
use super::interrupt::Interrupts;
use super::object::{Obj, Py, PyResult};
use super::types::{METH_O, PyMethodDef, PyObject};

const HOOK: &CStr = c"unraisablehook";

struct Before {
    /// sys.unraisablehook as it was, a strong reference.
    hook: *mut PyObject,
    shown: Cell<bool>,
    interrupts: Arc<Interrupts>,
}

// SAFETY: the name is its own; nothing of it is a thread's.
unsafe impl InCapsule for Before {
    const NAME: &CStr = c"subpy.unraisablehook";
}

impl Drop for Before {
    fn drop(&mut self) {
        // SAFETY: attached: it was not put into a capsule, or that is destroyed. The reference is its own.
        unsafe { (api().Py_DecRef)(self.hook) }
    }
}

static DEFINITION: Static<PyMethodDef> = Static(definition(HOOK, unraisable, METH_O));

/// What stands in for sys.unraisablehook, a strong reference. Given back with `loud`.
pub struct Quiet(*mut PyObject);

/// Puts the hook in its place. None without memory, or when there is no such hook. Attached; no exception is set.
pub fn quiet(py: Py, interrupts: &Arc<Interrupts>) -> Option<Quiet> {
    let hook = put_in_place(py, interrupts);
    py.clear();
    hook.ok().map(|hook| Quiet(hook.into_ptr()))
}

fn put_in_place<'py>(py: Py<'py>, interrupts: &Arc<Interrupts>) -> PyResult<Obj<'py>> {
    // SAFETY: attached; the function looks for the hook in the capsule.
    unsafe {
        let hook = py.borrowed((py.api.PySys_GetObject)(HOOK.as_ptr()))?;
        let before = Before { hook: hook.into_ptr(), shown: Cell::new(false), interrupts: Arc::clone(interrupts) };
        let quiet = function(py, &DEFINITION.0, Some(&capsule(py, before)?))?;
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
            && let Some(before) = in_capsule::<Before>(py.api, capsule.as_ptr())
        {
            (py.api.PySys_SetObject)(HOOK.as_ptr(), before.hook);
        }
        py.clear();
        if let Some(raised) = raised {
            py.set_exception(raised);
        }
    }
}

unsafe extern "C" fn unraisable(capsule: *mut PyObject, argument: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL, with a live argument and the capsule that the function owns, which keeps
    // the hook alive.
    unsafe {
        let py = Py::attached(api());
        let Some(before) = in_capsule::<Before>(py.api, capsule) else { return ptr::null_mut() };
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
