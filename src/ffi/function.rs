//! Callables that are looked up once and called many times. A function belongs to an interpreter: once that is closed,
//! a call of the function is SUBPY_ERROR_NOT_FOUND.

use std::ffi::c_char;

use super::boundary::{self, invalid, text};
use super::error::subpy_error;
use super::status::{subpy_function, subpy_interp, subpy_status};
use crate::manager;
use crate::value::{Args, subpy_value};

/// Look up a callable, to call it many times.
///
/// The function holds the object that was found, even if its name is bound to something else later.
///
/// @param interp    the interpreter
/// @param callable  "name" in `__main__`, or "package.module:attribute.attribute"
/// @param len       its length in bytes, or SUBPY_AUTO_LEN
/// @param function  receives the function, not NULL; to be freed with subpy_function_free(), before or after its
///                  interpreter is closed
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_exec(). A name that does not exist, or cannot be called, is
///         SUBPY_ERROR_EXECUTION_FAILED with an AttributeError, ModuleNotFoundError or TypeError
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_function_new(
    interp: subpy_interp,
    callable: *const c_char,
    len: usize,
    function: *mut subpy_function,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(function, 0, error, || {
            if function.is_null() {
                return invalid("function is NULL: nobody could call or free it");
            }
            manager::function_new(interp, text(callable, len, "callable")?)
        })
    }
}

/// Call a function, in its interpreter.
///
/// @param function  the function
/// @param args      `nargs` positional arguments, copied into the interpreter; may be NULL when that is 0
/// @param nargs     how many
/// @param kwargs    keyword arguments, copied too: a DICT with STR keys; NULL: none
/// @param result    what it returns, to be freed with subpy_value_free(); NULL: that is not converted at all
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_call(); SUBPY_ERROR_NOT_FOUND when the function was freed, or its interpreter
///         closed
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_function_call(
    function: subpy_function,
    args: *const subpy_value,
    nargs: usize,
    kwargs: *const subpy_value,
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::run(result, error, |wanted| {
            let args = Args::check(args, nargs, kwargs).or_else(invalid)?;
            manager::function_call(function, args, wanted)
        })
    }
}

/// Free a function. Calls that are running go on. The reference to the Python object is dropped when the interpreter is
/// entered next.
///
/// @param function  the function; 0, or one that was freed already, is ignored
///
/// Never blocks and runs no Python; works after subpy_close() and subpy_shutdown() too. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn subpy_function_free(function: subpy_function) {
    boundary::value((), || {
        // In a fork a lock may be held by a thread that does not exist there.
        if !manager::forked() {
            manager::function_free(function);
        }
    });
}
