//! The runs that are in an interpreter, and what is wanted of them. Those who want it have no GIL of that interpreter.

use std::ptr;
use std::sync::atomic::Ordering;

use super::run::Run;
use super::{Reason, Which};
use crate::python::memory::{Account, Asking};

use sync::{AtomicPtr, AtomicU64, Mutex, lock, try_lock};

/// What it is made of. The model checker (`model`) brings its own.
#[cfg(all(test, loom))]
mod sync {
    pub use crate::python::model::{Mutex, lock};
    pub use loom::sync::atomic::{AtomicPtr, AtomicU64};

    use crate::python::model::MutexGuard;

    pub fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        Some(lock(mutex))
    }
}

#[cfg(not(all(test, loom)))]
mod sync {
    pub use std::sync::Mutex;
    pub use std::sync::atomic::{AtomicPtr, AtomicU64};

    use std::sync::{MutexGuard, PoisonError, TryLockError};

    use crate::python::attach::detached;
    use crate::python::loaded_api;

    pub fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        match mutex.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Without a GIL, if it has to be waited for. Who has the lock may be about to send a pending call, and CPython's lock for
    /// these may be another thread's, which waits for that GIL.
    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        loop {
            if let Some(guard) = try_lock(mutex) {
                return guard;
            }
            detached(loaded_api(), || drop(mutex.lock().unwrap_or_else(PoisonError::into_inner)));
        }
    }
}

/// What is wanted of runs.
#[derive(Default)]
pub struct Wishes {
    /// Those of the first so many runs that have not ended.
    first: Option<(u64, Reason)>,
    numbers: Vec<(u64, Reason)>,
    /// The thread that has gone beyond its interpreter's limit of memory.
    pub memory: Option<(Asking, &'static Account)>,
}

impl Wishes {
    /// Why the run with this number is to end, if it is.
    pub fn for_run(&self, number: u64) -> Option<Reason> {
        let named = self.numbers.iter().find(|(named, _)| *named == number);
        let early = self.first.as_ref().filter(|(first, _)| number <= *first);
        named.or(early).map(|(_, reason)| *reason)
    }
}

struct Wanted {
    /// The interpreter is alive, and does not end while this is locked.
    alive: bool,
    /// A pending call is on its way, and will see all of this.
    called: bool,
    wishes: Wishes,
}

impl Wanted {
    /// A pending call that is on its way sees what comes to it now. `call` sends one, and says whether it is.
    fn see(&mut self, call: impl FnOnce() -> bool) {
        if !self.called {
            self.called = call();
        }
    }
}

pub struct Table {
    /// The run that began last, and has not ended. Read and changed with the GIL; without it only compared with NULL.
    newest: AtomicPtr<Run>,
    /// How many have begun. Changed with the GIL.
    begun: AtomicU64,
    wanted: Mutex<Wanted>,
    /// How often something was wished: those that wait without the GIL look whether it has changed.
    asked: AtomicU64,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            newest: AtomicPtr::new(ptr::null_mut()),
            begun: AtomicU64::new(0),
            wanted: Mutex::new(Wanted { alive: true, called: false, wishes: Wishes::default() }),
            asked: AtomicU64::new(0),
        }
    }
}

impl Table {
    #[inline(always)]
    pub fn newest(&self) -> *mut Run {
        self.newest.load(Ordering::Relaxed)
    }

    /// The newest has ended, and this is it now. Attached to the interpreter.
    #[inline(always)]
    pub fn set_newest(&self, run: *const Run) {
        self.newest.store(run.cast_mut(), Ordering::Relaxed);
    }

    /// The number that the next one has. Attached to the interpreter.
    #[inline(always)]
    pub fn next_number(&self) -> u64 {
        self.begun.load(Ordering::Relaxed) + 1
    }

    /// A run with the next number begins. Attached to the interpreter.
    #[inline(always)]
    pub fn begins(&self, run: *const Run, number: u64) {
        self.set_newest(run);
        self.begun.store(number, Ordering::Release);
    }

    /// Whether there are runs. Without the GIL the answer may be an old one.
    #[inline]
    pub fn any(&self) -> bool {
        !self.newest().is_null()
    }

    /// How many have begun. From any thread, attached or not.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// Changes when something is wished. From any thread, attached or not.
    #[inline]
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// These are to end: `wake` wakes what of them may wait, `call` sends a pending call. Nothing, once the interpreter is
    /// about to end.
    pub fn wish(&self, which: Which, reason: Reason, wake: impl FnOnce(), call: impl FnOnce() -> bool) {
        let mut wanted = lock(&self.wanted);
        if !wanted.alive {
            return;
        }
        self.ask();
        wake();
        let wishes = &mut wanted.wishes;
        match which {
            Which::Run(number) => {
                let known = wishes.numbers.iter().any(|(known, _)| *known == number);
                if !known && wishes.numbers.try_reserve(1).is_ok() {
                    wishes.numbers.push((number, reason));
                }
            }
            // Nothing is left for what begins later.
            Which::All if self.any() => wishes.first = Some((self.begun(), reason)),
            Which::Again if self.any() => {}
            Which::All | Which::Again => return,
        }
        wanted.see(call);
    }

    /// A thread has gone beyond its interpreter's limit of memory: likewise.
    pub fn wish_memory(&self, asking: Asking, account: &'static Account, call: impl FnOnce() -> bool) {
        let mut wanted = lock(&self.wanted);
        if wanted.alive {
            wanted.wishes.memory = Some((asking, account));
            wanted.see(call);
        }
    }

    /// Something has to be looked at once more. Not now, if somebody else is at the table: whoever wants it asks again.
    pub fn look_again(&self, call: impl FnOnce() -> bool) {
        let Some(mut wanted) = try_lock(&self.wanted) else { return };
        if wanted.alive {
            wanted.see(call);
        }
    }

    /// The pending call has come: what was wished since the last time. Whoever wishes something from now on sends another call,
    /// and not before: the end of an interpreter waits with the GIL until no call is left, and one at a time can come. None: the
    /// interpreter has ended meanwhile, and the call was lost (`call_is_lost`).
    pub fn call_has_come(&self) -> Option<Wishes> {
        let mut wanted = lock(&self.wanted);
        std::mem::take(&mut wanted.called).then(|| std::mem::take(&mut wanted.wishes))
    }

    /// What was wished since the last time. Whoever takes it, with the GIL, does it.
    pub fn take(&self) -> Wishes {
        std::mem::take(&mut lock(&self.wanted).wishes)
    }

    /// The same of runs alone: what somebody wishes of a thread because of memory is left to its pending call.
    pub fn take_for_runs(&self) -> Wishes {
        let mut wanted = lock(&self.wanted);
        let memory = wanted.wishes.memory.take();
        std::mem::replace(&mut wanted.wishes, Wishes { memory, ..Wishes::default() })
    }

    /// Why the run with this number is to end, if somebody wishes that and nobody has taken it.
    pub fn for_run(&self, number: u64) -> Option<Reason> {
        lock(&self.wanted).wishes.for_run(number)
    }

    pub fn is_called(&self) -> bool {
        lock(&self.wanted).called
    }

    /// Nobody may send a pending call from now on: the interpreter is about to end.
    pub fn close(&self) {
        lock(&self.wanted).alive = false;
    }

    /// The interpreter has been freed. True: a pending call was on its way, and never comes.
    pub fn call_is_lost(&self) -> bool {
        std::mem::take(&mut lock(&self.wanted).called)
    }
}

#[cfg(all(test, loom))]
mod model;
