//! What traces and cannot when there are several interpreters. tracemalloc keeps what it knows of all of them in one table, with
//! names of files that belong to each: what takes a look at that stands still, and so does the creation of an interpreter. The
//! trampolines for perf lie in one list, which all of them change without a lock.

use std::ffi::{CStr, c_uint};

use super::api;

/// Raised when one of the two is about to start (guest.py): `hooks` refuses it while there are other interpreters.
pub const EVENTS: [&CStr; 2] = [c"subpy.tracemalloc", c"subpy.trampoline"];

pub const REFUSED: &str = "tracemalloc and sys.activate_stack_trampoline() do not work while other interpreters are open: what they \
                           have is of the whole process; use an interpreter with a process of its own (SUBPY_INTERP_PROCESS)";

/// Whether tracemalloc runs. On any thread.
pub fn is_on() -> bool {
    /// "-2 if tracemalloc is disabled" (Include/cpython/tracemalloc.h).
    const DISABLED: i32 = -2;
    /// What nobody has traced is not found.
    const DOMAIN: c_uint = c_uint::MAX;
    // SAFETY: CPython is initialised. It needs no GIL, and looks the address up in a table.
    unsafe { (api().PyTraceMalloc_Untrack)(DOMAIN, 0) != DISABLED }
}
