//! The gate under a model checker (loom), which runs each model in every order that its threads can take, and says when
//! two are inside at once or one waits for ever. `tests/run model` runs it, `make test-model` with more orders.
//!
//! A slice is over always, or never, or from some moment on, and who sleeps for a time wakes at any.

pub use loom::sync::Arc;
pub use loom::sync::atomic::AtomicUsize;

pub use crate::python::model::{Condvar, Mutex, MutexGuard, WHOLE, lock};

use std::sync::atomic::AtomicUsize as Counter;
use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::sync::atomic::Ordering::{Relaxed, SeqCst};
use loom::thread::{self, JoinHandle};

use super::word::RUNS;
use super::{Busy, Gate, Inside, Refused, refused};
use crate::python::model;

// ---- what the gate is made of here ----

loom::lazy_static! {
    /// Not 0 when slices are over.
    static ref LATE: AtomicUsize = AtomicUsize::new(0);
}

#[derive(Clone, Copy)]
pub struct Moment;

impl Moment {
    pub fn after(_: Duration) -> Moment {
        Moment
    }

    pub fn is_over(self) -> bool {
        LATE.load(Relaxed) > 0
    }
}

pub fn sleep<'a, T>(guard: MutexGuard<'a, T>, told: &Condvar, until: Option<Moment>) -> (MutexGuard<'a, T>, bool) {
    model::sleep(guard, told, until.is_none())
}

pub fn spin_until(_: Duration, so: impl Fn() -> bool) -> bool {
    so()
}

// ---- the models ----

/// A gate, and what only one at a time may touch: loom says when two do.
struct Room {
    gate: Gate,
    inside: UnsafeCell<()>,
    cancelled: AtomicUsize,
}

impl Room {
    fn new() -> Arc<Room> {
        Arc::new(Room { gate: Gate::new(Busy::Wait), inside: UnsafeCell::new(()), cancelled: AtomicUsize::new(0) })
    }

    fn run(&self) -> Result<(), Refused> {
        let inside = Inside::default();
        let _running = self.gate.enter(1, &inside, None)?;
        self.inside.with_mut(|_| ());
        Ok(())
    }

    fn runs(&self) {
        assert_eq!(self.run(), Ok(()));
    }

    /// A run that somebody may call off while it waits.
    fn run_if_not_cancelled(&self) {
        let reason = || {
            let cancelled = self.cancelled.load(SeqCst) > 0;
            refused(self.gate.load()).or_else(|| cancelled.then_some(Refused::Running))
        };
        if self.gate.enter_if_free() || self.gate.wait_for_turn(reason).is_ok() {
            self.inside.with_mut(|_| ());
            self.gate.left(1, RUNS);
        }
    }

    fn is_empty_again(&self) {
        assert_eq!(self.gate.begin_close(), Ok(()), "the word is back at zero");
    }
}

/// On a thread of its own.
fn go(room: &Arc<Room>, act: impl FnOnce(&Room) + 'static) -> JoinHandle<()> {
    let room = Arc::clone(room);
    thread::spawn(move || act(&room))
}

fn join<const COUNT: usize>(threads: [JoinHandle<()>; COUNT]) {
    threads.into_iter().for_each(|thread| thread.join().expect(WHOLE));
}

/// Runs a model in all orders with so many changes of threads that none of them asked for. LOOM_MAX_PREEMPTIONS sets
/// another number for all.
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let model = std::sync::Arc::new(model);
    for late in [0, 1] {
        let (model, orders) = (std::sync::Arc::clone(&model), std::sync::Arc::new(Counter::new(0)));
        let counted = std::sync::Arc::clone(&orders);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
        builder.check(move || {
            counted.fetch_add(1, SeqCst);
            LATE.store(late, Relaxed);
            model();
        });
        println!("{} orders", orders.load(SeqCst));
    }
}

#[test]
fn two_threads_that_come_again() {
    check(4, || {
        let room = Room::new();
        let other = go(&room, |room| (0..2).for_each(|_| room.runs()));
        (0..2).for_each(|_| room.runs());
        join([other]);
        room.is_empty_again();
    });
}

