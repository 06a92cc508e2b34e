//! Entering an interpreter: a fresh thread state for each entry, made and deleted on the calling OS thread.
//!
//! A thread state must never move between threads, nor be deleted by another one: the thread-local pointer behind
//! PyGILState_* would dangle (use after free). Three caches make the fresh one cheap: the thread's stack bounds (`stack`),
//! the block that its first Python frame takes (`chunks`), and the one that the state itself lies in (`state_blocks`).

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;

use super::api::Api;
use super::host::calling;
use super::object::Py;
use super::stack::{Stack, protect};
use super::types::{PyInterpreterState, PyThreadState};

mod home;
mod pinned;

pub use home::{host_is_python, in_host};
use pinned::is_idle;
pub use pinned::{Pinned, is_pinned};

/// One stay in an interpreter. The thread is attached from `enter` until the entry is dropped, on the same thread. Who
/// comes from Python code has stepped out of it (`Outside`).
pub struct Entry<'a> {
    api: &'static Api,
    state: *mut PyThreadState,
    /// What was attached before: nothing, unless CPython has taken the binding away from a state that is attached, as
    /// it does on a thread that ends an interpreter.
    previous: *mut PyThreadState,
    lasts: Lasts<'a>,
    not_send: PhantomData<*mut ()>,
}

