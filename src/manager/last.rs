//! What a thread used last, by its handle.

use std::cell::Cell;

/// Finds it again without a look-up, and without counting it once more: it is taken out for the time of use. Whoever
/// comes for it meanwhile looks it up.
pub struct Last<T> {
    handle: Cell<u64>,
    thing: Cell<Option<T>>,
}

impl<T> Last<T> {
    pub const fn new() -> Last<T> {
        Last { handle: Cell::new(0), thing: Cell::new(None) }
    }

    #[inline]
    pub fn take(&self, handle: u64) -> Option<T> {
        let thing = self.thing.take();
        if self.handle.get() == handle { thing } else { None }
    }

    #[inline]
    pub fn put(&self, handle: u64, thing: T) {
        self.handle.set(handle);
        if let Some(other) = self.thing.replace(Some(thing)) {
            replaced(other);
        }
    }

    pub fn forget(&self) {
        drop(self.thing.take());
    }
}

/// What was used meanwhile.
#[cold]
#[inline(never)]
fn replaced<T>(_: T) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn only_the_last_one_is_found_and_only_once() {
        let last = Last::new();
        assert_eq!(last.take(1), None::<Rc<u8>>);
        let (one, two) = (Rc::new(1), Rc::new(2));
        last.put(1, Rc::clone(&one));
        assert_eq!(last.take(1).as_deref(), Some(&1));
        assert_eq!(last.take(1), None);
        last.put(2, Rc::clone(&two));
        last.put(1, Rc::clone(&one));
        assert_eq!(last.take(2), None, "another one came after it");
        last.put(2, Rc::clone(&two));
        last.forget();
        assert_eq!(last.take(2), None);
        assert_eq!((Rc::strong_count(&one), Rc::strong_count(&two)), (1, 1));
    }
}
