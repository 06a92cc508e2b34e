//! What is interrupted while an interpreter ends: code that runs at its end, and threads of Python's that it waits for.

use std::sync::atomic::Ordering;

use super::{Interrupts, Run};
use crate::python::api;
use crate::python::object::Py;
use crate::python::thread_id::this_thread;

impl Interrupts {
    /// From now on the interpreter is ending, and waits for Python's own threads. They were told to end before; one that
    /// came late was not.
    pub fn ends(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether this thread is such a one.
    ///
    /// # Safety
    /// Attached to the interpreter that the list is of.
    pub(super) unsafe fn is_late(&self) -> bool {
        // SAFETY: promised by the caller.
        unsafe {
            let here = this_thread();
            self.ending.load(Ordering::Relaxed) && self.runs().all(|run| run.thread != here)
        }
    }

    /// Whether it is the end, and runs no code just now. CPython makes the pending calls that are left then, and would
    /// print what they raise. It is hit when it is asked for again.
    ///
    /// # Safety
    /// Attached to the interpreter that the list is of, in which the run is.
    pub(super) unsafe fn is_between(&self, run: &Run) -> bool {
        if !self.ending.load(Ordering::Relaxed) {
            return false;
        }
        let api = api();
        // SAFETY: attached, and a run in the list has its state: a new reference, or NULL.
        unsafe { Py::attached(api).owned((api.PyThreadState_GetFrame)(run.state).cast()).is_err() }
    }
}
