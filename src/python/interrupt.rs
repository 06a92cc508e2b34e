//! Interrupts: KeyboardInterrupt in the runs that are to end, and in nothing else.
//!
//! A pending call of CPython's reaches Python code within microseconds, from any thread and without the GIL. It runs
//! with the GIL of its interpreter, on whatever thread has it: in a run, between two, in a thread of Python's. So it
//! carries no more than the wish. Which run is meant is looked up when it runs, in a list that changes with the GIL
//! alone; a run that has ended is not in it, and nothing is left for the next one.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::api::{AddPendingCall, Api, ExceptionClass};
use super::object::{Py, PyResult, Raised};
use super::queue::Waits;
use super::quiet::{Quiet, loud, quiet};
use super::types::{PyInterpreterState, PyThreadState};
use super::{api, lock};
use crate::platform::this_thread;

mod ending;
mod here;
mod locking;
mod memory;
mod on_loop;
mod pending;
mod run;
mod table;

use ending::Told;
use on_loop::Wakers;
pub use on_loop::{OnWake, Then, Waker};
use pending::pending;
use run::Is;
pub use run::Run;
use table::{Table, Wishes};

/// Why a run is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its time is up.
    Timeout,
    /// Somebody wants it.
    Interrupted,
}

/// Whether this CPython has a way to interrupt code.
pub fn is_supported() -> bool {
    api()._PyEval_AddPendingCall.is_some()
}

/// Which of an interpreter's runs are to end. What runs inside of one on the same thread does too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one with this number (`Run::number`).
    Run(u64),
    /// All that have begun by now.
    All,
    /// Those that were to end and have not: their code may have caught the exception.
    Again,
}

/// The runs that are in an interpreter, and what is wanted of them.
#[derive(Default)]
pub struct Interrupts {
    table: Table,
    /// When it was looked last, there were some that are to end.
    unfinished: AtomicBool,
    /// The interpreter is ending, and what runs meanwhile is interrupted.
    ending: AtomicBool,
    /// Locked with the GIL alone.
    told: Mutex<Told>,
    /// The queues that its code waits at: who waits there looks when something is wished.
    pub waits: Waits,
    /// The event loops that its runs are on: likewise.
    loops: Wakers,
    /// There is one from the first hit until the last run that was hit has ended. Locked with the GIL alone.
    quiet: Mutex<Option<Quiet>>,
}

// SAFETY: the reference in `quiet` is used with the GIL of the interpreter that it is of.
unsafe impl Send for Interrupts {}
// SAFETY: as above; the list changes with that GIL too.
unsafe impl Sync for Interrupts {}

impl Interrupts {
    /// From now on the run can be interrupted; before it goes, `unlink` has to follow. Says whether it is the only one.
    /// Attached to the interpreter.
    #[inline(always)]
    pub fn link(&self, run: &Run) -> bool {
        let older = self.table.newest();
        if !older.is_null() {
            self.link_to(run, older);
        }
        let number = self.table.next_number();
        run.number.set(number);
        self.table.begins(run, number);
        older.is_null()
    }

    #[cold]
    fn link_to(&self, run: &Run, older: *const Run) {
        run.older.set(older);
        // SAFETY: attached to the interpreter that the list is of; the run is not in the list yet.
        unsafe { self.runs().for_each(|outer| run.is_inside(outer)) }
    }

    /// It can no longer be interrupted. Says whether it was the last one. Attached to the interpreter.
    #[inline(always)]
    pub fn unlink(&self, run: &Run) -> bool {
        if run.is.get().hit {
            self.after_hits(run);
        }
        if !ptr::eq(self.table.newest(), run) {
            self.take_out(run);
            return false;
        }
        let older = run.older.get();
        self.table.set_newest(older);
        older.is_null()
    }

    /// A run that was hit ends. Attached to the interpreter.
    #[cold]
    fn after_hits(&self, run: &Run) {
        let api = api();
        // SAFETY: attached.
        unsafe {
            if self.runs().filter(|run| run.is.get().hit).count() == 1 {
                // Not under the lock: it may be the last reference to an object of the user's.
                let quiet = lock(&self.quiet).take();
                quiet.into_iter().for_each(|quiet| loud(Py::attached(api), quiet));
            }
            // Last, since that object's end may run code, which can be hit. What was sent and has not come is not for the
            // next one.
            run.take_back();
        }
    }

