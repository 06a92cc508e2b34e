//! What a queue is made of. The model checker (`model`) brings its own.

#[cfg(all(test, loom))]
pub use super::model::{Condvar, Mutex, MutexGuard, SPINS, lock, sleep};
#[cfg(not(all(test, loom)))]
pub use real::{Condvar, Mutex, MutexGuard, SPINS, lock, sleep};

#[cfg(not(all(test, loom)))]
mod real {
    pub use std::sync::{Condvar, Mutex, MutexGuard};

    use std::sync::PoisonError;
    use std::time::Instant;

    pub use crate::python::lock;

    /// Who waits looks out before he sleeps.
    pub const SPINS: bool = true;

    /// The one place where a thread sleeps at a queue: until it is told, or for no reason at all. True: it is late.
    pub fn sleep<'a, T>(guard: MutexGuard<'a, T>, told: &Condvar, until: Option<Instant>) -> (MutexGuard<'a, T>, bool) {
        match until.map(|until| until.saturating_duration_since(Instant::now())) {
            None => (told.wait(guard).unwrap_or_else(PoisonError::into_inner), false),
            Some(left) if left.is_zero() => (guard, true),
            Some(left) => (told.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0, false),
        }
    }
}
