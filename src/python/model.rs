//! What locks and sleep are under a model checker (loom): one that knows its mutex, and a sleep that may end at any time.

pub use loom::sync::Condvar;

use std::ops::{Deref, DerefMut};

/// loom's, and the guard knows its mutex.
#[derive(Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

pub struct MutexGuard<'a, T>(&'a Mutex<T>, loom::sync::MutexGuard<'a, T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(value))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.1
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.1
    }
}

pub const WHOLE: &str = "a model ends with its first panic";

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    MutexGuard(mutex, mutex.0.lock().expect(WHOLE))
}

/// Until it is told, or for a time that is over at once, which is true.
pub fn sleep<'a, T>(guard: MutexGuard<'a, T>, told: &Condvar, for_ever: bool) -> (MutexGuard<'a, T>, bool) {
    let MutexGuard(mutex, guard) = guard;
    if for_ever {
        return (MutexGuard(mutex, told.wait(guard).expect(WHOLE)), false);
    }
    drop(guard);
    (lock(mutex), true)
}
