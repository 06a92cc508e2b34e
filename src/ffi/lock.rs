//! An interpreter in a process of its own can be locked, with SUBPY_INTERP_LOCKED, as far as the kernel can hold it.

use super::boundary;
use super::error::subpy_error;
use super::status::{subpy_interp, subpy_status};
use crate::manager;

/// By what means a locked interpreter is held.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_lock_info {
    /// sizeof(subpy_lock_info), set by the caller beforehand
    pub size: usize,
    /// the version of Landlock that keeps it from files; 0: Landlock is not in use. At most 6, and always 6 without
    /// SUBPY_INTERP_LOCK_BEST_EFFORT
    pub landlock: i32,
    /// 1: its system calls are filtered (seccomp); 0: they are not
    pub seccomp: i32,
}

/// By what means a locked interpreter (SUBPY_INTERP_LOCKED) is held. Python has no such function.
///
/// @param interp  the interpreter
/// @param info    receives it; its `size` must be set, and may be more than this library knows: then the rest is made
///                zero. On failure all but `size` is zero
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_NOT_FOUND         no such interpreter
///         SUBPY_ERROR_WRONG_STATE       it is not locked
///         SUBPY_ERROR_INTERPRETER       Python code created it
///         SUBPY_ERROR_BUSY              it is closing
///         SUBPY_ERROR_CRASHED           its process has ended
///         SUBPY_ERROR_INVALID_ARGUMENT  `info` is NULL, or its size makes no sense
///
/// Any thread. It asks the interpreter's process, whatever runs there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_lock_get_info(
    interp: subpy_interp,
    info: *mut subpy_lock_info,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::info(info, size_of::<subpy_lock_info>(), "info", error, |size| {
            let manager::LockInfo { landlock, seccomp, .. } = manager::lock_of(interp)?;
            Ok(subpy_lock_info { size, landlock: landlock as i32, seccomp: seccomp.into() })
        })
    }
}
