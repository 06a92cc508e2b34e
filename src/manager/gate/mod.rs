//! Who may be in an interpreter: one run at a time or several, and none while it closes.

mod drain;
mod inside;
mod sync;
mod turn;
mod word;

pub use drain::InTheWay;
pub use inside::Inside;

use crate::python::attach::detached;
use crate::python::loaded_api;
use crate::python::output::waiting;
use sync::{AtomicUsize, Condvar, Moment, Mutex, MutexGuard, Ordering, lock, sleep};
use turn::Queue;
use word::{CLOSED, CLOSING, DRAINING, FREE, NOT_OPEN, RUNS, SESSION, SESSIONS, TELL, UNDECIDED, VISIT, VISITS};

/// What happens to a run in an interpreter that is running already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Busy {
    /// It is refused, as in `concurrent.interpreters`.
    #[default]
    Refuse,
    /// It waits for its turn. Turns are slices of a fifth of a millisecond, in which others may overtake; then, first
    /// come, first served.
    Wait,
    /// It runs too: the threads share the interpreter's GIL.
    Share,
}

/// Why a run is not let in.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    Running,
    /// A thread has a session.
    Entered,
    Closing,
    Closed,
    /// It waited, and is to wait no longer.
    Stopped,
}

/// What may stop a run that waits for its turn. Who makes it do so wakes the gate.
pub trait Stop {
    fn is_stopped(&self) -> bool;
}

/// The gate of one interpreter.
pub struct Gate {
    busy: Busy,
    word: AtomicUsize,
    queue: Mutex<Queue>,
    /// Signalled when the last run has left, and when a close was decided.
    changed: Condvar,
}

/// A run that was let in; leaves when dropped.
pub struct Running<'a> {
    gate: &'a Gate,
    inside: &'a Inside,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.inside.pop();
        self.gate.left(1, RUNS);
    }
}

/// A visit that was let in; leaves when dropped.
pub struct Visiting<'a> {
    gate: &'a Gate,
}

impl Drop for Visiting<'_> {
    fn drop(&mut self) {
        self.gate.left(VISIT, VISITS);
    }
}

/// Why nobody is let in through a gate whose word has these flags.
fn refused(word: usize) -> Option<Refused> {
    match word {
        word if word & CLOSED != 0 => Some(Refused::Closed),
        word if word & CLOSING != 0 => Some(Refused::Closing),
        _ => None,
    }
}

/// Why a close cannot begin with this word.
fn in_the_way(word: usize) -> Refused {
    match refused(word) {
        Some(refused) => refused,
        None if word & DRAINING != 0 => Refused::Closing,
        None if word & !(VISITS | SESSIONS) == 0 && word & SESSIONS != 0 => Refused::Entered,
        None => Refused::Running,
    }
}

impl Gate {
    pub fn new(busy: Busy) -> Gate {
        Gate { busy, word: AtomicUsize::new(0), queue: Mutex::new(Queue::new()), changed: Condvar::new() }
    }

    fn load(&self) -> usize {
        self.word.load(Ordering::Acquire)
    }

