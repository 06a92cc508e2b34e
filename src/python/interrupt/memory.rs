//! MemoryError in runs that go beyond their interpreter's limit of memory. Unlike what ends a run, it comes once, and is
//! an exception like any other.

use std::sync::Arc;

use super::{Interrupts, Is, Run};
use crate::python::api;
use crate::python::api::Api;
use crate::python::memory::{Account, Asking};
use crate::python::object::Py;
use crate::python::types::PyInterpreterState;

impl Interrupts {
    /// How many runs have begun. From any thread, attached or not.
    pub fn begun(&self) -> u64 {
        self.table.begun()
    }

    /// Has MemoryError raised in the run that the thread is in, as soon as its code can be interrupted and if the account
    /// is overdrawn then: from any thread but one that allocates.
    pub fn refuse_memory(self: &Arc<Self>, interp: *mut PyInterpreterState, account: &'static Account, asking: Asking) {
        let Some(add_pending_call) = api()._PyEval_AddPendingCall else { return };
        self.table.wish_memory(asking, account, || self.call(interp, add_pending_call));
    }

    /// Raises MemoryError in what the thread runs, if that is no step of the library's and is not to end anyway: it may
    /// need the memory to end. True: it is to be raised here. Threads that Python started get none: they may just have
    /// begun, and others wait for that.
    ///
    /// # Safety
    /// Attached to the interpreter that the list is of.
    pub(super) unsafe fn hit_for_memory(&self, api: &'static Api, asking: Asking, account: &Account) -> bool {
        // SAFETY: attached, as promised.
        unsafe {
            let Asking { thread, begun, crossed } = asking;
            let newest = self.runs().find(|run| run.thread == thread);
            let free = |run: &&Run| run.number() <= begun && run.is_in_code() && !run.is.get().wanted;
            let Some(run) = newest.filter(free) else { return false };
            // It may be the one that gives memory back.
            let is = run.is.get();
            if run.number() > crossed && !is.excused {
                run.is.set(Is { excused: true, ..is });
                return false;
            }
            let py = Py::attached(api);
            if run.is_on_a_loop() && run.keeps_loop_going(py) || run.locks(py) || !account.refuses_now() {
                return false;
            }
            let is_here = run.raises_here(api, api.PyExc_MemoryError);
            let is = run.is.get();
            run.is.set(Is { hit: true, sent: is.sent || !is_here, ..is });
            is_here
        }
    }
}