/// How long the state of an entry lasts.
enum Lasts<'a> {
    /// As long as the entry.
    Entry,
    /// It is the thread's own.
    Pinned(&'a Pinned),
    /// The same, on another stack than before: that one.
    Moved(&'a Pinned, Stack),
    /// As long as the entry, and it was made ahead: it is deleted when the next one is made.
    Ahead(&'a Pinned),
    /// It is that of Python code further out; likewise.
    Caller(Stack),
}

impl Entry<'_> {
    /// # Safety
    /// The interpreter must be alive and stay so until the entry is dropped.
    #[inline]
    pub unsafe fn new(api: &'static Api, interp: *mut PyInterpreterState, stack: Stack) -> Option<Entry<'static>> {
        // SAFETY: promised by the caller; the state is this thread's own.
        unsafe {
            let state = new_state(api, interp, stack)?;
            let previous = (api.PyThreadState_Swap)(state);
            Some(Entry { api, state, previous, lasts: Lasts::Entry, not_send: PhantomData })
        }
    }

    pub fn py(&self) -> Py<'_> {
        // SAFETY: attached until the entry is dropped; the token borrows it.
        unsafe { Py::attached(self.api) }
    }

    /// The thread's state in it.
    #[inline]
    pub fn state(&self) -> *mut PyThreadState {
        self.state
    }

    /// Leaves it. No exception is set.
    #[inline]
    pub fn leave(self) {
        // SAFETY: attached.
        debug_assert!(unsafe { (self.api.PyErr_Occurred)().is_null() });
        ManuallyDrop::new(self).detach();
    }

    #[inline]
    fn detach(&mut self) {
        // SAFETY: the state is this thread's, and attached. Delete wants it detached.
        unsafe {
            match self.lasts {
                Lasts::Entry => {}
                Lasts::Pinned(pinned) => {
                    pinned.entries.set(pinned.entries.get() - 1);
                    (self.api.PyThreadState_Swap)(self.previous);
                    return;
                }
                Lasts::Moved(pinned, stack) => {
                    pinned.entries.set(pinned.entries.get() - 1);
                    pinned.moves_to(stack);
                    (self.api.PyThreadState_Swap)(self.previous);
                    return;
                }
                Lasts::Ahead(pinned) => return pinned.spent(self.previous),
                Lasts::Caller(stack) => {
                    protect(self.api, self.state, stack);
                    (self.api.PyThreadState_Swap)(self.previous);
                    return;
                }
            }
            (self.api.PyThreadState_Clear)(self.state);
            (self.api.PyThreadState_Swap)(self.previous);
            (self.api.PyThreadState_Delete)(self.state);
        }
    }

    /// Ends the interpreter instead of leaving it.
    ///
    /// # Safety
    /// Nobody else may be in the interpreter, or enter it from now on.
    pub unsafe fn end_interpreter(self) {
        let entry = ManuallyDrop::new(self);
        // SAFETY: the state is attached and has no frame; Py_EndInterpreter deletes it and leaves nothing attached.
        unsafe {
            (entry.api.Py_EndInterpreter)(entry.state);
            (entry.api.PyThreadState_Swap)(entry.previous);
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        // SAFETY: attached. Clear runs finalizers of threading.local, so the exception is cleared first.
        unsafe { (self.api.PyErr_Clear)() };
        self.detach();
    }
}

/// A new state of this thread, not attached.
///
/// # Safety
/// The interpreter must be alive.
#[inline]
unsafe fn new_state(api: &'static Api, interp: *mut PyInterpreterState, stack: Stack) -> Option<*mut PyThreadState> {
    // SAFETY: the interpreter is alive. PyThreadState_New needs no GIL; the state is this thread's own.
    unsafe {
        let state = (api.PyThreadState_New)(interp);
        if state.is_null() {
            return None;
        }
        protect(api, state, stack);
        Some(state)
    }
}

/// The state that PyGILState_* find on this thread, or NULL.
#[inline]
fn bound_state(api: &Api) -> *mut PyThreadState {
    // SAFETY: needs no attached state.
    unsafe { (api.PyGILState_GetThisThreadState)() }
}

/// What this thread has left for a while: Python code that has called us, with or without holding its GIL, in an
/// interpreter of ours or of a host's. It comes back to it when this is dropped, and if that interpreter has ended
/// meanwhile, CPython parks the thread there for ever. So this is dropped last, when the thread holds nothing that
/// others wait for.
///
/// Most threads come from no Python code, so it is no larger than a pointer.
pub struct Outside(Box<Left>);

struct Left {
    api: &'static Api,
    caller: Caller,
    attached: bool,
    /// It has entered an interpreter from here.
    entered: Cell<bool>,
    /// What the thread had left when it entered the interpreter that this is in.
    further: Cell<*const Left>,
    /// The Python code to come back to, of the interpreter that it enters now.
    back_to: Cell<Option<Caller>>,
}

/// Python code that has called out, and waits for that to return: by the thread state that it runs with.
#[derive(Clone, Copy)]
struct Caller {
    state: *mut PyThreadState,
    interp: *mut PyInterpreterState,
    /// The number of the interpreter (`Interp::number`), when it is a host function that was called. Other C code does
    /// not say, and an interpreter that ended meanwhile may have left its address to another one.
    number: Option<u64>,
    /// The stack that it is on, if that is known.
    stack: Option<Stack>,
}

thread_local! {
    /// From how much Python code this thread has stepped out.
    static OUTSIDE: Cell<usize> = const { Cell::new(0) };

    /// What the thread has left when it entered the interpreters that it is in: the innermost.
    static FURTHER_OUT: Cell<*const Left> = const { Cell::new(ptr::null()) };
}

impl Outside {
    /// None when this thread comes from no Python code.
    #[inline]
    pub fn step_out(api: &'static Api) -> Option<Outside> {
        Outside::beyond(api, bound_state(api))
    }

    /// The same for a thread that has a state pinned, which is what is bound in most cases.
    pub fn step_out_to(api: &'static Api, pinned: Option<&Pinned>) -> Option<Outside> {
        if Outside::is_there(api, pinned) { Outside::step_out(api) } else { None }
    }

    /// Whether this thread may come from Python code, as far as a look at what is bound tells.
    #[inline(always)]
    pub fn is_there(api: &Api, pinned: Option<&Pinned>) -> bool {
        let bound = bound_state(api);
        !bound.is_null() && pinned.is_none_or(|pinned| pinned.state.get() != bound || !pinned.is_idle())
    }

    #[cold]
    fn beyond(api: &'static Api, bound: *mut PyThreadState) -> Option<Outside> {
        // SAFETY: GetUnchecked needs no state; SaveThread is called only when one is attached. CPython does not free a
        // state while its thread may come back to it, and GetInterpreter reads one field.
        unsafe {
            let attached = !(api.PyThreadState_GetUnchecked)().is_null();
            if !attached && (bound.is_null() || is_idle(bound)) {
                return None;
            }
            let state = if attached { (api.PyEval_SaveThread)() } else { bound };
            let interp = (api.PyThreadState_GetInterpreter)(state);
            let (number, stack) = calling(state).unzip();
            let caller = Caller { state, interp, number, stack };
            OUTSIDE.set(OUTSIDE.get() + 1);
            Some(Outside(Box::new(Left {
                api,
                caller,
                attached,
                entered: Cell::new(false),
                further: Cell::new(ptr::null()),
                back_to: Cell::new(None),
            })))
        }
    }

    /// Whether the thread comes from Python code of this interpreter: straight, or through others.
    #[cold]
    pub fn comes_from(&self, interp: *mut PyInterpreterState, number: u64) -> bool {
        // SAFETY: each is borrowed by whoever has put it there (`enters`), further out on this thread's stack.
        let outer = |left: &&Left| unsafe { left.further.get().as_ref() };
        // SAFETY: as above.
        let innermost = unsafe { FURTHER_OUT.get().as_ref() };
        let others = std::iter::successors(innermost, outer).map(|left| left.caller);
        let is_of = |caller: &Caller| caller.interp == interp && caller.number.is_none_or(|its| its == number);
        let caller = std::iter::once(self.0.caller).chain(others).find(is_of);
        self.0.back_to.set(caller);
        caller.is_some()
    }

    /// The thread enters an interpreter, once. It is in there until this is dropped.
    #[cold]
    pub fn enters(&self) {
        self.0.entered.set(true);
        self.0.further.set(FURTHER_OUT.replace(&raw const *self.0));
    }

    /// Comes back to the Python code that `comes_from` has found: attaches its state, which goes on from there. None
    /// when it has found none.
    ///
    /// # Safety
    /// That interpreter is alive, and stays so until the entry is dropped.
    #[cold]
    pub unsafe fn come_back<'a>(&self, pinned: Option<&'a Pinned>, stack: Stack) -> Option<Entry<'a>> {
        let Caller { state, stack: before, .. } = self.0.back_to.get()?;
        if let Some(pinned) = pinned.filter(|pinned| pinned.state.get() == state) {
            return Some(pinned.enter(stack));
        }
        let (api, before) = (self.0.api, before.unwrap_or(stack));
        // SAFETY: a state of this thread's, which has stepped out of it; alive as promised.
        unsafe {
            if before != stack {
                protect(api, state, stack);
            }
            let previous = (api.PyThreadState_Swap)(state);
            Some(Entry { api, state, previous, lasts: Lasts::Caller(before), not_send: PhantomData })
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let Left { api, caller: Caller { state, .. }, attached, .. } = *self.0;
        OUTSIDE.set(OUTSIDE.get() - 1);
        if self.0.entered.get() {
            FURTHER_OUT.set(self.0.further.get());
        }
        // SAFETY: a state of this thread's that Python code further out uses: that code waits for this call to return.
        // When its interpreter has ended, CPython has not freed the state, and lets nobody attach it.
        unsafe {
            if attached {
                (api.PyEval_RestoreThread)(state);
            } else if bound_state(api) != state {
                // PyGILState_* are to find what they found before. Only attaching binds a state.
                (api.PyThreadState_Swap)(state);
                (api.PyThreadState_Swap)(ptr::null_mut());
            }
        }
    }
}

/// Runs something outside of the Python code that this thread comes from. It may block: no interpreter's lock is held.
pub fn detached<R>(api: Option<&'static Api>, blocking: impl FnOnce() -> R) -> R {
    let _outside = api.and_then(Outside::step_out);
    blocking()
}

/// This thread is to go back to Python code.
pub fn is_outside() -> bool {
    OUTSIDE.get() > 0
}

/// The id of the interpreter that this thread is in: attached, or detached to call out of it. With a pinned state that
/// is in no use it is in none.
pub fn current_interpreter(api: &Api) -> Option<i64> {
    // SAFETY: no function needs an attached state. CPython does not free a state while its thread may come back to it.
    // Its interpreter is alive too, unless somebody has ended it while this thread was in C code that it called: then
    // what is read is a number out of memory that was freed, and most often the answer is that there is no such
    // interpreter.
    unsafe {
        let mut state = (api.PyThreadState_GetUnchecked)();
        if state.is_null() {
            state = bound_state(api);
            if state.is_null() || is_idle(state) {
                return None;
            }
        }
        Some((api.PyInterpreterState_GetID)((api.PyThreadState_GetInterpreter)(state)))
    }
}

/// What this thread is in, of all that it has come into and not left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Innermost(*mut PyThreadState, *const Left);

pub fn innermost(api: &Api) -> Innermost {
    // SAFETY: no function needs an attached state; only addresses are used.
    let state = unsafe { (api.PyThreadState_GetUnchecked)() };
    Innermost(if state.is_null() { bound_state(api) } else { state }, FURTHER_OUT.get())
}

/// Whether this thread comes from code of another interpreter than main, also further out.
pub fn comes_from_another(api: &Api) -> bool {
    // SAFETY: as in `comes_from`; only the address is used.
    let (further, main) = unsafe { (FURTHER_OUT.get().as_ref(), (api.PyInterpreterState_Main)()) };
    // SAFETY: as above.
    let mut all = std::iter::successors(further, |left| unsafe { left.further.get().as_ref() });
    all.any(|left| left.caller.interp != main) || current_interpreter(api).is_some_and(|id| id != 0)
}
