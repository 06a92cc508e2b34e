//! tracemalloc and interpreters beside main do not go together: it keeps what it knows of all of them in one table, with names of
//! files that belong to each. What takes a look at that stands still, and so does the creation of an interpreter.

use std::ffi::{CStr, c_uint};

use super::api;
use super::object::{Py, PyResult, own_source};

/// Raised when tracing is about to start: `hooks` refuses it while there are other interpreters.
pub const STARTS: &CStr = c"subpy.tracemalloc";

/// Has the event raised. Attached to where it can be imported.
pub fn watch(py: Py) -> PyResult<()> {
    const SOURCE: &CStr = own_source(concat!(include_str!("tracing.py"), "\0"));
    py.run_own(SOURCE, "watch")?.call(&[])?;
    Ok(())
}

/// Whether tracemalloc runs. On any thread.
pub fn is_on() -> bool {
    /// "-2 if tracemalloc is disabled" (Include/cpython/tracemalloc.h).
    const DISABLED: i32 = -2;
    /// What nobody has traced is not found.
    const DOMAIN: c_uint = c_uint::MAX;
    // SAFETY: CPython is initialised. It needs no GIL, and looks the address up in a table.
    unsafe { (api().PyTraceMalloc_Untrack)(DOMAIN, 0) != DISABLED }
}
