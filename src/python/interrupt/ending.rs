//! What ends with an interpreter: code that runs at its end, and threads of Python's that are in the way of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::locking::{is_beginning_or_done, is_locking};
use super::{Interrupts, Run};
use crate::platform::this_thread;
use crate::python::api::Api;
use crate::python::object::Py;
use crate::python::{api, lock};

/// Each of the threads that are to end looks itself, when CPython makes a pending call on it: what is sent to a thread comes
/// at a place that nobody has seen, and a lock that it takes there stays taken. Whoever else gets the call passes it on, for as
/// long as it takes until the threads that compute have had their turns: CPython gives one within 5 ms (sys.setswitchinterval).
const FOR_A_TURN: Duration = Duration::from_millis(6);
const FOR_ALL: Duration = Duration::from_millis(30);
/// Later on always, until the close looks again: those that are left are asleep, and wake up at any moment.
const ALWAYS: Duration = Duration::from_millis(100);
const SOME_TIMES: u32 = 8;

/// After so many times they end wherever they are: that is after five seconds.
const AT_LAST_TIME: u32 = 100;
/// One that comes late ends wherever it is when so much time is over.
const AT_LAST: Duration = Duration::from_secs(5);

/// A close looks again sooner than that, as a rule. When it was given up, those that it told and that have not heard go on.
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
    /// Those that came late and take a lock, and since when they are there.
    late: Vec<(usize, Instant)>,
}

impl Told {
    fn is_within(&self, time: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() < time)
    }

    fn late_for(&mut self, thread: usize) -> Duration {
        if let Some((_, since)) = self.late.iter().find(|(late, _)| *late == thread) {
            return since.elapsed();
        }
        if self.late.try_reserve(1).is_ok() {
            self.late.push((thread, Instant::now()));
        }
        Duration::ZERO
    }
}

impl Interrupts {
    /// Nobody is told to end any more. CPython's end of an interpreter waits until no pending call is left.
    pub fn told_enough(&self) {
        *lock(&self.told) = Told::default();
    }

    /// From now on the interpreter is ending, and waits for Python's own threads. They were told to end before; one that
    /// came late was not.
    pub fn ends(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Has SystemExit raised in these threads of Python's, and no others any more, as soon as their code can be: not where it
    /// takes a lock or gives it back, unless `anywhere`. It is the how manieth time.
    ///
    /// # Safety
    /// Attached to the interpreter that the list is of.
    pub unsafe fn end_threads(self: &Arc<Self>, api: &'static Api, threads: Vec<usize>, time: u32) {
        let anywhere = time > AT_LAST_TIME;
        let all = FOR_A_TURN.saturating_mul(u32::try_from(threads.len()).unwrap_or(u32::MAX));
        let turns = if time > SOME_TIMES { ALWAYS } else { FOR_ALL.min(all) };
        let none = threads.is_empty();
        *lock(&self.told) = Told { threads, anywhere, since: Some(Instant::now()), turns, late: Vec::new() };
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
        // SAFETY: promised by the caller. What runs in a run is the run's.
        let own = unsafe { self.runs().all(|run| run.thread != here) };
        let late = own && self.ending.load(Ordering::Relaxed);
        let mut told = lock(&self.told);
        let named = own && told.is_within(FORGOTTEN) && told.threads.contains(&here);
        // SAFETY: as above; this thread's own state. No code of users runs while it is looked at.
        let locks = (late || named)
            && unsafe {
                let (py, state) = (Py::attached(api), (api.PyThreadState_GetUnchecked)());
                is_locking(py, state, 0) && !told.anywhere || is_beginning_or_done(py, state)
            };
        let waited = if late && locks { told.late_for(here) } else { Duration::ZERO };
        let ends = (late || named) && (!locks || waited >= AT_LAST);
        if ends {
            told.threads.retain(|thread| *thread != here);
        }
        if ends || !locks {
            told.late.retain(|(thread, _)| *thread != here);
        }
        let more = !told.threads.is_empty() && told.is_within(told.turns) || late && !ends && waited < FOR_ALL;
        drop(told);
        if more {
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
