//! A cache in front of CPython's arena allocator for the 16 KiB block that the first Python frame of a thread state
//! takes, and which CPython would mmap and munmap at each entry.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use super::api::Api;
use super::types::PyObjectArenaAllocator;

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
            // SAFETY: a block that the original allocator made (`chunk_free` keeps no others).
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
