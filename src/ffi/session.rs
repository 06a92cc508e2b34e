//! A thread that calls into an interpreter many times can stay in it. That makes a call cheaper, and what Python keeps for
//! a thread (threading.local, contextvars, the decimal context) lasts from call to call instead of being new in each.

use super::boundary;
use super::error::subpy_error;
use super::status::{subpy_interp, subpy_status};
use crate::manager;

/// Keep this thread in an interpreter, until subpy_leave().
///
/// Runs of this thread use one Python thread state from now on. The GIL is not held between them: other threads get in,
/// as SUBPY_BUSY_* says, and subpy_is_running() is false. Nests: as many subpy_leave() as subpy_enter(). A thread may have
/// entered several interpreters at once. When it ends, it leaves them.
///
/// @param interp  the interpreter
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_BUSY when it is closing; SUBPY_ERROR_INTERPRETER when Python code
///         created it; SUBPY_ERROR_WRONG_STATE when this thread's stack is too small; SUBPY_ERROR_NO_MEMORY
///
/// Until all have left, subpy_close() and subpy_shutdown() are SUBPY_ERROR_BUSY, on this thread too. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_enter(interp: subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointer is as the declaration says.
    unsafe { boundary::status(error, || manager::enter(interp)) }
}

/// Undo one subpy_enter() of this thread.
///
/// @param interp  the interpreter
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_WRONG_STATE when this thread has not entered it, or when it is the last leave and this
///         thread is running something in it
///
/// The last one waits for the GIL, if another thread is running something, and runs finalizers of what threading.local
/// held. The thread that entered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_leave(interp: subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointer is as the declaration says.
    unsafe { boundary::status(error, || manager::leave(interp)) }
}
