//! Code that takes a lock or gives it back. One that is interrupted there keeps the lock for good, and whoever wants it later
//! waits without end, in C code that nothing interrupts. So hits are put off
//! - in imports, which keep a lock for each module;
//! - in `__enter__` and `__exit__`, and between `__enter__` and the block of its `with`: an exception before that block
//!   begins does not call `__exit__` (python/cpython#148874);
//! - where another thread sees that a run is to be hit, also in all that has been called in the block of a `with`, or by an
//!   import. What it sends comes when the run goes on, but not at once: when a C function fails that had let go of the GIL, it
//!   comes no sooner than in the `__exit__`, and a lock that this gives back stays taken. The run's own thread looks soon.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use super::Run;
use crate::platform::this_thread;
use crate::platform::time_of;
use crate::python::object::{Obj, Py, PyResult};
use crate::python::types::PyThreadState;

/// Where the code of imports is (Lib/importlib/_bootstrap.py).
const IMPORTS: &str = "<frozen importlib._bootstrap>";

/// What the library has compiled itself (`Py::run_own`), and the longest name of a file that is looked at.
const OWN: &str = "<subpy>";
const LONGEST_PATH: usize = 4096;

/// It is looked again as soon as can be, which is about four instructions: CPython makes up to a hundred pending calls at one.
/// Most code is elsewhere by then. Later it is looked when the hit is asked for again.
const AT_ONCE: u16 = 400;
const UNTIL_NEXT: Duration = Duration::from_millis(10);
/// When another thread sees it, so long that the run's own one has its turn, if it waits for that, and looks itself: CPython gives
/// it one within 5 ms (sys.setswitchinterval).
const FOR_A_TURN: Duration = Duration::from_millis(6);
const UNTIL_NEXT_TURN: Duration = Duration::from_millis(50);
/// Code that is there in so many of these, one after the other, only says that it is there. Somebody may look at any moment, and
/// the thread may be waiting for its turn: it counts when the thread has had so much time of its own since the last one.
const MOST: u8 = 40;
const BETWEEN: Duration = Duration::from_millis(1);
/// So does code that sleeps there.
const ASLEEP: Duration = Duration::from_secs(30);

/// So many frames further out are looked at.
const OUTER: usize = 50;

/// A `with` calls `__enter__` by one instruction, which has so many units of two bytes (CALL and its caches). Behind it, its
/// block begins.
const CALL: u64 = 4;

/// A run that was to be hit was seen where it may not be, and not elsewhere since.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    since: Instant,
    count: u8,
    /// The thread's own time when that was counted.
    used: Duration,
    /// By the run's own thread.
    here: bool,
    /// Since when it is looked as soon as can be, and how often it was.
    burst: Instant,
    looks: u16,
}

impl Seen {
    fn is_in_burst(&self) -> bool {
        if self.here { self.looks < AT_ONCE } else { self.burst.elapsed() < FOR_A_TURN }
    }

    fn is_next_due(&self) -> bool {
        self.burst.elapsed() >= if self.here { UNTIL_NEXT } else { UNTIL_NEXT_TURN }
    }
}

impl Run {
    /// Whether a hit is to be put off: it is asked for again. Attached to the interpreter that the run is in.
    ///
    /// # Safety
    /// The run is in its interpreter's list.
    pub(super) unsafe fn locks(&self, py: Py) -> bool {
        // What another thread sends comes some instructions later.
        let outer = if self.thread == this_thread() { 0 } else { OUTER };
        // SAFETY: promised by the caller: the state is alive, and so is the thread.
        let (locks, used) = unsafe { (is_locking(py, self.state, outer), time_of(self.thread)) };
        if !locks {
            self.seen.set(None);
            return false;
        }
        let (now, here) = (Instant::now(), self.thread == this_thread());
        let first = Seen { since: now, count: 0, used, here, burst: now, looks: 0 };
        let mut seen = self.seen.get().unwrap_or(first);
        if seen.here != here || !seen.is_in_burst() && seen.is_next_due() {
            let counts = used.saturating_sub(seen.used) >= BETWEEN;
            seen = Seen { since: seen.since, count: seen.count.saturating_add(u8::from(counts)), ..first };
        }
        if seen.is_in_burst() {
            // To look takes time of the thread's as well.
            seen = Seen { looks: seen.looks.saturating_add(1), used, ..seen };
        }
        self.seen.set(Some(seen));
        seen.count < MOST && seen.since.elapsed() < ASLEEP
    }