    /// Another thread's has begun later and not ended.
    #[cold]
    fn take_out(&self, run: &Run) {
        // SAFETY: attached to the interpreter that the list is of.
        let newer = unsafe { self.runs().find(|newer| ptr::eq(newer.older.get(), run)) };
        if let Some(newer) = newer {
            newer.older.set(run.older.get());
        }
    }

    /// Those in the list, the newest first.
    ///
    /// # Safety
    /// Attached to the interpreter, as long as the runs are used.
    unsafe fn runs(&self) -> impl Iterator<Item = &Run> {
        // SAFETY: a run in the list is alive: it is taken out before it goes. The GIL is held.
        let newest = unsafe { self.table.newest().as_ref() };
        // SAFETY: as above.
        std::iter::successors(newest, |run| unsafe { run.older.get().as_ref() })
    }

    /// The one that this thread is in.
    ///
    /// # Safety
    /// Attached to the interpreter, as long as it is used.
    unsafe fn here(&self) -> Option<&Run> {
        // SAFETY: promised by the caller.
        unsafe { self.runs().find(|run| run.thread == this_thread()) }
    }

    /// Whether there are runs in the list. Without the GIL the answer may be an old one.
    #[inline]
    pub fn any(&self) -> bool {
        self.table.any()
    }

    /// The states of the threads that are in it, the newest first. Attached to the interpreter.
    pub fn states(&self) -> Vec<*mut PyThreadState> {
        // SAFETY: attached, and nothing runs meanwhile.
        unsafe { self.runs().map(|run| run.state).collect() }
    }

    /// Whether all the runs that are in it were hit, or there are none. Attached to the interpreter.
    pub fn all_were_hit(&self) -> bool {
        // SAFETY: attached, and nothing runs meanwhile.
        unsafe { self.runs().all(Run::was_hit) }
    }

    /// Nobody may interrupt anything from now on: the interpreter is about to end.
    pub fn close(&self) {
        self.table.close();
    }

    /// Has KeyboardInterrupt raised in these runs as soon as their code can be: from any thread, attached or not, at any
    /// time. False when this CPython has no way to do that.
    pub fn interrupt(self: &Arc<Self>, interp: *mut PyInterpreterState, which: Which, reason: Reason) -> bool {
        let Some(add_pending_call) = api()._PyEval_AddPendingCall else { return false };
        let wake = || {
            self.waits.wake();
            self.loops.wake();
        };
        self.table.wish(which, reason, wake, || self.call(interp, add_pending_call));
        true
    }

    /// Sends a pending call, for the table, whose lock is held. False: CPython's queue is full.
    fn call(self: &Arc<Self>, interp: *mut PyInterpreterState, add_pending_call: AddPendingCall) -> bool {
        let this = Arc::into_raw(Arc::clone(self)).cast_mut();
        // SAFETY: the interpreter is alive until the table's lock is released. CPython waits for a lock of its own, whose owner
        // may wait for the GIL: nobody waits for the table's with it.
        let called = unsafe { add_pending_call(interp, Some(pending), this.cast(), 0) } == 0;
        if !called {
            // SAFETY: nobody else got it.
            drop(unsafe { Arc::from_raw(this) });
        }
        called
    }

    /// A pending call comes once more, on whatever thread runs code next.
    ///
    /// # Safety
    /// Attached to the interpreter that the list is of.
    unsafe fn look_again(self: &Arc<Self>, api: &'static Api) {
        let Some(add_pending_call) = api._PyEval_AddPendingCall else { return };
        // SAFETY: attached.
        let interp = unsafe { (api.PyThreadState_GetInterpreter)((api.PyThreadState_GetUnchecked)()) };
        self.table.look_again(|| self.call(interp, add_pending_call));
    }

    /// The interpreter has been freed, and CPython has forgotten its pending calls: late ones never come.
    pub fn ended(self: &Arc<Self>) {
        if self.table.call_is_lost() {
            // SAFETY: the count that `call` gave away, which `pending` would have taken; `self` is another one.
            unsafe { Arc::decrement_strong_count(Arc::as_ptr(self)) };
        }
    }

    /// Whether there may be runs that are to end and have not.
    pub fn is_interrupting(&self) -> bool {
        self.any() && (self.unfinished.load(Ordering::Relaxed) || self.table.is_called())
    }

    /// Why the run is to end, if it is; also when no code has run since then that could be hit: a host function has looked
    /// whether it is to end, and raised an exception. To be asked before code of the library's runs, which is not meant.
    /// Attached to the interpreter.
    #[cold]
    pub fn why(&self, run: &Run) -> Option<Reason> {
        run.wanted().or_else(|| self.table.for_run(run.number()))
    }

