//! The queues that code of an interpreter waits at.

use std::collections::TryReserveError;
use std::sync::Mutex;

use super::super::lock;
use super::place::Place;

#[derive(Default)]
pub struct Waits(Mutex<Vec<Place>>);

impl Waits {
    /// Who waits is to look around. It may be called with others' locks held: nobody takes one with this.
    pub fn wake(&self) {
        lock(&self.0).iter().for_each(|queue| queue.wake_all());
    }

    /// Code of the interpreter waits there, until what is returned is dropped.
    pub fn at(&self, queue: Place) -> Result<Waiting<'_>, TryReserveError> {
        let mut list = lock(&self.0);
        list.try_reserve(1)?;
        list.push(queue.clone());
        Ok(Waiting { waits: self, queue })
    }

    /// The interpreter has ended; none of these comes back.
    pub fn forget(&self) {
        let gone = std::mem::take(&mut *lock(&self.0));
        drop(gone);
    }
}

/// One who waits at a queue.
pub struct Waiting<'a> {
    waits: &'a Waits,
    queue: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut list = lock(&self.waits.0);
        let place = list.iter().position(|queue| queue.is(&self.queue));
        let queue = place.map(|place| list.swap_remove(place));
        // Not under the lock: it may be the last who has it.
        drop(list);
        drop(queue);
    }
}
