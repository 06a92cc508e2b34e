//! A few of CPython's arenas, the blocks that its objects are in, kept from interpreters that have ended for those that
//! come. Otherwise the kernel takes their pages back and clears new ones, one by one, as they are used again: a sixth of
//! what it takes to create an interpreter and to close it.

use std::ffi::c_void;
use std::sync::{Mutex, TryLockError};

/// Objects/obmalloc.c: ARENA_SIZE.
const ARENA: usize = 1 << 20;

/// A small interpreter has two, and two may come and go at once.
const KEPT: usize = 4;

struct Arenas([Option<Arena>; KEPT]);

struct Arena(*mut c_void);

// SAFETY: memory that nobody uses.
unsafe impl Send for Arena {}

static ARENAS: Mutex<Arenas> = Mutex::new(Arenas([const { None }; KEPT]));

impl Arenas {
    fn take(&mut self) -> Option<*mut c_void> {
        self.0.iter_mut().find_map(Option::take).map(|arena| arena.0)
    }

    fn keep(&mut self, block: *mut c_void) -> bool {
        let room = self.0.iter_mut().find(|arena| arena.is_none());
        room.map(|room| *room = Some(Arena(block))).is_some()
    }
}

/// Unless another thread has them: in the child of a fork that one may not exist.
fn with<R>(act: impl FnOnce(&mut Arenas) -> R) -> Option<R> {
    match ARENAS.try_lock() {
        Ok(mut arenas) => Some(act(&mut arenas)),
        Err(TryLockError::Poisoned(arenas)) => Some(act(&mut arenas.into_inner())),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A block of this size that was kept.
pub fn take(size: usize) -> Option<*mut c_void> {
    if size == ARENA { with(Arenas::take).flatten() } else { None }
}

/// Keeps a block that CPython gives back, if there is room.
pub fn keep(block: *mut c_void, size: usize) -> bool {
    size == ARENA && with(|arenas| arenas.keep(block)) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_kept_and_each_is_given_once() {
        let block = |number: usize| std::ptr::without_provenance_mut(number);
        let mut arenas = Arenas([const { None }; KEPT]);
        assert_eq!(arenas.take(), None);
        assert!((1..=KEPT).all(|number| arenas.keep(block(number))));
        assert!(!arenas.keep(block(KEPT + 1)));
        let mut given: Vec<_> = std::iter::from_fn(|| arenas.take()).collect();
        given.sort_unstable();
        assert_eq!(given, (1..=KEPT).map(block).collect::<Vec<_>>());
        assert!(arenas.keep(block(1)));
        assert_eq!((arenas.take(), arenas.take()), (Some(block(1)), None));
    }

    #[test]
    fn other_sizes_and_a_lock_that_another_thread_has_are_no_arenas() {
        let block = std::ptr::without_provenance_mut(1);
        assert!(!keep(block, ARENA / 2) && take(ARENA * 2).is_none());
        let locked = ARENAS.lock();
        assert!(!keep(block, ARENA) && take(ARENA).is_none());
        drop(locked);
    }
}
