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
        let list = Arc::from_raw(list.cast::<Interrupts>());
        list.table.call_has_come();
        let exception = match list.hit(api, false) {
            Some(exception) => exception,
            None if list.ends_here(api) => api.PyExc_SystemExit,
            None => return 0,
        };
        (api.PyErr_SetNone)(exception.get());
        -1
    }
}
