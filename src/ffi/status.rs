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
/// an argument makes no sense; the message names it
pub const SUBPY_ERROR_INVALID_ARGUMENT: i32 = -1;
/// no such interpreter, function or thread: closed, freed, joined, or never there (InterpreterNotFoundError)
pub const SUBPY_ERROR_NOT_FOUND: i32 = -2;
/// the interpreter is running, closing, or entered by a thread; nothing has changed
pub const SUBPY_ERROR_BUSY: i32 = -3;
/// Python code ended with an uncaught exception (ExecutionFailed)
pub const SUBPY_ERROR_EXECUTION_FAILED: i32 = -4;
/// a Python object cannot become a subpy_value; the message says which one (NotShareableError)
pub const SUBPY_ERROR_NOT_SHAREABLE: i32 = -5;
/// an interpreter, or something it needs, refuses or fails; the message says what (InterpreterError)
pub const SUBPY_ERROR_INTERPRETER: i32 = -6;
/// the source does not compile; nothing ran
pub const SUBPY_ERROR_SYNTAX: i32 = -7;
/// no suitable CPython was found; the message lists what was tried
pub const SUBPY_ERROR_PYTHON_NOT_FOUND: i32 = -8;
/// the CPython that was asked for, or that is in the process already, is not suitable
pub const SUBPY_ERROR_PYTHON_UNSUPPORTED: i32 = -9;
/// the time was up: Python code was stopped, or what had to be waited for did not come; the message says which
pub const SUBPY_ERROR_TIMEOUT: i32 = -10;
/// cancelled or interrupted, in Python code or before it began
pub const SUBPY_ERROR_INTERRUPTED: i32 = -11;
/// out of memory (but a MemoryError in Python code is SUBPY_ERROR_EXECUTION_FAILED)
pub const SUBPY_ERROR_NO_MEMORY: i32 = -12;
/// this process was forked from one in which Python ran; it can free what it holds, and exit or start a program
pub const SUBPY_ERROR_FORKED: i32 = -13;
/// not now: the message says what has to happen first, or what is going on
pub const SUBPY_ERROR_WRONG_STATE: i32 = -14;
/// a bug in subpy; please report it
pub const SUBPY_ERROR_PANIC: i32 = -15;
/// the process of an interpreter (SUBPY_INTERP_PROCESS) has ended, and the interpreter with it; see subpy_error_crash()
pub const SUBPY_ERROR_CRASHED: i32 = -16;

/// An interpreter. Handles (of interpreters, threads, functions, pools and so on) are numbers below 2^53, never 0, and never used
/// twice in a process. To use one that is stale or invented is an error, never undefined behaviour.
#[allow(non_camel_case_types)]
pub type subpy_interp = u64;
/// A run on a thread of its own, until it is joined or freed.
#[allow(non_camel_case_types)]
pub type subpy_thread = u64;
/// A prepared function: a callable that was looked up, until it is freed.
#[allow(non_camel_case_types)]
pub type subpy_function = u64;

/// A Python object, until it is freed. Prepared functions are such objects too.
#[allow(non_camel_case_types)]
pub type subpy_object = u64;
/// A pool of interpreters, until it is closed.
#[allow(non_camel_case_types)]
pub type subpy_pool = u64;
/// A queue, until it is freed.
#[allow(non_camel_case_types)]
pub type subpy_queue = u64;

/// A cancel token, until it is freed.
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
