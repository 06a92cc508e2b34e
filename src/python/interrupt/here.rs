//! A function for Python code that looks whether the run that calls it is to end: closing.py has event loops call it.

use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use super::Interrupts;
use crate::python::api;
use crate::python::fork::forked;
use crate::python::object::{Obj, Py, PyResult};
use crate::python::output::definition;
use crate::python::types::{METH_NOARGS, PyMethodDef, PyObject};

const CAPSULE: &CStr = c"subpy.look_here";

struct Definition(PyMethodDef);

// SAFETY: constant data.
unsafe impl Sync for Definition {}

static LOOK_HERE: Definition = Definition(definition(c"look_here", look_here, METH_NOARGS));

impl Interrupts {
    /// The function. Attached to the interpreter.
    pub fn look_here<'py>(self: &Arc<Self>, py: Py<'py>) -> PyResult<Obj<'py>> {
        // SAFETY: the capsule owns a count, which its destructor gives back, and the function owns the capsule. The definition
        // is static and never written to.
        unsafe {
            let pointer = Arc::into_raw(Arc::clone(self));
            let capsule = (py.api.PyCapsule_New)(pointer.cast_mut().cast(), CAPSULE.as_ptr(), Some(forget));
            if capsule.is_null() {
                drop(Arc::from_raw(pointer));
            }
            let capsule = py.owned(capsule)?;
            let (definition, null) = (ptr::from_ref(&LOOK_HERE.0).cast_mut(), ptr::null_mut());
            py.owned((py.api.PyCMethod_New)(definition, capsule.as_ptr(), null, ptr::null_mut()))
        }
    }
}

unsafe extern "C" fn forget(capsule: *mut PyObject) {
    // SAFETY: CPython destroys the capsule that `look_here` made, once.
    unsafe { drop(Arc::from_raw((api().PyCapsule_GetPointer)(capsule, CAPSULE.as_ptr()).cast::<Interrupts>())) }
}

unsafe extern "C" fn look_here(capsule: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL of the interpreter that the list is of, and with the capsule that the function owns:
    // it keeps its count, this takes another one.
    unsafe {
        let py = Py::attached(api());
        let pointer = (py.api.PyCapsule_GetPointer)(capsule, CAPSULE.as_ptr()).cast::<Interrupts>().cast_const();
        if pointer.is_null() {
            return ptr::null_mut();
        }
        // A lock may be held by a thread that does not exist here.
        if !forked() {
            Arc::increment_strong_count(pointer);
            let interrupts = Arc::from_raw(pointer);
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
