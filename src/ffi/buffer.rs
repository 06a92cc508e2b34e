//! Memory for buffers that interpreters in processes of their own (SUBPY_INTERP_PROCESS) see without a copy. All others
//! see it too. Other memory is copied to such a process if it is read-only, and refused if it is writable
//! (SUBPY_ERROR_NOT_SHAREABLE).

use std::ptr;

use super::boundary;
use super::error::subpy_error;
use super::status::subpy_status;
use super::value::SUBPY_BUFFER_WRITABLE;
use crate::manager::{self, Error, Kind, Region};
use crate::value::subpy_buffer;

/// All bytes zero.
const NO_BUFFER: subpy_buffer = subpy_buffer {
    size: 0,
    data: ptr::null_mut(),
    len: 0,
    format: ptr::null(),
    itemsize: 0,
    shape: ptr::null(),
    strides: ptr::null(),
    ndim: 0,
    flags: 0,
    release: None,
    userdata: ptr::null_mut(),
};

/// Allocate memory for a buffer, filled with zeros.
///
/// The host and each interpreter that gets the memory see the same bytes, and see changes at once. Parts of it may be
/// passed as buffers of their own, with any format, shape and strides, and are not copied either. A result that shares
/// it (SUBPY_RESULT_BUFFER) is this memory as well. There is no lock: the host and its Python code have to agree on who
/// writes when.
///
/// @param len     how many bytes; with 0 there is no memory
/// @param flags   0, or SUBPY_BUFFER_WRITABLE. Without it only the host can write to the memory, whatever code in a
///                process does
/// @param buffer  receives the buffer, of bytes; format, itemsize, shape, strides and ndim, `release` and `userdata` are
///                the caller's to change. On failure all of it is zero
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_NO_MEMORY         there is not enough memory
///         SUBPY_ERROR_INVALID_ARGUMENT  `buffer` is NULL, or an unknown flag
///         SUBPY_ERROR_INTERPRETER       the process cannot open any more files: each takes one
///
/// Takes time in proportion to `len`, because it allocates all pages at once. Needs no runtime. Any thread. Python's
/// counterpart: multiprocessing.shared_memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_buffer_new(
    len: usize,
    flags: u32,
    buffer: *mut subpy_buffer,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(buffer, NO_BUFFER, error, || {
            if buffer.is_null() {
                return Err(Error::from(Kind::InvalidArgument("buffer is NULL".into())));
            }
            boundary::known_flags(flags.into(), SUBPY_BUFFER_WRITABLE.into(), "flags")?;
            let data = match len {
                0 => ptr::null_mut(),
                len => manager::region_new(len, flags & SUBPY_BUFFER_WRITABLE != 0)?.hand_out().cast(),
            };
            Ok(subpy_buffer { size: size_of::<subpy_buffer>(), data, len, flags, ..NO_BUFFER })
        })
    }
}

/// Free what subpy_buffer_new() made, and make its `data` NULL and its `len` 0.
///
/// Results that share the memory keep it until they are freed, and so do interpreters in processes until they have let
/// go of it. Interpreters in this process do not: wait for `release` before you free it, as with any other memory.
///
/// @param buffer  with the `data` that subpy_buffer_new() gave it. NULL, and memory that is not from there, is left as
///                it is
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_buffer_free(buffer: *mut subpy_buffer) {
    // SAFETY: the caller's pointer is as the declaration says.
    boundary::value((), || unsafe {
        if let Some(buffer) = buffer.as_mut()
            && Region::give_back(buffer.data.cast())
        {
            buffer.data = ptr::null_mut();
            buffer.len = 0;
        }
    });
}
