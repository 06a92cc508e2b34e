//! Runs on threads of their own, and tasks of pools. Each has one outcome, which goes to whoever joins it.

use std::ffi::{c_char, c_int, c_void};
use std::time::Duration;

use super::boundary::{self, invalid, text};
use super::error::subpy_error;
use super::status::{subpy_interp, subpy_status, subpy_thread};
use crate::manager::{self, Code, InThread, Result, forked};
use crate::value::{Args, OwnedValue, subpy_value};

/// Call something by its name on a new thread of its own. The callable and the arguments are copied first. Python:
/// Interpreter.call_in_thread().
///
/// @param interp    the interpreter
/// @param callable  as for subpy_call()
/// @param len       its length in bytes, or SUBPY_AUTO_LEN
/// @param args      `nargs` positional arguments; may be NULL when that is 0
/// @param nargs     how many
/// @param kwargs    keyword arguments: a DICT with STR keys; NULL: none
/// @param thread    receives the thread, to be joined or freed; NULL: it is freed at once
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_run_in_thread()
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_call_in_thread(
    interp: subpy_interp,
    callable: *const c_char,
    len: usize,
    args: *const subpy_value,
    nargs: usize,
    kwargs: *const subpy_value,
    thread: *mut subpy_thread,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(thread, 0, error, || {
            let callable = text(callable, len, "callable")?;
            let args = Args::check(args, nargs, kwargs).or_else(invalid)?;
            start(
                interp,
                Code::Call { callable, args },
                InThread { want_result: !thread.is_null(), ..InThread::default() },
            )
        })
    }
}

/// Copies a run and starts a thread for it. When nobody wants the thread's handle it is freed at once.
pub(super) fn start(interp: subpy_interp, code: Code, how: InThread) -> Result<subpy_thread> {
    let wanted = how.want_result;
    let thread = manager::run_in_thread(interp, code, how)?;
    if !wanted {
        manager::thread_free(thread);
    }
    Ok(thread)
}

/// Wait, without a limit, for a thread to end, and take the outcome of its run. This works once: the handle is gone
/// afterwards. subpy_thread_wait() waits with a limit.
///
/// @param thread  the thread
/// @param result  the run's result, to be freed with subpy_value_free(); NULL: any result is fine
/// @param error   optional; the run's error, to be freed with subpy_error_free()
/// @return the status of the run, as subpy_run() would return it; SUBPY_ERROR_NOT_FOUND also when there is no such
///         thread; SUBPY_ERROR_WRONG_STATE also when a thread joins itself
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_thread_join(
    thread: subpy_thread,
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(result, subpy_value::none(), error, || {
            let value = manager::join(thread, !result.is_null())?;
            // Dropped here when nobody wants it.
            Ok(if result.is_null() { subpy_value::none() } else { OwnedValue::into_raw(value) })
        })
    }
}

/// Wait until the run of a thread has ended, or a time has passed. The outcome stays: the thread is still to be joined
/// or freed.
///
/// @param thread      the thread
/// @param timeout_ms  how long to wait at most, in milliseconds; 0: do not wait; -1: no limit
/// @param done        receives whether the run has ended; may be NULL
/// @param error       optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK, whether it has ended or not;
///         SUBPY_ERROR_INVALID_ARGUMENT  `timeout_ms` is less than -1
///         SUBPY_ERROR_NOT_FOUND         no such thread, or another thread has joined or freed it meanwhile
///         SUBPY_ERROR_WRONG_STATE       a thread waits for itself
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_thread_wait(
    thread: subpy_thread,
    timeout_ms: i64,
    done: *mut bool,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(done, false, error, || {
            let limit = match timeout_ms {
                -1 => None,
                0.. => Some(Duration::from_millis(timeout_ms.cast_unsigned())),
                _ => return invalid(format!("timeout_ms is {timeout_ms}, must be -1 (no limit), 0 or more")),
            };
            manager::wait(thread, limit)
        })
    }
}

/// Called when the run of a thread has ended.
///
/// @param userdata  what was given with the function
///
/// Called on any thread, without a GIL and with nothing of the library locked, so it may call any function; but other
/// threads wait for it to return, so it should do no more than wake somebody. It must return, not unwind.
#[allow(non_camel_case_types)]
pub type subpy_notify_fn = Option<unsafe extern "C-unwind" fn(userdata: *mut c_void)>;

/// What a host wants to be told, and with what.
struct Notified {
    notify: unsafe extern "C-unwind" fn(*mut c_void),
    userdata: *mut c_void,
}

// SAFETY: the declaration says that it is called on any thread.
unsafe impl Send for Notified {}

/// Have a function called, once, when the run of a thread has ended or was given up (SUBPY_ABANDON). If it has already,
/// the function is called at once, before this returns. It is called even if the thread is joined or freed meanwhile.
///
/// @param thread    the thread
/// @param fn        the function, not NULL
/// @param userdata  passed on to `fn`
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK: `fn` was called or will be; otherwise it will not:
///         SUBPY_ERROR_INVALID_ARGUMENT  `fn` is NULL
///         SUBPY_ERROR_NOT_FOUND         no such thread, or it was joined or freed
///
/// Any thread. Each call adds one more function. Python: Future.add_done_callback().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_thread_notify(
    thread: subpy_thread,
    r#fn: subpy_notify_fn,
    userdata: *mut c_void,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::status(error, || {
            let Some(notify) = r#fn else { return invalid("fn is NULL") };
            let notified = Notified { notify, userdata };
            manager::notify(
                thread,
                Box::new(move || {
                    let whole = notified;
                    // SAFETY: the host's function, as it was declared to be; once.
                    (whole.notify)(whole.userdata);
                }),
            )
        })
    }
}

/// A file descriptor that becomes readable when the run of a thread has ended, or was given up: for poll(), epoll and
/// event loops. On Windows it is a socket (SOCKET), for select() and WSAPoll().
///
/// @param thread  the thread
/// @param fd      receives the descriptor. It belongs to the thread and is closed when that is joined or freed: do not
///                read or close it
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK, with the same descriptor each time; `fd` is -1 otherwise:
///         SUBPY_ERROR_NOT_FOUND    no such thread, or it was joined or freed
///         SUBPY_ERROR_INTERPRETER  the process has no descriptor left
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_thread_fd(
    thread: subpy_thread,
    fd: *mut c_int,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(fd, -1, error, || manager::fd(thread)) }
}

/// Forget a thread. Its run goes on; if it fails, or has failed, the traceback is printed to stderr, as Python does it
/// for its threads.
///
/// @param thread  the thread; 0, or one that was joined or freed already, is ignored
///
/// Does not wait for the run, and runs no Python; works after subpy_shutdown() too. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn subpy_thread_free(thread: subpy_thread) {
    boundary::value((), || {
        // In a fork the thread does not exist, and a lock may be held by one that does not either.
        if !forked() {
            manager::thread_free(thread);
        }
    });
}
