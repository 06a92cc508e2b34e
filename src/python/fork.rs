//! Forks of a process in which CPython runs: one fork handler.

use std::sync::atomic::{AtomicBool, Ordering};

static STARTED: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

/// Says whether CPython runs, starts or stops, thus whether a fork from now on makes a child without a working Python.
pub fn set_started(started: bool) {
    STARTED.store(started, Ordering::Relaxed);
}

/// True in a child process that was forked while CPython was running.
pub fn forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// This process was forked, and is one of its own all the same: CPython was told before and after, and had one thread.
pub fn begins_anew() {
    FORKED.store(false, Ordering::Relaxed);
}

/// Marks children that are forked from now on. The handler only copies a flag, which is safe at any moment.
pub fn watch_forks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    extern "C" fn in_child() {
        FORKED.store(STARTED.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    ONCE.call_once(|| {
        // SAFETY: a function that may be called at any time in a child; it is never unloaded (libsubpy is nodelete).
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}
