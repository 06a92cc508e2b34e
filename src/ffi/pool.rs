//! A pool has a number of interpreters, each with a thread of its own, and runs tasks in them: requests as for
//! subpy_run(), whose outcomes are threads that can be waited for, joined, cancelled and freed. docs/pools.md says more.
//!
//! Tasks begin in the order in which they were submitted. Submitters, if there are several, take turns. An interpreter
//! is replaced when a run in it was interrupted, ran out of memory or was given up, because what it holds may be in any
//! state then; when its process has ended; and after `runs_per_worker` runs. One that was made in advance takes its
//! place, and no task waits while the old one is closed.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::{self, invalid, known_flags, text};
use super::error::subpy_error;
use super::interpreter::{SUBPY_INTERP_PROCESS, subpy_interp_options, to_options};
use super::output::RunOutput;
use super::run::{Request, subpy_run_request};
use super::runtime::{close_options, subpy_close_options};
use super::status::{subpy_finalize_fn, subpy_interp, subpy_pool, subpy_status, subpy_thread};
use crate::manager::{self, Callback, Isolation, Options, OutputFor, PoolOptions, PoolStats, Prepare, Result, Submit};

/// A task for which there is no room is refused with SUBPY_ERROR_BUSY, and does not wait.
pub const SUBPY_POOL_REFUSE: u64 = 1;
/// No interpreter is made in advance: one that takes another's place is made when it is needed.
pub const SUBPY_POOL_NO_SPARES: u64 = 2;

/// Its interpreters live in this process, as their options say: with a GIL of their own, if those say nothing else.
pub const SUBPY_ISOLATION_OWN_GIL: i32 = 0;
/// Each interpreter has a process of its own (SUBPY_INTERP_PROCESS, which may be left out).
pub const SUBPY_ISOLATION_PROCESS: i32 = 1;
/// As with SUBPY_ISOLATION_OWN_GIL until an extension module refuses to be imported like that, by the setup or by a
/// task; from then on all interpreters of the pool have processes of their own, and those without are replaced. A task
/// that ended with that ImportError is run again from its beginning, in a process: what it did before the import, it
/// does twice.
pub const SUBPY_ISOLATION_AUTO: i32 = 2;

/// Prepares a new interpreter of a pool, before its setup runs: with subpy_define() or subpy_set_output(), say.
///
/// @param userdata  what was given with the function
/// @param interp    the interpreter
///
/// Called on a thread of the pool's, without a GIL; for several interpreters at the same time. It must return, not
/// unwind, and must not close the pool.
#[allow(non_camel_case_types)]
pub type subpy_prepare_fn = Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, interp: subpy_interp)>;

/// Options of subpy_pool_new(). Zero is the default of every field.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_pool_options {
    /// sizeof(subpy_pool_options)
    pub size: usize,
    /// how many interpreters run tasks at the same time, 10,000 at most; 0: one per core
    pub workers: usize,
    /// how many tasks may wait; 0: 16 per worker. Beyond that subpy_pool_submit() waits, see SUBPY_POOL_REFUSE
    pub backlog: usize,
    /// how many interpreters are ready to take the place of one that is replaced, 10,000 at most; 0: one, see
    /// SUBPY_POOL_NO_SPARES
    pub spares: usize,
    /// how the interpreters are created; NULL: the defaults
    pub interp: *const subpy_interp_options,
    /// statements that run once in each interpreter, in UTF-8; NULL: none
    pub setup: *const c_char,
    /// the length of `setup` in bytes, or SUBPY_AUTO_LEN
    pub setup_len: usize,
    /// called with each new interpreter; NULL: nothing is
    pub prepare: subpy_prepare_fn,
    /// passed on to `prepare` and `finalize`
    pub userdata: *mut c_void,
    /// called with `userdata` when `prepare` will not be called any more: the pool was closed, or subpy_pool_new() has
    /// failed
    pub finalize: subpy_finalize_fn,
    /// how many runs there are in one interpreter before it is replaced; 0: any number
    pub runs_per_worker: u64,
    /// SUBPY_POOL_*
    pub flags: u64,
    /// SUBPY_ISOLATION_*: where the interpreters live
    pub isolation: i32,
    /// 0
    pub reserved: u32,
}

