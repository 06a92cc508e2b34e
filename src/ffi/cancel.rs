//! Python code is stopped with a KeyboardInterrupt, as Ctrl-C does it, in the runs that are meant and in nothing else:
//! not in the next run, nor in Python's own threads. What is blocked in C (`time.sleep`, a lock, a socket) is stopped
//! when that returns.

use super::boundary::{self, invalid};
use super::error::subpy_error;
use super::status::{subpy_cancel, subpy_interp, subpy_status};
use crate::manager::{self, forked};

/// Make a cancel token. It is given to runs with subpy_run_request.cancel: to any number of them, one after the other
/// or at the same time, in any interpreters.
///
/// @param cancel  the new token, not NULL; to be freed with subpy_cancel_free()
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT when `cancel` is NULL
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_cancel_new(cancel: *mut subpy_cancel, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(cancel, 0, error, || match cancel.is_null() {
            true => invalid("cancel is NULL: nobody could fire the token"),
            false => manager::cancel_new(),
        })
    }
}

/// Stop the runs that have this token, and refuse those that are given it later: they end with
/// SUBPY_ERROR_INTERRUPTED. There is no way back: a token is fired for good.
///
/// Python code gets a KeyboardInterrupt, again and again until the run ends: code that catches it is hit anew. So does
/// Python code that a host function runs inside of such a run on the same thread, in other interpreters too. A run that
/// waits for its turn is refused at once. Other runs, and runs that have ended, are never hit.
///
/// @param cancel  the token; 0, or one that was freed already, is ignored
///
/// Returns at once. Any thread, also inside of the run.
#[unsafe(no_mangle)]
pub extern "C" fn subpy_cancel_fire(cancel: subpy_cancel) {
    boundary::value((), || {
        // In a fork a lock may be held by a thread that does not exist there.
        if !forked() {
            manager::cancel_fire(cancel);
        }
    });
}

/// Free a cancel token. Runs that have it go on, and nobody can fire it any more.
///
/// @param cancel  the token; 0, or one that was freed already, is ignored
///
/// Works after subpy_shutdown() too. Any thread, also while another one fires it.
#[unsafe(no_mangle)]
pub extern "C" fn subpy_cancel_free(cancel: subpy_cancel) {
    boundary::value((), || {
        if !forked() {
            manager::cancel_free(cancel);
        }
    });
}

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