    /// Shows what was hit, by code that may be the user's, in whatever run this thread is. Attached to the interpreter.
    pub(super) fn showing<R>(&self, act: impl FnOnce() -> R) -> R {
        // SAFETY: attached. What this thread is in lives in a frame that waits for this one.
        let run = unsafe { self.here() };
        match run {
            Some(run) => run.show(act),
            None => act(),
        }
    }

    /// Something else than a wish has been left for threads that may wait at a queue.
    pub fn look_around(&self) {
        self.table.ask();
        self.waits.wake();
    }

    /// Changes when something is wished. From any thread, attached or not.
    #[inline]
    pub fn asked(&self) -> u64 {
        self.table.asked()
    }

    /// For a run that waits: whether it is to end. Then KeyboardInterrupt is set. Attached.
    #[cold]
    pub fn check(self: &Arc<Self>, py: Py) -> PyResult<()> {
        // SAFETY: attached to the interpreter that the list is of.
        unsafe {
            // CPython runs pending calls between instructions of Python code, and there are none here.
            let hit = self.hit(py.api, true, self.table.take());
            // It may have been sent while another thread had the GIL.
            let is = || self.here().map(|run| run.is.get());
            let sent = || is().is_some_and(|is| is.hit && is.wanted);
            let Some(exception) = hit.or_else(|| sent().then_some(py.api.PyExc_KeyboardInterrupt)) else {
                return Ok(());
            };
            (py.api.PyErr_SetNone)(exception.get());
            Err(Raised)
        }
    }

    /// Hits what is to be hit. What is to be raised here, if anything is. Code that `waits` in a function of the library's
    /// gives an event loop no turn, and has nothing half done. Attached to the interpreter.
    ///
    /// # Safety
    /// Attached to the interpreter that the list is of.
    unsafe fn hit(self: &Arc<Self>, api: &'static Api, waits: bool, wishes: Wishes) -> Option<ExceptionClass> {
        #[cfg(test)]
        if WITHOUT_LOOK_UP.load(Ordering::Relaxed) {
            return Some(api.PyExc_KeyboardInterrupt);
        }
        // SAFETY: attached, until all is done; nothing here runs Python code.
        unsafe {
            let here = this_thread();
            for run in self.runs() {
                if let Some(reason) = wishes.for_run(run.number()) {
                    run.want(reason);
                    self.runs().take_while(|newer| !ptr::eq(*newer, run)).for_each(|newer| newer.is_inside(run));
                }
            }
            self.unfinished.store(self.runs().any(|run| run.is.get().wanted), Ordering::Relaxed);
            let (mut raise, mut at_once) = (false, false);
            for run in self.runs().filter(|run| run.is.get().wanted) {
                // A thread is in the newest of its runs, which is to end if one further out is.
                let of_thread = || self.runs().filter(|other| other.thread == run.thread);
                let is_ripe = || waits && run.thread == here && run.is_in_code() || run.is_ripe();
                let is_newest = of_thread().next().is_none_or(|newest| ptr::eq(newest, run));
                if !is_newest || !is_ripe() || self.is_between(run) {
                    continue;
                }
                if run.locks(Py::attached(api)) {
                    at_once |= run.is_asked_at_once();
                    continue;
                }
                let mut hook = lock(&self.quiet);
                if hook.is_none() {
                    *hook = quiet(Py::attached(api), self);
                }
                let is_here = run.raises_here(api, api.PyExc_KeyboardInterrupt);
                raise |= is_here;
                for run in of_thread().filter(|run| run.is.get().wanted) {
                    let is = run.is.get();
                    run.is.set(Is { hit: true, sent: is.sent || !is_here, ..is });
                }
            }
            if at_once {
                self.look_again(api);
            }
            match wishes.memory {
                _ if raise => Some(api.PyExc_KeyboardInterrupt),
                Some((asking, account)) if self.hit_for_memory(api, asking, account) => Some(api.PyExc_MemoryError),
                _ => None,
            }
        }
    }
}

#[cfg(test)]
static WITHOUT_LOOK_UP: AtomicBool = AtomicBool::new(false);

/// Whatever runs when a pending call comes is hit: so a test can show that it would see that.
#[cfg(test)]
pub fn test_without_look_up(so: bool) {
    WITHOUT_LOOK_UP.store(so, Ordering::Relaxed);
}
