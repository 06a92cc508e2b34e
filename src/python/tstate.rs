//! Entering an interpreter: a fresh thread state for each entry, made and deleted on the calling OS thread.
//!
//! A thread state must never move between threads, nor be deleted by another one: the thread-local pointer behind
//! PyGILState_* would dangle (use after free). Two caches make the fresh one cheap: the thread's stack bounds (CPython
//! would parse /proc/self/maps on the process's main thread at every entry) and the 16 KiB block that its first Python
//! frame takes (CPython would mmap and munmap it).

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;
use std::sync::OnceLock;

use super::types::{PyInterpreterState, PyObjectArenaAllocator, PyThreadState};

use super::api::Api;
use super::object::Py;

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
    const UNKNOWN: Stack = Stack { base: ptr::null_mut(), size: usize::MAX };

    fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base.addr()) < self.size
    }

    /// Whether it is still there: it begins where it did, behind a guard page. Another one may have come in its place.
    fn is_current(&self) -> bool {
        let base = self.base.addr();
        is_readable(base) && !is_readable(base.wrapping_sub(8))
    }
}

/// Whether the eight bytes at an address can be read. The kernel copies the set in before it refuses the first argument.
fn is_readable(address: usize) -> bool {
    let no_set = ptr::null_mut::<libc::sigset_t>();
    // SAFETY: the kernel answers with an error for any address, and changes nothing.
    let refused = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, -1, address, no_set, 8) };
    refused != 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
}

/// The stack that this runs on. It need not be the one that the thread was created with: coroutines, fibers, and FFIs
/// such as koffi run C on stacks that they make themselves, and not always on the same.
#[inline]
pub fn this_stack() -> Stack {
    let marker = 0u8;
    let here = ptr::from_ref(std::hint::black_box(&marker)).addr();
    match OWN_STACK.get() {
        Some(own) if own.contains(here) => own,
        _ => other_stack(here),
    }
}

#[cold]
fn other_stack(here: usize) -> Stack {
    let own = OWN_STACK.get().unwrap_or_else(thread_stack);
    OWN_STACK.set(Some(own));
    if own.contains(here) {
        return own;
    }
    OTHER_STACK.get().filter(|stack| stack.contains(here) && stack.is_current()).unwrap_or_else(|| {
        let stack = mapping(here).unwrap_or(Stack::UNKNOWN);
        OTHER_STACK.set(Some(stack));
        stack
    })
}

/// The bounds that CPython itself computes (Python/ceval.c): without the guard pages.
fn thread_stack() -> Stack {
    // SAFETY: pthread_getattr_np initialises the attributes, which are destroyed here.
    unsafe {
        let mut attr: libc::pthread_attr_t = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attr) != 0 {
            return Stack::UNKNOWN;
        }
        let (mut base, mut size, mut guard) = (ptr::null_mut(), 0, 0);
        libc::pthread_attr_getguardsize(&attr, &mut guard);
        let found = libc::pthread_attr_getstack(&attr, &mut base, &mut size);
        libc::pthread_attr_destroy(&mut attr);
        if found != 0 {
            return Stack::UNKNOWN;
        }
        Stack { base: base.byte_add(guard), size: size - guard }
    }
}

/// The mapping that an address lies in: a stack exactly when it has guard pages, which is what makes a stack safe at all.
fn mapping(address: usize) -> Option<Stack> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (from, to) = line.split_once(' ')?.0.split_once('-')?;
        let from = usize::from_str_radix(from, 16).ok()?;
        let to = usize::from_str_radix(to, 16).ok()?;
        (from..to).contains(&address).then(|| Stack { base: ptr::without_provenance_mut(from), size: to - from })
    })
}

/// True when this runs on the stack that the thread was created with.
pub fn is_own_stack() -> bool {
    let stack = this_stack();
    OWN_STACK.get() == Some(stack)
}

/// True on the thread that the process began with.
pub fn is_main_thread() -> bool {
    // SAFETY: both only read.
    unsafe { libc::gettid() == libc::getpid() }
}

