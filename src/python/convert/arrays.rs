//! Rows of numbers as arrays: one piece of memory that belongs to the result, in place of a value for each number.

use std::ffi::{CStr, c_int};
use std::ptr;

use super::super::object::Py;
use super::super::types::{PyObject, PyTypeObject};
use super::asked::Refused;
use crate::value::{self, Builder, subpy_buffer, subpy_value};

/// PyTuple_GetItem or PyList_GetItem.
type GetItem = unsafe extern "C" fn(*mut PyObject, isize) -> *mut PyObject;

/// The numbers, and the buffer that describes them.
struct Array<T> {
    buffer: subpy_buffer,
    shape: usize,
    _numbers: Vec<T>,
}

// SAFETY: the pointers of the buffer lead to the array's own parts and to a constant.
unsafe impl<T: Send> Send for Array<T> {}

/// The row as a BUFFER, when it is not empty and all of it are floats, or all of it are ints that fit 64 bits.
///
/// # Safety
/// A live tuple or list, as the kind says, of that length.
#[cold]
#[inline(never)]
pub(super) unsafe fn array(
    py: Py,
    row: *mut PyObject,
    kind: i32,
    len: isize,
    builder: &mut Builder,
) -> Result<Option<subpy_value>, Refused> {
    let api = py.api;
    let get = if kind == value::TUPLE { api.PyTuple_GetItem } else { api.PyList_GetItem };
    let len = len.unsigned_abs();
    // SAFETY: promised by the caller; the getters are called for their exact types alone.
    unsafe {
        let float = |item, kind: *mut PyTypeObject| (kind == api.PyFloat_Type.0).then(|| (api.PyFloat_AsDouble)(item));
        let int = |item, kind: *mut PyTypeObject| {
            let mut overflow: c_int = 0;
            let number = (kind == api.PyLong_Type.0).then(|| (api.PyLong_AsLongLongAndOverflow)(item, &mut overflow));
            number.filter(|_| overflow == 0)
        };
        let first = if len == 0 { ptr::null_mut() } else { get(row, 0) };
        if first.is_null() {
            Ok(None)
        } else if api.type_of(first) == api.PyFloat_Type.0 {
            of_numbers(py, row, get, len, float)?.map(|numbers| attach(numbers, c"d", builder)).transpose()
        } else {
            of_numbers(py, row, get, len, int)?.map(|numbers| attach(numbers, c"q", builder)).transpose()
        }
    }
}

/// The numbers of a row; None when an item is none.
///
/// # Safety
/// As for `array`.
#[inline(always)]
unsafe fn of_numbers<T>(
    py: Py,
    row: *mut PyObject,
    get: GetItem,
    len: usize,
    number_of: impl Fn(*mut PyObject, *mut PyTypeObject) -> Option<T>,
) -> Result<Option<Vec<T>>, Refused> {
    // Most rows that are none have something else in front: these need no memory.
    const TRIED: usize = 16;
    // SAFETY: promised by the caller; items are borrowed from a row that does not change.
    let item = |index: usize| unsafe {
        let item = get(row, index as isize);
        if item.is_null() { None } else { number_of(item, py.api.type_of(item)) }
    };
    if !(0..len.min(TRIED)).all(|index| item(index).is_some()) {
        return Ok(None);
    }
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(len).map_err(|_| Refused::NO_MEMORY)?;
    numbers.extend((0..len).map_while(item));
    Ok((numbers.len() == len).then_some(numbers))
}

/// Gives the numbers to the block. They stay where they are when it moves.
fn attach<T: Send + 'static>(
    numbers: Vec<T>,
    format: &'static CStr,
    builder: &mut Builder,
) -> Result<subpy_value, Refused> {
    let buffer = subpy_buffer {
        size: size_of::<subpy_buffer>(),
        data: numbers.as_ptr().cast_mut().cast(),
        len: size_of_val(numbers.as_slice()),
        format: format.as_ptr(),
        itemsize: size_of::<T>(),
        shape: ptr::null(),
        strides: ptr::null(),
        ndim: 1,
        flags: 0,
        release: None,
        userdata: ptr::null_mut(),
    };
    let mut array = Box::new(Array { buffer, shape: numbers.len(), _numbers: numbers });
    array.buffer.shape = &raw const array.shape;
    let array = builder.attach(array).ok_or(Refused::NO_MEMORY)?;
    // SAFETY: attached, so it lives as long as the block.
    Ok(subpy_value::buffer(unsafe { &raw const (*array).buffer }))
}
