//! What guests see of it: that it is running.

use super::Interp;
use crate::python::api;
use crate::python::object::Py;

impl Interp {
    /// A run of it, or a state that a thread keeps, marks it.
    pub(super) fn is_marked(&self) -> bool {
        self.interrupts.any() || self.pins.get() > 0
    }

    /// The same books that `_interpreters.exec` keeps: guests see the truth, and cannot run or destroy it meanwhile.
    /// False: a guest is running code in it through the private module.
    #[inline(always)]
    pub(super) fn mark(&self, py: Py) -> bool {
        let Some(mark) = py.api._PyInterpreterState_SetRunningMain else { return true };
        // SAFETY: attached to this interpreter.
        let status = unsafe { mark(self.state) };
        if status == 0 {
            return true;
        }
        py.clear();
        // A host Python marks its main for good.
        self.id == 0
    }

    #[inline(always)]
    pub(super) fn unmark(&self) {
        if let Some(unmark) = api()._PyInterpreterState_SetNotRunningMain
            && self.output.is_some()
        {
            // SAFETY: attached to this interpreter, which `mark` marked (but for a host's main, which has no output).
            unsafe { unmark(self.state) }
        }
    }

    /// Something runs in it that is not a run of ours: a guest, through the private module. To be asked while a close
    /// has begun and is not decided.
    pub fn is_running_otherwise(&self) -> bool {
        // SAFETY: alive, because an end by somebody else waits for the decision (`Watcher::guest_destroys`). It reads
        // one field.
        api()._PyInterpreterState_IsRunningMain.is_some_and(|running| unsafe { running(self.state) != 0 })
    }
}
