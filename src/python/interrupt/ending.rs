//! What ends with an interpreter: code that runs at its end, and threads of Python's that are in the way of it.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::locking::is_locking;
use super::{Interrupts, Run};
use crate::python::api::Api;
use crate::python::object::{Obj, Py, PyResult, Raised};
use crate::python::thread_id::this_thread;
use crate::python::{api, lock};

/// Each of the threads that are to end looks itself, when CPython makes a pending call on it: what is sent to a thread comes
/// at a place that nobody has seen, and a lock that it takes there stays taken. Whoever else gets the call passes it on, for as
/// long as it takes until the threads that compute have had their turns: CPython gives one within 5 ms (sys.setswitchinterval).
const FOR_A_TURN: Duration = Duration::from_millis(6);
const FOR_ALL: Duration = Duration::from_millis(30);

/// One that comes late ends wherever it is when so much time is over.
const AT_LAST: Duration = Duration::from_secs(5);

/// A close looks again sooner than that. When it was given up, those that it told and that have not heard go on.
const FORGOTTEN: Duration = Duration::from_millis(250);

/// Threads of Python's that are to end.
#[derive(Default)]
pub(super) struct Told {
    threads: Vec<usize>,
    /// Also where they take a lock.
    anywhere: bool,
    since: Option<Instant>,
    /// So long the call is passed on.
    turns: Duration,
    /// Since when one is there that came late.
    late: Option<Instant>,
}

impl Told {
    fn is_within(&self, time: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() < time)
    }
}

/// Whether `threading` has the thread among those that run. Before that, whoever starts it waits for it; and one that has
/// ended may have had its number.
fn is_known(py: Py, thread: usize) -> bool {
    let known = || {
        let modules = py.sys(c"modules").ok_or(Raised)?;
        let threading = item(py, &modules, &py.str("threading")?)?;
        item(py, &threading.attr(c"_active")?, &py.int(i64::try_from(thread).map_err(|_| Raised)?)?)
    };
    let known = known().is_ok();
    py.clear();
    known
}

fn item<'py>(py: Py<'py>, dict: &Obj, key: &Obj) -> PyResult<Obj<'py>> {
    let mut item = ptr::null_mut();
    // SAFETY: live objects; an error if it is no dict. A new reference, or NULL.
    unsafe {
        (py.api.PyDict_GetItemRef)(dict.as_ptr(), key.as_ptr(), &mut item);
        py.owned(item)
    }
}

impl Interrupts {
    /// From now on the interpreter is ending, and waits for Python's own threads. They were told to end before; one that
    /// came late was not.
    pub fn ends(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Has SystemExit raised in these threads of Python's, and no others any more, as soon as their code can be: not where it
    /// takes a lock or gives it back, unless `anywhere`.
    ///
    /// # Safety
    /// Attached to the interpreter that the list is of.
    pub unsafe fn end_threads(self: &Arc<Self>, api: &'static Api, threads: Vec<usize>, anywhere: bool) {
        let turns = FOR_ALL.min(FOR_A_TURN * u32::try_from(threads.len()).unwrap_or(u32::MAX));
        let none = threads.is_empty();
        *lock(&self.told) = Told { threads, anywhere, since: Some(Instant::now()), turns, late: None };
        if !none {
            // SAFETY: promised by the caller.
            unsafe { self.look_again(api) };
        }
    }

    /// Whether SystemExit is to be raised here. If other threads are to end as well, a pending call is on its way to them.
    ///
    /// # Safety
    /// Attached to the interpreter that the list is of.
    pub(super) unsafe fn ends_here(self: &Arc<Self>, api: &'static Api) -> bool {
        let here = this_thread();
        // SAFETY: promised by the caller.
        let late = unsafe { self.ending.load(Ordering::Relaxed) && self.runs().all(|run| run.thread != here) };
        let (named, anywhere) = {
            let mut told = lock(&self.told);
            let at_last = late && told.late.get_or_insert_with(Instant::now).elapsed() >= AT_LAST;
            (told.is_within(FORGOTTEN) && told.threads.contains(&here), told.anywhere || at_last)
        };
        // Without the lock: it may run code of a guest that has something else in the place of `threading`.
        // SAFETY: as above; this thread's own state.
        let may = || unsafe {
            let py = Py::attached(api);
            (late || is_known(py, here)) && (anywhere || !is_locking(py, (api.PyThreadState_GetUnchecked)(), 0))
        };
        let ends = (late || named) && may();
        let mut told = lock(&self.told);
        if ends {
            told.threads.retain(|thread| *thread != here);
        }
        let more = !told.threads.is_empty() || late && !ends;
        if more && told.is_within(told.turns) {
            drop(told);
            // SAFETY: as above.
            unsafe { self.look_again(api) };
        }
        ends
    }

    /// Whether it is the end, and runs no code just now. CPython makes the pending calls that are left then, and would
    /// print what they raise. It is hit when it is asked for again.
    ///
    /// # Safety
    /// Attached to the interpreter that the list is of, in which the run is.
    pub(super) unsafe fn is_between(&self, run: &Run) -> bool {
        if !self.ending.load(Ordering::Relaxed) {
            return false;
        }
        let api = api();
        // SAFETY: attached, and a run in the list has its state: a new reference, or NULL.
        unsafe { Py::attached(api).owned((api.PyThreadState_GetFrame)(run.state).cast()).is_err() }
    }
}
