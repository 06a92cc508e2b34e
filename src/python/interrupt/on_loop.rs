//! Runs whose code is on an event loop. asyncio is not made for an exception that comes at any place: when it comes between
//! two callbacks, a task may be left that nothing wakes any more, and the loop waits for ever in C code. So the loop itself
//! is woken, and cancels the task of the run that is to end. The run is hit like others if that does not end it.

use std::collections::TryReserveError;
use std::sync::{Arc, Mutex};

use super::{Interrupts, Run};
use crate::platform::Event;
use crate::python::lock;

/// What an event loop does when it was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnWake {
    /// It is not meant.
    GoOn,
    /// It cancels the task of its run.
    Cancel,
    /// That did not help: it is left, between two callbacks.
    Leave,
}

/// What becomes of a loop when its run is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The task of the run is cancelled, and the loop is left if that does not help.
    Cancel,
    /// It is left.
    Leave,
    /// It ends by itself.
    GoOn,
}

/// Wakes an event loop that watches its descriptor.
pub struct Waker(Mutex<Event>);

impl Waker {
    /// The error is an errno.
    pub fn new() -> Result<Waker, i32> {
        Event::new().map(|event| Waker(Mutex::new(event)))
    }

    pub fn descriptor(&self) -> i32 {
        lock(&self.0).descriptor()
    }

    fn set(&self, readable: bool) {
        lock(&self.0).set(readable);
    }
}

/// Those of an interpreter's runs. Nobody takes a lock with theirs but that of an event.
#[derive(Default)]
pub(super) struct Wakers(Mutex<Vec<Arc<Waker>>>);

impl Wakers {
    pub fn wake(&self) {
        lock(&self.0).iter().for_each(|waker| waker.set(true));
    }
}

/// A loop is woken until this is dropped.
struct Woken<'a> {
    wakers: &'a Wakers,
    waker: &'a Arc<Waker>,
}

impl Drop for Woken<'_> {
    fn drop(&mut self) {
        let mut wakers = lock(&self.wakers.0);
        let place = wakers.iter().position(|waker| Arc::ptr_eq(waker, self.waker));
        let waker = place.map(|place| wakers.swap_remove(place));
        drop(wakers);
        drop(waker);
        self.waker.set(false);
    }
}

impl Interrupts {
    /// Runs code on an event loop that this waker is of. Attached to the interpreter, on the run's thread.
    pub fn on_loop<R>(
        &self,
        run: &Run,
        waker: &Arc<Waker>,
        then: Then,
        act: impl FnOnce() -> R,
    ) -> Result<R, TryReserveError> {
        let _woken = {
            let mut wakers = lock(&self.loops.0);
            wakers.try_reserve(1)?;
            wakers.push(Arc::clone(waker));
            Woken { wakers: &self.loops, waker }
        };
        // What was wished before the loop was there to be woken.
        if self.why(run).is_some() {
            waker.set(true);
        }
        Ok(run.on_loop(waker, then, act))
    }

    /// What the loop that was woken has to do. Attached to the interpreter, on the loop's thread.
    pub fn on_wake(&self, waker: &Waker) -> OnWake {
        waker.set(false);
        // SAFETY: attached to the interpreter that the list is of.
        let run = unsafe { self.runs().find(|run| run.is_on_loop(waker)) };
        let Some(run) = run else { return OnWake::GoOn };
        run.loop_has_seen();
        if self.why(run).is_some() { run.leave_loop() } else { OnWake::GoOn }
    }
}
