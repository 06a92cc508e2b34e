//! Callables that are looked up once and called many times. A function belongs to an interpreter: once that is closed,
//! a call of the function is SUBPY_ERROR_NOT_FOUND.

use std::ffi::c_char;

use super::boundary::{self, invalid, known_flags, text};
use super::error::subpy_error;
use super::run::{RESULT_FLAGS, SUBPY_RUN_ASYNC};
use super::status::{subpy_function, subpy_interp, subpy_status};
use crate::manager;
use crate::value::{Args, Buffers, Builder, OwnedRows, Results, Rows, subpy_value};

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
            if args.buffers.are_passed() {
                let call = |args: Args| manager::function_call_specially(function, args, wanted);
                return boundary::claimed(args.items, args.kwargs, call);
            }
            manager::function_call(function, Args { buffers: Buffers::None, ..args }, wanted.result)
        })
    }
}

/// For subpy_function_call_many(): go on after a row that fails, with its error among the results, as asyncio.gather()
/// does with return_exceptions.
pub const SUBPY_RETURN_ERRORS: u32 = 1;

/// Call a function once for each row of arguments, one after the other. This takes a fraction of the time of as many
/// calls, because the interpreter is entered only once.
///
/// Other threads get the interpreter's GIL meanwhile, and signals and exceptions sent to this thread arrive, as in a
/// loop that Python runs.
///
/// All rows are checked before the first one runs. The first exception, or result that is not shareable, ends the call:
/// the rows before it have run, but there are no results, and the error has the index of the row, for subpy_error_row()
/// and in its message. With SUBPY_RETURN_ERRORS the call goes on, and the value of that row is an error: its kind is
/// SUBPY_KIND_ERROR. Only an exception that `except Exception` does not catch (SystemExit, KeyboardInterrupt) and a lack
/// of memory end the call then.
///
/// @param function  the function
/// @param rows      `count * nargs` positional arguments, the first row first; may be NULL when that is 0
/// @param count     how many rows
/// @param nargs     how many arguments each has
/// @param flags     0 or SUBPY_RETURN_ERRORS, SUBPY_RESULT_*: the form of each value, and SUBPY_RUN_ASYNC: row by row
/// @param results   a LIST of `count` values, to be freed with subpy_value_free(), which frees the errors in it too;
///                  NULL: what is returned is not converted at all (not with SUBPY_RETURN_ERRORS)
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_function_call()
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_function_call_many(
    function: subpy_function,
    rows: *const subpy_value,
    count: usize,
    nargs: usize,
    flags: u32,
    results: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::run(results, error, |wanted| {
            known_flags(flags.into(), (SUBPY_RETURN_ERRORS | RESULT_FLAGS | SUBPY_RUN_ASYNC).into(), "flags")?;
            let wanted = wanted.with(Results::of_flags(flags));
            let mut collect = |error, results: &mut Builder| results.attach_error(subpy_error::in_results(error));
            let mut collect = (flags & SUBPY_RETURN_ERRORS != 0).then_some(&mut collect as _);
            if collect.is_some() && wanted.result.is_none() {
                invalid("results is NULL: the errors that SUBPY_RETURN_ERRORS asks for would be lost")?;
            }
            let rows = Rows::check(rows, count, nargs).or_else(invalid)?;
            let owned = boundary::claim_rows(rows)?;
            let rows = owned.as_ref().map_or(rows, OwnedRows::rows);
            manager::function_call_many(function, rows, wanted, collect.take())
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
