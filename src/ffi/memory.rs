//! An interpreter can count its memory, with SUBPY_INTERP_COUNT_MEMORY, and have a limit to it, `memory_limit` of its
//! options. Counted is what CPython asks for on behalf of the interpreter; not what C libraries get from malloc().

use super::boundary;
use super::error::subpy_error;
use super::status::{subpy_interp, subpy_status};
use crate::manager;

/// How much memory an interpreter uses, in bytes.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_memory_info {
    /// sizeof(subpy_memory_info), set by the caller beforehand
    pub size: usize,
    /// what it uses now
    pub used: u64,
    /// the most that it has used since it was created
    pub peak: u64,
    /// `memory_limit` of its options; 0: none
    pub limit: u64,
    /// how often the limit has led to a MemoryError, or to a block of memory that CPython was not given
    pub refused: u64,
}

/// How much memory an interpreter uses. Python has no such function.
///
/// The numbers are those of this moment, and cost nothing: no lock is taken, and the interpreter may be running.
///
/// @param interp  the interpreter
/// @param info    receives the numbers; its `size` must be set, and may be more than this library knows: then the rest
///                is made zero. On failure all but `size` is zero
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_NOT_FOUND         no such interpreter
///         SUBPY_ERROR_WRONG_STATE       it does not count its memory
///         SUBPY_ERROR_INTERPRETER       Python code created it
///         SUBPY_ERROR_BUSY              it is closing, and has a process of its own
///         SUBPY_ERROR_INVALID_ARGUMENT  `info` is NULL, or its size makes no sense
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_memory(
    interp: subpy_interp,
    info: *mut subpy_memory_info,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::info(info, size_of::<subpy_memory_info>(), "info", error, |size| {
            let manager::Memory { used, peak, limit, refused } = manager::memory(interp)?;
            Ok(subpy_memory_info { size, used, peak, limit: limit.unwrap_or(0), refused })
        })
    }
}
