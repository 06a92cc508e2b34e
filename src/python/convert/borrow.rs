//! Values of Python objects that are only lent: numbers, and pointers into objects that do not change. What is in
//! containers, and in bytes that others may write to, is copied.

use super::super::Failure;
use super::super::object::Py;
use super::super::types::PyObject;
use super::from_python::{from_python, int_of};
use crate::value::{self, OwnedValue, subpy_value};

/// The value of an object; it is valid as long as the object is, and what has been added to `owned`.
///
/// # Safety
/// The object must be alive.
#[inline]
pub unsafe fn borrow(py: Py, object: *mut PyObject, owned: &mut Vec<OwnedValue>) -> Result<subpy_value, Box<Failure>> {
    let api = py.api;
    // SAFETY: promised by the caller; each getter is called for its exact type alone.
    unsafe {
        let kind = api.type_of(object);
        if let Some(value) = int_of(py, object, kind) {
            return Ok(subpy_value::int(value));
        }
        if kind == api.PyUnicode_Type.0 {
            let mut len = 0;
            let data = (api.PyUnicode_AsUTF8AndSize)(object, &mut len);
            if !data.is_null() {
                return Ok(subpy_value::pointing(value::STR, data.cast(), len as usize));
            }
            py.clear();
        } else if kind == api.PyFloat_Type.0 {
            return Ok(subpy_value::float((api.PyFloat_AsDouble)(object)));
        } else if object == py.none() {
            return Ok(subpy_value::none());
        } else if kind == api.PyBool_Type.0 {
            return Ok(subpy_value::bool(object == api._Py_TrueStruct.0));
        } else if kind == api.PyBytes_Type.0 {
            let (mut data, mut len) = (std::ptr::null_mut(), 0);
            (api.PyBytes_AsStringAndSize)(object, &mut data, &mut len);
            return Ok(subpy_value::pointing(value::BYTES, data.cast(), len as usize));
        }
        copy(py, object, owned)
    }
}

#[cold]
unsafe fn copy(py: Py, object: *mut PyObject, owned: &mut Vec<OwnedValue>) -> Result<subpy_value, Box<Failure>> {
    let mut value = OwnedValue::none();
    // SAFETY: promised by the caller.
    let object = unsafe { py.borrowed(object) }.map_err(|_| Failure::NoMemory)?;
    from_python(py, &object, &mut value)?;
    owned.try_reserve(1).map_err(|_| Failure::NoMemory)?;
    let lent = value.lent();
    owned.push(value);
    Ok(lent)
}
