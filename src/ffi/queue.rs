//! Queues between the program and interpreters, and between interpreters. What is put in is copied, once; it is what
//! subpy_call() can pass, but for objects. Any number of threads may put and get at the same time, and each item comes
//! out once, in the order in which it went in. A queue belongs to no interpreter and to no runtime: it stays as it is
//! when these end, until its last handle or Python object is gone.
//!
//! In Python they are the Queue of the module `subpy_queues`: pass one as a value (subpy_value_from_queue()), with
//! subpy_prepare_main() for example. Python's counterpart: concurrent.interpreters.Queue.

use std::time::Duration;

use super::boundary::{self, invalid, known_flags};
use super::error::subpy_error;
use super::status::{subpy_cancel, subpy_queue, subpy_status};
use crate::manager::{self, For, Result, Wait, forked};
use crate::value::{check_value, subpy_value};

/// Options of subpy_queue_new(). Zero is the default of every field.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_queue_options {
    /// sizeof(subpy_queue_options)
    pub size: usize,
    /// how many items it holds at most; 0: as many as there is memory for
    pub capacity: usize,
    /// 0
    pub flags: u64,
}

/// What subpy_queue_get_info() says of a queue.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_queue_info {
    /// sizeof(subpy_queue_info)
    pub size: usize,
    /// the number that Python code knows it by, the same in each handle of the queue. Python: Queue.id
    pub id: u64,
    /// how many items it holds at most; 0: as many as there is memory for. Python: Queue.maxsize
    pub capacity: usize,
    /// how many items are in it. Others may change that at any time. Python: Queue.qsize()
    pub len: usize,
    /// whether it was closed: 1, or 0. Python: Queue.closed
    pub closed: u64,
}

/// Make a queue.
///
/// @param options  NULL: the defaults
/// @param queue    the new queue, not NULL; to be freed with subpy_queue_free()
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT when `queue` is NULL, or an option makes no sense
///
/// Any thread, also before subpy_init() and after subpy_shutdown(). Python's counterpart: subpy_queues.create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_new(
    options: *const subpy_queue_options,
    queue: *mut subpy_queue,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(queue, 0, error, || {
            if queue.is_null() {
                return invalid("queue is NULL: nobody could use or free it");
            }
            let options = boundary::options(options, "subpy_queue_options")?;
            known_flags(options.flags, 0, "subpy_queue_options.flags")?;
            manager::queue_new(options.capacity)
        })
    }
}

/// Make another handle of a queue, for example of one in a result, whose own handle is gone with the result.
///
/// @param queue  the queue
/// @param own    another handle of the same queue, not NULL; to be freed with subpy_queue_free()
/// @param error  optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT when `own` is NULL; SUBPY_ERROR_NOT_FOUND
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_keep(
    queue: subpy_queue,
    own: *mut subpy_queue,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(own, 0, error, || match own.is_null() {
            true => invalid("own is NULL: nobody could use or free it"),
            false => manager::queue_keep(queue),
        })
    }
}

/// Put a copy of a value into a queue. When this is SUBPY_OK the value is in; otherwise it is not.
///
/// While there is no room, this waits. The wait ends early if the run that this thread is inside of is stopped.
///
/// @param queue       the queue
/// @param value       not NULL
/// @param timeout_ms  how long to wait for room at most, in milliseconds; 0: do not wait; -1: no limit
/// @param error       optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_TIMEOUT           there was no room in time
///         SUBPY_ERROR_WRONG_STATE       the queue is closed
///         SUBPY_ERROR_INTERRUPTED       the run that this thread is in was cancelled
///         SUBPY_ERROR_NOT_SHAREABLE     there is an object in the value
///         SUBPY_ERROR_NOT_FOUND         no such queue
///         SUBPY_ERROR_INVALID_ARGUMENT  a value that makes no sense, or a `timeout_ms` less than -1
///         SUBPY_ERROR_NO_MEMORY
///
/// Any thread. Python's counterpart: Queue.put().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_put(
    queue: subpy_queue,
    value: *const subpy_value,
    timeout_ms: i64,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::status(error, || put(queue, value, timeout_ms, 0)) }
}

/// As subpy_queue_put(), with a cancel token that ends the wait.
///
/// @param queue       as in subpy_queue_put()
/// @param value       likewise
/// @param timeout_ms  likewise
/// @param cancel      the token; 0: none
/// @param error       optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_queue_put(); SUBPY_ERROR_INTERRUPTED when the token was fired, before or meanwhile;
///         SUBPY_ERROR_NOT_FOUND when there is no such token
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_put_with(
    queue: subpy_queue,
    value: *const subpy_value,
    timeout_ms: i64,
    cancel: subpy_cancel,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::status(error, || put(queue, value, timeout_ms, cancel)) }
}

/// Take the first item out of a queue. When this is SUBPY_OK the item is the caller's; otherwise none was taken.
///
/// While there is none, this waits. The wait ends early if the run that this thread is inside of is stopped.
///
/// @param queue       the queue
/// @param timeout_ms  how long to wait for an item at most, in milliseconds; 0: do not wait; -1: no limit
/// @param value       the item, not NULL; to be freed with subpy_value_free()
/// @param error       optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_TIMEOUT           there was none in time
///         SUBPY_ERROR_WRONG_STATE       the queue is closed, and empty
///         SUBPY_ERROR_INTERRUPTED       the run that this thread is in was cancelled
///         SUBPY_ERROR_NOT_FOUND         no such queue
///         SUBPY_ERROR_INVALID_ARGUMENT  `value` is NULL, or `timeout_ms` is less than -1
///
/// Any thread. Python's counterpart: Queue.get().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_get(
    queue: subpy_queue,
    timeout_ms: i64,
    value: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(value, subpy_value::none(), error, || get(queue, timeout_ms, 0, !value.is_null())) }
}

