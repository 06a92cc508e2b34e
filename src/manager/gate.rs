//! Who may be in an interpreter: one run at a time or several, and none while it closes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::python::attach::detached;
use crate::python::{loaded_api, lock};

/// What happens to a run in an interpreter that is running already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Busy {
    /// It is refused, as in `concurrent.interpreters`.
    #[default]
    Refuse,
    /// It waits for its turn; first come, first served.
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
}

/// The gate's state in one word: three counts and four flags. Without flags and runs it is an open gate with nobody
/// inside and nobody waiting: a run comes in and leaves with one locked instruction each. Whoever lets something in, or
/// begins a close, compares and swaps: no lock keeps the others from changing the word meanwhile. Those who wait sleep
/// with the lock on the queue, so what they wait for changes with that lock or is told with it.
mod word {
    pub const CLOSING: usize = 1 << 63;
    pub const CLOSED: usize = 1 << 62;
    /// Somebody waits, in the queue or for the last run to leave: whoever is the last to leave tells.
    pub const AWAITED: usize = 1 << 61;
    /// A close has begun and may still be taken back. Nobody is in, and whoever comes waits for the decision.
    pub const UNDECIDED: usize = 1 << 60;
    /// With none of these, the gate is open.
    pub const NOT_OPEN: usize = CLOSED | CLOSING | UNDECIDED;
    /// Runs that were let in and have not left, nested ones included.
    pub const RUNS: usize = (1 << 24) - 1;
    /// Short stays that are no runs: they are in nobody's way but a close's.
    pub const VISIT: usize = 1 << 24;
    pub const VISITS: usize = ((1 << 18) - 1) * VISIT;
    /// Threads that have a session.
    pub const SESSION: usize = 1 << 42;
    pub const SESSIONS: usize = ((1 << 18) - 1) * SESSION;
    pub const INSIDE: usize = RUNS | VISITS;
}
use word::{AWAITED, CLOSED, CLOSING, NOT_OPEN, RUNS, SESSION, SESSIONS, UNDECIDED, VISIT, VISITS};

/// The gate of one interpreter.
pub struct Gate {
    busy: Busy,
    word: AtomicUsize,
    /// Those who wait for their turn, the longest first. Each is woken alone.
    queue: Mutex<VecDeque<Arc<Condvar>>>,
    /// Signalled when the last run has left, and when a close was decided.
    changed: Condvar,
}

type Queue<'a> = MutexGuard<'a, VecDeque<Arc<Condvar>>>;

/// The handles of the interpreters that one thread is in, the innermost last.
#[derive(Default)]
pub struct Inside(RefCell<Vec<u64>>);

impl Inside {
    pub const fn new() -> Inside {
        Inside(RefCell::new(Vec::new()))
    }

    /// True when the thread runs something in that interpreter, maybe further out.
    pub fn contains(&self, handle: u64) -> bool {
        self.0.borrow().contains(&handle)
    }

    /// The thread ends: gives the memory back, if it is in none.
    pub fn forget(&self) {
        let mut inside = self.0.borrow_mut();
        if inside.is_empty() {
            *inside = Vec::new();
        }
    }

    /// True when the thread runs something in any interpreter.
    pub fn any(&self) -> bool {
        !self.0.borrow().is_empty()
    }
}

/// A run that was let in; leaves when dropped.
pub struct Running<'a> {
    gate: &'a Gate,
    inside: &'a Inside,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.inside.0.borrow_mut().pop();
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

impl Gate {
    pub fn new(busy: Busy) -> Gate {
        Gate { busy, word: AtomicUsize::new(0), queue: Mutex::default(), changed: Condvar::new() }
    }

    fn load(&self) -> usize {
        self.word.load(Ordering::Acquire)
    }

