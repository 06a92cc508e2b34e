//! One Python object to a value, without what is in it.

use std::ffi::c_int;
use std::ptr;

use super::super::types::PyObject;
use super::super::{objects, queue};
use super::arrays::array;
use super::asked::{Asked, Refused};
use super::from_python::Reader;
use super::hexadecimal::hexadecimal;
use super::memory::bytes;
use super::reading::Text;
use crate::value::{self, Builder, Results, subpy_value};

impl Reader<'_> {
    /// The value of an object, a container's elements still None. Data goes into the block; pointers are offsets. What
    /// has none stays in Python, if so asked.
    ///
    /// # Safety
    /// The object must be alive.
    pub(super) unsafe fn shallow(
        self,
        object: *mut PyObject,
        asked: Asked,
        builder: &mut Builder,
    ) -> Result<subpy_value, Refused> {
        // SAFETY: promised by the caller.
        let mut value = unsafe { self.shallow_value(object, asked, builder) };
        if value.is_err() && asked.how.has(Results::OBJECTS) {
            // SAFETY: as above.
            unsafe { self.keep(object, asked, builder, &mut value) };
        }
        value
    }

    /// Keeps an object that has no value.
    ///
    /// # Safety
    /// The object must be alive.
    #[cold]
    #[inline(never)]
    unsafe fn keep(
        self,
        object: *mut PyObject,
        asked: Asked,
        builder: &mut Builder,
        value: &mut Result<subpy_value, Refused>,
    ) {
        let (Err(refused), Some(own)) = (&*value, asked.own) else { return };
        if !refused.is_no_memory() {
            // SAFETY: promised by the caller.
            let object = unsafe { self.py.borrowed(object) }.ok();
            *value = object.and_then(|object| objects::keep_object(own, object, builder)).ok_or(Refused::NO_MEMORY);
        }
    }

    /// # Safety
    /// The object must be alive.
    unsafe fn shallow_value(
        self,
        object: *mut PyObject,
        asked: Asked,
        builder: &mut Builder,
    ) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        // SAFETY: promised by the caller; each getter is called for its exact type alone.
        unsafe {
            let kind = api.type_of(object);
            if kind == api.PyLong_Type.0 {
                return self.int(object, builder);
            }
            if kind == api.PyUnicode_Type.0 {
                let (start, len) = self.text(object, builder)?;
                return Ok(subpy_value::at_offset(value::STR, start, len));
            }
            if kind == api.PyFloat_Type.0 {
                return Ok(subpy_value::float((api.PyFloat_AsDouble)(object)));
            }
            if object == self.py.none() {
                return Ok(subpy_value::none());
            }
            if kind == api.PyBool_Type.0 {
                return Ok(subpy_value::bool(object == api._Py_TrueStruct.0));
            }
            if kind == api.PyList_Type.0 {
                let len = (api.PyList_Size)(object);
                if asked.how.has(Results::ARRAY)
                    && let Some(array) = array(self.py, object, value::LIST, len, builder)?
                {
                    return Ok(array);
                }
                return container(value::LIST, len, builder);
            }
            if kind == api.PyTuple_Type.0 {
                let len = (api.PyTuple_Size)(object);
                if asked.how.has(Results::ARRAY)
                    && let Some(array) = array(self.py, object, value::TUPLE, len, builder)?
                {
                    return Ok(array);
                }
                return container(value::TUPLE, len, builder);
            }
            if kind == api.PyDict_Type.0 {
                return container(value::DICT, (api.PyDict_Size)(object), builder);
            }
            if let Some(shared) = self.shared(object, asked, builder)? {
                return Ok(shared);
            }
            if kind == api.PyBytes_Type.0 {
                let (mut data, mut len) = (ptr::null_mut(), 0);
                (api.PyBytes_AsStringAndSize)(object, &mut data, &mut len);
                return bytes(data, len, builder);
            }
            if kind == api.PyByteArray_Type.0 {
                return bytes((api.PyByteArray_AsString)(object), (api.PyByteArray_Size)(object), builder);
            }
            if kind == api.PyMemoryView_Type.0 {
                return self.memoryview(object, builder);
            }
            if let Some(queue) = queue::queue_of(self.py, object) {
                return queue::append_place(&queue, builder).ok_or(Refused::NO_MEMORY);
            }
            Err(Refused::because(self.why_not(object)))
        }
    }

    unsafe fn int(self, object: *mut PyObject, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        let mut overflow: c_int = 0;
        // SAFETY: an exact int (`shallow`); NativeBytes is asked for the size first and then given that much room.
        unsafe {
            let value = (api.PyLong_AsLongLongAndOverflow)(object, &mut overflow);
            if overflow == 0 {
                return Ok(subpy_value::int(value));
            }
            // Big-endian two's complement (flags 0), from which hexadecimal takes linear time.
            let size = (api.PyLong_AsNativeBytes)(object, ptr::null_mut(), 0, 0);
            let len = usize::try_from(size).map_err(|_| Refused::NO_MEMORY)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len).map_err(|_| Refused::NO_MEMORY)?;
            bytes.resize(len, 0u8);
            (api.PyLong_AsNativeBytes)(object, bytes.as_mut_ptr().cast(), size, 0);
            let text = hexadecimal(bytes, overflow < 0).map_err(|_| Refused::NO_MEMORY)?;
            let start = builder.append(text.as_bytes(), false).ok_or(Refused::NO_MEMORY)?;
            Ok(subpy_value::at_offset(value::BIGINT, start, text.len()))
        }
    }

    #[inline]
    pub(super) unsafe fn text(self, object: *mut PyObject, builder: &mut Builder) -> Result<Text, Refused> {
        let api = self.py.api;
        let mut len = 0;
        // SAFETY: an exact str (`shallow`); the text lives as long as the object.
        unsafe {
            let data = (api.PyUnicode_AsUTF8AndSize)(object, &mut len);
            if data.is_null() {
                return Err(self.why_no_text());
            }
            let start = builder.append(std::slice::from_raw_parts(data.cast(), len as usize), false);
            Ok((start.ok_or(Refused::NO_MEMORY)?, len as usize))
        }
    }
}

/// A container with room for its elements.
#[inline]
pub(super) fn container(kind: i32, len: isize, builder: &mut Builder) -> Result<subpy_value, Refused> {
    let len = usize::try_from(len).unwrap_or(0);
    let each = if kind == value::DICT { 2 } else { 1 };
    let start = len.checked_mul(each).and_then(|count| builder.array(count)).ok_or(Refused::NO_MEMORY)?;
    Ok(subpy_value::at_offset(kind, start, len))
}