/// This thread's stack is too small for Python: its size in bytes.
#[derive(Debug)]
pub struct StackTooSmall(pub usize);

/// Bytes of stack that a thread needs to enter Python.
pub const NEEDED_STACK: usize = MIN_STACK;

/// The stack that this runs on, unless it is too small for CPython.
#[inline]
pub fn check_stack() -> Result<Stack, StackTooSmall> {
    let stack = this_stack();
    if stack.size < MIN_STACK { Err(StackTooSmall(stack.size)) } else { Ok(stack) }
}

/// One stay in an interpreter. The thread is attached from `enter` until the entry is dropped, on the same thread.
pub struct Entry {
    api: &'static Api,
    state: *mut PyThreadState,
    /// What was attached before: a host Python's, or an outer entry's, state.
    previous: *mut PyThreadState,
    /// The state that PyGILState_* finds on this thread; entering another one may hide it.
    bound: *mut PyThreadState,
    /// The state lasts longer than the entry; and the stack that it was used on before.
    pinned: Option<(Rc<Pinned>, Stack)>,
    not_send: PhantomData<*mut ()>,
}

impl Entry {
    /// # Safety
    /// The interpreter must be alive and stay so until the entry is dropped.
    #[inline]
    pub unsafe fn new(api: &'static Api, interp: *mut PyInterpreterState, stack: Stack) -> Option<Entry> {
        // SAFETY: promised by the caller.
        unsafe { Entry::bound_before(api, interp, stack, bound_state(api)) }
    }

    /// An entry that in the end leaves PyGILState_* with the state that they found earlier.
    ///
    /// # Safety
    /// As for `new`; the state must be what `bound_state` gave on this thread.
    #[inline]
    pub unsafe fn bound_before(
        api: &'static Api,
        interp: *mut PyInterpreterState,
        stack: Stack,
        bound: *mut PyThreadState,
    ) -> Option<Entry> {
        // SAFETY: promised by the caller; the state is this thread's own.
        unsafe {
            let state = new_state(api, interp, stack)?;
            let previous = (api.PyThreadState_Swap)(state);
            Some(Entry { api, state, previous, bound, pinned: None, not_send: PhantomData })
        }
    }

    pub fn py(&self) -> Py<'_> {
        // SAFETY: attached until the entry is dropped; the token borrows it.
        unsafe { Py::attached(self.api) }
    }

    /// Ends the interpreter instead of leaving it.
    ///
    /// # Safety
    /// Nobody else may be in the interpreter, or enter it from now on.
    pub unsafe fn end_interpreter(self) {
        let entry = std::mem::ManuallyDrop::new(self);
        // SAFETY: the state is attached and has no frame; Py_EndInterpreter deletes it and leaves nothing attached.
        unsafe {
            (entry.api.Py_EndInterpreter)(entry.state);
            (entry.api.PyThreadState_Swap)(entry.previous);
            rebind(entry.api, entry.previous, entry.bound);
        }
    }
}

/// The state that PyGILState_* find on this thread, or NULL.
pub fn bound_state(api: &Api) -> *mut PyThreadState {
    // SAFETY: needs no attached state.
    unsafe { (api.PyGILState_GetThisThreadState)() }
}

