//! What all functions share: lengths, status codes, handles.

use std::ffi::{CStr, c_char};

use super::boundary;

/// As the length of a text: it ends with a NUL.
pub const SUBPY_AUTO_LEN: usize = usize::MAX;

/// The outcome of a function that can fail: SUBPY_OK or a negative SUBPY_ERROR_*. Values are only ever added.
#[allow(non_camel_case_types)]
pub type subpy_status = i32;

/// done
pub const SUBPY_OK: i32 = 0;
/// an argument makes no sense; the message names it
pub const SUBPY_ERROR_INVALID_ARGUMENT: i32 = -1;
/// no such interpreter or thread: closed, joined, freed, or never there (InterpreterNotFoundError)
pub const SUBPY_ERROR_NOT_FOUND: i32 = -2;
/// the interpreter is running already, or is running and cannot be closed
pub const SUBPY_ERROR_BUSY: i32 = -3;
/// Python code ended with an uncaught exception (ExecutionFailed)
pub const SUBPY_ERROR_EXECUTION_FAILED: i32 = -4;
/// a Python object has no subpy_value; the message names the path to it (NotShareableError)
pub const SUBPY_ERROR_NOT_SHAREABLE: i32 = -5;
/// any other InterpreterError
pub const SUBPY_ERROR_INTERPRETER: i32 = -6;
/// the source does not compile; nothing ran
pub const SUBPY_ERROR_SYNTAX: i32 = -7;
/// no CPython that fits was found; the message lists what was tried
pub const SUBPY_ERROR_PYTHON_NOT_FOUND: i32 = -8;
/// the CPython that was asked for, or that is in the process already, does not fit
pub const SUBPY_ERROR_PYTHON_UNSUPPORTED: i32 = -9;
// -10 and -11 are kept for time limits and interrupts.
/// out of memory
pub const SUBPY_ERROR_NO_MEMORY: i32 = -12;
/// this process was forked from one in which Python runs; it can use nothing of subpy, and exit normally
pub const SUBPY_ERROR_FORKED: i32 = -13;
/// not now: the message says what has to come before, or what is going on
pub const SUBPY_ERROR_WRONG_STATE: i32 = -14;
/// a bug in subpy; please report it
pub const SUBPY_ERROR_PANIC: i32 = -15;

/// An interpreter. Handles are numbers below 2^53, never 0 and never used twice in a process: one that is stale or
/// invented is an error, never undefined behaviour.
#[allow(non_camel_case_types)]
pub type subpy_interp = u64;
/// A run on a thread of its own, until it is joined or freed.
#[allow(non_camel_case_types)]
pub type subpy_thread = u64;
/// A callable that was looked up (a prepared function), until it is freed.
#[allow(non_camel_case_types)]
pub type subpy_function = u64;

/// The name of a status code.
///
/// @param status  any number
/// @return "SUBPY_ERROR_NOT_FOUND" and the like; "SUBPY_ERROR_UNKNOWN" for a number that is none. Static text, never
///         NULL. Any thread.
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
        SUBPY_ERROR_NO_MEMORY => c"SUBPY_ERROR_NO_MEMORY",
        SUBPY_ERROR_FORKED => c"SUBPY_ERROR_FORKED",
        SUBPY_ERROR_WRONG_STATE => c"SUBPY_ERROR_WRONG_STATE",
        SUBPY_ERROR_PANIC => c"SUBPY_ERROR_PANIC",
        _ => c"SUBPY_ERROR_UNKNOWN",
    }
}
