//! One call for many rows, by a pool.

use std::ffi::c_void;
use std::ptr;

use super::boundary::{self, invalid};
use super::error::subpy_error;
use super::pool::output_for;
use super::run::{Request, subpy_run_request};
use super::status::{subpy_pool, subpy_status};
use super::value::subpy_value_free;
use crate::manager::{self, Map, MapOptions, Result};
use crate::value::{Args, OwnedRows, Rows, subpy_value};

/// Takes what became of one row of subpy_pool_map().
///
/// @param userdata  what was given with the function
/// @param index     the row
/// @param result    what the call has returned; NULL after an error. It is freed when the function returns. To keep it,
///                  copy the struct, set this one to subpy_none(), and free the copy with subpy_value_free()
/// @param error     NULL, or the error of the call, which is freed when the function returns
/// @return true: go on; false: what is left is cancelled
///
/// Called on the thread that called subpy_pool_map(), without a GIL, with one row after the other. It must return, not
/// unwind.
#[allow(non_camel_case_types)]
pub type subpy_map_fn = Option<
    unsafe extern "C-unwind" fn(
        userdata: *mut c_void,
        index: usize,
        result: *mut subpy_value,
        error: *const subpy_error,
    ) -> bool,
>;

/// Call something once for each row of arguments, in all of the pool's interpreters, and take the results in the order
/// of the rows, as they come. Python: Executor.map().
///
/// Each row is a run of its own, to which the request's limits, `kwargs` and output apply. A few tasks wait or run at
/// the same time, not all of them. A row that fails has an error, and the others go on.
///
/// @param pool      the pool
/// @param request   what to call: SUBPY_RUN_CALL, `interp` 0, without `args` and SUBPY_ABANDON
/// @param rows      `count` times `nargs` values, row after row; copied as they are needed; may be NULL when there are none
/// @param count     how many rows
/// @param nargs     how many arguments in each
/// @param chunk     how many rows make a task: larger chunks cost less per row, and spread them less evenly; 0: 1
/// @param fn        takes the results; NULL: nobody does, and the first error ends it
/// @param userdata  passed on to `fn`
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK when all rows were passed on, or `fn` has returned false; any error of subpy_pool_submit();
///         SUBPY_ERROR_INTERRUPTED  the request's token was fired, also for rows that have begun
///
/// When this returns, all that it began has ended, whatever it returns. Any thread. In a task of the same pool it is a
/// wait for other workers, see subpy_pool_submit().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_pool_map(
    pool: subpy_pool,
    request: *const subpy_run_request,
    rows: *const subpy_value,
    count: usize,
    nargs: usize,
    chunk: usize,
    r#fn: subpy_map_fn,
    userdata: *mut c_void,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::status(error, || {
            let request = Request::read_for_pool(request)?;
            let (callable, args) = match request.call() {
                Some(call) if !request.abandon => call,
                _ => return invalid("subpy_run_request: must be SUBPY_RUN_CALL, and without SUBPY_ABANDON, for a map"),
            };
            if !args.items.is_empty() {
                return invalid(
                    "subpy_run_request.args must be NULL for a map, and nargs 0: the arguments are in rows",
                );
            }
            let rows = Rows::check(rows, count, nargs).or_else(invalid)?;
            let owned = boundary::claim_rows(rows)?;
            let rows = owned.as_ref().map_or(rows, OwnedRows::rows);
            let how = MapOptions {
                want_results: r#fn.is_some(),
                results: request.results,
                output: request.output.map(output_for),
                limits: request.limits.clone(),
            };
            let map = Map::new(pool, callable, how)?;
            let take = |index, result, error: *const subpy_error| {
                let Some(take) = r#fn else { return true };
                // SAFETY: the host's function, as it was declared to be, with pointers to locals.
                manager::outside(|| take(userdata, index, result, error))
            };
            drive(map, rows, args, chunk.max(1), take, r#fn.is_none())
        })
    }
}

/// Submits and takes, in turn.
fn drive(
    mut map: Map,
    rows: Rows,
    args: Args,
    chunk: usize,
    take: impl Fn(usize, *mut subpy_value, *const subpy_error) -> bool,
    first_error_ends: bool,
) -> Result<()> {
    let (mut submitted, mut taken) = (0, 0);
    while taken < rows.count() {
        while submitted < rows.count() && !map.is_full() {
            let count = chunk.min(rows.count() - submitted);
            let (values, kwargs) = manager::copy_rows(&rows, submitted, count, args)?;
            map.submit(values, kwargs, count, rows.width())?;
            submitted += count;
        }
        let Some(results) = map.next() else { break };
        for result in results? {
            let goes_on = match result {
                Ok(value) => {
                    let mut value = value.into_raw();
                    let goes_on = take(taken, &mut value, ptr::null());
                    // SAFETY: it is the result, or what the host has put in its place as it was told.
                    unsafe { subpy_value_free(&mut value) };
                    goes_on
                }
                Err(error) => {
                    if first_error_ends {
                        return Err(error);
                    }
                    let error = subpy_error::new(error);
                    take(taken, ptr::null_mut(), &*error)
                }
            };
            if !goes_on {
                return Ok(());
            }
            taken += 1;
        }
    }
    Ok(())
}
