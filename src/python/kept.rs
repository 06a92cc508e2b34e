//! Python objects that outlive the run that found them: what prepared functions hold.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::lock;
use super::object::{Obj, Py, PyResult};
use super::types::PyObject;

/// A strong reference to an object of one interpreter. Anybody may say at any time that it is no longer needed; it is
/// given back by whoever enters the interpreter next.
pub struct Kept {
    object: *mut PyObject,
    dropped: AtomicBool,
    /// Of all that the interpreter keeps: some were dropped.
    some_dropped: Arc<AtomicBool>,
}

// SAFETY: the pointer is used only with the GIL of its interpreter.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

impl Kept {
    /// The reference is no longer needed. Never blocks.
    pub fn drop_later(&self) {
        self.dropped.store(true, Ordering::Relaxed);
        self.some_dropped.store(true, Ordering::Release);
    }

    pub fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The object, unless it was dropped.
    ///
    /// # Safety
    /// Attached to the interpreter that keeps it, which has not begun to end.
    pub unsafe fn get<'py>(&self, py: Py<'py>) -> Option<PyResult<Obj<'py>>> {
        // What is not dropped now stays until this thread gives the GIL away, and the new reference beyond that.
        // SAFETY: promised by the caller.
        (!self.is_dropped()).then(|| unsafe { py.borrowed(self.object) })
    }
}

/// All that one interpreter keeps.
#[derive(Default)]
pub struct KeptObjects {
    list: Mutex<Vec<Arc<Kept>>>,
    some_dropped: Arc<AtomicBool>,
}

impl KeptObjects {
    pub fn keep(&self, object: Obj) -> Arc<Kept> {
        let some_dropped = Arc::clone(&self.some_dropped);
        let kept = Arc::new(Kept { object: object.into_ptr(), dropped: AtomicBool::new(false), some_dropped });
        lock(&self.list).push(Arc::clone(&kept));
        kept
    }

    /// Gives back what was dropped. Attached to the interpreter.
    #[inline(always)]
    pub fn give_back_dropped(&self, py: Py) {
        if self.some_dropped.load(Ordering::Relaxed) && self.some_dropped.swap(false, Ordering::Acquire) {
            self.give_back(py, Kept::is_dropped);
        }
    }

    /// Gives everything back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        self.give_back(py, |_| true);
    }

    fn give_back(&self, py: Py, which: impl Fn(&Kept) -> bool) {
        let gone: Vec<_> = lock(&self.list).extract_if(.., |kept| which(kept)).collect();
        for kept in gone {
            // SAFETY: attached; the list's reference, which left the list. It may run Python code, so nothing is locked.
            unsafe { (py.api.Py_DecRef)(kept.object) }
        }
    }
}
