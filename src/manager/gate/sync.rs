//! What a gate is made of. The model checker (`model`) brings its own.

#[cfg(all(test, loom))]
pub use super::model::{Arc, AtomicUsize, Condvar, Moment, Mutex, MutexGuard, lock, sleep, spin_until};
#[cfg(not(all(test, loom)))]
pub use real::{Arc, AtomicUsize, Condvar, Moment, Mutex, MutexGuard, lock, sleep, spin_until};
pub use std::sync::atomic::Ordering;

#[cfg(not(all(test, loom)))]
mod real {
    pub use std::sync::atomic::AtomicUsize;
    pub use std::sync::{Arc, Condvar, Mutex, MutexGuard};

    use std::sync::PoisonError;
    use std::time::{Duration, Instant};

    pub use crate::python::lock;

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

    /// The one place where a thread sleeps at a gate: until it is told, until the time is over, which is true, or for
    /// no reason at all.
    pub fn sleep<'a, T>(guard: MutexGuard<'a, T>, told: &Condvar, until: Option<Moment>) -> (MutexGuard<'a, T>, bool) {
        match until {
            None => (told.wait(guard).unwrap_or_else(PoisonError::into_inner), false),
            Some(Moment(until)) => {
                let time = until.saturating_duration_since(Instant::now());
                let (guard, result) = told.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner);
                (guard, result.timed_out())
            }
        }
    }

    /// Looks again and again, for a time that is too short to sleep. False when it was never so.
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
}
