//! Threads of Python's that nobody waits for, when their interpreter ends: they park themselves, for good.

use std::cell::Cell;
use std::time::Duration;

use crate::python::closing::threads;
use crate::python::object::{Py, PyResult, Raised};

thread_local! {
    /// The interpreter that this thread ends, if threads are left in it, and how long they wait for its GIL at a time.
    static LEFT: Cell<Option<(i64, Duration)>> = const { Cell::new(None) };
}

/// How long a thread may take to come round to parking itself, beyond its waiting for the GIL.
const PARKING: Duration = Duration::from_millis(100);

/// This thread is about to end the interpreter that it is attached to.
pub fn ends(py: Py, id: i64) {
    LEFT.set(threads_are_left(py).then(|| (id, switch_interval(py).unwrap_or_default())));
    py.clear();
}

/// Whether the interpreter that this thread is ending has threads of Python's: those of `threading` were waited for,
/// but not daemons and those of `_thread`. `_thread._count()` leaves out a thread that waits for its first GIL.
fn threads_are_left(py: Py) -> bool {
    // SAFETY: attached to the interpreter, and no entry is in flight (`guest_destroys` waited for them, or the library
    // has closed the gate), so all states belong to Python's threads, which unlink theirs with the GIL.
    unsafe { threads(py) }.len() > UNCOUNTED_STATES
}

/// This thread's own, and the one that `Interp::create` takes for good.
const UNCOUNTED_STATES: usize = 2;

fn switch_interval(py: Py) -> PyResult<Duration> {
    let interval = py.sys(c"getswitchinterval").ok_or(Raised)?.call(&[])?;
    // SAFETY: a live object; -1 for what is no float.
    let seconds = unsafe { (py.api.PyFloat_AsDouble)(interval.as_ptr()) };
    // A guest can make it anything, also no number at all.
    Ok(Duration::try_from_secs_f64(seconds.clamp(0.0, 1.0)).unwrap_or_default())
}

/// CPython has told the interpreter's other threads to stop, which they notice when they have waited for its GIL in
/// vain for the switch interval. Then it frees the interpreter, GIL and all, without looking whether somebody still
/// waits.
pub fn wait(id: i64) {
    if let Some((ending, interval)) = LEFT.take() {
        if ending == id {
            std::thread::sleep(interval + PARKING);
        } else {
            LEFT.set(Some((ending, interval)));
        }
    }
}
