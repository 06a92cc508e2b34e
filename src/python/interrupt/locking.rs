//! Code that takes a lock or gives it back. One that is interrupted there keeps the lock for good, and whoever wants it later
//! waits without end, in C code that nothing interrupts. So hits are put off
//! - in imports, which keep a lock for each module;
//! - in `__enter__` and `__exit__`, and between `__enter__` and the block of its `with`: an exception before that block
//!   begins does not call `__exit__` (python/cpython#148874).

use std::time::{Duration, Instant};

use super::Run;
use crate::python::clock::time_of;
use crate::python::object::{Obj, Py};

/// Where the code of imports is (Lib/importlib/_bootstrap.py).
const IMPORTS: &str = "<frozen importlib._bootstrap>";

/// Code that is there so often, one after the other, only says that it is there. Somebody may look at any moment, and the
/// thread may be waiting for its turn: it counts when the thread has had so much time of its own since the last one.
const MOST: u8 = 40;
const BETWEEN: Duration = Duration::from_millis(1);
/// So does code that sleeps there.
const ASLEEP: Duration = Duration::from_secs(30);
/// So many times one after the other it is looked again as soon as can be, which is about four instructions: CPython makes up
/// to a hundred pending calls at one. Most code is elsewhere by then. Later it is looked when the hit is asked for again.
const AT_ONCE: u16 = 400;

/// A `with` calls `__enter__` by one instruction, which has so many units of two bytes (CALL and its caches). Behind it, its
/// block begins.
const CALL: usize = 4;

/// A run that was to be hit was seen where it may not be, and not elsewhere since.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    since: Instant,
    count: u8,
    /// The thread's own time when that was counted.
    used: Duration,
    /// How often it was looked at once.
    looks: u16,
}

impl Run {
    /// Whether a hit is to be put off: it is asked for again. Attached to the interpreter that the run is in.
    ///
    /// # Safety
    /// The run is in its interpreter's list.
    pub(super) unsafe fn locks(&self, py: Py) -> bool {
        // SAFETY: promised by the caller: the state is alive, and so is the thread.
        let (locks, used) = unsafe { (self.is_locking(py), time_of(self.thread)) };
        if !locks {
            self.seen.set(None);
            return false;
        }
        let mut seen = self.seen.get().unwrap_or_else(|| Seen { since: Instant::now(), count: 0, used, looks: 0 });
        if seen.looks < AT_ONCE {
            // To look takes time of the thread's as well.
            seen = Seen { looks: seen.looks + 1, used, ..seen };
        } else if used.saturating_sub(seen.used) >= BETWEEN {
            seen = Seen { count: seen.count + 1, used, ..seen };
        }
        self.seen.set(Some(seen));
        seen.count < MOST && seen.since.elapsed() < ASLEEP
    }

    /// A hit was put off, and is to be tried again as soon as can be.
    pub(super) fn is_asked_at_once(&self) -> bool {
        self.seen.get().is_some_and(|seen| seen.looks < AT_ONCE)
    }

    /// # Safety
    /// As above.
    unsafe fn is_locking(&self, py: Py) -> bool {
        // SAFETY: new references, or NULL: the first one also without an exception. Nothing of this runs any code: that
        // of the frame is not read as its attribute, which would be told to audit hooks.
        unsafe {
            let Ok(frame) = py.owned((py.api.PyThreadState_GetFrame)(self.state).cast()) else { return false };
            let code = py.owned((py.api.PyFrame_GetCode)(frame.as_ptr().cast()).cast());
            let at = (py.api.PyFrame_GetLasti)(frame.as_ptr().cast());
            let locks = code.is_ok_and(|code| {
                let is = |attribute, text: &str| {
                    code.attr(attribute).is_ok_and(|name| name.to_text(2 * text.len()).is_some_and(|name| name == text))
                };
                is(c"co_filename", IMPORTS)
                    || is(c"co_name", "__enter__")
                    || is(c"co_name", "__exit__")
                    || u64::try_from(at).is_ok_and(|at| is_before_block(py, &code, at / 2))
            });
            py.clear();
            locks
        }
    }
}

/// The instruction is the last one before the block of a `with`. Attached.
fn is_before_block(py: Py, code: &Obj, at: u64) -> bool {
    let Ok(table) = code.attr(c"co_exceptiontable") else { return false };
    let (mut bytes, mut len) = (std::ptr::null_mut(), 0);
    // SAFETY: a live object; the bytes are there as long as it is, and nothing changes them.
    let table = unsafe {
        if (py.api.PyBytes_AsStringAndSize)(table.as_ptr(), &mut bytes, &mut len) != 0 {
            return false;
        }
        std::slice::from_raw_parts(bytes.cast::<u8>(), len.unsigned_abs())
    };
    let (mut begin, mut handler) = ([false; CALL], [false; CALL]);
    let behind =
        |place: u64| place.checked_sub(at + 1).and_then(|units| usize::try_from(units).ok()).filter(|it| *it < CALL);
    for (first, handles) in blocks(table) {
        behind(first).inspect(|units| begin[*units] = true);
        behind(handles).inspect(|units| handler[*units] = true);
    }
    // What handles exceptions is such a block itself.
    begin.iter().zip(handler).any(|(begin, handler)| *begin && !handler)
}

/// Where the blocks begin that have to be left, in units of two bytes, and what leaves them: those of a `with`, what leaves
/// them itself, and few other things (InternalDocs/exception_handling.md). Each entry has four numbers: the beginning, the
/// length, what handles an exception there; the lowest bit of the last says whether it is one of them.
fn blocks(mut table: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    let mut number = move || {
        let mut number = 0u64;
        loop {
            let (byte, rest) = table.split_first()?;
            table = rest;
            number = number << 6 | u64::from(byte & 0x3f);
            if byte & 0x40 == 0 {
                return Some(number);
            }
        }
    };
    let entries = std::iter::from_fn(move || Some([number()?, number()?, number()?, number()?]));
    entries.filter(|[.., depth]| depth & 1 == 1).map(|[begin, _, handler, _]| (begin, handler))
}
