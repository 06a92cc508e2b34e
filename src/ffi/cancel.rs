//! Python code is stopped with a KeyboardInterrupt, as Ctrl-C does it, in the runs that are meant and in nothing else:
//! not in the next run, nor in Python's own threads. What is blocked in C (`time.sleep`, a lock, a socket) is stopped
//! when that returns.

use super::boundary;
use super::error::subpy_error;
use super::status::{subpy_interp, subpy_status};
use crate::manager;

/// Stop what runs in an interpreter now, whoever started it: each of these runs ends with SUBPY_ERROR_INTERRUPTED.
///
/// Python code gets a KeyboardInterrupt, again and again until the run ends: code that catches it is hit anew. Returns
/// at once. When nothing runs nothing happens, and no later run is hit.
///
/// @param interp  the interpreter
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_NOT_FOUND    no such interpreter
///         SUBPY_ERROR_INTERPRETER  Python code created the interpreter
///         SUBPY_ERROR_WRONG_STATE  this CPython cannot be interrupted
///
/// Any thread, also inside of the interpreter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_interrupt(interp: subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointer is as the declaration says.
    unsafe { boundary::status(error, || manager::interrupt(interp)) }
}
