//! Imports keep a lock for each module. One that is interrupted where it takes it or gives it back keeps it for good, and
//! whoever imports that module then waits without end, in C code that nothing interrupts.

use super::{Is, Run};
use crate::python::object::Py;

/// Where that code is (Lib/importlib/_bootstrap.py).
const IMPORTS: &str = "<frozen importlib._bootstrap>";

/// Code that is there so often, one after the other, only says that it is there. The last pauses between hits are a
/// twentieth of a second.
const MOST: u8 = 40;

impl Run {
    /// Whether a hit is to be put off: it is asked for again. Attached to the interpreter that the run is in.
    ///
    /// # Safety
    /// The run is in its interpreter's list.
    pub(super) unsafe fn imports(&self, py: Py) -> bool {
        // SAFETY: promised by the caller: the state is alive.
        let put_off = if unsafe { self.is_in_imports(py) } { self.is.get().put_off.saturating_add(1) } else { 0 };
        self.is.set(Is { put_off, ..self.is.get() });
        (1..MOST).contains(&put_off)
    }

    /// # Safety
    /// As above.
    unsafe fn is_in_imports(&self, py: Py) -> bool {
        // SAFETY: new references, or NULL: the first one also without an exception. Nothing of this runs any code: that
        // of the frame is not read as its attribute, which would be told to audit hooks.
        unsafe {
            let Ok(frame) = py.owned((py.api.PyThreadState_GetFrame)(self.state).cast()) else { return false };
            let code = py.owned((py.api.PyFrame_GetCode)(frame.as_ptr().cast()).cast());
            let name = code.and_then(|code| code.attr(c"co_filename"));
            py.clear();
            name.is_ok_and(|name| name.to_text(2 * IMPORTS.len()).is_some_and(|name| name == IMPORTS))
        }
    }
}