    /// A hit was put off, and is to be tried again as soon as can be.
    pub(super) fn is_asked_at_once(&self) -> bool {
        self.seen.get().is_some_and(|seen| seen.is_in_burst())
    }

    /// Whether it is in code that keeps an event loop going. That does not pass an exception on, but logs it, and what it was
    /// about to do is not done: nobody stops the loop any more, say. Attached to the interpreter that the run is in.
    ///
    /// # Safety
    /// As above.
    pub(super) unsafe fn keeps_loop_going(&self, py: Py) -> bool {
        // SAFETY: as in `is_locking`.
        unsafe {
            let frame = py.owned((py.api.PyThreadState_GetFrame)(self.state).cast());
            let code = frame.and_then(|frame| code_of(py, &frame));
            let file = code.and_then(|code| code.attr(c"co_filename"));
            py.clear();
            let file = file.ok().and_then(|file| file.to_text(LONGEST_PATH)).unwrap_or_default();
            file == OWN || file.contains("/asyncio/")
        }
    }
}

/// Whether the code of a thread takes a lock or gives it back; so many frames further out are looked at.
///
/// # Safety
/// Attached to the interpreter that the state is of, and the state is alive.
pub(super) unsafe fn is_locking(py: Py, state: *mut PyThreadState, outer: usize) -> bool {
    // SAFETY: new references, or NULL: the first one also without an exception. Nothing of this runs any code: that
    // of a frame is not read as its attribute, which would be told to audit hooks.
    unsafe {
        let mut frame = py.owned((py.api.PyThreadState_GetFrame)(state).cast());
        let mut locks = false;
        for depth in 0..=outer {
            let Ok(this) = frame else { break };
            let at = u64::try_from((py.api.PyFrame_GetLasti)(this.as_ptr().cast())).ok().map(|at| at / 2);
            locks = code_of(py, &this).is_ok_and(|code| match depth {
                0 => takes_or_gives_back(py, &code, at) || outer > 0 && holds(py, &code, at),
                _ => is_of_imports(&code) || holds(py, &code, at),
            });
            if locks {
                break;
            }
            frame = py.owned((py.api.PyFrame_GetBack)(this.as_ptr().cast()).cast());
        }
        // Without memory to look it is put off.
        locks |= !(py.api.PyErr_Occurred)().is_null();
        py.clear();
        locks
    }
}

/// Whether a thread of `threading` has not begun with what it is to run, or is done with it. Whoever starts it waits for it until
/// then; and if it does not take itself out of the table of threads, it is there for good.
///
/// # Safety
/// As above.
pub(super) unsafe fn is_beginning_or_done(py: Py, state: *mut PyThreadState) -> bool {
    // Further in is nothing of that.
    const DEPTH: usize = 1000;
    const AROUND: [&str; 5] = ["_set_ident", "_set_native_id", "_set_os_name", "set", "_delete"];
    // SAFETY: as in `is_locking`.
    unsafe {
        let mut frame = py.owned((py.api.PyThreadState_GetFrame)(state).cast());
        let mut inner: Option<Obj> = None;
        let mut so = false;
        for _ in 0..DEPTH {
            let Ok(this) = frame else { break };
            let Ok(code) = code_of(py, &this) else { break };
            if inner.is_none() && is(&code, c"co_name", "_bootstrap") {
                so = true;
                break;
            }
            if is(&code, c"co_name", "_bootstrap_inner") {
                so = inner.is_none_or(|inner| {
                    AROUND.iter().any(|name| is(&inner, c"co_name", name)) && same_file(&inner, &code)
                });
                break;
            }
            inner = Some(code);
            frame = py.owned((py.api.PyFrame_GetBack)(this.as_ptr().cast()).cast());
        }
        // Without memory to look it is put off.
        so |= !(py.api.PyErr_Occurred)().is_null();
        py.clear();
        so
    }
}

