//! Where one thread is: most are in one interpreter at a time, so a few have a place without a list.

use std::cell::{Cell, RefCell};

/// How many are in no list.
const NEAR: usize = 4;

/// The handles of the interpreters that one thread is in, the innermost last.
#[derive(Default)]
pub struct Inside {
    depth: Cell<usize>,
    outermost: [Cell<u64>; NEAR],
    more: RefCell<Vec<u64>>,
}

impl Inside {
    pub const fn new() -> Inside {
        Inside { depth: Cell::new(0), outermost: [const { Cell::new(0) }; NEAR], more: RefCell::new(Vec::new()) }
    }

    #[inline(always)]
    pub(super) fn push(&self, handle: u64) {
        let depth = self.depth.get();
        match self.outermost.get(depth) {
            Some(place) => place.set(handle),
            None => self.more.borrow_mut().push(handle),
        }
        self.depth.set(depth + 1);
    }

    #[inline(always)]
    pub(super) fn pop(&self) {
        let depth = self.depth.get();
        self.depth.set(depth.saturating_sub(1));
        if depth > NEAR {
            self.more.borrow_mut().pop();
        }
    }

    /// True when the thread runs something in that interpreter, maybe further out.
    pub fn contains(&self, handle: u64) -> bool {
        self.outermost.iter().take(self.depth.get()).any(|inside| inside.get() == handle)
            || self.more.borrow().contains(&handle)
    }

    /// The thread ends: gives the memory back, if it is in none.
    pub fn forget(&self) {
        if !self.any() {
            self.more.take();
        }
    }

    /// True when the thread runs something in any interpreter.
    pub fn any(&self) -> bool {
        self.depth.get() > 0
    }

    /// The thread is in that interpreter while it does this.
    pub fn during<R>(&self, handle: u64, act: impl FnOnce() -> R) -> R {
        struct Within<'a>(&'a Inside);
        impl Drop for Within<'_> {
            fn drop(&mut self) {
                self.0.pop();
            }
        }
        self.push(handle);
        let _within = Within(self);
        act()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_where_it_is_however_deep() {
        let inside = Inside::new();
        assert!(!inside.any() && !inside.contains(0));
        for handle in 1..=10 {
            inside.push(handle);
            assert!((1..=10).all(|other| inside.contains(other) == (other <= handle)) && inside.any());
        }
        for handle in (1..=10).rev() {
            inside.pop();
            assert!((1..=10).all(|other| inside.contains(other) == (other < handle)));
        }
        assert!(!inside.any());
        inside.during(7, || assert!(inside.contains(7)));
        inside.forget();
        assert!(!inside.contains(7));
    }
}
