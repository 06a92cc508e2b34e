//! Queues under a model checker (loom), which runs each model in every order that its threads can take, and says when one
//! waits for ever. `tests/run model` runs it, `make test-model` with more orders.
//!
//! Who sleeps for a time wakes at any.

pub use super::super::model::{Condvar, Mutex, MutexGuard, WHOLE, lock};

use std::sync::Arc;
use std::time::Instant;

use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::SeqCst;
use loom::thread::{self, JoinHandle};

use super::super::model;
use super::{For, Not, Queue, Waited};
use crate::value::OwnedValue;

/// Time is nothing here.
pub const SPINS: bool = false;

pub fn sleep<'a, T>(guard: MutexGuard<'a, T>, told: &Condvar, until: Option<Instant>) -> (MutexGuard<'a, T>, bool) {
    model::sleep(guard, told, until.is_none())
}

// ---- the models ----

fn new(capacity: i64) -> Arc<Queue> {
    Queue::new(capacity).expect("memory")
}

fn never() -> bool {
    false
}

/// Puts a number in, and waits for room.
fn put(queue: &Queue, number: i64) -> Result<(), Not> {
    let mut item = Some(OwnedValue::int(number));
    loop {
        match queue.put(&mut item) {
            Err(Not::Now) => assert_eq!(queue.wait(For::Room, None, &never), Waited::Look),
            result => return result,
        }
    }
}

/// Takes one out, and waits for it. None: the queue is closed, or the wait has ended.
fn take(queue: &Queue, until: Option<Instant>, stop: &dyn Fn() -> bool) -> Option<OwnedValue> {
    loop {
        match queue.get() {
            Ok(item) => return Some(item),
            Err(Not::Now) => {}
            Err(_) => return None,
        }
        if queue.wait(For::Item, until, stop) != Waited::Look {
            return None;
        }
    }
}

fn get(queue: &Queue) -> i64 {
    take(queue, None, &never).expect("it is open").as_value().as_int()
}

/// On a thread of its own.
fn go<R: 'static>(queue: &Arc<Queue>, act: impl FnOnce(&Queue) -> R + 'static) -> JoinHandle<R> {
    let queue = Arc::clone(queue);
    thread::spawn(move || act(&queue))
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect(WHOLE)
}

/// Runs a model in all orders with so many changes of threads that none of them asked for. LOOM_MAX_PREEMPTIONS sets
/// another number for all.
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(model);
}

#[test]
fn two_take_what_one_puts() {
    check(3, || {
        let queue = new(0);
        let takers = [(); 2].map(|()| go(&queue, get));
        put(&queue, 1).expect("it is open");
        put(&queue, 2).expect("it is open");
        assert_eq!(takers.map(join).iter().sum::<i64>(), 3);
        assert_eq!(queue.len(), 0);
    });
}

#[test]
fn two_wait_for_room() {
    check(3, || {
        let queue = new(1);
        let putters = [1, 2].map(|number| go(&queue, move |queue| put(queue, number)));
        assert_eq!(get(&queue) + get(&queue), 3);
        putters.into_iter().for_each(|putter| join(putter).expect("it is open"));
    });
}

#[test]
fn what_is_in_at_the_close_comes_out() {
    check(3, || {
        let queue = new(1);
        let taker = go(&queue, |queue| [take(queue, None, &never), take(queue, None, &never)]);
        let putter = go(&queue, |queue| put(queue, 1).is_ok());
        queue.close();
        let taken = join(taker).iter().flatten().count();
        assert_eq!(usize::from(join(putter)), taken + queue.len());
        assert_eq!(queue.len(), 0, "both takes have waited for the close");
    });
}

/// One who puts waits for room, and the close lets him go.
#[test]
fn a_close_while_one_waits_for_room() {
    check(3, || {
        let queue = new(1);
        put(&queue, 1).expect("it is open");
        let putter = go(&queue, |queue| put(queue, 2).is_ok());
        queue.close();
        assert_eq!(usize::from(join(putter)), queue.len() - 1);
    });
}

/// What one does not take is for the other.
#[test]
fn one_of_two_takers_is_late() {
    check(3, || {
        let queue = new(0);
        let late = go(&queue, |queue| take(queue, Some(Instant::now()), &never).is_some());
        let patient = go(&queue, get);
        put(&queue, 1).expect("it is open");
        if join(late) {
            put(&queue, 1).expect("it is open");
        }
        assert_eq!(join(patient), 1);
        assert_eq!(queue.len(), 0);
    });
}

/// As an interrupt does it: first the wish, then all are woken.
#[test]
fn one_of_two_takers_is_interrupted() {
    check(2, || {
        let queue = new(0);
        let wish = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&wish);
        let stopped = go(&queue, move |queue| take(queue, None, &|| seen.load(SeqCst)).is_some());
        let patient = go(&queue, get);
        put(&queue, 1).expect("it is open");
        wish.store(true, SeqCst);
        queue.wake_all();
        if join(stopped) {
            put(&queue, 1).expect("it is open");
        }
        assert_eq!(join(patient), 1);
        assert_eq!(queue.len(), 0);
    });
}

/// The first one dies between taking and returning.
#[test]
fn what_was_taken_is_put_back() {
    check(3, || {
        let queue = new(1);
        let dies = go(&queue, |queue| {
            if let Some(item) = take(queue, None, &never) {
                queue.put_back(item);
            }
        });
        let taker = go(&queue, get);
        put(&queue, 1).expect("it is open");
        // He may have taken it last: for nobody.
        let taken = join(taker);
        queue.close();
        join(dies);
        assert_eq!((taken, queue.len()), (1, 0));
    });
}

/// Woken, and gone before he takes it.
#[test]
fn one_who_was_woken_passes_it_on() {
    check(3, || {
        let queue = new(0);
        let gone = go(&queue, |queue| {
            queue.wait(For::Item, None, &never);
            queue.pass_on(For::Item);
        });
        let taker = go(&queue, get);
        put(&queue, 1).expect("it is open");
        assert_eq!(join(taker), 1);
        queue.close();
        join(gone);
    });
}
