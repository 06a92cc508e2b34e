//! One run, as interrupts see it.

use std::cell::Cell;
use std::ffi::c_long;
use std::ptr;
use std::time::{Duration, Instant};

use super::Reason;
use super::locking::Seen;
use super::on_loop::{OnWake, Then, Waker};
use crate::platform::this_thread;
use crate::platform::time_of;
use crate::python::api::{Api, ExceptionClass};
use crate::python::exception::{self, Exception};
use crate::python::object::Py;
use crate::python::types::PyThreadState;
use crate::python::{Failure, api};

/// How long the library may take to make text of an exception, which runs Python code, before that is hit; and a task to
/// end when it was cancelled.
const GRACE: Duration = Duration::from_millis(250);
/// The same for what runs no code of users in most cases: imports, which keep a lock for good when they are hit.
const LONG_GRACE: Duration = Duration::from_secs(5);

/// What a run does that has some time when the run is to end: a step of the library's own, or code on an event loop.
enum Step {
    Own {
        /// Since when it is known that the run is to end.
        since: Cell<Option<Instant>>,
        /// How long it has then.
        grace: Duration,
    },
    OnLoop(OnLoop),
}

/// Code of users on an event loop.
struct OnLoop {
    waker: *const Waker,
    then: Then,
    /// Since when its task is cancelled.
    cancelled: Cell<Option<Instant>>,
    /// Since when the loop has not seen that it was woken: the time, and that of the thread.
    unseen: Cell<Option<(Instant, Duration)>>,
}

/// A loop that does not see within so much of its thread's own time that it was woken runs code that gives nothing else a
/// turn; also when that code sleeps, for so long.
const UNSEEN: Duration = Duration::from_millis(20);
const UNSEEN_ASLEEP: Duration = Duration::from_millis(500);

/// One run, while it is in its interpreter. Read and changed with the GIL of that interpreter alone. Every run makes
/// one, so it is small.
pub struct Run {
    /// The next one in the list, which began earlier.
    pub(super) older: Cell<*const Run>,
    /// In an interpreter, what a thread runs later it runs inside of what it ran before.
    pub(super) thread: usize,
    /// The thread's state in the interpreter.
    pub(super) state: *mut PyThreadState,
    /// The how manieth of its interpreter's: it is its own for good.
    pub(super) number: Cell<u64>,
    /// The library does something itself.
    step: Cell<*const Step>,
    pub(super) is: Cell<Is>,
    pub(super) seen: Cell<Option<Seen>>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Is {
    /// It is to end.
    pub(super) wanted: bool,
    /// Because the time is up.
    pub(super) late: bool,
    /// An exception was raised in it, or was sent: KeyboardInterrupt if it is to end, or MemoryError.
    pub(super) hit: bool,
    /// It was sent, and may not have come.
    pub(super) sent: bool,
    /// It began beyond the limit of memory, and got more all the same.
    pub(super) excused: bool,
}

impl Run {
    #[inline(always)]
    pub fn new(state: *mut PyThreadState) -> Run {
        Run {
            older: Cell::new(ptr::null()),
            state,
            thread: this_thread(),
            number: Cell::new(0),
            step: Cell::new(ptr::null()),
            is: Cell::default(),
            seen: Cell::new(None),
        }
    }

    /// What it can be interrupted by.
    pub fn number(&self) -> u64 {
        self.number.get()
    }

    /// The thread's state in the interpreter.
    pub fn state(&self) -> *mut PyThreadState {
        self.state
    }

    /// Runs a step of the library's own that runs no Python code but its own and CPython's.
    #[cold]
    pub fn own<R>(&self, act: impl FnOnce() -> R) -> R {
        self.step(LONG_GRACE, act)
    }

    /// Makes text of an exception, or prints it: that may run code of users.
    pub(super) fn show<R>(&self, act: impl FnOnce() -> R) -> R {
        self.step(GRACE, act)
    }

    /// Runs code on the event loop that is woken so.
    pub(super) fn on_loop<R>(&self, waker: &Waker, then: Then, act: impl FnOnce() -> R) -> R {
        let (cancelled, unseen) = (Cell::default(), Cell::default());
        self.during(&Step::OnLoop(OnLoop { waker, then, cancelled, unseen }), act)
    }

    fn step<R>(&self, grace: Duration, act: impl FnOnce() -> R) -> R {
        self.during(&Step::Own { since: Cell::default(), grace }, act)
    }

    fn during<R>(&self, step: &Step, act: impl FnOnce() -> R) -> R {
        let before = self.step.replace(step);
        self.take_back();
        let result = act();
        self.step.set(before);
        result
    }