#[test]
fn a_slice_that_is_over_at_some_moment() {
    check(2, || {
        let room = Room::new();
        let others = [(); 2].map(|()| go(&room, |room| (0..2).for_each(|_| room.runs())));
        LATE.store(1, Relaxed);
        join(others);
        room.is_empty_again();
    });
}

#[test]
fn three_threads() {
    check(2, || {
        let room = Room::new();
        let others = [(); 2].map(|()| go(&room, Room::runs));
        room.runs();
        join(others);
        room.is_empty_again();
    });
}

/// One hammers: the others get in all the same.
#[test]
fn three_threads_and_one_comes_again() {
    check(1, || {
        let room = Room::new();
        let others = [(); 2].map(|()| go(&room, Room::runs));
        (0..2).for_each(|_| room.runs());
        join(others);
        room.is_empty_again();
    });
}

#[test]
fn four_threads() {
    check(1, || {
        let room = Room::new();
        let others = [(); 3].map(|()| go(&room, Room::runs));
        room.runs();
        join(others);
        room.is_empty_again();
    });
}

#[test]
fn nested_runs() {
    check(1, || {
        let room = Room::new();
        let others = [(); 2].map(|()| go(&room, Room::runs));
        let inside = Inside::default();
        let outer = room.gate.enter(1, &inside, None).map_err(drop).expect("a turn");
        drop(room.gate.enter(1, &inside, None).map_err(drop).expect("it is inside"));
        room.inside.with_mut(|_| ());
        drop(outer);
        join(others);
        room.is_empty_again();
    });
}

#[test]
fn a_close_and_one_that_is_taken_back() {
    for closes in [false, true] {
        check(2, move || {
            let room = Room::new();
            let runs = move |room: &Room| match room.run() {
                Ok(()) => {}
                Err(refused) => assert!(closes && matches!(refused, Refused::Closing | Refused::Closed)),
            };
            let others = [(); 2].map(|()| go(&room, runs));
            if room.gate.begin_close().is_ok() {
                room.inside.with_mut(|_| ());
                if closes {
                    room.gate.close();
                    room.gate.closed();
                } else {
                    room.gate.reopen();
                }
            }
            join(others);
            if room.gate.is_open() {
                room.is_empty_again();
            }
        });
    }
}

/// A close that is taken back while another is about to wait for a run that has ended.
#[test]
fn a_close_beside_one_that_comes_to_wait() {
    check(4, || {
        let room = Room::new();
        let other = go(&room, Room::runs);
        room.runs();
        if room.gate.begin_close().is_ok() {
            room.inside.with_mut(|_| ());
            room.gate.reopen();
        }
        join([other]);
        room.is_empty_again();
    });
}

#[test]
fn an_end_from_outside() {
    // With 2, the end that comes while the first one looks out is not among the orders.
    check(3, || {
        let room = Room::new();
        let runs = |room: &Room| assert!(matches!(room.run(), Ok(()) | Err(Refused::Closed)));
        let others = [(); 2].map(|()| go(&room, runs));
        assert!(room.gate.close_from_outside());
        room.inside.with_mut(|_| ());
        join(others);
    });
}

#[test]
fn an_end_from_outside_beside_a_session() {
    check(2, || {
        let room = Room::new();
        let entered = |room: &Room| {
            let Ok(visiting) = room.gate.visit() else { return };
            room.gate.begin_session(&visiting);
            drop(visiting);
            assert!(matches!(room.run(), Ok(()) | Err(Refused::Closed)));
            room.inside.with_mut(|_| ());
            room.gate.end_session();
        };
        let others = [go(&room, entered)];
        assert!(room.gate.close_from_outside());
        room.inside.with_mut(|_| ());
        join(others);
    });
}

/// Who is called off while it waits passes on what it was told.
#[test]
fn one_that_is_called_off() {
    check(2, || {
        let room = Room::new();
        let others = [go(&room, Room::runs), go(&room, Room::run_if_not_cancelled), go(&room, Room::runs)];
        // It finds out when it is told that it may come in.
        room.cancelled.store(1, SeqCst);
        join(others);
        room.is_empty_again();
    });
}

/// It hears of it at any moment of its waiting, while another one stays in.
#[test]
fn one_that_is_called_off_and_told() {
    check(3, || {
        let room = Room::new();
        assert!(room.gate.enter_if_free());
        let waits = go(&room, Room::run_if_not_cancelled);
        room.cancelled.store(1, SeqCst);
        room.gate.wake();
        join([waits]);
        room.gate.left(1, RUNS);
        room.is_empty_again();
    });
}