    fn update(&self, change: impl Fn(usize) -> usize) {
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| Some(change(word)));
    }

    /// Lets a run of this thread in, now or, if the policy is to wait, when its turn has come.
    #[inline]
    pub fn enter<'a>(
        &'a self,
        handle: u64,
        inside: &'a Inside,
        stop: Option<&dyn Stop>,
    ) -> Result<Running<'a>, Refused> {
        if !self.enter_if_free() {
            self.enter_slowly(inside.contains(handle), stop)?;
        }
        inside.push(handle);
        Ok(Running { gate: self, inside })
    }

    /// The same for a thread that comes from Python code in there, by a run or not: it has the interpreter already.
    #[cold]
    pub fn enter_again<'a>(&'a self, handle: u64, inside: &'a Inside) -> Result<Running<'a>, Refused> {
        self.enter_slowly(true, None)?;
        inside.push(handle);
        Ok(Running { gate: self, inside })
    }

    /// Lets a run in when nobody is running, waiting or closing.
    #[inline]
    fn enter_if_free(&self) -> bool {
        let free = self.word.load(Ordering::Relaxed) & FREE;
        let mut word = free;
        loop {
            match self.word.compare_exchange_weak(word, word + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                // Visits and sessions that come and go do not matter, nor do those who wait.
                Err(now) if now & !FREE == 0 => word = now,
                Err(_) => return false,
            }
        }
    }

    #[inline]
    fn left(&self, one: usize, its_count: usize) {
        let before = self.word.fetch_sub(one, Ordering::Release);
        if before & TELL != 0 && (before & its_count == one) {
            self.tell();
        }
    }

    /// Lets this thread in for a moment, whatever runs.
    pub fn visit(&self) -> Result<Visiting<'_>, Refused> {
        loop {
            match self.add_unless(NOT_OPEN | DRAINING, VISIT) {
                Ok(()) => return Ok(Visiting { gate: self }),
                Err(word) => self.decided(word, None)?,
            }
        }
    }

    /// A thread that visits has a session from now on: no close until it ends.
    pub fn begin_session(&self, _visit: &Visiting) {
        self.word.fetch_add(SESSION, Ordering::Relaxed);
    }

    pub fn end_session(&self) {
        self.left(SESSION, SESSIONS);
    }

    /// Lets one in, unless one of these flags is set. On failure the word that says so.
    fn add_unless(&self, flags: usize, one: usize) -> Result<(), usize> {
        let add = |word| (word & flags == 0).then_some(word + one);
        self.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, add).map(drop)
    }

    /// The word says that a close has begun: returns when that one is taken back, fails when it is not, or neither in time.
    #[cold]
    fn decided(&self, word: usize, stop: Option<&dyn Stop>) -> Result<(), Refused> {
        self.decided_until(word, stop, None)
    }

    fn decided_until(&self, word: usize, stop: Option<&dyn Stop>, until: Option<Moment>) -> Result<(), Refused> {
        refused(word).map_or(Ok(()), Err)?;
        if word & UNDECIDED == 0 {
            // It drains.
            return Err(Refused::Closing);
        }
        let is_stopped = || stop.is_some_and(Stop::is_stopped);
        detached(loaded_api(), || drop(self.wait_for_decision(lock(&self.queue), is_stopped, until)));
        match self.load() {
            // One in a process of its own takes its time, and it may never come to it.
            word if word & UNDECIDED != 0 && is_stopped() => Err(Refused::Stopped),
            word if word & UNDECIDED != 0 && until.is_some_and(Moment::is_over) => Err(Refused::Closing),
            word => refused(word).map_or(Ok(()), Err),
        }
    }

    fn wait_for_decision<'a>(
        &self,
        mut queue: MutexGuard<'a, Queue>,
        is_stopped: impl Fn() -> bool,
        until: Option<Moment>,
    ) -> MutexGuard<'a, Queue> {
        let mut is_over = false;
        while self.load() & UNDECIDED != 0 && !is_stopped() && !is_over {
            (queue, is_over) = sleep(queue, &self.changed, until);
        }
        queue
    }

    #[cold]
    fn enter_slowly(&self, inside: bool, stop: Option<&dyn Stop>) -> Result<(), Refused> {
        loop {
            // Whoever is inside may run more: it has the interpreter already.
            if inside || self.busy == Busy::Share {
                let unless = if inside { NOT_OPEN } else { NOT_OPEN | DRAINING };
                match self.add_unless(unless, 1) {
                    Ok(()) => return Ok(()),
                    Err(word) => self.decided(word, stop)?,
                }
            } else if self.enter_if_free() {
                return Ok(());
            } else {
                match self.load() {
                    word if word & (NOT_OPEN | DRAINING) != 0 => self.decided(word, stop)?,
                    _ if self.busy == Busy::Wait => {
                        let stopped = || stop.is_some_and(Stop::is_stopped).then_some(Refused::Stopped);
                        let reason = || drain::turned_away(self.load()).or_else(stopped);
                        return detached(loaded_api(), || waiting(|| self.wait_for_turn(reason)));
                    }
                    word if word & RUNS != 0 => return Err(Refused::Running),
                    // The one who was inside has left.
                    _ => {}
                }
            }
        }
    }

    /// Those who wait look again whether they are to.
    pub fn wake(&self) {
        let queue = lock(&self.queue);
        queue.wake();
        self.changed.notify_all();
    }

    pub fn is_running(&self) -> Result<bool, Refused> {
        match self.load() {
            word if word & CLOSED != 0 => Err(Refused::Closed),
            word => Ok(word & RUNS > 0),
        }
    }

    /// From now on nobody is let in: `close` or `reopen` has to follow soon, and the thread must not wait for an
    /// interpreter before. Refused while somebody is in, waits, or has a session. It waits for another's decision, so
    /// only one thread at a time may begin several closes.
    pub fn begin_close(&self) -> Result<(), Refused> {
        loop {
            let Err(word) = self.word.compare_exchange(0, UNDECIDED, Ordering::AcqRel, Ordering::Acquire) else {
                return Ok(());
            };
            if word & UNDECIDED != 0 {
                self.decided(word, None)?;
                continue;
            }
            return Err(in_the_way(word));
        }
    }

    /// The close that began takes place: `closed` follows.
    pub fn close(&self) {
        self.decide(|word| word & !UNDECIDED | CLOSING);
    }

    /// The close that began does not take place.
    pub fn reopen(&self) {
        self.decide(|word| word & !UNDECIDED);
    }

    fn decide(&self, decision: impl Fn(usize) -> usize) {
        let queue = lock(&self.queue);
        self.update(decision);
        queue.wake();
        self.changed.notify_all();
    }

    /// The library is ending the interpreter, and has not ended it.
    pub fn is_closing(&self) -> bool {
        self.load() & (CLOSING | CLOSED) == CLOSING
    }

    /// Nobody has closed it.
    pub fn is_open(&self) -> bool {
        self.load() & (CLOSING | CLOSED) == 0
    }

    /// A close has begun and not ended, or is not decided.
    pub fn may_be_closing(&self) -> bool {
        let word = self.load();
        word & (CLOSING | UNDECIDED) != 0 && word & CLOSED == 0
    }

    /// It has ended, by a close or by itself: that decides a close that has begun, too.
    pub fn closed(&self) {
        self.decide(|word| word & !UNDECIDED | CLOSED);
    }

    /// Somebody else ends the interpreter: lets nobody in any more and returns when the last has left. False when
    /// the library is closing it itself.
    pub fn close_from_outside(&self) -> bool {
        let mut queue = lock(&self.queue);
        loop {
            queue = self.wait_for_decision(queue, || false, None);
            let close = |word| (word & NOT_OPEN == 0).then_some(word | CLOSED | TELL);
            match self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, close) {
                Ok(_) => break,
                Err(word) if word & UNDECIDED != 0 => {}
                Err(_) => return false,
            }
        }
        queue.wake();
        self.changed.notify_all();
        while self.load() & (RUNS | VISITS | SESSIONS) > 0 {
            queue = sleep(queue, &self.changed, None).0;
        }
        true
    }
}

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
