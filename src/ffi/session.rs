//! A thread that calls into an interpreter many times can enter it first, and leave it at the end. Its calls then cost
//! less, and what Python keeps for a thread (threading.local, contextvars, the decimal context) lasts from call to
//! call.

use super::boundary;
use super::error::subpy_error;
use super::status::{subpy_interp, subpy_status};
use crate::manager;

/// Keep this thread in an interpreter, until subpy_leave().
///
/// The runs of this thread in the interpreter use one Python thread state from now on. The GIL is not held between
/// them: other threads get in as SUBPY_BUSY_* says, and subpy_is_running() is false. Calls nest, so each subpy_enter()
/// needs its subpy_leave(). A thread may have entered several interpreters at once. When it ends, it leaves them all.
///
/// Until every thread has left, subpy_close() and subpy_shutdown() are SUBPY_ERROR_BUSY, on this thread too.
///
/// @param interp  the interpreter
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_NOT_FOUND    no such interpreter
///         SUBPY_ERROR_BUSY         it is closing, or Python code of another interpreter is running something in it
///         SUBPY_ERROR_INTERPRETER  Python code created it
///         SUBPY_ERROR_WRONG_STATE  this thread's stack is too small, or this thread is ending
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_enter(interp: subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointer is as the declaration says.
    unsafe { boundary::status(error, || manager::enter(interp)) }
}

/// Undo one subpy_enter() of this thread.
///
/// @param interp  the interpreter
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_WRONG_STATE when this thread has not entered the interpreter, when it is still running
///         something in it and this is the last leave, or when its stack is too small for the last leave
///
/// The last leave waits for the GIL if another thread is running something, and runs the finalizers of what
/// threading.local held. Only the thread that entered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_leave(interp: subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointer is as the declaration says.
    unsafe { boundary::status(error, || manager::leave(interp)) }
}