    /// What was sent and has not come is for nothing that comes now. Attached, on the run's thread.
    pub(super) fn take_back(&self) {
        if self.is.get().sent {
            // SAFETY: attached; for this thread's state.
            unsafe { (api().PyThreadState_SetAsyncExc)(self.thread as c_long, ptr::null_mut()) };
            self.is.set(Is { sent: false, ..self.is.get() });
        }
    }

    /// Whether the exception is to be raised here, by the run's own thread; it is sent to any other. What was sent before is
    /// taken back then: a second one would come in the `__exit__` that this one leads to. Attached.
    pub(super) fn raises_here(&self, api: &Api, exception: ExceptionClass) -> bool {
        let is_here = self.thread == this_thread();
        if is_here {
            self.take_back();
        } else {
            // SAFETY: attached; it looks for the thread among those of this interpreter.
            unsafe { (api.PyThreadState_SetAsyncExc)(self.thread as c_long, exception.get()) };
        }
        is_here
    }

    /// The exception that is set, taken apart: as the end of a run that is to end, for that reason (`Interrupts::why`).
    #[cold]
    pub fn failure(&self, py: Py, reason: Option<Reason>) -> Failure {
        if reason.is_some() {
            self.own(|| exception::prepare(py));
        }
        let exception = self.show(|| Exception::take(py));
        match reason {
            Some(reason) => Failure::Stopped(reason, exception),
            None => Failure::Exception(exception),
        }
    }

    fn current_step(&self) -> Option<&Step> {
        // SAFETY: a place in a frame that waits for what it runs (`during`). The GIL is held.
        unsafe { self.step.get().as_ref() }
    }

    fn loop_step(&self) -> Option<&OnLoop> {
        match self.current_step() {
            Some(Step::OnLoop(on_loop)) => Some(on_loop),
            _ => None,
        }
    }

    /// Whether it may be hit now. A step of the library's has some time.
    pub(super) fn is_ripe(&self) -> bool {
        match self.current_step() {
            None => true,
            Some(Step::Own { since, grace }) => {
                let known = since.get().unwrap_or_else(Instant::now);
                since.set(Some(known));
                known.elapsed() >= *grace
            }
            Some(Step::OnLoop(on_loop)) => {
                // SAFETY: the run is in the list, so its thread has not ended.
                let used = unsafe { time_of(self.thread) };
                let (begin, used_before) = on_loop.unseen.get().unwrap_or_else(|| (Instant::now(), used));
                on_loop.unseen.set(Some((begin, used_before)));
                used.saturating_sub(used_before) >= UNSEEN || begin.elapsed() >= UNSEEN_ASLEEP
            }
        }
    }

    /// It runs code of users.
    pub(super) fn is_in_code(&self) -> bool {
        !matches!(self.current_step(), Some(Step::Own { .. }))
    }

    /// It runs on an event loop.
    pub(super) fn is_on_a_loop(&self) -> bool {
        self.loop_step().is_some()
    }

    /// It runs on that event loop.
    pub(super) fn is_on_loop(&self, waker: &Waker) -> bool {
        self.loop_step().is_some_and(|on_loop| ptr::eq(on_loop.waker, waker))
    }

    /// The loop that it is on has seen that it was woken.
    pub(super) fn loop_has_seen(&self) {
        self.loop_step().inspect(|on_loop| on_loop.unseen.set(None));
    }

    /// What the loop has to do when the run is to end.
    pub(super) fn leave_loop(&self) -> OnWake {
        let Some(on_loop) = self.loop_step() else { return OnWake::GoOn };
        match (on_loop.then, on_loop.cancelled.get()) {
            (Then::GoOn, _) => OnWake::GoOn,
            (Then::Leave, _) => OnWake::Leave,
            (Then::Cancel, None) => {
                on_loop.cancelled.set(Some(Instant::now()));
                OnWake::Cancel
            }
            (Then::Cancel, Some(cancelled)) if cancelled.elapsed() < GRACE => OnWake::GoOn,
            (Then::Cancel, Some(_)) => OnWake::Leave,
        }
    }

    /// An exception was raised in it from outside, at any place.
    pub fn was_hit(&self) -> bool {
        self.is.get().hit
    }

    pub(super) fn wanted(&self) -> Option<Reason> {
        let is = self.is.get();
        is.wanted.then_some(if is.late { Reason::Timeout } else { Reason::Interrupted })
    }

    pub(super) fn want(&self, reason: Reason) {
        // The first one is why it ends.
        if self.wanted().is_none() {
            self.is.set(Is { wanted: true, late: reason == Reason::Timeout, ..self.is.get() });
        }
    }

    /// What began inside of a run that is to end, is to end.
    pub(super) fn is_inside(&self, outer: &Run) {
        if self.thread == outer.thread
            && let Some(reason) = outer.wanted()
        {
            self.want(reason);
        }
    }
}
