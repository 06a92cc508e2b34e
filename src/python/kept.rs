//! Python objects that outlive the run that found them: what prepared functions hold.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::lock;
use super::object::{Obj, Py, PyResult};
use super::types::{self, PyObject};

/// A strong reference to an object of one interpreter. Anybody may say at any time that it is no longer needed; when
/// nobody needs it any more, it is given back by whoever enters the interpreter next.
pub struct Kept {
    object: *mut PyObject,
    /// Those who need it. Once it is 0, it stays 0.
    holders: AtomicUsize,
    /// Of all that the interpreter keeps: some are needed no more. Each interpreter has its own, so it says whose this
    /// is.
    some_dropped: Arc<AtomicBool>,
}

// SAFETY: the pointer is used only with the GIL of its interpreter.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

impl Kept {
    fn is_dropped(&self) -> bool {
        self.holders.load(Ordering::Acquire) == 0
    }
}

/// One who needs what is kept, until dropped; which never blocks.
pub struct Hold(Arc<Kept>);

impl Hold {
    /// One more, unless everybody who needed it is gone.
    pub fn of(kept: &Arc<Kept>) -> Option<Hold> {
        let more = |holders: usize| (holders > 0).then_some(holders + 1);
        let held = kept.holders.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        held.is_ok().then(|| Hold(Arc::clone(kept)))
    }

    pub fn kept(&self) -> &Arc<Kept> {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.0.holders.fetch_sub(1, Ordering::Release) == 1 {
            // A swap and no store: whoever takes the flag away then sees the counts of all who have set it, and not of
            // the last one alone.
            self.0.some_dropped.swap(true, Ordering::Release);
        }
    }
}

/// All that one interpreter keeps.
#[derive(Default)]
pub struct KeptObjects {
    list: Mutex<Vec<Arc<Kept>>>,
    some_dropped: Arc<AtomicBool>,
    /// A Python function that does nothing: a call of it is a step of Python's loop (`many`).
    step: OnceLock<Hold>,
}

impl KeptObjects {
    pub fn keep(&self, object: Obj) -> Hold {
        let some_dropped = Arc::clone(&self.some_dropped);
        let kept = Arc::new(Kept { object: object.into_ptr(), holders: AtomicUsize::new(1), some_dropped });
        lock(&self.list).push(Arc::clone(&kept));
        Hold(kept)
    }

    /// A Python function that does nothing, made when it is needed first. Attached to this interpreter.
    pub fn step<'py>(&self, py: Py<'py>) -> PyResult<Obj<'py>> {
        if let Some(hold) = self.step.get() {
            // SAFETY: held as long as the interpreter is not about to end.
            return unsafe { py.borrowed(hold.kept().object) };
        }
        let step = py.evaluate(&py.compile_own(c"lambda: None", types::Py_eval_input)?, &py.own_namespace()?)?;
        // SAFETY: a live object.
        let kept = self.keep(unsafe { py.borrowed(step.as_ptr())? });
        // When another thread was faster, this one's is given back like all that nobody needs.
        let _ = self.step.set(kept);
        Ok(step)
    }

    /// The object, if it is kept here and somebody needs it.
    ///
    /// # Safety
    /// Attached to this interpreter, which has not begun to end.
    pub unsafe fn get<'py>(&self, py: Py<'py>, kept: &Kept) -> Option<PyResult<Obj<'py>>> {
        let here = Arc::ptr_eq(&self.some_dropped, &kept.some_dropped) && !kept.is_dropped();
        // What is needed now stays until this thread gives the GIL away, and the new reference beyond that.
        // SAFETY: promised by the caller; the object is one of this interpreter's.
        here.then(|| unsafe { py.borrowed(kept.object) })
    }

    /// Something of this interpreter is needed no more.
    pub fn some_are_dropped(&self) {
        self.some_dropped.swap(true, Ordering::Release);
    }

    /// Whether something is, since this was asked last.
    #[inline(always)]
    pub fn take_some_dropped(&self) -> bool {
        self.some_dropped.load(Ordering::Relaxed) && self.some_dropped.swap(false, Ordering::Acquire)
    }

    /// Gives back what nobody needs. Attached to the interpreter.
    pub fn give_back_dropped(&self, py: Py) {
        self.give_back(py, Kept::is_dropped);
    }

    /// Gives everything back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        self.give_back(py, |_| true);
    }

    fn give_back(&self, py: Py, which: impl Fn(&Kept) -> bool) {
        let gone: Vec<_> = lock(&self.list).extract_if(.., |kept| which(kept)).collect();
        for kept in gone {
            // SAFETY: attached; the list's reference, which left the list. It may run Python code, so nothing is
            // locked.
            unsafe { (py.api.Py_DecRef)(kept.object) }
        }
    }
}
