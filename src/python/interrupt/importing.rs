//! Imports keep a lock for each module. One that is interrupted where it takes it or gives it back keeps it for good, and
//! whoever imports that module then waits without end, in C code that nothing interrupts.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Run;
use crate::python::clock::time_of;
use crate::python::object::Py;

/// Where that code is (Lib/importlib/_bootstrap.py).
const IMPORTS: &str = "<frozen importlib._bootstrap>";

/// Code that stays there for so long, of its thread's own time or else, only says that it is there.
const MOST: Duration = Duration::from_millis(50);
const MOST_ASLEEP: Duration = Duration::from_secs(2);

/// Since when a hit has been put off: the time, and that of the thread.
pub(super) type PutOff = Cell<Option<(Instant, Duration)>>;

impl Run {
    /// Whether a hit is to be put off: it is asked for again. Attached to the interpreter that the run is in.
    ///
    /// # Safety
    /// The run is in its interpreter's list.
    pub(super) unsafe fn imports(&self, py: Py) -> bool {
        // SAFETY: promised by the caller: the state is alive, and the thread has not ended.
        unsafe {
            if !self.is_in_imports(py) {
                self.put_off.set(None);
                return false;
            }
            let used = time_of(self.thread);
            let (begin, used_before) = self.put_off.get().unwrap_or_else(|| (Instant::now(), used));
            self.put_off.set(Some((begin, used_before)));
            used.saturating_sub(used_before) < MOST && begin.elapsed() < MOST_ASLEEP
        }
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
