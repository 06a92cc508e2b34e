//! Imports keep a lock for each module. One that is interrupted where it takes it or gives it back keeps it for good, and
//! whoever imports that module then waits without end, in C code that nothing interrupts.

use std::time::{Duration, Instant};

use super::Run;
use crate::python::clock::time_of;
use crate::python::object::Py;

/// Where that code is (Lib/importlib/_bootstrap.py).
const IMPORTS: &str = "<frozen importlib._bootstrap>";

/// Code that is there so often, one after the other, only says that it is there. Somebody may look at any moment, and the
/// thread may be waiting for its turn: it counts when the thread has had so much time of its own since the last one.
const MOST: u8 = 40;
const BETWEEN: Duration = Duration::from_millis(1);
/// So does code that sleeps there.
const ASLEEP: Duration = Duration::from_secs(30);

/// A run that was to be hit was seen in imports, and not elsewhere since.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    since: Instant,
    count: u8,
    /// The thread's own time when that was counted.
    used: Duration,
}

impl Run {
    /// Whether a hit is to be put off: it is asked for again. Attached to the interpreter that the run is in.
    ///
    /// # Safety
    /// The run is in its interpreter's list.
    pub(super) unsafe fn imports(&self, py: Py) -> bool {
        // SAFETY: promised by the caller: the state is alive, and so is the thread.
        let (imports, used) = unsafe { (self.is_in_imports(py), time_of(self.thread)) };
        if !imports {
            self.seen.set(None);
            return false;
        }
        let mut seen = self.seen.get().unwrap_or_else(|| Seen { since: Instant::now(), count: 0, used });
        if used.saturating_sub(seen.used) >= BETWEEN {
            seen = Seen { count: seen.count + 1, used, ..seen };
        }
        self.seen.set(Some(seen));
        seen.count < MOST && seen.since.elapsed() < ASLEEP
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
