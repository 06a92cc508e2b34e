//! The library's one thread for everything that is to happen at a time. It is started by the first that needs it, and
//! sleeps until the earliest of the times that it was told of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::error::{Kind, Result};
use crate::platform::thread::{JoinHandle, spawn};
use crate::python::{fork, lock};

/// A time, in nanoseconds of the clock that never goes back.
pub type Time = u64;

/// Later than all others.
pub const NEVER: Time = Time::MAX;

pub use crate::platform::now;

/// As much as there is room for.
pub fn nanoseconds(time: Duration) -> Time {
    Time::try_from(time.as_nanos()).unwrap_or(NEVER)
}

/// What the thread does when it is time.
pub struct Tasks {
    /// Does what is due, and says when something is due next.
    pub run: fn(Time) -> Time,
    /// When something is due next.
    pub next: fn() -> Time,
}

#[derive(Default)]
struct Timer {
    thread: Option<JoinHandle>,
    ends: bool,
}

static TIMER: Mutex<Timer> = Mutex::new(Timer { thread: None, ends: false });
static CHANGED: Condvar = Condvar::new();

/// When the thread wakes up by itself; NEVER also when there is none.
static WAKES: AtomicU64 = AtomicU64::new(NEVER);

/// Something is due at that time, and `next` of the tasks says so already. The thread has so little to do that it needs
/// little of a stack.
#[inline]
pub fn due_at(time: Time, tasks: &'static Tasks) -> Result<()> {
    // Either this sees when the thread wakes up, or the thread, which looks once more before it sleeps, sees the time:
    // both are written before the other is read, in one order of all.
    if time >= WAKES.load(Ordering::SeqCst) { Ok(()) } else { wake(tasks) }
}

#[cold]
fn wake(tasks: &'static Tasks) -> Result<()> {
    const STACK_SIZE: usize = 128 * 1024;
    let mut timer = lock(&TIMER);
    if timer.thread.is_none() && !timer.ends {
        fork::mind(|| fork::is_unlocked(&TIMER));
        let spawned = spawn("subpy-timer", STACK_SIZE, || run(tasks));
        timer.thread = Some(spawned.map_err(|error| Kind::Interpreter(format!("can't start new thread: {error}")))?);
    }
    CHANGED.notify_all();
    Ok(())
}

fn run(tasks: &Tasks) {
    loop {
        let next = (tasks.run)(now());
        let timer = lock(&TIMER);
        if timer.ends {
            return;
        }
        WAKES.store(next, Ordering::SeqCst);
        if (tasks.next)() < next {
            continue;
        }
        if next == NEVER {
            drop(CHANGED.wait(timer).unwrap_or_else(PoisonError::into_inner));
        } else if let Some(left) = next.checked_sub(now()) {
            let left = Duration::from_nanos(left);
            drop(CHANGED.wait_timeout(timer, left).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Ends the thread. The next that needs it starts another.
pub fn stop() {
    let thread = {
        let mut timer = lock(&TIMER);
        timer.ends = true;
        CHANGED.notify_all();
        timer.thread.take()
    };
    if let Some(thread) = thread {
        thread.join();
    }
    // What was told meanwhile and not heard is told again by whoever waits for it: nobody, when the runtime ends.
    WAKES.store(NEVER, Ordering::SeqCst);
    lock(&TIMER).ends = false;
}
