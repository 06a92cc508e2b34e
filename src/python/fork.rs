//! Forks of a process in which CPython runs: one fork handler.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, OnceLock, RwLock, TryLockError};

use super::{objects, queue};
use crate::platform::watch_forks;

static STARTED: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

/// Says whether CPython runs, starts or stops, thus whether a fork from now on makes a child without a working Python.
pub fn set_started(started: bool) {
    STARTED.store(started, Ordering::Relaxed);
}

/// True in a child process that was forked while CPython was running, or another thread in the middle of something.
pub fn forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// This process was forked, and is one of its own all the same: CPython was told before and after, and had one thread.
pub fn begins_anew() {
    FORKED.store(false, Ordering::Relaxed);
}

/// Tables that are used without Python as well, and have locks: whether nobody has one. Beside those of this room.
static OTHERS: [OnceLock<fn() -> bool>; 16] = [const { OnceLock::new() }; 16];

/// Marks children that are forked from now on.
pub fn watch() {
    static ONCE: Once = Once::new();
    // Reads and writes flags, and nothing else: safe at any moment. Who has a lock now and is another thread is not there.
    extern "C" fn in_child() {
        let mut others = OTHERS.iter().filter_map(OnceLock::get);
        let unlocked = objects::are_unlocked() && queue::are_unlocked() && others.all(|are_unlocked| are_unlocked());
        FORKED.store(STARTED.load(Ordering::Relaxed) || !unlocked, Ordering::Relaxed);
    }
    ONCE.call_once(|| {
        // SAFETY: a function that may be called at any time in a child; it is never unloaded (libsubpy is nodelete).
        unsafe { watch_forks(in_child) };
    });
}

/// The same, and this table is looked at then. It reads flags, and nothing else.
pub fn mind(are_unlocked: fn() -> bool) {
    watch();
    let is_known =
        |slot: &OnceLock<fn() -> bool>| slot.get().is_some_and(|known| ptr::fn_addr_eq(*known, are_unlocked));
    let room = OTHERS.iter().find(|slot| is_known(slot) || slot.set(are_unlocked).is_ok());
    debug_assert!(room.is_some(), "there is room for all tables");
}

/// Nobody has it.
pub fn is_unlocked<T: ?Sized>(mutex: &Mutex<T>) -> bool {
    !matches!(mutex.try_lock(), Err(TryLockError::WouldBlock))
}

/// Nobody reads it, nor writes to it.
pub fn is_free<T: ?Sized>(table: &RwLock<T>) -> bool {
    !matches!(table.try_write(), Err(TryLockError::WouldBlock))
}