/// What a pool has done, and has to do. The times are those of all tasks so far, each at most a sixteenth too large.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_pool_stats {
    /// sizeof(subpy_pool_stats)
    pub size: usize,
    /// interpreters that run tasks; one that is replaced at this moment is not among them
    pub workers: u64,
    /// interpreters that are ready to take the place of one of those
    pub spares: u64,
    /// tasks that wait
    pub queued: u64,
    /// tasks that run
    pub running: u64,
    /// tasks that were accepted: queued, running and done
    pub submitted: u64,
    /// tasks that have ended, whatever their outcome
    pub done: u64,
    /// those of them that ended with an error
    pub failed: u64,
    /// those of them that ended with SUBPY_ERROR_INTERRUPTED
    pub cancelled: u64,
    /// interpreters that were replaced
    pub replaced: u64,
    /// how long tasks waited before they began, in microseconds: half of them no longer than this
    pub wait_p50_us: u64,
    /// the same of nine of ten tasks
    pub wait_p90_us: u64,
    /// the same of 99 of 100 tasks
    pub wait_p99_us: u64,
    /// how long tasks ran, in microseconds: half of them no longer than this
    pub run_p50_us: u64,
    /// the same of nine of ten tasks
    pub run_p90_us: u64,
    /// the same of 99 of 100 tasks
    pub run_p99_us: u64,
    /// interpreters that were replaced and cannot be closed, because of threads that Python code has left in them. They
    /// are tried again every few seconds, and when the pool is closed
    pub left: u64,
    /// interpreters whose process has crashed, or was killed because a run did not end in time
    pub crashed: u64,
    /// where its interpreters live now: SUBPY_ISOLATION_OWN_GIL or SUBPY_ISOLATION_PROCESS
    pub isolation: i32,
    /// 0
    pub reserved: u32,
    /// with SUBPY_ISOLATION_AUTO, why the interpreters have processes: the message of the import that was refused,
    /// UTF-8 that ends with a NUL, cut if it is longer; empty until then
    pub reason: [c_char; 200],
}

/// Make a pool, and wait until all of its interpreters are ready. Starts the runtime if it is not running. Python:
/// InterpreterPoolExecutor.
///
/// No thread is started in the process for pools before the first one is made. A pool has a thread for each worker, one
/// that makes spare interpreters, and one that closes old ones.
///
/// @param options  NULL for the defaults
/// @param pool     the new pool, not NULL; to be closed with subpy_pool_close(), or by subpy_shutdown()
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_create();
///         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense, or `pool` is NULL
///         and the error of the setup, if that fails
///
/// If an interpreter cannot be made later, the workers that have one go on, and it is tried again. When no worker has
/// one, each task is such a try, and fails with its error if it fails.
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_pool_new(
    options: *const subpy_pool_options,
    pool: *mut subpy_pool,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(pool, 0, error, making(options, pool)) }
}

/// What `boundary::output` is to do: what is to be finalized is finalized even when it does nothing.
///
/// # Safety
/// As for [`boundary::options`].
unsafe fn making(options: *const subpy_pool_options, pool: *mut subpy_pool) -> impl FnOnce() -> Result<subpy_pool> {
    // SAFETY: promised by the caller.
    let options = unsafe { boundary::options(options, "subpy_pool_options") };
    let options = options.map(|options| (options, options.prepare()));
    move || {
        let (options, prepare) = options?;
        if pool.is_null() {
            return invalid("pool is NULL: nobody could use or close the pool");
        }
        // SAFETY: promised by the caller.
        manager::pool_new(unsafe { options.to_manager(prepare)? })
    }
}

/// What a host has given along for new interpreters, and the duty to finalize it.
struct Prepared {
    prepare: subpy_prepare_fn,
    userdata: *mut c_void,
    finalize: subpy_finalize_fn,
}

// SAFETY: the host has to expect calls on any thread (`subpy_prepare_fn`).
unsafe impl Send for Prepared {}
// SAFETY: as above.
unsafe impl Sync for Prepared {}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(finalize) = self.finalize {
            // SAFETY: the host's function, as it was declared to be; once.
            manager::outside(|| unsafe { finalize(self.userdata) });
        }
    }
}

impl subpy_pool_options {
    fn prepare(&self) -> Prepare {
        let prepared = Prepared { prepare: self.prepare, userdata: self.userdata, finalize: self.finalize };
        Box::new(move |interp| {
            let whole = &prepared;
            if let Some(prepare) = whole.prepare {
                // SAFETY: the host's function, as it was declared to be.
                unsafe { prepare(whole.userdata, interp) }
            }
        })
    }

