//! A cache in front of CPython's arena allocator for the 16 KiB block that the first Python frame of a thread state
//! takes, and which CPython would mmap and munmap at each entry.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use super::api::Api;
use super::types::PyObjectArenaAllocator;
use super::{arenas, counted};

/// A thread state's first data-stack block (Python/pystate.c: DATA_STACK_CHUNK_SIZE). obmalloc's arenas are 1 MiB.
const CHUNK: usize = 16 * 1024;

/// Nested entries take one each; more are not kept.
const KEPT: usize = 4;

/// Blocks of one size that a thread keeps for its next entries. They are given back when it ends.
pub struct KeptBlocks {
    blocks: [Cell<*mut c_void>; KEPT],
    count: Cell<usize>,
    give_back: fn(*mut c_void),
}

impl KeptBlocks {
    pub const fn new(give_back: fn(*mut c_void)) -> KeptBlocks {
        KeptBlocks { blocks: [const { Cell::new(ptr::null_mut()) }; KEPT], count: Cell::new(0), give_back }
    }

    #[inline]
    pub fn take(&self) -> Option<*mut c_void> {
        let last = self.count.get().checked_sub(1)?;
        let block = self.blocks.get(last)?.get();
        self.count.set(last);
        Some(block)
    }

    /// False when there is no room for it.
    #[inline]
    pub fn keep(&self, block: *mut c_void) -> bool {
        let Some(place) = self.blocks.get(self.count.get()) else { return false };
        place.set(block);
        self.count.set(self.count.get() + 1);
        true
    }
}

impl Drop for KeptBlocks {
    fn drop(&mut self) {
        while let Some(block) = self.take() {
            (self.give_back)(block);
        }
    }
}

thread_local! {
    static CHUNKS: KeptBlocks = const { KeptBlocks::new(|chunk| original_free(chunk, CHUNK)) };
}

/// The allocator that was there before.
struct Original(PyObjectArenaAllocator);

// SAFETY: function pointers and a context that CPython itself uses from every thread.
unsafe impl Send for Original {}
// SAFETY: as above.
unsafe impl Sync for Original {}

static ORIGINAL: OnceLock<Original> = OnceLock::new();

/// For blocks that the original allocator made, of that size.
fn original_free(block: *mut c_void, size: usize) {
    if let Some(Original(original)) = ORIGINAL.get()
        && let Some(free) = original.free
    {
        free(original.ctx, block, size);
    }
}

extern "C" fn chunk_alloc(_: *mut c_void, size: usize) -> *mut c_void {
    if size == CHUNK
        && let Ok(Some(chunk)) = CHUNKS.try_with(KeptBlocks::take)
    {
        return chunk;
    }
    other_alloc(size)
}

/// What is not kept.
#[cold]
#[inline(never)]
fn other_alloc(size: usize) -> *mut c_void {
    counted::arena(size, || make(size))
}

fn make(size: usize) -> *mut c_void {
    if let Some(arena) = arenas::take(size) {
        return arena;
    }
    match ORIGINAL.get() {
        Some(Original(PyObjectArenaAllocator { ctx, alloc: Some(alloc), .. })) => alloc(*ctx, size),
        _ => ptr::null_mut(),
    }
}

extern "C" fn chunk_free(_: *mut c_void, block: *mut c_void, size: usize) {
    // CPython gives back what it got from this allocator, which is what the original made; or NULL.
    let kept = || size == CHUNK && CHUNKS.try_with(|chunks| chunks.keep(block)).unwrap_or(false);
    if !block.is_null() && !kept() {
        other_free(block, size);
    }
}

/// The same, when some interpreter counts its memory.
extern "C" fn counted_free(ctx: *mut c_void, block: *mut c_void, size: usize) {
    counted::arena_goes(block, size);
    chunk_free(ctx, block, size);
}

#[cold]
#[inline(never)]
fn other_free(block: *mut c_void, size: usize) {
    if !arenas::keep(block, size) {
        original_free(block, size);
    }
}

fn parts(allocator: &PyObjectArenaAllocator) -> (*mut c_void, usize, usize) {
    let (alloc, free) = (allocator.alloc.map(|alloc| alloc as usize), allocator.free.map(|free| free as usize));
    (allocator.ctx, alloc.unwrap_or_default(), free.unwrap_or_default())
}

/// From now on blocks that were booked are seen when they come back. False when something else is in front of the cache.
pub fn count_chunks(api: &Api) -> bool {
    let Some(Original(original)) = ORIGINAL.get() else { return false };
    let mut now = PyObjectArenaAllocator { ctx: ptr::null_mut(), alloc: None, free: None };
    // SAFETY: fills the struct in.
    unsafe { (api.PyObject_GetArenaAllocator)(&mut now) };
    let with = |free| PyObjectArenaAllocator { ctx: original.ctx, alloc: Some(chunk_alloc), free: Some(free) };
    let mut counted = with(counted_free);
    if parts(&now) == parts(&counted) {
        return true;
    }
    if parts(&now) != parts(&with(chunk_free)) {
        return false;
    }
    // SAFETY: the struct is copied. It forwards to the same functions.
    unsafe { (api.PyObject_SetArenaAllocator)(&mut counted) }
    true
}

/// Puts the cache between CPython and its arena allocator, unless it is there already: CPython takes it away when it is
/// initialised again, and a host may have put its own above it.
///
/// # Safety
/// The table must be CPython's. Blocks of the old and the new allocator may be mixed: both free through the original.
pub unsafe fn cache_chunks(api: &Api) {
    let mut now = PyObjectArenaAllocator { ctx: ptr::null_mut(), alloc: None, free: None };
    // SAFETY: fills the struct in.
    unsafe { (api.PyObject_GetArenaAllocator)(&mut now) };
    let (ctx, there) = (now.ctx, parts(&now));
    // Blocks go back to the allocator that made them, and only the first one is known.
    if there != parts(&ORIGINAL.get_or_init(|| Original(now)).0) {
        return;
    }
    let mut cached = PyObjectArenaAllocator { ctx, alloc: Some(chunk_alloc), free: Some(chunk_free) };
    // SAFETY: the struct is copied.
    unsafe { (api.PyObject_SetArenaAllocator)(&mut cached) }
}
