//! A cache in front of CPython's RAW allocator for the block that a thread state lies in. Each entry has a fresh state,
//! and glibc's calloc() and free() of so large a block cost an eighth of a call.
//!
//! Every block is one of the original allocator's, as that gave it. So it does not matter who frees it: hooks that lie
//! above (tracemalloc, debug hooks) or are put in the place of this later, and blocks from before it was there. What
//! must not happen is that another block is taken for one of these: one is known from when the original has made it
//! until the original gets it back, and every free() and realloc() goes through here.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::api::Api;
use super::chunks::KeptBlocks;
use super::types::{PYMEM_DOMAIN_RAW, PyInterpreterState, PyMemAllocatorEx};

thread_local! {
    static KEPT: KeptBlocks = const { KeptBlocks::new(original_free) };
    /// What this thread got last while the size was not known: address and size.
    static LAST: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Of a thread state's block. Nobody asks for the largest number there is.
static SIZE: AtomicUsize = AtomicUsize::new(UNKNOWN);
const UNKNOWN: usize = usize::MAX;

/// The blocks of that size that the original has made and not got back, each in the place that its address says. One
/// that finds its place taken is like any other. A block stays the same from call to call, so threads only read here.
static KNOWN: [AtomicPtr<c_void>; PLACES] = [const { AtomicPtr::new(ptr::null_mut()) }; PLACES];
const PLACES: usize = 1024;

#[inline]
fn place(block: *mut c_void) -> &'static AtomicPtr<c_void> {
    // Blocks of several threads differ in the upper bits alone, where the heaps of threads begin.
    &KNOWN[(block.addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> (usize::BITS - PLACES.ilog2())]
}

/// The allocator that was there before.
pub(super) struct Original {
    pub functions: PyMemAllocatorEx,
    pub malloc: extern "C" fn(*mut c_void, usize) -> *mut c_void,
    pub calloc: extern "C" fn(*mut c_void, usize, usize) -> *mut c_void,
    realloc: extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void,
    free: extern "C" fn(*mut c_void, *mut c_void),
}

// SAFETY: function pointers and a context that CPython itself uses from every thread, with and without a GIL.
unsafe impl Send for Original {}
// SAFETY: as above.
unsafe impl Sync for Original {}

static ORIGINAL: OnceLock<Original> = OnceLock::new();

/// None before `cache_state_blocks`.
#[inline]
pub(super) fn original() -> Option<&'static Original> {
    ORIGINAL.get()
}

/// Whether a block of this size may be a thread state's.
#[inline]
pub(super) fn may_be_one(size: usize) -> bool {
    let wanted = SIZE.load(Ordering::Relaxed);
    wanted == UNKNOWN || wanted == size
}

/// This allocator, in front of that one. The context stays: a thread that allocates while it is put there may see some
/// functions of the one and some of the other.
pub(super) fn in_front(original: &Original) -> PyMemAllocatorEx {
    PyMemAllocatorEx { calloc: Some(calloc), realloc: Some(realloc), free: Some(free), ..original.functions }
}

/// For blocks that the original allocator made.
fn original_free(block: *mut c_void) {
    if is_known(block) {
        place(block).store(ptr::null_mut(), Ordering::Relaxed);
    }
    if let Some(original) = ORIGINAL.get() {
        (original.free)(original.functions.ctx, block);
    }
}

/// Whoever has the block sees what is in its place. True for NULL when that has room.
#[inline]
fn is_known(block: *mut c_void) -> bool {
    place(block).load(Ordering::Relaxed) == block
}

pub(super) extern "C" fn calloc(ctx: *mut c_void, count: usize, size: usize) -> *mut c_void {
    let wanted = SIZE.load(Ordering::Relaxed);
    if count == 1 && size == wanted {
        return state_block(ctx, size);
    }
    match ORIGINAL.get() {
        Some(original) if wanted != UNKNOWN => (original.calloc)(ctx, count, size),
        _ => calloc_measured(ctx, count, size),
    }
}

/// This and `free_known` are calls of C's, and no part of their callers: the other blocks, which are many, pass by
/// without a stack frame.
#[inline(never)]
extern "C" fn state_block(ctx: *mut c_void, size: usize) -> *mut c_void {
    if let Ok(Some(block)) = KEPT.try_with(KeptBlocks::take) {
        // SAFETY: a block of that size, which nobody uses.
        unsafe { block.cast::<u8>().write_bytes(0, size) };
        return block;
    }
    let block = ORIGINAL.get().map_or(ptr::null_mut(), |original| (original.calloc)(ctx, 1, size));
    if !block.is_null() {
        // Not when another one has the place.
        let _ = place(block).compare_exchange(ptr::null_mut(), block, Ordering::Relaxed, Ordering::Relaxed);
    }
    block
}

