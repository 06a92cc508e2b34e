//! Thread states that last longer than an entry.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::ptr;
use std::rc::Rc;

use super::{Entry, Lasts, new_state};
use crate::python::api::Api;
use crate::python::stack::{Stack, protect};
use crate::python::types::{PyInterpreterState, PyThreadState};
use std::marker::PhantomData;

/// A state that this thread keeps from entry to entry: threading.local and contextvars last as long as it does. It is
/// not attached in between. Or one that was made ahead for the next entry, which has it for itself.
pub struct Pinned {
    api: &'static Api,
    interp: *mut PyInterpreterState,
    /// NULL: there was no memory to make the next one ahead.
    pub(super) state: Cell<*mut PyThreadState>,
    /// It is one entry's, on this stack. The state is another one after each `renew`.
    once: Option<Stack>,
    /// Nobody has had it, if it is one entry's.
    ready: Cell<bool>,
    /// None that a thread is on, if it is one entry's.
    stack: Cell<Stack>,
    /// Those that have it now, one in the other.
    pub(super) entries: Cell<usize>,
    next: RefCell<Option<Rc<Pinned>>>,
}

thread_local! {
    /// The first of this thread's. Without a destructor, so that it is there until the very end of the thread.
    static PINNED: ManuallyDrop<RefCell<Option<Rc<Pinned>>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// The one of this thread's pinned states that is this one.
fn pinned(state: *mut PyThreadState) -> Option<Rc<Pinned>> {
    let first = PINNED.with(|first| first.borrow().clone());
    let mut all = std::iter::successors(first, |pinned| pinned.next.borrow().clone());
    all.find(|pinned| pinned.state.get() == state)
}

/// Whether it is one that this thread keeps from entry to entry.
pub fn is_pinned(state: *mut PyThreadState) -> bool {
    pinned(state).is_some_and(|pinned| pinned.once.is_none())
}

/// Whether it is one of them, and in no use.
pub(super) fn is_idle(state: *mut PyThreadState) -> bool {
    pinned(state).is_some_and(|pinned| pinned.is_idle())
}

impl Pinned {
    /// # Safety
    /// The interpreter must be alive now, and at every `enter`.
    pub unsafe fn new(api: &'static Api, interp: *mut PyInterpreterState, stack: Stack) -> Option<Rc<Pinned>> {
        // SAFETY: promised by the caller.
        unsafe { Pinned::with(api, interp, stack, None) }
    }

    /// One that is the next entry's alone. None: no memory, or nobody knows where this stack ends.
    ///
    /// # Safety
    /// The interpreter must be alive now, at every `enter` and at every `renew`.
    pub unsafe fn ahead(api: &'static Api, interp: *mut PyInterpreterState, stack: Stack) -> Option<Rc<Pinned>> {
        if stack == Stack::UNKNOWN {
            return None;
        }
        // SAFETY: promised by the caller.
        unsafe { Pinned::with(api, interp, stack, Some(stack)) }
    }

    #[inline(always)]
    unsafe fn with(
        api: &'static Api,
        interp: *mut PyInterpreterState,
        stack: Stack,
        once: Option<Stack>,
    ) -> Option<Rc<Pinned>> {
        // SAFETY: promised by the caller.
        let state = Cell::new(unsafe { new_state(api, interp, stack)? });
        let stack = Cell::new(if once.is_some() { Stack::UNKNOWN } else { stack });
        let (ready, entries) = (Cell::new(true), Cell::new(0));
        // Nothing is freed in between.
        let next = RefCell::new(PINNED.with(|first| first.take()));
        let pinned = Rc::new(Pinned { api, interp, state, once, ready, stack, entries, next });
        PINNED.with(|first| first.replace(Some(Rc::clone(&pinned))));
        Some(pinned)
    }

    /// It can be entered.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.ready.get()
    }

    /// After the entry that had it: makes the one that the next entry will have. On the thread that made the first. False:
    /// there was no memory.
    pub fn renew(&self) -> bool {
        if self.ready.get() {
            return true;
        }
        let Some(stack) = self.once else { return false };
        let spent = self.state.replace(ptr::null_mut());
        // SAFETY: this thread's own states, of an interpreter that is alive (`ahead`). The old one was cleared and detached by
        // its entry.
        unsafe {
            if !spent.is_null() {
                (self.api.PyThreadState_Delete)(spent);
            }
            let Some(state) = new_state(self.api, self.interp, stack) else { return false };
            self.state.set(state);
        }
        self.ready.set(true);
        true
    }

    /// The entry that had it ends; what was attached before is attached again. The state is deleted later.
    #[inline(never)]
    pub(super) fn spent(&self, previous: *mut PyThreadState) {
        // SAFETY: this thread's own state, which is attached.
        unsafe { (self.api.PyThreadState_Clear)(self.state.get()) };
        self.entries.set(self.entries.get() - 1);
        self.ready.set(false);
        // SAFETY: it was attached on this thread when that entry began.
        unsafe { (self.api.PyThreadState_Swap)(previous) };
    }

    pub(super) fn is_idle(&self) -> bool {
        self.entries.get() == 0
    }

    /// Attaches it. An entry of this thread that is further out may have it too, and has called out of Python.
    #[inline]
    pub fn enter(&self, stack: Stack) -> Entry<'_> {
        let (api, state) = (self.api, self.state.get());
        let lasts = if self.stack.get() == stack { Lasts::Pinned(self) } else { self.special(stack) };
        self.entries.set(self.entries.get() + 1);
        // SAFETY: this thread's own state, of an interpreter that is alive (`new`).
        let previous = unsafe { (api.PyThreadState_Swap)(state) };
        Entry { api, state, previous, lasts, not_send: PhantomData }
    }

    #[inline(never)]
    fn special(&self, stack: Stack) -> Lasts<'_> {
        let Some(own) = self.once else { return self.moves_to(stack) };
        if own != stack {
            // SAFETY: this thread's own state.
            unsafe { protect(self.api, self.state.get(), stack) }
        }
        if self.is_idle() { Lasts::Ahead(self) } else { Lasts::Pinned(self) }
    }

    /// The thread goes on on this stack.
    #[cold]
    pub(super) fn moves_to(&self, stack: Stack) -> Lasts<'_> {
        let before = self.stack.replace(stack);
        // SAFETY: this thread's own state.
        unsafe { protect(self.api, self.state.get(), stack) }
        Lasts::Moved(self, before)
    }

    /// Attaches it for the last time: with this entry the state ends. On the thread that made it; no entry further out
    /// may have it.
    pub fn last_entry(&self, stack: Stack) -> Entry<'static> {
        self.forget();
        Entry { lasts: Lasts::Entry, ..*ManuallyDrop::new(self.enter(stack)) }
    }

    /// It is no longer one of this thread's: with a host's CPython its interpreter is gone, and the state with it.
    pub fn forget(&self) {
        fn remove(link: &RefCell<Option<Rc<Pinned>>>, gone: &Pinned) {
            let next = match &*link.borrow() {
                None => return,
                Some(pinned) if ptr::eq(&raw const **pinned, gone) => gone.next.take(),
                Some(pinned) => return remove(&pinned.next, gone),
            };
            link.replace(next);
        }
        PINNED.with(|first| remove(first, self));
    }
}