fn same_file(one: &Obj, other: &Obj) -> bool {
    let file = |code: &Obj| code.attr(c"co_filename").ok().and_then(|file| file.to_text(LONGEST_PATH));
    file(one) == file(other)
}

/// # Safety
/// Attached; a live frame.
unsafe fn code_of<'py>(py: Py<'py>, frame: &Obj) -> PyResult<Obj<'py>> {
    // SAFETY: promised by the caller; a new reference.
    unsafe { py.owned((py.api.PyFrame_GetCode)(frame.as_ptr().cast()).cast()) }
}

fn is(code: &Obj, attribute: &'static CStr, text: &str) -> bool {
    code.attr(attribute).is_ok_and(|name| name.to_text(2 * text.len()).is_some_and(|name| name == text))
}

fn is_of_imports(code: &Obj) -> bool {
    is(code, c"co_filename", IMPORTS)
}

/// The code takes a lock at this instruction, or gives it back, or may. Attached.
fn takes_or_gives_back(py: Py, code: &Obj, at: Option<u64>) -> bool {
    is_of_imports(code)
        || is(code, c"co_name", "__enter__")
        || is(code, c"co_name", "__exit__")
        || at.is_some_and(|at| is_before_block(py, code, at))
}

/// The instruction is in the block of a `with`. Attached.
fn holds(py: Py, code: &Obj, at: Option<u64>) -> bool {
    at.is_some_and(|at| has_with(py, code, |block| (block.begin..block.end).contains(&at)))
}

/// The instruction is the last one before the block of a `with`. Attached.
fn is_before_block(py: Py, code: &Obj, at: u64) -> bool {
    has_with(py, code, |block| (at + 1..=at.saturating_add(CALL)).contains(&block.begin))
}

/// Whether such a block of a `with` is in the code. What leaves it (it calls `__exit__`) has to be left itself. Attached.
fn has_with(py: Py, code: &Obj, is_so: impl Fn(&Block) -> bool) -> bool {
    let Some(table) = table(py, code) else { return false };
    blocks(table).filter(is_so).any(|with| blocks(table).any(|leaves| leaves.begin == with.handler))
}

/// The code's table of exceptions. Attached.
fn table<'code>(py: Py, code: &'code Obj) -> Option<&'code [u8]> {
    let table = code.attr(c"co_exceptiontable").ok()?;
    let (mut bytes, mut len) = (std::ptr::null_mut(), 0);
    // SAFETY: a live object; the code has it, and the bytes, as long as it is there, and nothing changes them.
    unsafe {
        if (py.api.PyBytes_AsStringAndSize)(table.as_ptr(), &mut bytes, &mut len) != 0 {
            return None;
        }
        Some(std::slice::from_raw_parts(bytes.cast::<u8>(), len.unsigned_abs()))
    }
}

/// A block that has to be left, in units of two bytes.
struct Block {
    begin: u64,
    end: u64,
    /// What leaves it.
    handler: u64,
}

/// Those of a `with`, what leaves them itself, and few other things (InternalDocs/exception_handling.md). Each entry has four
/// numbers: the beginning, the length, what handles an exception there; the lowest bit of the last says whether it is one of
/// them.
fn blocks(mut table: &[u8]) -> impl Iterator<Item = Block> {
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
    let blocks = entries.filter(|[.., depth]| depth & 1 == 1);
    blocks.map(|[begin, len, handler, _]| Block { begin, end: begin.saturating_add(len), handler })
}
