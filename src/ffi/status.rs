//! What all functions share.

use std::ffi::{CStr, c_char};

use super::boundary;
pub use crate::value::subpy_finalize_fn;

/// A length that means: the text ends with a NUL.
pub const SUBPY_AUTO_LEN: usize = usize::MAX;

/// The outcome of a function that can fail: SUBPY_OK or a negative SUBPY_ERROR_*. Later versions may add codes.
#[allow(non_camel_case_types)]
pub type subpy_status = i32;

/// success
pub const SUBPY_OK: i32 = 0;
/// an argument is not valid; the message names it
pub const SUBPY_ERROR_INVALID_ARGUMENT: i32 = -1;
/// the handle stands for nothing: it was closed, freed or joined, or never existed (InterpreterNotFoundError)
pub const SUBPY_ERROR_NOT_FOUND: i32 = -2;
/// an interpreter is running something, is closing or was entered by a thread, or a pool has no room; nothing was done
/// (but see SUBPY_BUFFER_LENT)
pub const SUBPY_ERROR_BUSY: i32 = -3;
/// Python code ended with an uncaught exception (ExecutionFailed)
pub const SUBPY_ERROR_EXECUTION_FAILED: i32 = -4;
/// a Python object cannot become a subpy_value; the message says which one (NotShareableError)
pub const SUBPY_ERROR_NOT_SHAREABLE: i32 = -5;
/// the interpreter does not allow that, or CPython or the system has failed; the message says what (InterpreterError)
pub const SUBPY_ERROR_INTERPRETER: i32 = -6;
/// the source does not compile; nothing ran
pub const SUBPY_ERROR_SYNTAX: i32 = -7;
/// no suitable CPython was found; the message lists what was tried
pub const SUBPY_ERROR_PYTHON_NOT_FOUND: i32 = -8;
/// the CPython that was named, or that is in the process already, is not suitable
pub const SUBPY_ERROR_PYTHON_UNSUPPORTED: i32 = -9;
/// the time is up: Python code was stopped, or what was waited for did not come in time; the message says which
pub const SUBPY_ERROR_TIMEOUT: i32 = -10;
/// the run or the wait was cancelled or interrupted, perhaps before any Python code began
pub const SUBPY_ERROR_INTERRUPTED: i32 = -11;
/// out of memory (but a MemoryError in Python code is SUBPY_ERROR_EXECUTION_FAILED)
pub const SUBPY_ERROR_NO_MEMORY: i32 = -12;
/// this is the child of a fork of a process in which Python ran: it can free what it holds, exit, or start a program
pub const SUBPY_ERROR_FORKED: i32 = -13;
/// not possible at this moment; the message says what has to happen first, or what is going on
pub const SUBPY_ERROR_WRONG_STATE: i32 = -14;
/// a bug in subpy; please report it
pub const SUBPY_ERROR_PANIC: i32 = -15;
/// the process of an interpreter (SUBPY_INTERP_PROCESS) has ended, and the interpreter with it; see subpy_error_crash()
pub const SUBPY_ERROR_CRASHED: i32 = -16;

/// The handle of an interpreter. Handles (of interpreters, threads, functions, pools and so on) are numbers below 2^53,
/// never 0, and never used twice in a process. One that is stale or invented is SUBPY_ERROR_NOT_FOUND, never undefined
/// behaviour.
#[allow(non_camel_case_types)]
pub type subpy_interp = u64;
/// The handle of a run on a thread of its own, or of a pool's task, until it is joined or freed.
#[allow(non_camel_case_types)]
pub type subpy_thread = u64;
/// The handle of a prepared function, a callable that was looked up once, until it is freed.
#[allow(non_camel_case_types)]
pub type subpy_function = u64;

/// The handle of an object that stays in Python, until it is freed. Prepared functions are such objects too.
#[allow(non_camel_case_types)]
pub type subpy_object = u64;
/// The handle of a pool of interpreters, until it is closed.
#[allow(non_camel_case_types)]
pub type subpy_pool = u64;
/// The handle of a queue, until it is freed.
#[allow(non_camel_case_types)]
pub type subpy_queue = u64;

/// The handle of a cancel token, until it is freed.
#[allow(non_camel_case_types)]
pub type subpy_cancel = u64;

/// The name of a status code.
///
/// @param status  any number
/// @return static text such as "SUBPY_ERROR_NOT_FOUND", never NULL; "SUBPY_ERROR_UNKNOWN" for a number that is not a
///         status code. Any thread.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_status_name(status: subpy_status) -> *const c_char {
    boundary::value(c"SUBPY_ERROR_UNKNOWN".as_ptr(), || name(status).as_ptr())
}

fn name(status: subpy_status) -> &'static CStr {
    match status {
        SUBPY_OK => c"SUBPY_OK",
        SUBPY_ERROR_INVALID_ARGUMENT => c"SUBPY_ERROR_INVALID_ARGUMENT",
        SUBPY_ERROR_NOT_FOUND => c"SUBPY_ERROR_NOT_FOUND",
        SUBPY_ERROR_BUSY => c"SUBPY_ERROR_BUSY",
        SUBPY_ERROR_EXECUTION_FAILED => c"SUBPY_ERROR_EXECUTION_FAILED",
        SUBPY_ERROR_NOT_SHAREABLE => c"SUBPY_ERROR_NOT_SHAREABLE",
        SUBPY_ERROR_INTERPRETER => c"SUBPY_ERROR_INTERPRETER",
        SUBPY_ERROR_SYNTAX => c"SUBPY_ERROR_SYNTAX",
        SUBPY_ERROR_PYTHON_NOT_FOUND => c"SUBPY_ERROR_PYTHON_NOT_FOUND",
        SUBPY_ERROR_PYTHON_UNSUPPORTED => c"SUBPY_ERROR_PYTHON_UNSUPPORTED",
        SUBPY_ERROR_TIMEOUT => c"SUBPY_ERROR_TIMEOUT",
        SUBPY_ERROR_INTERRUPTED => c"SUBPY_ERROR_INTERRUPTED",
        SUBPY_ERROR_NO_MEMORY => c"SUBPY_ERROR_NO_MEMORY",
        SUBPY_ERROR_FORKED => c"SUBPY_ERROR_FORKED",
        SUBPY_ERROR_WRONG_STATE => c"SUBPY_ERROR_WRONG_STATE",
        SUBPY_ERROR_PANIC => c"SUBPY_ERROR_PANIC",
        SUBPY_ERROR_CRASHED => c"SUBPY_ERROR_CRASHED",
        _ => c"SUBPY_ERROR_UNKNOWN",
    }
}