    /// Lets a run of this thread in, now or, if the policy is to wait, when its turn has come.
    #[inline]
    pub fn enter<'a>(&'a self, handle: u64, inside: &'a Inside) -> Result<Running<'a>, Refused> {
        if !self.enter_if_free() {
            self.enter_slowly(inside.contains(handle))?;
        }
        inside.0.borrow_mut().push(handle);
        Ok(Running { gate: self, inside })
    }

    /// Lets a run in when nobody is running, waiting or closing.
    #[inline]
    fn enter_if_free(&self) -> bool {
        let free = self.word.load(Ordering::Relaxed) & (VISITS | SESSIONS);
        let mut word = free;
        loop {
            match self.word.compare_exchange_weak(word, word + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                // Visits and sessions that come and go do not matter.
                Err(now) if now & !(VISITS | SESSIONS) == 0 => word = now,
                Err(_) => return false,
            }
        }
    }

    #[inline]
    fn left(&self, one: usize, its_count: usize) {
        let before = self.word.fetch_sub(one, Ordering::Release);
        if before & AWAITED != 0 && (before & its_count == one) {
            self.tell();
        }
    }

    /// Lets this thread in for a moment, whatever runs.
    pub fn visit(&self) -> Result<Visiting<'_>, Refused> {
        loop {
            match self.add_while_open(VISIT) {
                Ok(()) => return Ok(Visiting { gate: self }),
                Err(word) => self.decided(word)?,
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

    /// Lets one in, unless a close has begun. On failure the word that says so.
    fn add_while_open(&self, one: usize) -> Result<(), usize> {
        let add = |word| (word & NOT_OPEN == 0).then_some(word + one);
        self.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, add).map(drop)
    }

    /// The word says that a close has begun: returns when that one is taken back, fails when it is not.
    #[cold]
    fn decided(&self, word: usize) -> Result<(), Refused> {
        refused(word).map_or(Ok(()), Err)?;
        detached(loaded_api(), || drop(self.wait_for_decision(lock(&self.queue))));
        refused(self.load()).map_or(Ok(()), Err)
    }

    fn wait_for_decision<'a>(&self, mut queue: Queue<'a>) -> Queue<'a> {
        while self.load() & UNDECIDED != 0 {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue
    }

    #[cold]
    fn enter_slowly(&self, inside: bool) -> Result<(), Refused> {
        loop {
            // Whoever is inside may run more: it has the interpreter already.
            if inside || self.busy == Busy::Share {
                match self.add_while_open(1) {
                    Ok(()) => return Ok(()),
                    Err(word) => self.decided(word)?,
                }
            } else if self.enter_if_free() {
                return Ok(());
            } else {
                match self.load() {
                    word if word & NOT_OPEN != 0 => self.decided(word)?,
                    _ if self.busy == Busy::Wait => return detached(loaded_api(), || self.wait_for_turn()),
                    word if word & RUNS != 0 => return Err(Refused::Running),
                    // The one who was inside has left.
                    _ => {}
                }
            }
        }
    }

