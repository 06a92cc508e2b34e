//! The functions that Python calls: guest.py's streams are made of them.

use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use super::super::api;
use super::super::api::Api;
use super::super::c_function::{InCapsule, Static, capsule, definition, function, in_capsule};
use super::super::object::{LONGEST_NAME, Obj, Py, PyResult};
use super::super::types::{
    METH_NOARGS, METH_O, Py_CONSTANT_FALSE, Py_CONSTANT_TRUE, Py_buffer, PyBUF_SIMPLE, PyMethodDef, PyObject,
};
use super::{Shared, Stream};

// SAFETY: the name is its own; nothing of it is a thread's.
unsafe impl InCapsule for Stream {
    const NAME: &CStr = c"subpy.stream";
}

/// The write function of text, the one of bytes, flush, and the one that says whether a host's function gets it, as a
/// tuple.
pub fn functions<'py>(py: Py<'py>, shared: &Arc<Shared>, number: i32) -> PyResult<Obj<'py>> {
    let capsule = capsule(py, Stream { number, shared: Arc::clone(shared) })?;
    // SAFETY: attached; the functions look for a stream in the capsule. SetItem takes the references over.
    unsafe {
        let tuple = py.owned((py.api.PyTuple_New)(DEFINITIONS.0.len() as isize))?;
        for (index, definition) in DEFINITIONS.0.iter().enumerate() {
            let function = function(py, definition, Some(&capsule))?;
            py.check((py.api.PyTuple_SetItem)(tuple.as_ptr(), index as isize, function.into_ptr()))?;
        }
        Ok(tuple)
    }
}

static DEFINITIONS: Static<[PyMethodDef; 4]> = Static([
    definition(c"write", write_text, METH_O),
    definition(c"write", write_bytes, METH_O),
    definition(c"flush", flush, METH_NOARGS),
    definition(c"captured", captured, METH_NOARGS),
]);

/// What a C function that Python calls does: find its stream, do it, give the result or NULL.
unsafe fn called<'py>(
    capsule: *mut PyObject,
    act: impl FnOnce(Py<'py>, &Stream) -> PyResult<Obj<'py>>,
) -> *mut PyObject {
    let api: &'static Api = api();
    // SAFETY: Python calls with the GIL; the capsule is the function's own and keeps the stream alive.
    unsafe {
        let py = Py::attached(api);
        let Some(stream) = in_capsule::<Stream>(api, capsule) else { return ptr::null_mut() };
        act(py, stream).map_or(ptr::null_mut(), Obj::into_ptr)
    }
}

unsafe extern "C" fn write_text(capsule: *mut PyObject, text: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a live argument.
    unsafe {
        called(capsule, |py, stream| {
            if (py.api.PyType_IsSubtype)((py.api.Py_TYPE)(text), py.api.PyUnicode_Type.0) == 0 {
                let name = py.owned((py.api.PyType_GetName)((py.api.Py_TYPE)(text)))?;
                let name = name.to_text(LONGEST_NAME).unwrap_or_default();
                let message = format!("write() argument must be str, not {name}");
                return Err(py.raise(py.api.PyExc_TypeError.get(), &message));
            }
            let mut len = 0;
            let data = (py.api.PyUnicode_AsUTF8AndSize)(text, &mut len);
            if data.is_null() {
                py.clear();
                // A lone surrogate: one that stands for a byte is that byte on stdout; stderr shows it as \udc80.
                let encoded = (py.api.PyUnicode_AsEncodedString)(text, c"utf-8".as_ptr(), stream.errors().as_ptr());
                let encoded = py.owned(encoded)?;
                let (mut data, mut len) = (ptr::null_mut(), 0);
                py.check((py.api.PyBytes_AsStringAndSize)(encoded.as_ptr(), &mut data, &mut len))?;
                stream.write(py, std::slice::from_raw_parts(data.cast(), len as usize))?;
            } else {
                stream.write(py, std::slice::from_raw_parts(data.cast(), len as usize))?;
            }
            py.int((py.api.PyUnicode_GetLength)(text) as i64)
        })
    }
}

unsafe extern "C" fn write_bytes(capsule: *mut PyObject, data: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a live argument; the buffer is released after its last use.
    unsafe {
        called(capsule, |py, stream| {
            let mut view: Py_buffer = std::mem::zeroed();
            py.check((py.api.PyObject_GetBuffer)(data, &mut view, PyBUF_SIMPLE))?;
            let len = view.len as usize;
            let bytes = if len == 0 { &[] } else { std::slice::from_raw_parts(view.buf.cast::<u8>(), len) };
            let written = stream.write(py, bytes);
            (py.api.PyBuffer_Release)(&mut view);
            written?;
            py.int(len as i64)
        })
    }
}

unsafe extern "C" fn flush(capsule: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python.
    unsafe {
        called(capsule, |py, stream| {
            stream.flush(py)?;
            py.borrowed(py.none())
        })
    }
}

unsafe extern "C" fn captured(capsule: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python; the constants are immortal.
    unsafe {
        called(capsule, |py, stream| {
            let constant = if stream.is_captured() { Py_CONSTANT_TRUE } else { Py_CONSTANT_FALSE };
            py.borrowed((py.api.Py_GetConstantBorrowed)(constant))
        })
    }
}
