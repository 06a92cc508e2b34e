//! The time that a run is in an interpreter.

use std::mem::ManuallyDrop;

use super::Interp;
use crate::python::interrupt::Run;
use crate::python::object::Py;

/// A run that other interpreters see, and that can be interrupted; the end of that when dropped, attached still.
pub(super) struct Active<'a> {
    interp: &'a Interp,
    run: &'a Run,
}

impl<'a> Active<'a> {
    /// None: it is refused.
    #[inline(always)]
    pub fn begin(interp: &'a Interp, py: Py, run: &'a Run) -> Option<Active<'a>> {
        // Whoever is there marks it already.
        let first = interp.interrupts.link(run) && interp.pins.get() == 0;
        if first && !interp.mark(py) {
            interp.interrupts.unlink(run);
            return None;
        }
        Some(Active { interp, run })
    }

    /// As when it is dropped, in line.
    #[inline(always)]
    pub fn end(self) {
        ManuallyDrop::new(self).over();
    }

    #[inline(always)]
    fn over(&mut self) {
        if self.interp.interrupts.unlink(self.run) && self.interp.pins.get() == 0 {
            self.interp.unmark();
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.over();
    }
}
