//! The table under a model checker (loom): runs that begin and end with the GIL, those who wish that they end without it,
//! and CPython's pending calls between them. `tests/run model` runs it, `make test-model` with more orders.

use std::ptr;
use std::sync::Arc;

use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::thread::{self, JoinHandle};

use super::Table;
use crate::python::interrupt::{Reason, Which};
use crate::python::model::{Mutex, WHOLE, lock};

/// An interpreter, as far as the table knows one.
#[derive(Default)]
struct Interp {
    table: Table,
    /// The runs that are in it: the number, and whether the run was hit. Its lock is the GIL.
    runs: Mutex<Vec<(u64, bool)>>,
    /// A pending call is in CPython's queue.
    queued: AtomicBool,
}

impl Interp {
    fn new() -> Arc<Interp> {
        Arc::default()
    }

    fn begin(&self) -> u64 {
        let mut runs = lock(&self.runs);
        let number = self.table.next_number();
        self.table.begins(ptr::dangling(), number);
        runs.push((number, false));
        number
    }

    /// Between two instructions of some code: a pending call comes. True: there was one.
    fn instruction(&self) -> bool {
        let mut runs = lock(&self.runs);
        // CPython has a lock around its queue.
        let called = self.queued.swap(false, Acquire);
        if called {
            let wishes = self.table.call_has_come().expect("nobody has taken it for lost");
            runs.iter_mut().for_each(|(number, hit)| *hit |= wishes.for_run(*number).is_some());
        }
        called
    }

    /// Says whether it was hit.
    fn end(&self, run: u64) -> bool {
        let mut runs = lock(&self.runs);
        let place = runs.iter().position(|(number, _)| *number == run).expect("it has begun");
        let (_, hit) = runs.remove(place);
        self.table.set_newest(if runs.is_empty() { ptr::null() } else { ptr::dangling() });
        hit
    }

    fn wish(&self, which: Which) {
        self.table.wish(which, Reason::Interrupted, || {}, || self.call());
    }

    fn call(&self) -> bool {
        assert!(!self.queued.swap(true, Release), "one at a time");
        true
    }
}

/// On a thread of its own.
fn go<R: 'static>(interp: &Arc<Interp>, act: impl FnOnce(&Interp) -> R + 'static) -> JoinHandle<R> {
    let interp = Arc::clone(interp);
    thread::spawn(move || act(&interp))
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect(WHOLE)
}

#[test]
fn what_has_begun_is_hit() {
    loom::model(|| {
        let interp = Interp::new();
        let run = interp.begin();
        let wish = go(&interp, |interp| interp.wish(Which::All));
        interp.instruction();
        join(wish);
        interp.instruction();
        assert!(interp.end(run));
    });
}

#[test]
fn each_that_is_named_is_hit() {
    loom::model(|| {
        let interp = Interp::new();
        let runs = [interp.begin(), interp.begin()];
        let wishes = runs.map(|run| go(&interp, move |interp| interp.wish(Which::Run(run))));
        interp.instruction();
        wishes.into_iter().for_each(join);
        interp.instruction();
        assert_eq!(runs.map(|run| interp.end(run)), [true, true]);
    });
}

#[test]
fn what_begins_later_goes_on() {
    loom::model(|| {
        let interp = Interp::new();
        let wished = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&wished);
        let wish = go(&interp, move |interp| {
            interp.wish(Which::All);
            told.store(true, Release);
        });
        let first = interp.begin();
        interp.instruction();
        interp.end(first);
        let later = wished.load(Acquire);
        let second = interp.begin();
        interp.instruction();
        assert!(!(interp.end(second) && later), "it began when all of it was over");
        join(wish);
        let third = interp.begin();
        interp.instruction();
        assert!(!interp.end(third), "nothing is left for it");
    });
}

#[test]
fn the_one_that_is_named_and_no_other() {
    loom::model(|| {
        let interp = Interp::new();
        let named = interp.begin();
        let wish = go(&interp, move |interp| interp.wish(Which::Run(named)));
        let other = go(&interp, |interp| {
            let run = interp.begin();
            interp.instruction();
            interp.end(run)
        });
        assert!(!join(other));
        join(wish);
        interp.instruction();
        assert!(interp.end(named));
    });
}

#[test]
fn once_more_for_who_has_caught_it() {
    loom::model(|| {
        let interp = Interp::new();
        let run = interp.begin();
        let wish = go(&interp, |interp| {
            interp.wish(Which::All);
            interp.wish(Which::Again);
        });
        let before = interp.instruction();
        join(wish);
        // Its wish was in the call that came, or is in the one that will.
        assert!(interp.instruction() || before);
        interp.wish(Which::Again);
        assert!(interp.instruction());
        assert!(interp.end(run));
        interp.wish(Which::Again);
        assert!(!interp.instruction(), "there is none");
    });
}

#[test]
fn a_call_that_does_not_go_out() {
    loom::model(|| {
        let interp = Interp::new();
        let run = interp.begin();
        let wish = go(&interp, |interp| interp.table.wish(Which::All, Reason::Timeout, || {}, || false));
        let again = go(&interp, |interp| interp.wish(Which::Again));
        interp.instruction();
        join(wish);
        join(again);
        interp.wish(Which::Again);
        interp.instruction();
        assert!(interp.end(run), "the next call sees it");
    });
}

#[test]
fn nobody_calls_an_interpreter_that_ends() {
    for comes in [true, false] {
        loom::model(move || {
            let interp = Interp::new();
            let run = interp.begin();
            let wish = go(&interp, move |interp| interp.wish(Which::Run(run)));
            interp.end(run);
            interp.table.close();
            let queued = interp.queued.load(Relaxed);
            // While it ends the last ones come, or they do not.
            if comes {
                interp.instruction();
            }
            join(wish);
            interp.wish(Which::Run(run));
            assert!(queued || !interp.queued.load(Relaxed), "nothing after the close");
            // What has not come is known, and given back once.
            assert_eq!(interp.table.call_is_lost(), queued && !comes);
            assert!(!interp.table.call_is_lost());
        });
    }
}