/// Makes PyGILState_* find what they found before, when nothing was attached that does it.
///
/// # Safety
/// Nothing may be attached but `previous`; `bound` must be what `bound_state` gave on this thread.
pub unsafe fn rebind(api: &Api, previous: *mut PyThreadState, bound: *mut PyThreadState) {
    if previous.is_null() && !bound.is_null() {
        // SAFETY: the state that this thread was bound to lives on: it belongs to an outer entry or to the host, both of
        // which wait for this call to return.
        unsafe {
            (api.PyThreadState_Swap)(bound);
            (api.PyThreadState_Swap)(ptr::null_mut());
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: the state is this thread's, and attached. Clear runs finalizers of threading.local, so the exception is
        // cleared first; Delete wants it detached.
        unsafe {
            (self.api.PyErr_Clear)();
            if let Some((pinned, stack)) = self.pinned.take() {
                pinned.is_on(stack);
                (self.api.PyThreadState_Swap)(self.previous);
                if self.bound != self.state {
                    rebind(self.api, self.previous, self.bound);
                }
                return;
            }
            (self.api.PyThreadState_Clear)(self.state);
            (self.api.PyThreadState_Swap)(self.previous);
            (self.api.PyThreadState_Delete)(self.state);
            rebind(self.api, self.previous, self.bound);
        }
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

/// Tells CPython the bounds of the stack that the state is used on.
///
/// # Safety
/// The state must be this thread's own.
#[inline]
unsafe fn protect(api: &Api, state: *mut PyThreadState, stack: Stack) {
    // The function would raise for too small a stack, which crashes without an attached state.
    if !stack.base.is_null() && stack.size >= MIN_STACK {
        // SAFETY: promised by the caller.
        unsafe { (api.PyUnstable_ThreadState_SetStackProtection)(state, stack.base, stack.size) };
    }
}

/// A state that this thread keeps from entry to entry: threading.local and contextvars last as long as it does. It is not
/// attached in between.
pub struct Pinned {
    api: &'static Api,
    state: *mut PyThreadState,
    stack: Cell<Stack>,
}

impl Pinned {
    /// # Safety
    /// The interpreter must be alive now, and at every `enter`.
    pub unsafe fn new(api: &'static Api, interp: *mut PyInterpreterState, stack: Stack) -> Option<Pinned> {
        // SAFETY: promised by the caller.
        let state = unsafe { new_state(api, interp, stack)? };
        Some(Pinned { api, state, stack: Cell::new(stack) })
    }

    /// Attaches it. An entry of this thread that is further out may have it too, and has called out of Python.
    #[inline]
    pub fn enter(self: Rc<Self>, stack: Stack) -> Entry {
        let (api, state) = (self.api, self.state);
        let stack = self.is_on(stack);
        let bound = bound_state(api);
        // SAFETY: this thread's own state, of an interpreter that is alive (`new`).
        let previous = unsafe { (api.PyThreadState_Swap)(state) };
        Entry { api, state, previous, bound, pinned: Some((self, stack)), not_send: PhantomData }
    }

    /// The thread goes on on this stack. Returns the one that it was on.
    #[inline]
    fn is_on(&self, stack: Stack) -> Stack {
        let before = self.stack.replace(stack);
        if before != stack {
            // SAFETY: this thread's own state.
            unsafe { protect(self.api, self.state, stack) }
        }
        before
    }

    /// Attaches it for the last time: with this entry the state ends. On the thread that made it; no entry further out may
    /// have found it, as its own state or as what PyGILState_* find.
    pub fn last_entry(self: Rc<Self>, stack: Stack) -> Entry {
        let mut entry = self.enter(stack);
        entry.pinned = None;
        if entry.bound == entry.state {
            entry.bound = ptr::null_mut();
        }
        entry
    }
}

/// Runs something that may block without holding the lock of an interpreter that this thread happens to be attached to
/// (a host Python that calls through ctypes.PyDLL).
pub fn detached<R>(api: Option<&'static Api>, blocking: impl FnOnce() -> R) -> R {
    struct Reattach(&'static Api, *mut PyThreadState);
    impl Drop for Reattach {
        fn drop(&mut self) {
            // SAFETY: the state that SaveThread detached on this thread.
            unsafe { (self.0.PyEval_RestoreThread)(self.1) }
        }
    }
    // SAFETY: GetUnchecked needs no state; SaveThread is called only when one is attached.
    let _guard = api.and_then(|api| unsafe {
        let attached = !(api.PyThreadState_GetUnchecked)().is_null();
        attached.then(|| Reattach(api, (api.PyEval_SaveThread)()))
    });
    blocking()
}

/// The id of the interpreter that this thread is in: attached, or detached to call out of it.
pub fn current_interpreter(api: &Api) -> Option<i64> {
    // SAFETY: neither function needs an attached state; a state found on this thread is alive, and its interpreter too.
    unsafe {
        let mut state = (api.PyThreadState_GetUnchecked)();
        if state.is_null() {
            state = (api.PyGILState_GetThisThreadState)();
        }
        if state.is_null() {
            return None;
        }
        Some((api.PyInterpreterState_GetID)((api.PyThreadState_GetInterpreter)(state)))
    }
}

// ---- the cache of data-stack blocks ----

/// A thread state's first data-stack block (Python/pystate.c: DATA_STACK_CHUNK_SIZE). obmalloc's arenas are 1 MiB.
const CHUNK: usize = 16 * 1024;

/// Nested entries take one each; more are not kept.
const KEPT: usize = 4;

struct Chunks(RefCell<Vec<*mut c_void>>);

thread_local! {
    static CHUNKS: Chunks = const { Chunks(RefCell::new(Vec::new())) };
}

impl Drop for Chunks {
    fn drop(&mut self) {
        for chunk in self.0.get_mut().drain(..) {
            // SAFETY: a block that the original allocator made (`take_chunk` keeps no others).
            unsafe { original_free(chunk, CHUNK) }
        }
    }
}

/// The allocator that was there before.
struct Original(PyObjectArenaAllocator);

// SAFETY: function pointers and a context that CPython itself uses from every thread.
unsafe impl Send for Original {}
// SAFETY: as above.
unsafe impl Sync for Original {}

static ORIGINAL: OnceLock<Original> = OnceLock::new();

/// # Safety
/// The block must be one that the original allocator made, of that size.
unsafe fn original_free(block: *mut c_void, size: usize) {
    if let Some(Original(original)) = ORIGINAL.get()
        && let Some(free) = original.free
    {
        free(original.ctx, block, size);
    }
}

extern "C" fn chunk_alloc(_: *mut c_void, size: usize) -> *mut c_void {
    if size == CHUNK
        && let Ok(Some(chunk)) = CHUNKS.try_with(|chunks| chunks.0.borrow_mut().pop())
    {
        return chunk;
    }
    match ORIGINAL.get() {
        Some(Original(PyObjectArenaAllocator { ctx, alloc: Some(alloc), .. })) => alloc(*ctx, size),
        _ => ptr::null_mut(),
    }
}

extern "C" fn chunk_free(_: *mut c_void, block: *mut c_void, size: usize) {
    if block.is_null() {
        return; // CPython does that
    }
    let keep = |chunks: &Chunks| {
        let mut chunks = chunks.0.borrow_mut();
        let room = size == CHUNK && chunks.len() < KEPT;
        if room {
            chunks.push(block);
        }
        room
    };
    if !CHUNKS.try_with(keep).unwrap_or(false) {
        // SAFETY: CPython gives back what it got from this allocator, which is what the original made.
        unsafe { original_free(block, size) }
    }
}

/// Puts the cache between CPython and its arena allocator; once a process.
///
/// # Safety
/// The table must be CPython's. Blocks of the old and the new allocator may be mixed: both free through the original.
pub unsafe fn cache_chunks(api: &Api) {
    ORIGINAL.get_or_init(|| {
        let mut original = PyObjectArenaAllocator { ctx: ptr::null_mut(), alloc: None, free: None };
        // SAFETY: fills the struct in.
        unsafe { (api.PyObject_GetArenaAllocator)(&mut original) };
        Original(original)
    });
    let ctx = ORIGINAL.get().map_or(ptr::null_mut(), |original| original.0.ctx);
    let mut cached = PyObjectArenaAllocator { ctx, alloc: Some(chunk_alloc), free: Some(chunk_free) };
    // SAFETY: the struct is copied.
    unsafe { (api.PyObject_SetArenaAllocator)(&mut cached) }
}
