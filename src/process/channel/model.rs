//! Waiting for the turn under a model checker (loom), which runs each model in every order that its threads can take,
//! and says when one sleeps for ever. `tests/run model` runs it, `make test-model` with more orders.

pub use loom::sync::atomic::{AtomicU32, fence};

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::wait::{Calls, Spin, Turn, Wait, Waited, pass};

/// A futex: whoever sleeps has seen the value under the lock that whoever wakes him takes.
pub struct Word {
    sleeping: [AtomicU32; 2],
    value: AtomicU32,
    lock: Mutex<()>,
    woken: Condvar,
}

impl Word {
    fn new() -> Word {
        Word {
            sleeping: [AtomicU32::new(0), AtomicU32::new(0)],
            value: AtomicU32::new(0),
            lock: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    pub fn load(&self) -> u32 {
        self.value.load(Acquire)
    }

    pub fn store(&self, value: u32) {
        // After a plain store, loom still shows what a poke has made of the value before it.
        self.value.swap(value, Release);
    }

    pub fn is_sleeping(&self, host: bool) -> bool {
        self.sleeping[usize::from(host)].load(Relaxed) != 0
    }

    pub fn set_sleeping(&self, host: bool, sleeping: bool) {
        self.sleeping[usize::from(host)].store(sleeping.into(), Relaxed);
    }

    pub fn exchange(&self, old: u32, new: u32) -> bool {
        self.value.compare_exchange(old, new, SeqCst, SeqCst).is_ok()
    }

    pub fn add_bits(&self, bits: u32) {
        self.value.fetch_or(bits, SeqCst);
    }

    pub fn sleep(&self, expected: u32, time: Option<Duration>) {
        assert_eq!(time, None, "a sleep that ends by itself would hide one that nobody ends");
        let lock = self.lock.lock().expect("whole");
        if self.value.load(SeqCst) == expected {
            drop(self.woken.wait(lock).expect("whole"));
        }
    }

    pub fn wake(&self) {
        let _lock = self.lock.lock().expect("whole");
        self.woken.notify_all();
    }
}

// ---- the models ----

/// What two processes share, and what the first one has for itself.
struct Ends {
    word: Word,
    calls: Calls,
    /// A message: loom says when it is read while it is written.
    message: loom::cell::UnsafeCell<u32>,
}

// SAFETY: loom watches the cell.
unsafe impl Sync for Ends {}

impl Ends {
    fn new() -> Arc<Ends> {
        Arc::new(Ends { word: Word::new(), calls: Calls::default(), message: loom::cell::UnsafeCell::new(0) })
    }

    fn wait(&self, calls: &Calls, passed: Turn) -> Waited {
        let wait = Wait { word: &self.word, calls, passed, until: None, longest_sleep: None };
        // Without spinning: it would only look more often.
        wait.wait(&mut Spin::new(Duration::ZERO), true)
    }

    fn say(&self, message: u32, turn: Turn) {
        // SAFETY: whoever has the turn writes.
        self.message.with_mut(|at| unsafe { *at = message });
        pass(&self.word, turn);
    }

    fn heard(&self) -> u32 {
        // SAFETY: whoever has the turn reads.
        self.message.with(|at| unsafe { *at })
    }
}

const HOSTS: Turn = Turn::FIRST;

/// The host says 1 and is answered 2. How often it was poked meanwhile; None: it was ended.
fn ask(ends: &Ends) -> Option<usize> {
    ends.say(1, HOSTS.next());
    let mut pokes = 0;
    loop {
        match ends.wait(&ends.calls, HOSTS.next()) {
            Waited::Turn { .. } => {
                assert_eq!(ends.heard(), 2);
                return Some(pokes);
            }
            Waited::Poked => pokes += 1,
            Waited::Ended => return None,
            other => panic!("{other:?}"),
        }
    }
}

/// The worker, which nobody calls.
fn answer(ends: &Ends) {
    assert!(HOSTS.is_hosts() && !HOSTS.next().is_hosts());
    assert!(matches!(ends.wait(&Calls::default(), HOSTS), Waited::Turn { .. }));
    assert_eq!(ends.heard(), 1);
    ends.say(2, HOSTS.next().next());
}

/// Runs a model in all orders with so many changes of threads that none of them asked for. LOOM_MAX_PREEMPTIONS sets
/// another number for all.
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(model);
}

/// On a thread of its own.
fn go(ends: &Arc<Ends>, act: impl FnOnce(&Ends) + 'static) -> thread::JoinHandle<()> {
    let ends = Arc::clone(ends);
    thread::spawn(move || act(&ends))
}

#[test]
fn each_hears_the_other() {
    check(3, || {
        let ends = Ends::new();
        let worker = go(&ends, answer);
        assert_eq!(ask(&ends), Some(0));
        worker.join().unwrap();
    });
}

/// A poke ends this wait, or the next one, which nothing else would end.
#[test]
fn no_poke_is_lost() {
    check(2, || {
        let ends = Ends::new();
        let worker = go(&ends, answer);
        let poke = go(&ends, |ends| ends.calls.poke(&ends.word));
        if ask(&ends) == Some(0) {
            let last = HOSTS.next().next();
            pass(&ends.word, last.next());
            assert_eq!(ends.wait(&ends.calls, last.next()), Waited::Poked);
        }
        poke.join().unwrap();
        worker.join().unwrap();
    });
}

/// Two pokes, one after the other: the second comes while the first is being answered.
#[test]
fn no_poke_after_a_poke_is_lost() {
    check(3, || {
        let ends = Ends::new();
        pass(&ends.word, HOSTS.next());
        let wait = |ends: &Ends| assert_eq!(ends.wait(&ends.calls, HOSTS.next()), Waited::Poked);
        let poke = go(&ends, |ends| ends.calls.poke(&ends.word));
        wait(&ends);
        ends.calls.poke(&ends.word);
        wait(&ends);
        poke.join().unwrap();
        let poke = go(&ends, |ends| ends.calls.poke(&ends.word));
        wait(&ends);
        poke.join().unwrap();
        // It came where it could not be told.
        ends.calls.keep_poke();
        wait(&ends);
    });
}

/// As the end of the worker is told: it has answered before, or never.
#[test]
fn an_end_is_told_to_who_sleeps() {
    check(3, || {
        let ends = Ends::new();
        let end = go(&ends, |ends| ends.calls.end(&ends.word));
        let poke = go(&ends, |ends| ends.calls.poke(&ends.word));
        assert_eq!(ask(&ends), None);
        assert_eq!(ends.wait(&ends.calls, HOSTS.next()), Waited::Ended);
        end.join().unwrap();
        poke.join().unwrap();
    });
}

#[test]
fn an_answer_and_an_end() {
    check(3, || {
        let ends = Ends::new();
        let worker = go(&ends, |ends| {
            answer(ends);
            ends.calls.end(&ends.word);
        });
        assert!(ask(&ends).is_some(), "it was said before the end");
        worker.join().unwrap();
    });
}
