//! What CPython calls between two instructions, when something is wished.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::Interrupts;
use crate::python::api;

/// CPython runs it once, with the GIL of the interpreter, or never if it is queued late while that ends.
pub(super) unsafe extern "C" fn pending(list: *mut c_void) -> c_int {
    let api = api();
    // SAFETY: the count that `call` gave away. Attached.
    unsafe {
        let given = list.cast::<Interrupts>().cast_const();
        // Whoever ends the interpreter meanwhile takes the count for lost, and gives it back.
        Arc::increment_strong_count(given);
        let list = Arc::from_raw(given);
        let Some(wishes) = list.table.call_has_come() else { return 0 };
        Arc::decrement_strong_count(given);
        let exception = match list.hit(api, false, wishes) {
            Some(exception) => exception,
            None if list.ends_here(api) => api.PyExc_SystemExit,
            None => return 0,
        };
        (api.PyErr_SetNone)(exception.get());
        -1
    }
}
