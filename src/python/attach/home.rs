//! Calling a host that may be Python itself: with a state of main's, which its own code finds.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::api;
use super::super::stack::this_stack;
use super::super::types::{PyInterpreterState, PyThreadState};
use super::{Caller, FURTHER_OUT, Left, bound_state, calling, new_state};

/// Set when the CPython is a host's own.
static ADOPTED: AtomicBool = AtomicBool::new(false);

/// From now on the host may be Python itself.
pub fn host_is_python() {
    ADOPTED.store(true, Ordering::Relaxed);
}

/// Calls code of the host's, detached. When that is Python, it comes in with PyGILState_Ensure (so does ctypes), which
/// must find a state of main, and not that of the interpreter that has called: its objects would be used in there. None:
/// there is no memory for such a state, and nothing was called.
#[inline]
pub fn in_host<R>(call: impl FnOnce() -> R) -> Option<R> {
    if ADOPTED.load(Ordering::Relaxed) {
        return in_host_python(call);
    }
    Some(call())
}

#[cold]
fn in_host_python<R>(call: impl FnOnce() -> R) -> Option<R> {
    let api = api();
    let state = bound_state(api);
    // SAFETY: the state that this thread is to come back to is not freed; main lives as long as the library uses CPython.
    let (interp, main) = unsafe {
        let main = (api.PyInterpreterState_Main)();
        (if state.is_null() { main } else { (api.PyThreadState_GetInterpreter)(state) }, main)
    };
    if interp == main {
        return Some(call());
    }
    // The state is not bound any more while the host's code runs, but what that runs in turn may come back to it.
    let (number, stack) = calling(state).unzip();
    let caller = Caller { state, interp, number, stack };
    let (further, back_to) = (Cell::new(FURTHER_OUT.get()), Cell::new(None));
    let left = Left { api, caller, attached: false, entered: Cell::new(false), further, back_to };
    let _home = AtHome::new(&left, main)?;
    Some(call())
}

/// A state of main's is bound, and not attached: the one with which the thread has come from main, or else a new one.
struct AtHome<'a> {
    left: &'a Left,
    fresh: Option<*mut PyThreadState>,
}

impl AtHome<'_> {
    fn new(left: &Left, main: *mut PyInterpreterState) -> Option<AtHome<'_>> {
        // SAFETY: as in `comes_from`.
        let all = std::iter::successors(unsafe { left.further.get().as_ref() }, |left| unsafe {
            left.further.get().as_ref()
        });
        let own = all.map(|left| left.caller).find(|caller| caller.interp == main).map(|caller| caller.state);
        let api = left.api;
        // SAFETY: main is alive. The state is this thread's own, and not attached; nor is any other.
        let fresh = unsafe {
            let fresh = if own.is_none() { Some(new_state(api, main, this_stack())?) } else { None };
            if let Some(state) = own.or(fresh) {
                // Only attaching binds.
                (api.PyThreadState_Swap)(state);
                (api.PyThreadState_Swap)(ptr::null_mut());
            }
            fresh
        };
        FURTHER_OUT.set(&raw const *left);
        Some(AtHome { left, fresh })
    }
}

impl Drop for AtHome<'_> {
    fn drop(&mut self) {
        FURTHER_OUT.set(self.left.further.get());
        let Some(state) = self.fresh else { return };
        let api = self.left.api;
        // SAFETY: made by `new` on this thread, which is detached. What it was bound in place of is bound when the thread
        // comes back to it.
        unsafe {
            (api.PyThreadState_Swap)(state);
            (api.PyThreadState_Clear)(state);
            (api.PyThreadState_Swap)(ptr::null_mut());
            (api.PyThreadState_Delete)(state);
        }
    }
}