#[cold]
#[inline(never)]
extern "C" fn calloc_measured(ctx: *mut c_void, count: usize, size: usize) -> *mut c_void {
    let block = ORIGINAL.get().map_or(ptr::null_mut(), |original| (original.calloc)(ctx, count, size));
    LAST.set((block.addr(), count.saturating_mul(size)));
    block
}

pub(super) extern "C" fn realloc(ctx: *mut c_void, block: *mut c_void, size: usize) -> *mut c_void {
    if is_known(block) {
        place(block).store(ptr::null_mut(), Ordering::Relaxed);
    }
    ORIGINAL.get().map_or(ptr::null_mut(), |original| (original.realloc)(ctx, block, size))
}

pub(super) extern "C" fn free(ctx: *mut c_void, block: *mut c_void) {
    match ORIGINAL.get() {
        Some(original) if !is_known(block) => (original.free)(ctx, block),
        _ => free_known(ctx, block),
    }
}

#[inline(never)]
extern "C" fn free_known(_: *mut c_void, block: *mut c_void) {
    if !block.is_null() && !KEPT.try_with(|kept| kept.keep(block)).unwrap_or(false) {
        original_free(block);
    }
}

/// Puts the cache in front of the RAW allocator, unless it is there already: CPython takes it away when it is
/// initialised again, and a host may have put hooks above it.
///
/// # Safety
/// Attached to the interpreter.
pub unsafe fn cache_state_blocks(api: &Api, interp: *mut PyInterpreterState) {
    /// What is kept has this size.
    static FIRST: OnceLock<usize> = OnceLock::new();
    SIZE.store(UNKNOWN, Ordering::Relaxed);
    // SAFETY: promised by the caller.
    let size = unsafe {
        measure(api, interp).or_else(|| {
            put_in_front(api);
            measure(api, interp)
        })
    };
    if let Some(size) = size
        && size == *FIRST.get_or_init(|| size)
    {
        SIZE.store(size, Ordering::Relaxed);
    }
}

/// The size of the block that a thread state lies in, if it comes through here.
///
/// # Safety
/// Attached to the interpreter. So this thread has a state already, and the new one is not the one that the
/// interpreter's struct has room for if that is the first.
unsafe fn measure(api: &Api, interp: *mut PyInterpreterState) -> Option<usize> {
    LAST.set((0, 0));
    // SAFETY: as promised; the state is this thread's own and was never attached.
    unsafe {
        let state = (api.PyThreadState_New)(interp);
        if state.is_null() {
            return None;
        }
        let (from, size) = LAST.get();
        let inside = state.addr().wrapping_sub(from) < size;
        (api.PyThreadState_Clear)(state);
        (api.PyThreadState_Delete)(state);
        inside.then_some(size)
    }
}

/// # Safety
/// The table must be CPython's.
unsafe fn put_in_front(api: &Api) {
    let mut now = PyMemAllocatorEx { ctx: ptr::null_mut(), malloc: None, calloc: None, realloc: None, free: None };
    // SAFETY: fills the struct in.
    unsafe { (api.PyMem_GetAllocator)(PYMEM_DOMAIN_RAW, &mut now) };
    let (Some(malloc), Some(old_calloc)) = (now.malloc, now.calloc) else { return };
    let (Some(old_realloc), Some(old_free)) = (now.realloc, now.free) else { return };
    let original = ORIGINAL.get_or_init(|| Original {
        functions: now,
        malloc,
        calloc: old_calloc,
        realloc: old_realloc,
        free: old_free,
    });
    // Those that are kept go back to the allocator that made them.
    let there = (now.ctx, old_calloc as usize, old_realloc as usize, old_free as usize);
    let first = (original.functions.ctx, original.calloc as usize, original.realloc as usize, original.free as usize);
    if there != first {
        return;
    }
    // Some may have been freed while this was not there.
    KNOWN.iter().for_each(|place| place.store(ptr::null_mut(), Ordering::Relaxed));
    let mut cached = in_front(original);
    // SAFETY: the struct is copied. The new allocator forwards what the old one has made, as CPython demands of those
    // that come when it is initialised.
    unsafe { (api.PyMem_SetAllocator)(PYMEM_DOMAIN_RAW, &mut cached) }
}
