//! The bounds of the stack that a thread is on, and what is left of it.
//!
//! CPython asks for them whenever a thread state is first attached. On the process's main thread glibc parses
//! /proc/self/maps for that, so they are asked for once a thread and set (PyUnstable_ThreadState_SetStackProtection).

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use super::api::Api;
use super::types::PyThreadState;
use crate::platform::{is_readable, mapping, thread_stack};

/// What CPython's own main thread usually has: for the threads that the library makes.
pub const STACK_SIZE: usize = 8 << 20;

/// PyUnstable_ThreadState_SetStackProtection refuses less (Python/ceval.c: _PyOS_MIN_STACK_SIZE, 6 margins of 16 KiB).
const MIN_STACK: usize = 96 * 1024;

/// A stack: its lowest usable address and its size.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stack {
    base: *mut c_void,
    size: usize,
}

thread_local! {
    /// The thread's own, and the last other one that it was seen on.
    static OWN_STACK: Cell<Option<Stack>> = const { Cell::new(None) };
    static OTHER_STACK: Cell<Option<Stack>> = const { Cell::new(None) };
}

impl Stack {
    /// No thread is known to be on it.
    pub const UNKNOWN: Stack = Stack { base: ptr::null_mut(), size: usize::MAX };

    fn new((base, size): (*mut c_void, usize)) -> Stack {
        Stack { base, size }
    }

    /// What is above the part that must be left.
    fn room(&self) -> usize {
        self.size.saturating_sub(NEEDED_STACK)
    }

    fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base.addr()) < self.size
    }

    /// Whether it is still there: it begins where it did, behind a guard page. Another one may have come in its place; a
    /// smaller one would be entered with the bounds of this, and Python code that recurses there would crash.
    fn is_current(&self) -> bool {
        let base = self.base.addr();
        is_readable(base) && !is_readable(base.wrapping_sub(8))
    }
}

/// An address on the stack that this runs on.
#[inline(always)]
fn here() -> usize {
    let marker = 0u8;
    ptr::from_ref(&marker).addr()
}

/// The stack that this runs on. It need not be the one that the thread was created with: coroutines, fibers, and FFIs
/// such as koffi run C on stacks that they make themselves, and not always on the same.
#[inline]
pub fn this_stack() -> Stack {
    stack_at(here())
}

/// The stack that an address lies on.
pub fn stack_of(address: usize) -> Stack {
    stack_at(address)
}

#[inline]
fn stack_at(here: usize) -> Stack {
    match OWN_STACK.get() {
        Some(own) if own.contains(here) => own,
        _ => other_stack(here),
    }
}

#[cold]
fn other_stack(here: usize) -> Stack {
    let own = OWN_STACK.get().unwrap_or_else(own_stack);
    if own.contains(here) {
        return own;
    }
    OTHER_STACK.get().filter(|stack| stack.contains(here) && stack.is_current()).unwrap_or_else(|| {
        // A mapping is a stack exactly when it has guard pages, which is what makes a stack safe at all.
        let stack = mapping(here).map_or(Stack::UNKNOWN, Stack::new);
        OTHER_STACK.set(Some(stack));
        stack
    })
}

/// True when this runs on the stack that the thread was created with.
pub fn is_own_stack() -> bool {
    let stack = this_stack();
    OWN_STACK.get() == Some(stack)
}

/// There is too little left of the stack.
#[derive(Debug)]
pub struct StackTooSmall {
    /// Bytes below the caller.
    pub left: usize,
    /// Bytes that all of it has.
    pub size: usize,
}

/// Bytes that must be left of the stack when a thread enters Python. With 16 KiB CPython aborts; up to 72 KiB its
/// parser refuses any source (a MemoryError); and below 96 KiB it only puts aside the containers that it should free
/// (Objects/object.c: _Py_Dealloc), and an entry that stays below frees them never. The rest is for what lies in
/// between.
pub const NEEDED_STACK: usize = 112 * 1024;

/// The stack that this runs on, unless too little is left of it for CPython.
#[inline]
pub fn check_stack() -> Result<Stack, StackTooSmall> {
    let here = here();
    let stack = stack_at(here);
    // Of a stack whose bounds are not known, this is all that is below.
    let left = here.wrapping_sub(stack.base.addr());
    if left < NEEDED_STACK { Err(StackTooSmall { left, size: stack.size }) } else { Ok(stack) }
}

/// Bytes that must be left of a thread's own stack when the host is called. A JVM needs 96 KiB before it runs anything
/// (its guard pages, and those that it keeps for C), and ends the process when they are not there.
const HOST_STACK: usize = 160 * 1024;

/// The part of the thread's own stack in which the host can be called: its begin and its size. None: here it cannot.
/// Other stacks than the thread's own are left to CPython: their owners (`this_stack`) change back to the thread's own
/// before they run anything.
#[cold]
pub fn room_for_host(here: usize) -> Option<(usize, usize)> {
    let own = OWN_STACK.get().unwrap_or_else(own_stack);
    if !own.contains(here) {
        return Some((0, 0));
    }
    let (begin, size) = (own.base.addr() + HOST_STACK, own.size.saturating_sub(HOST_STACK));
    (here.wrapping_sub(begin) < size).then_some((begin, size))
}

#[cold]
fn own_stack() -> Stack {
    let own = thread_stack().map_or(Stack::UNKNOWN, Stack::new);
    OWN_STACK.set(Some(own));
    own
}

/// The bounds of a thread's own stack, where its user finds them without looking a thread-local variable up.
pub struct OwnStack {
    own: Cell<Stack>,
    /// What is above the part that must be left: 0 until the bounds are known.
    room: Cell<usize>,
}

impl OwnStack {
    pub const fn new() -> OwnStack {
        OwnStack { own: Cell::new(Stack::UNKNOWN), room: Cell::new(0) }
    }

    /// As [`check_stack`] does.
    #[inline(always)]
    pub fn check(&self) -> Result<Stack, StackTooSmall> {
        let own = self.own.get();
        if here().wrapping_sub(own.base.addr()).wrapping_sub(NEEDED_STACK) < self.room.get() {
            return Ok(own);
        }
        self.check_slowly()
    }

    #[cold]
    #[inline(never)]
    fn check_slowly(&self) -> Result<Stack, StackTooSmall> {
        let stack = check_stack();
        if let Some(own) = OWN_STACK.get() {
            self.own.set(own);
            self.room.set(own.room());
        }
        stack
    }
}

/// Tells CPython the bounds of the stack that the state is used on.
///
/// # Safety
/// The state must be this thread's own.
#[inline]
pub unsafe fn protect(api: &Api, state: *mut PyThreadState, stack: Stack) {
    // The function would raise for too small a stack, which crashes without an attached state.
    if !stack.base.is_null() && stack.size >= MIN_STACK {
        // SAFETY: promised by the caller.
        unsafe { (api.PyUnstable_ThreadState_SetStackProtection)(state, stack.base, stack.size) };
    }
}