/// A run that may come too late.
fn may_run(room: &Room) {
    assert!(matches!(room.run(), Ok(()) | Err(Refused::Closing | Refused::Closed)));
}

#[test]
fn a_drain_lets_those_who_are_there_finish() {
    for turns_away in [false, true] {
        check(2, move || {
            let room = Room::new();
            let others = [(); 2].map(|()| go(&room, may_run));
            assert_eq!(room.gate.begin_drain(false, None), Ok(()));
            if turns_away {
                room.gate.turn_away();
            }
            // One that had not seen it yet may come to wait all the same.
            loop {
                assert_eq!(room.gate.wait_drained(None), Ok(true));
                if room.gate.begin_close_drained().is_ok() {
                    break;
                }
            }
            room.inside.with_mut(|_| ());
            room.gate.close();
            room.gate.closed();
            join(others);
        });
    }
}

#[test]
fn a_drain_that_is_taken_back() {
    for waits in [false, true] {
        check(2, move || {
            let room = Room::new();
            let others = [(); 2].map(|()| go(&room, may_run));
            assert_eq!(room.gate.begin_drain(false, None), Ok(()));
            if waits {
                assert_eq!(room.gate.wait_drained(None), Ok(true));
            }
            room.gate.end_drain();
            join(others);
            room.runs();
            room.is_empty_again();
        });
    }
}

#[test]
fn a_drain_beside_a_close_and_another_drain() {
    check(2, || {
        let room = Room::new();
        let closes = |room: &Room| {
            if room.gate.begin_close().is_ok() {
                room.inside.with_mut(|_| ());
                room.gate.reopen();
            }
        };
        let others = [go(&room, closes), go(&room, may_run)];
        for _ in 0..2 {
            assert_eq!(room.gate.begin_drain(false, None), Ok(()));
            assert_eq!(room.gate.begin_drain(false, None), Err(Refused::Closing));
            assert_eq!(room.gate.wait_drained(None), Ok(true));
            if room.gate.begin_close_drained().is_ok() {
                room.inside.with_mut(|_| ());
                room.gate.reopen();
            }
            room.gate.end_drain();
        }
        join(others);
        room.is_empty_again();
    });
}

#[test]
fn a_drain_beside_an_end_from_outside() {
    check(2, || {
        let room = Room::new();
        let ends = |room: &Room| {
            assert!(room.gate.close_from_outside());
            room.inside.with_mut(|_| ());
        };
        let others = [go(&room, may_run), go(&room, ends)];
        if room.gate.begin_drain(false, None).is_ok() {
            match room.gate.wait_drained(None) {
                Ok(true) => assert!(matches!(
                    room.gate.begin_close_drained().map(|()| room.gate.reopen()),
                    Ok(()) | Err(Refused::Closed | Refused::Running)
                )),
                other => assert_eq!(other, Err(Refused::Closed)),
            }
            room.gate.end_drain();
        }
        join(others);
    });
}

/// Who is inside runs more, who has a session does not, and is waited for.
#[test]
fn a_drain_beside_a_nested_run_and_a_session() {
    check(2, || {
        let room = Room::new();
        let nested = |room: &Room| {
            let inside = Inside::default();
            let Ok(_outer) = room.gate.enter(1, &inside, None) else { return };
            assert!(room.gate.enter(1, &inside, None).is_ok());
            room.inside.with_mut(|_| ());
        };
        let entered = |room: &Room| {
            let Ok(visiting) = room.gate.visit() else { return };
            room.gate.begin_session(&visiting);
            drop(visiting);
            may_run(room);
            room.gate.end_session();
        };
        let others = [go(&room, nested), go(&room, entered)];
        assert_eq!(room.gate.begin_drain(false, None), Ok(()));
        loop {
            assert_eq!(room.gate.wait_drained(None), Ok(true));
            if room.gate.begin_close_drained().is_ok() {
                break;
            }
        }
        room.inside.with_mut(|_| ());
        room.gate.reopen();
        room.gate.end_drain();
        join(others);
        room.is_empty_again();
    });
}
