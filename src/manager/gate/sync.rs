//! What a gate is made of.

pub use std::sync::atomic::{AtomicUsize, Ordering};
pub use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// A time to come.
#[derive(Clone, Copy)]
pub struct Moment(Instant);

impl Moment {
    pub fn after(time: Duration) -> Moment {
        Moment(Instant::now() + time)
    }

    pub fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}

/// The one place where a thread sleeps at a gate: until it is told, the time is over, or for no reason at all.
pub fn sleep<'a, T>(guard: MutexGuard<'a, T>, told: &Condvar, until: Option<Moment>) -> MutexGuard<'a, T> {
    match until {
        None => told.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(Moment(until)) => {
            let time = until.saturating_duration_since(Instant::now());
            told.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

/// Looks again and again for a time that is too short to sleep. False when it was never so.
pub fn spin_until(time: Duration, so: impl Fn() -> bool) -> bool {
    let end = Moment::after(time);
    loop {
        if so() {
            return true;
        }
        if end.is_over() {
            return false;
        }
        std::hint::spin_loop();
    }
}