/// As subpy_queue_get(), with a cancel token that ends the wait.
///
/// @param queue       as in subpy_queue_get()
/// @param timeout_ms  likewise
/// @param value       likewise
/// @param cancel      the token; 0: none
/// @param error       optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_queue_get(); SUBPY_ERROR_INTERRUPTED when the token was fired, before or meanwhile;
///         SUBPY_ERROR_NOT_FOUND when there is no such token
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_get_with(
    queue: subpy_queue,
    timeout_ms: i64,
    value: *mut subpy_value,
    cancel: subpy_cancel,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(value, subpy_value::none(), error, || get(queue, timeout_ms, cancel, !value.is_null())) }
}

/// How many items are in a queue. Others may change that at any time.
///
/// @param queue  the queue
/// @param len    receives it; may be NULL
/// @param error  optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND
///
/// Any thread. Python's counterpart: Queue.qsize().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_len(
    queue: subpy_queue,
    len: *mut usize,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(len, 0, error, || manager::queue_len(queue)) }
}

/// Get facts about a queue. Two handles are of the same queue if the `id` is the same.
///
/// @param queue  the queue
/// @param info   receives it; its `size` must be set, and may be more than this library knows: then the rest is made
///               zero. On failure all but `size` is zero
/// @param error  optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INVALID_ARGUMENT when `info` is NULL, or its size makes no
///         sense
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_get_info(
    queue: subpy_queue,
    info: *mut subpy_queue_info,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::info(info, size_of::<subpy_queue_info>(), "info", error, |size| {
            let manager::QueueInfo { id, capacity, len, closed } = manager::queue_info(queue)?;
            Ok(subpy_queue_info { size, id, capacity, len, closed: closed.into() })
        })
    }
}

/// A descriptor for poll(), epoll and the event loops that are made of them: readable while there is something to get,
/// or the queue is closed. On Windows it is a socket (SOCKET), for select() and WSAPoll().
///
/// Another thread may take the item first: then subpy_queue_get() with a `timeout_ms` of 0 is SUBPY_ERROR_TIMEOUT, and
/// the descriptor is not readable any more.
///
/// @param queue  the queue
/// @param fd     receives the descriptor, the same one each time. It belongs to the queue, which closes it when it is
///               freed itself: do not read it, write to it or close it. -1 on failure
/// @param error  optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INTERPRETER when the system has none left
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_fd(
    queue: subpy_queue,
    fd: *mut i32,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(fd, -1, error, || manager::queue_fd(queue, For::Item)) }
}

/// As subpy_queue_fd(), for threads that put: readable while there is room, or the queue is closed.
///
/// @param queue  the queue
/// @param fd     as for subpy_queue_fd(), but another one
/// @param error  optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_queue_fd(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_room_fd(
    queue: subpy_queue,
    fd: *mut i32,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(fd, -1, error, || manager::queue_fd(queue, For::Room)) }
}

/// Close a queue: nothing goes in any more, and what is in it can still be taken out. Whoever waits is woken.
///
/// @param queue  the queue; one that is closed stays so
/// @param error  optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND
///
/// Any thread. Python's counterpart: Queue.close().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_queue_close(queue: subpy_queue, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointer is as the declaration says.
    unsafe { boundary::status(error, || manager::queue_close(queue)) }
}

/// Free a handle. With the last one the queue and its items are freed, unless a value, an item of a queue or a Python
/// object still refers to it. Threads that wait for it go on waiting: close the queue to wake them.
///
/// @param queue  the queue; 0, or a handle that was freed already, is ignored
///
/// Works after subpy_shutdown() too. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn subpy_queue_free(queue: subpy_queue) {
    boundary::value((), || {
        // In a fork a lock may be held by a thread that does not exist there.
        if !forked() {
            manager::queue_free(queue);
        }
    });
}

fn limit(timeout_ms: i64) -> Result<Option<Duration>> {
    match timeout_ms {
        -1 => Ok(None),
        0.. => Ok(Some(Duration::from_millis(timeout_ms.cast_unsigned()))),
        _ => invalid(format!("timeout_ms is {timeout_ms}, must be -1 (no limit), 0 or more")),
    }
}

fn wait(limit: Option<Duration>, cancel: subpy_cancel) -> Result<Wait> {
    let cancel = if cancel == 0 { None } else { Some(manager::cancel_find(cancel)?) };
    Ok(Wait { limit, cancel })
}

/// # Safety
/// `value` is NULL, or a value, and all that it points to must be as it says.
unsafe fn put(queue: subpy_queue, value: *const subpy_value, timeout_ms: i64, cancel: subpy_cancel) -> Result<()> {
    // SAFETY: promised by the caller; the check comes before the copy.
    unsafe {
        let Some(value) = value.as_ref() else { return invalid("value is NULL: for None pass subpy_none()") };
        let limit = limit(timeout_ms)?;
        check_value(value, "value").or_else(invalid)?;
        // From here on its buffers are the library's, whatever is wrong with the rest.
        let item = manager::item_of(value)?;
        manager::queue_put(queue, item, &wait(limit, cancel)?)
    }
}

fn get(queue: subpy_queue, timeout_ms: i64, cancel: subpy_cancel, is_wanted: bool) -> Result<subpy_value> {
    if !is_wanted {
        return invalid("value is NULL: the item would be lost");
    }
    Ok(manager::queue_get(queue, &wait(limit(timeout_ms)?, cancel)?)?.into_raw())
}