    /// # Safety
    /// What it points to must be as it says.
    unsafe fn to_manager(self, prepare: Prepare) -> Result<PoolOptions> {
        known_flags(self.flags, SUBPY_POOL_REFUSE | SUBPY_POOL_NO_SPARES, "subpy_pool_options.flags")?;
        if self.reserved != 0 {
            return invalid(format!("subpy_pool_options.reserved is {}, must be 0", self.reserved));
        }
        let isolation = match self.isolation {
            SUBPY_ISOLATION_OWN_GIL => Isolation::OwnGil,
            SUBPY_ISOLATION_PROCESS => Isolation::Process,
            SUBPY_ISOLATION_AUTO => Isolation::Auto,
            other => {
                return invalid(format!("subpy_pool_options.isolation is {other}, must be one of SUBPY_ISOLATION_*"));
            }
        };
        let no_spares = self.flags & SUBPY_POOL_NO_SPARES != 0;
        if no_spares && self.spares > 0 {
            return invalid("subpy_pool_options.spares is set, and SUBPY_POOL_NO_SPARES too");
        }
        // SAFETY: promised by the caller.
        unsafe {
            let interp = match self.interp.is_null() {
                true => Options::default(),
                false => {
                    let mut interp = boundary::options(self.interp, "subpy_interp_options")?;
                    if isolation == Isolation::Process {
                        interp.flags |= SUBPY_INTERP_PROCESS;
                    }
                    to_options(&interp)?
                }
            };
            let setup = match self.setup.is_null() {
                true if self.setup_len > 0 => {
                    return invalid("subpy_pool_options.setup is NULL but setup_len is not 0");
                }
                true => None,
                false => Some(manager::copy(text(self.setup, self.setup_len, "subpy_pool_options.setup")?)?),
            };
            Ok(PoolOptions {
                workers: self.workers,
                backlog: self.backlog,
                spares: if no_spares { 0 } else { self.spares.max(1) },
                refuse: self.flags & SUBPY_POOL_REFUSE != 0,
                interp,
                setup,
                prepare: Some(prepare),
                runs_per_worker: self.runs_per_worker,
                isolation,
            })
        }
    }
}

/// Have a pool run what the request says, as soon as a worker is free. Everything the request points to is copied first.
///
/// The time of `timeout_ms` counts from when the run starts. A cancel token also takes a task out of the queue, and
/// ends the wait for room. With SUBPY_ABANDON a worker whose task was stopped and does not end is replaced: the pool
/// goes on, and the old thread ends when its code does. Objects in the result, if SUBPY_RESULT_* asks for them, belong
/// to the interpreter in which the task has run, and are gone when that is replaced or the pool is closed.
///
/// Waits while the pool has no room, unless SUBPY_POOL_REFUSE says otherwise: until there is room, the pool is closed,
/// the token is fired, or the run that this thread is inside of is stopped. A task can submit others to its own pool.
/// If it waits for them, another worker has to be free to run them: when every worker waits like this, they wait until
/// they are stopped.
///
/// @param pool     the pool
/// @param request  what to run: an exec, eval or call, with `interp` 0
/// @param outcome  receives the thread to be joined or freed; NULL: it is freed at once, and an error printed
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK when the task waits or runs;
///         SUBPY_ERROR_INVALID_ARGUMENT  as for subpy_run(); also for a prepared function, and for an interpreter
///         SUBPY_ERROR_NOT_FOUND         no such pool
///         SUBPY_ERROR_BUSY              the pool has no room (SUBPY_POOL_REFUSE), or is closing
///         SUBPY_ERROR_INTERRUPTED       cancelled while it waited for room
///         SUBPY_ERROR_TIMEOUT           the run that this thread is inside of timed out while it waited for room
///         SUBPY_ERROR_WRONG_STATE       the pool was closed
///
/// Any thread. Python: Executor.submit().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_pool_submit(
    pool: subpy_pool,
    request: *const subpy_run_request,
    outcome: *mut subpy_thread,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(outcome, 0, error, || submit(pool, 0, request, outcome)) }
}

/// As subpy_pool_submit(), for one of several submitters. Those that have tasks in the queue take turns, one task each,
/// so that one with many does not keep the others waiting. subpy_pool_submit() is for submitter 0.
///
/// @param pool       the pool
/// @param submitter  any number
/// @param request    as for subpy_pool_submit()
/// @param outcome    as for subpy_pool_submit()
/// @param error      optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_pool_submit(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_pool_submit_as(
    pool: subpy_pool,
    submitter: u64,
    request: *const subpy_run_request,
    outcome: *mut subpy_thread,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(outcome, 0, error, || submit(pool, submitter, request, outcome)) }
}