    fn wait_for_turn(&self) -> Result<(), Refused> {
        let mut queue = lock(&self.queue);
        let me = Arc::new(Condvar::new());
        queue.push_back(Arc::clone(&me));
        self.word.fetch_or(AWAITED, Ordering::AcqRel);
        let result = loop {
            if queue.front().is_some_and(|front| Arc::ptr_eq(front, &me)) {
                let last = queue.len() == 1;
                let my_turn = |word| {
                    let free = word & (NOT_OPEN | RUNS) == 0;
                    free.then_some(if last { (word + 1) & !AWAITED } else { word + 1 })
                };
                if self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, my_turn).is_ok() {
                    break Ok(());
                }
            }
            if let Some(refused) = refused(self.load()) {
                break Err(refused);
            }
            queue = me.wait(queue).unwrap_or_else(PoisonError::into_inner);
        };
        queue.retain(|waiting| !Arc::ptr_eq(waiting, &me));
        result
    }

    /// The last run has left: the next one's turn, or the end that waited for it.
    #[cold]
    fn tell(&self) {
        let queue = lock(&self.queue);
        if let Some(next) = queue.front() {
            next.notify_one();
        }
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
                self.decided(word)?;
                continue;
            }
            return Err(match refused(word) {
                Some(refused) => refused,
                None if word & !(VISITS | SESSIONS) == 0 && word & SESSIONS != 0 => Refused::Entered,
                None => Refused::Running,
            });
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
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| Some(decision(word)));
        queue.iter().for_each(|waiting| waiting.notify_one());
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

    pub fn closed(&self) {
        self.decide(|word| word | CLOSED);
    }

    /// Somebody else ends the interpreter: lets nobody in any more and returns when the last has left. False when
    /// the library is closing it itself.
    pub fn close_from_outside(&self) -> bool {
        let mut queue = lock(&self.queue);
        loop {
            queue = self.wait_for_decision(queue);
            let close = |word| (word & NOT_OPEN == 0).then_some(word | CLOSED | AWAITED);
            match self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, close) {
                Ok(_) => break,
                Err(word) if word & UNDECIDED != 0 => {}
                Err(_) => return false,
            }
        }
        queue.iter().for_each(|waiting| waiting.notify_one());
        self.changed.notify_all();
        while self.load() & (word::INSIDE | SESSIONS) > 0 {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn one_run_at_a_time_but_more_from_inside() {
        let gate = Gate::new(Busy::Refuse);
        let inside = Inside::default();
        let outer = gate.enter(1, &inside).unwrap();
        assert!(gate.enter(1, &inside).is_ok(), "nested on the same thread");
        thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(gate.enter(1, &Inside::default()), Err(Refused::Running))));
        });
        assert_eq!(gate.begin_close(), Err(Refused::Running));
        drop(outer);
        assert!(!inside.any());
        assert_eq!(gate.begin_close(), Ok(()));
        gate.close();
        assert!(matches!(gate.enter(1, &Inside::default()), Err(Refused::Closing)));
        gate.closed();
        assert!(matches!(gate.enter(1, &Inside::default()), Err(Refused::Closed)));
    }

    #[test]
    fn waiting_runs_come_in_order() {
        let gate = Gate::new(Busy::Wait);
        let (sender, order) = mpsc::channel();
        thread::scope(|scope| {
            let inside = Inside::default();
            let first = gate.enter(1, &inside).unwrap();
            for number in 0..5 {
                let (gate, sender) = (&gate, sender.clone());
                scope.spawn(move || {
                    let inside = Inside::default();
                    let _running = gate.enter(1, &inside).unwrap();
                    sender.send(number).unwrap();
                });
                while lock(&gate.queue).len() <= number {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            drop(first);
        });
        drop(sender);
        assert_eq!(order.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }

    /// Every policy, many threads: never two at once but where they share, and nobody is forgotten.
    #[test]
    fn nobody_is_lost_in_the_crowd() {
        for busy in [Busy::Refuse, Busy::Wait, Busy::Share] {
            let gate = Gate::new(busy);
            let (now, entered) = (AtomicUsize::new(0), AtomicUsize::new(0));
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..2_000 {
                            let inside = Inside::default();
                            let Ok(_running) = gate.enter(1, &inside) else { continue };
                            let others = now.fetch_add(1, Ordering::SeqCst);
                            assert!(others == 0 || busy == Busy::Share);
                            entered.fetch_add(1, Ordering::SeqCst);
                            now.fetch_sub(1, Ordering::SeqCst);
                        }
                    });
                }
            });
            assert!(busy == Busy::Refuse || entered.load(Ordering::SeqCst) == 8_000);
            assert_eq!(gate.begin_close(), Ok(()), "the word is back at zero");
        }
    }

    #[test]
    fn ending_from_outside_waits_for_the_last_run() {
        let gate = Gate::new(Busy::Share);
        let (entered, was_entered) = mpsc::channel();
        thread::scope(|scope| {
            let gate = &gate;
            scope.spawn(move || {
                let inside = Inside::default();
                let _running = gate.enter(1, &inside).unwrap();
                entered.send(()).unwrap();
                while refused(gate.load()).is_none() {
                    thread::yield_now();
                }
            });
            was_entered.recv().unwrap();
            assert!(gate.close_from_outside());
            assert_eq!(gate.load() & RUNS, 0);
        });
        assert!(!gate.close_from_outside());
    }

    /// Closes that are taken back, beside runs and visits: nobody is in while one is undecided, and nobody notices.
    #[test]
    fn a_close_that_is_taken_back_is_waited_through() {
        for busy in [Busy::Refuse, Busy::Wait, Busy::Share] {
            let gate = Gate::new(busy);
            let (inside, closes) = (AtomicUsize::new(0), AtomicUsize::new(0));
            thread::scope(|scope| {
                for number in 0..3 {
                    let (gate, inside, closes) = (&gate, &inside, &closes);
                    scope.spawn(move || {
                        while closes.load(Ordering::SeqCst) < 2_000 {
                            let mine = Inside::default();
                            match gate.enter(1, &mine) {
                                Ok(_running) => {
                                    inside.fetch_add(1, Ordering::SeqCst);
                                    let nested = gate.enter(1, &mine).map(drop);
                                    assert_eq!(nested, Ok(()));
                                    inside.fetch_sub(1, Ordering::SeqCst);
                                }
                                Err(refused) => assert!(refused == Refused::Running && busy == Busy::Refuse),
                            }
                            if number == 0 {
                                let _visiting = gate.visit().map_err(drop).expect("the gate is never closed");
                            }
                            // Or a close would hardly find a moment in which nobody is in or waits.
                            thread::sleep(Duration::from_nanos(1));
                        }
                    });
                }
                scope.spawn(|| {
                    while closes.load(Ordering::SeqCst) < 2_000 {
                        if gate.begin_close().is_ok() {
                            for _ in 0..100 {
                                assert_eq!(inside.load(Ordering::SeqCst), 0, "in beside a close");
                                std::hint::spin_loop();
                            }
                            closes.fetch_add(1, Ordering::SeqCst);
                            gate.reopen();
                        }
                    }
                });
            });
            assert_eq!(gate.load(), 0, "the word is back at zero");
        }
    }

    #[test]
    fn who_waits_for_a_decision_gets_it() {
        for closes in [false, true] {
            for busy in [Busy::Refuse, Busy::Wait, Busy::Share] {
                let gate = Gate::new(busy);
                assert_eq!(gate.begin_close(), Ok(()));
                thread::scope(|scope| {
                    let runs = scope.spawn(|| gate.enter(1, &Inside::default()).map(drop));
                    let visits = scope.spawn(|| gate.visit().map(drop));
                    let ends = (!closes).then(|| scope.spawn(|| gate.begin_close().map(|()| gate.reopen())));
                    thread::sleep(Duration::from_millis(20));
                    assert!(!runs.is_finished() && !visits.is_finished());
                    if closes {
                        gate.close()
                    } else {
                        gate.reopen()
                    }
                    let expected = if closes { Err(Refused::Closing) } else { Ok(()) };
                    assert_eq!(runs.join().unwrap(), expected);
                    assert_eq!(visits.join().unwrap(), expected);
                    if let Some(ends) = ends {
                        assert!(matches!(ends.join().unwrap(), Ok(()) | Err(Refused::Running)));
                    }
                });
            }
        }
        let gate = Gate::new(Busy::Refuse);
        assert_eq!(gate.begin_close(), Ok(()));
        thread::scope(|scope| {
            let outside = scope.spawn(|| gate.close_from_outside());
            thread::sleep(Duration::from_millis(20));
            assert!(!outside.is_finished());
            gate.close();
            assert!(!outside.join().unwrap());
        });
    }
}
