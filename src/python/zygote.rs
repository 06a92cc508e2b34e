//! Forks of a process in which CPython was initialised on its only thread. They begin with all that is imported here.

use std::ffi::{c_int, c_void};
use std::{io, ptr};

use super::exception::Exception;
use super::object::{Py, PyResult};
use super::start::MainState;
use super::{api, fork as forks, signals};
use crate::platform;
use crate::platform::fd::{AsRawFd, BorrowedFd};

fn or_raised<T>(py: Py, result: PyResult<T>) -> Result<T, String> {
    result.map_err(|_| Exception::take(py).formatted)
}

/// What every fork needs, once for all of them. What is frozen the collector does not touch, so that forks go on sharing
/// its memory.
pub fn prepare(state: &MainState) -> Result<(), String> {
    let prepare = |py: Py| {
        // The first time it looks for what it needs to walk the stack of C.
        let faulthandler = py.import(&py.str("faulthandler")?)?;
        faulthandler.attr(c"enable")?.call(&[&py.int(2)?])?;
        faulthandler.attr(c"disable")?.call(&[])?;
        signals::watch(py)?;
        let gc = py.import(&py.str("gc")?)?;
        gc.attr(c"collect")?.call(&[])?;
        gc.attr(c"freeze")?.call(&[])?;
        Ok(())
    };
    state.attached(|py| or_raised(py, prepare(py)))
}

/// Before its end: what is frozen has an end, too, like the names of `__main__`, which was there before the fork.
pub fn thaw(state: &MainState) {
    let thaw = |py: Py| py.import(&py.str("gc")?)?.attr(c"unfreeze")?.call(&[]).map(drop);
    state.attached(|py| {
        // Without memory, or where Python code has changed that module, it ends as it is.
        if thaw(py).is_err() {
            py.clear();
        }
    });
}

/// Raises KeyboardInterrupt in code that runs on the thread which finalises CPython, when that comes to it.
pub fn interrupt_end() {
    extern "C" fn raise(_: *mut c_void) -> c_int {
        // SAFETY: CPython calls this with the GIL. The class lives as long as the process.
        unsafe { (api().PyErr_SetNone)(api().PyExc_KeyboardInterrupt.get()) };
        -1
    }
    // SAFETY: it may be called by any thread, without a GIL. There is room for a few; more are not needed.
    unsafe { (api().Py_AddPendingCall)(Some(raise), ptr::null_mut()) };
}

/// Forks this process: the child's id, or None in the child. For CPython that is a process of its own, in which this
/// thread is what it was; the only one, as there was no other.
#[cfg(unix)]
pub fn fork(state: &MainState) -> io::Result<Option<i32>> {
    state.attached(|_| {
        // SAFETY: attached, and there is no other thread whose locks the child would wait for.
        unsafe {
            (api().PyOS_BeforeFork)();
            let child = platform::fork();
            if matches!(child, Ok(0)) {
                (api().PyOS_AfterFork_Child)();
                forks::begins_anew();
                return Ok(None);
            }
            (api().PyOS_AfterFork_Parent)();
            child.map(Some)
        }
    })
}

/// Windows has no forks.
#[cfg(windows)]
pub fn fork(_: &MainState) -> io::Result<Option<i32>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// From now on a crash of this process writes where its threads were, into this descriptor.
pub fn trace_to(state: &MainState, descriptor: BorrowedFd) -> Result<(), String> {
    let enable = |py: Py| {
        let faulthandler = py.import(&py.str("faulthandler")?)?;
        faulthandler.attr(c"enable")?.call(&[&py.int(descriptor.as_raw_fd().into())?]).map(drop)
    };
    state.attached(|py| or_raised(py, enable(py)))
}
