//! What becomes of functions that can be called no more: each is finalized once, when no call of it is running, by a
//! thread that holds no lock and no GIL.
//!
//! In most cases that is when Python has given the object up. At the end of an interpreter there may be objects left,
//! and daemon threads in calls that CPython lets come back no more: those functions are watched until the call is over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex};

use super::super::attach::detached;
use super::super::fork::forked;
use super::super::{api, lock};
use super::{HostFunction, context};

/// The functions that wait for the end of a call.
static WATCHED: Mutex<Vec<Arc<HostFunction>>> = Mutex::new(Vec::new());

/// Their number, and that of interpreters that are ending: calls that end have a look.
static WATCHING: AtomicUsize = AtomicUsize::new(0);

/// The functions of one interpreter that are not finalized, by address.
#[derive(Default)]
pub struct Functions(Mutex<HashMap<usize, Arc<HostFunction>>>);

impl Functions {
    /// False: no memory.
    pub fn add(&self, function: &Arc<HostFunction>) -> bool {
        let mut functions = lock(&self.0);
        functions.try_reserve(1).is_ok() && {
            functions.insert(Arc::as_ptr(function).addr(), Arc::clone(function));
            true
        }
    }

    pub fn remove(&self, function: &Arc<HostFunction>) {
        lock(&self.0).remove(&Arc::as_ptr(function).addr());
    }

    pub fn all(&self) -> Vec<Arc<HostFunction>> {
        lock(&self.0).values().cloned().collect()
    }

    fn take(&self) -> Vec<Arc<HostFunction>> {
        std::mem::take(&mut *lock(&self.0)).into_values().collect()
    }

    /// No call can begin any more: the interpreter has ended, or each has been told to refuse.
    pub fn end(&self) {
        let functions = self.take();
        watch(functions);
        sweep_if_watched();
    }
}

/// As long as an interpreter is ending.
pub struct Ending;

impl Ending {
    /// A call that ends meanwhile, on a thread that CPython will not let go on, sees it before it is too late.
    pub fn begins() -> Ending {
        WATCHING.fetch_add(1, Ordering::SeqCst);
        Ending
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        WATCHING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Nobody can call it any more: finalizes it as soon as no call of it is running.
pub fn release(function: Arc<HostFunction>) {
    // In a fork, the thread that holds the lock may not exist.
    if !forked() {
        watch(vec![function]);
        sweep();
    }
}

fn watch(functions: Vec<Arc<HostFunction>>) {
    let mut watched = lock(&WATCHED);
    WATCHING.fetch_add(functions.len(), Ordering::SeqCst);
    watched.extend(functions);
}

/// To be called when a call has ended. A look without a locked instruction: whoever misses it leaves the function to the
/// next call that ends, or to the end of the next interpreter.
#[inline]
pub fn sweep_if_watched() {
    if WATCHING.load(Ordering::Relaxed) > 0 && !forked() {
        sweep();
    }
}

/// Finalizes what is watched and runs no more.
#[cold]
fn sweep() {
    fence(Ordering::SeqCst);
    let over: Vec<_> = {
        let mut watched = lock(&WATCHED);
        let runs = |function: &HostFunction| context::all().any(|place| place.runs(function));
        let over: Vec<_> = watched.extract_if(.., |function| !runs(function)).collect();
        WATCHING.fetch_sub(over.len(), Ordering::SeqCst);
        over
    };
    if !over.is_empty() {
        detached(Some(api()), || over.iter().for_each(|function| function.finalize()));
    }
}
