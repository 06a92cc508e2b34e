//! A function for Python code that looks whether the run that calls it is to end: closing.py has event loops call it.

use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use super::Interrupts;
use crate::python::api;
use crate::python::c_function::{InCapsule, Static, capsule, definition, function, in_capsule};
use crate::python::fork::forked;
use crate::python::object::{Obj, Py, PyResult};
use crate::python::types::{METH_NOARGS, PyMethodDef, PyObject};

// SAFETY: the name is its own; nothing of it is a thread's.
unsafe impl InCapsule for Arc<Interrupts> {
    const NAME: &CStr = c"subpy.look_here";
}

static LOOK_HERE: Static<PyMethodDef> = Static(definition(c"look_here", look_here, METH_NOARGS));

impl Interrupts {
    /// The function. Attached to the interpreter.
    pub fn look_here<'py>(self: &Arc<Self>, py: Py<'py>) -> PyResult<Obj<'py>> {
        // SAFETY: the function looks for the list in the capsule.
        unsafe { function(py, &LOOK_HERE.0, Some(&capsule(py, Arc::clone(self))?)) }
    }
}

unsafe extern "C" fn look_here(capsule: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL of the interpreter that the list is of, and with the capsule that the function owns:
    // it keeps its count, as long as the function runs.
    unsafe {
        let py = Py::attached(api());
        let Some(interrupts) = in_capsule::<Arc<Interrupts>>(py.api, capsule) else { return ptr::null_mut() };
        // A lock may be held by a thread that does not exist here.
        if !forked() {
            // For runs alone: an event loop logs a MemoryError of its callbacks, and goes on.
            if let Some(exception) = interrupts.hit(py.api, false, interrupts.table.take_for_runs()) {
                (py.api.PyErr_SetNone)(exception.get());
                return ptr::null_mut();
            }
        }
        (py.api.Py_IncRef)(py.none());
        py.none()
    }
}
