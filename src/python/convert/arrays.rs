//! Rows of numbers as arrays: one piece of memory that belongs to the result, in place of a value for each number.

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;
use std::ptr;

use super::super::object::Py;
use super::super::types::{PyObject, PyTypeObject};
use super::asked::Refused;
use crate::value::{self, Access, Builder, Export, subpy_value};

/// PyTuple_GetItem or PyList_GetItem.
type GetItem = unsafe extern "C" fn(*mut PyObject, isize) -> *mut PyObject;

/// The row as a BUFFER, when it is not empty and all of it are floats, or all of it are ints that fit 64 bits.
///
/// # Safety
/// A live tuple or list, as the kind says, of that length.
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
unsafe fn of_numbers<T: Copy>(
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
    let mut numbers: Vec<T> = Vec::new();
    numbers.try_reserve_exact(len).map_err(|_| Refused::NO_MEMORY)?;
    let places: &mut [MaybeUninit<T>] = numbers.spare_capacity_mut();
    for (index, place) in places[..len].iter_mut().enumerate() {
        let Some(number) = item(index) else { return Ok(None) };
        place.write(number);
    }
    // SAFETY: all have been written.
    unsafe { numbers.set_len(len) };
    Ok(Some(numbers))
}

/// Gives the numbers to the block. They stay where they are when it moves.
fn attach<T: Send + 'static>(
    numbers: Vec<T>,
    format: &'static CStr,
    builder: &mut Builder,
) -> Result<subpy_value, Refused> {
    let memory = (numbers.as_ptr().cast_mut().cast(), size_of_val(numbers.as_slice()));
    let shape = [numbers.len() as isize];
    let export = Export::new(memory, format, size_of::<T>(), &shape, Access::Fixed, Box::new(numbers));
    export.and_then(|export| export.attach(builder)).ok_or(Refused::NO_MEMORY)
}
