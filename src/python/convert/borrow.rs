//! Values of Python objects that are only lent: numbers, and pointers into objects that do not change. What is in
//! containers, and in bytes that others may write to, is copied.

use std::fmt::Arguments;
use std::sync::Arc;

use super::super::Failure;
use super::super::object::Py;
use super::super::own::Own;
use super::super::types::PyObject;
use super::asked::Asked;
use super::from_python::{from_any, int_of};
use crate::value::{self, OwnedValue, subpy_value};

/// Writes the value of an object that can be lent, as long as the object is alive; false when it cannot. It is written
/// where it is to be: to move it would take longer (`subpy_value::in_one_piece`).
///
/// # Safety
/// The object must be alive, and there must be room for the value.
#[inline(always)]
pub unsafe fn borrow(py: Py, object: *mut PyObject, to: *mut subpy_value) -> bool {
    // SAFETY: promised by the caller.
    unsafe {
        match int_of(py, object, py.api.type_of(object)) {
            Some(value) => {
                to.write(subpy_value::int(value));
                true
            }
            None => borrow_other(py, object, to),
        }
    }
}

/// Apart, so that ints do not pay for it.
#[inline(never)]
unsafe fn borrow_other(py: Py, object: *mut PyObject, to: *mut subpy_value) -> bool {
    // SAFETY: promised by the caller.
    unsafe {
        let Some(value) = other(py, object) else { return false };
        to.write(value);
        true
    }
}

/// # Safety
/// The object must be alive.
unsafe fn other(py: Py, object: *mut PyObject) -> Option<subpy_value> {
    let api = py.api;
    // SAFETY: promised by the caller; each getter is called for its exact type alone.
    unsafe {
        let kind = api.type_of(object);
        if kind == api.PyUnicode_Type.0 {
            let mut len = 0;
            let data = (api.PyUnicode_AsUTF8AndSize)(object, &mut len);
            if data.is_null() {
                py.clear();
                return None;
            }
            Some(subpy_value::pointing(value::STR, data.cast(), len as usize))
        } else if kind == api.PyFloat_Type.0 {
            Some(subpy_value::float((api.PyFloat_AsDouble)(object)))
        } else if object == py.none() {
            Some(subpy_value::none())
        } else if kind == api.PyBool_Type.0 {
            Some(subpy_value::bool(object == api._Py_TrueStruct.0))
        } else if kind == api.PyBytes_Type.0 {
            let (mut data, mut len) = (std::ptr::null_mut(), 0);
            (api.PyBytes_AsStringAndSize)(object, &mut data, &mut len);
            Some(subpy_value::pointing(value::BYTES, data.cast(), len as usize))
        } else {
            None
        }
    }
}

/// The value of any object, as long as `owned` is. An error calls the object `name`.
///
/// # Safety
/// The object must be alive.
#[cold]
pub unsafe fn copy(
    py: Py,
    own: &Arc<Own>,
    object: *mut PyObject,
    owned: &mut Vec<OwnedValue>,
    name: Arguments,
) -> Result<subpy_value, Failure> {
    // SAFETY: promised by the caller.
    let object = unsafe { py.borrowed(object) }.map_err(|_| Failure::NoMemory)?;
    let value = from_any(py, &object, Asked::argument(own), name)?;
    owned.try_reserve(1).map_err(|_| Failure::NoMemory)?;
    let lent = value.lent();
    owned.push(value);
    Ok(lent)
}