/// # Safety
/// As for [`Request::read`].
unsafe fn submit(
    pool: subpy_pool,
    submitter: u64,
    request: *const subpy_run_request,
    outcome: *mut subpy_thread,
) -> Result<subpy_thread> {
    // SAFETY: promised by the caller.
    let request = unsafe { Request::read_for_pool(request)? };
    let how = Submit {
        submitter,
        want_result: !outcome.is_null(),
        results: request.results,
        output: request.output.map(output_for),
        limits: request.limits.clone(),
        abandon: request.abandon,
    };
    let thread = manager::pool_submit(pool, request.code(), how)?;
    if outcome.is_null() {
        manager::thread_free(thread);
    }
    Ok(thread)
}

pub(super) fn output_for(output: RunOutput) -> OutputFor {
    Arc::new(move |interp| Box::new(output.of(interp).callback()) as Callback)
}

/// What a pool has done, and has to do.
///
/// @param pool   the pool
/// @param stats  `size` must be set; receives the rest, as far as it has room; what this library does not know, and all
///               on failure, is made zero
/// @param error  optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INVALID_ARGUMENT when `stats` is NULL, or its size makes no
///         sense. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_pool_get_stats(
    pool: subpy_pool,
    stats: *mut subpy_pool_stats,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::info(stats, size_of::<usize>(), "stats", error, |size| {
            Ok(subpy_pool_stats::of(manager::pool_stats(pool)?, size))
        })
    }
}

impl subpy_pool_stats {
    fn of(stats: PoolStats, size: usize) -> subpy_pool_stats {
        subpy_pool_stats {
            size,
            workers: stats.workers,
            spares: stats.spares,
            queued: stats.queued,
            running: stats.running,
            submitted: stats.submitted,
            done: stats.done,
            failed: stats.failed,
            cancelled: stats.cancelled,
            replaced: stats.replaced,
            wait_p50_us: stats.wait_p50_us,
            wait_p90_us: stats.wait_p90_us,
            wait_p99_us: stats.wait_p99_us,
            run_p50_us: stats.run_p50_us,
            run_p90_us: stats.run_p90_us,
            run_p99_us: stats.run_p99_us,
            left: stats.left,
            crashed: stats.crashed,
            isolation: match stats.isolation {
                Isolation::OwnGil => SUBPY_ISOLATION_OWN_GIL,
                Isolation::Process => SUBPY_ISOLATION_PROCESS,
                Isolation::Auto => SUBPY_ISOLATION_AUTO,
            },
            reserved: 0,
            reason: fitting(&stats.reason),
        }
    }
}

/// As much of a text as has room with a NUL, in whole characters.
fn fitting<const ROOM: usize>(text: &str) -> [c_char; ROOM] {
    let end = (0..ROOM.min(text.len() + 1)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let mut fitting = [0; ROOM];
    fitting.iter_mut().zip(text[..end].bytes()).for_each(|(to, byte)| *to = byte as c_char);
    fitting
}

/// Close a pool and its interpreters, as subpy_close_with() closes one. Python: Executor.shutdown().
///
/// With SUBPY_CLOSE_DRAIN the tasks that run or wait may finish, and new ones are SUBPY_ERROR_BUSY. With
/// SUBPY_CLOSE_INTERRUPT those that wait are cancelled and those that run are interrupted; when the time is over,
/// interpreters in processes of their own are killed if they still run something. If the time is over before that is
/// done, the pool goes on as before, but for what was cancelled or interrupted. A task that was given up
/// (SUBPY_ABANDON) is not waited for.
///
/// Then the pool has ended: nothing can be submitted any more, and its threads are gone. If one of its interpreters
/// cannot be closed in time, the error says why; call this again to try again.
///
/// @param pool     the pool
/// @param options  NULL: as if all bytes were zero, which waits for nothing
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK: the handle is gone. Outcomes that were not joined can still be joined;
///         SUBPY_ERROR_BUSY              tasks run or wait, or an interpreter has not come to rest; the message names them
///         SUBPY_ERROR_TIMEOUT           an interpreter is ending, and has not ended in time
///         SUBPY_ERROR_NOT_FOUND         no such pool; it may be closed already
///         SUBPY_ERROR_WRONG_STATE       called from a task of the pool, or from what that has called; this CPython
///                                       cannot be interrupted; or this thread's stack is too small
///         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_pool_close(
    pool: subpy_pool,
    options: *const subpy_close_options,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::status(error, || manager::pool_close(pool, close_options(options)?)) }
}
