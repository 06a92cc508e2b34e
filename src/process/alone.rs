//! What one thread has at a time, and shares with itself: threads hand it on without new memory for each.

use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Something that nobody else has a share in.
pub struct Alone<T>(Rc<T>);

// SAFETY: this is the only share, so its count goes with it.
unsafe impl<T: Send> Send for Alone<T> {}

impl<T> Alone<T> {
    pub fn new(thing: T) -> Alone<T> {
        Alone(Rc::new(thing))
    }

    /// None: there are other shares.
    #[inline]
    pub fn of(thing: Rc<T>) -> Option<Alone<T>> {
        (Rc::strong_count(&thing) == 1 && Rc::weak_count(&thing) == 0).then(|| Alone(thing))
    }

    /// To be shared on this thread.
    #[inline]
    pub fn share(self) -> Rc<T> {
        self.0
    }
}

/// A place for one such thing. To take it is one locked instruction.
pub struct Place<T> {
    thing: AtomicPtr<T>,
    owns: PhantomData<Alone<T>>,
}

// SAFETY: what is in there is got by one thread alone, which takes it out.
unsafe impl<T: Send> Sync for Place<T> {}

impl<T> Place<T> {
    pub const fn empty() -> Place<T> {
        Place { thing: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    #[inline]
    pub fn take(&self) -> Option<Alone<T>> {
        let thing = self.thing.swap(ptr::null_mut(), Acquire);
        // SAFETY: `put` has left the only share there, and nobody else has got it.
        (!thing.is_null()).then(|| Alone(unsafe { Rc::from_raw(thing) }))
    }

    /// For one that was there before: there is one such thing, so nothing else is there, and nobody else puts something.
    #[inline]
    pub fn put(&self, thing: Alone<T>) {
        if !self.thing.load(Relaxed).is_null() {
            return;
        }
        self.thing.store(Rc::into_raw(thing.0).cast_mut(), Release);
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::thread;

    #[test]
    fn what_has_other_shares_is_not_handed_on() {
        let thing = Rc::new(5);
        assert!(Alone::of(Rc::clone(&thing)).is_none());
        let weak = Rc::downgrade(&thing);
        assert!(Alone::of(thing).is_none() && weak.upgrade().is_none());
        assert!(Alone::of(Alone::new(5).share()).is_some_and(|five| *five.share() == 5));
    }

    #[test]
    fn one_thread_at_a_time_has_it() {
        let place = Place::empty();
        place.put(Alone::new(Cell::new(0_u32)));
        let count = || {
            let mut had = 0;
            for _ in 0..10_000 {
                let Some(number) = place.take() else { continue };
                let number = number.share();
                number.set(number.get() + 1);
                place.put(Alone::of(number).unwrap());
                had += 1;
            }
            had
        };
        let got = thread::scope(|scope| {
            let counting = [scope.spawn(count), scope.spawn(count)];
            counting.into_iter().map(|one| one.join().unwrap()).sum::<u32>()
        });
        assert_eq!(place.take().unwrap().share().get(), got);
        assert!(got > 0 && place.take().is_none());
    }
}
