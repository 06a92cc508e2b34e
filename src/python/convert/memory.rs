//! The values of objects that are memory.

use std::ffi::c_char;

use super::super::object::{LONGEST_NAME, cut};
use super::super::types::{self, PyObject};
use super::asked::Refused;
use super::from_python::Reader;
use crate::value::{self, Builder, subpy_value};

impl Reader<'_> {
    /// # Safety
    /// A live memoryview.
    pub(super) unsafe fn memoryview(
        self,
        object: *mut PyObject,
        builder: &mut Builder,
    ) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        // SAFETY: promised by the caller. All bytes zero is a Py_buffer that nothing was put into.
        unsafe {
            let mut view: types::Py_buffer = std::mem::zeroed();
            if (api.PyObject_GetBuffer)(object, &mut view, types::PyBUF_FULL_RO) != 0 {
                self.py.clear();
                return Err(Refused::because("a released memoryview cannot be shared".into()));
            }
            let format = if view.format.is_null() { b"B" } else { std::ffi::CStr::from_ptr(view.format).to_bytes() };
            let fits = view.ndim == 1
                && (api.PyBuffer_IsContiguous)(&view, b'C' as c_char) != 0
                && matches!(format, b"B" | b"b" | b"c");
            let result = if fits {
                bytes(view.buf.cast(), view.len, builder)
            } else {
                Err(Refused::because(format!(
                    "memoryview of format {:?} with {} dimension(s) cannot be shared, return bytes(view)",
                    cut(format, LONGEST_NAME).unwrap_or_default(),
                    view.ndim
                )))
            };
            (api.PyBuffer_Release)(&mut view);
            result
        }
    }
}

/// A BYTES value.
///
/// # Safety
/// `data` must be NULL, or that many bytes.
pub(super) unsafe fn bytes(data: *const c_char, len: isize, builder: &mut Builder) -> Result<subpy_value, Refused> {
    let len = if data.is_null() { 0 } else { len as usize };
    // SAFETY: CPython's pointer to that many bytes; it may be NULL when there are none.
    let data = unsafe { if len == 0 { &[] } else { std::slice::from_raw_parts(data.cast(), len) } };
    let start = builder.append(data, false).ok_or(Refused::NO_MEMORY)?;
    Ok(subpy_value::at_offset(value::BYTES, start, len))
}
