//! Allocators between CPython and its own that book blocks for interpreters that count their memory (`memory`). They are
//! put in place with the first such interpreter; before that nothing here runs.
//!
//! Every block is one of the original allocator's, as that gave it, as in `state_blocks`: so blocks from before may come
//! here, and those from here may be freed past it. A block that is booked has a few bytes more at its end, which say
//! whose it is. They are signed with its address and a number that nobody knows, so that what other blocks have at their
//! ends is not taken for that. Arenas, which have no room for it, are in a table.

use std::ffi::{CStr, c_void};
use std::hash::{BuildHasher, RandomState};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use super::memory::{Account, owner, unless_locked};
use super::state_blocks::{self, Original};
use super::types::{PYMEM_DOMAIN_RAW, PyMemAllocatorEx};
use super::{api, chunks, lock};
use crate::platform::{EVERYWHERE, USABLE_SIZE, file_at, is_stub, next_symbol, symbol, usable_size};

/// What a booked block ends with: its account, and the signature.
type Tag = [usize; 2];
const TAG: usize = size_of::<Tag>();

/// No block is larger, so there is room for the tag.
const LARGEST: usize = isize::MAX as usize - TAG;

static SECRET: AtomicUsize = AtomicUsize::new(0);

fn signature(block: *mut c_void, account: usize) -> usize {
    account ^ block.addr() ^ SECRET.load(Ordering::Relaxed)
}

/// Where the tag of a block is, and how large the block is. None when it is too small for one.
///
/// # Safety
/// A block that malloc() made.
#[inline]
unsafe fn place(block: *mut c_void) -> Option<(*mut Tag, usize)> {
    // SAFETY: promised by the caller; the place is inside of the block.
    unsafe {
        let size = usable_size(block);
        (size >= TAG).then(|| (block.byte_add(size - TAG).cast(), size))
    }
}

/// Whose block it is, how large it is, and where that is written.
///
/// # Safety
/// A block that malloc() made, or NULL; nobody else uses it.
#[inline]
unsafe fn booked(block: *mut c_void) -> Option<(&'static Account, usize, *mut Tag)> {
    if block.is_null() {
        return None;
    }
    // SAFETY: inside of the block, as promised. What was signed is the address of an account, and these are not freed.
    unsafe {
        let (tag, size) = place(block)?;
        let [account, signed] = tag.read_unaligned();
        if account == 0 || signed != signature(block, account) {
            return None;
        }
        let account = ptr::with_exposed_provenance::<Account>(account).as_ref()?;
        Some((account, size, tag))
    }
}

/// Writes it down. The size, which is to be booked.
///
/// # Safety
/// A block that malloc() made, with room for a tag behind what was asked for.
#[inline]
unsafe fn sign(block: *mut c_void, account: &'static Account) -> usize {
    let address = ptr::from_ref(account).expose_provenance();
    // SAFETY: promised by the caller.
    match unsafe { place(block) } {
        Some((tag, size)) => {
            // SAFETY: as above.
            unsafe { tag.write_unaligned([address, signature(block, address)]) }
            size
        }
        None => 0,
    }
}

/// Books a block that was just made.
#[inline]
fn book(block: *mut c_void, account: &'static Account) -> *mut c_void {
    if !block.is_null() {
        // SAFETY: the original allocator has made it, with room for the tag, and that is malloc() (`count`).
        account.take(unsafe { sign(block, account) });
    }
    block
}

extern "C" fn malloc(ctx: *mut c_void, size: usize) -> *mut c_void {
    let Some(Original { malloc, .. }) = state_blocks::original() else { return ptr::null_mut() };
    match owner() {
        Some(account) if size <= LARGEST => match account.allows(size, size) {
            true => book(malloc(ctx, size + TAG), account),
            false => ptr::null_mut(),
        },
        _ => malloc(ctx, size),
    }
}

extern "C" fn calloc(ctx: *mut c_void, count: usize, size: usize) -> *mut c_void {
    let Some(original) = state_blocks::original() else { return ptr::null_mut() };
    let wanted = count.checked_mul(size).filter(|wanted| *wanted <= LARGEST && !state_blocks::may_be_one(*wanted));
    match (wanted, owner()) {
        (Some(wanted), Some(account)) => match account.allows(wanted, wanted) {
            true => book((original.calloc)(ctx, 1, wanted + TAG), account),
            false => ptr::null_mut(),
        },
        _ => state_blocks::calloc(ctx, count, size),
    }
}

extern "C" fn realloc(ctx: *mut c_void, block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return malloc(ctx, size);
    }
    // SAFETY: the original allocator has made it, and that is malloc(); the caller's to change.
    let booked = unsafe { booked(block) };
    let account = booked.map(|(account, ..)| account).or_else(owner);
    let (Some(account), true) = (account, size <= LARGEST) else { return state_blocks::realloc(ctx, block, size) };
    let old = booked.map_or(0, |(_, size, _)| size);
    if !account.allows(size, (size + TAG).saturating_sub(old)) {
        return ptr::null_mut();
    }
    if let Some((_, _, tag)) = booked {
        // SAFETY: in the block. Where it was is not to look like one of these, when malloc() gives that to others.
        unsafe { tag.write_unaligned([0; 2]) }
    }
    let moved = state_blocks::realloc(ctx, block, size + TAG);
    if moved.is_null() {
        if booked.is_some() {
            // SAFETY: it is as it was.
            unsafe { sign(block, account) };
        }
        return moved;
    }
    // SAFETY: made with room for the tag.
    let new = unsafe { sign(moved, account) };
    match new.checked_sub(old) {
        Some(more) => account.take(more),
        None => account.give(old - new),
    }
    moved
}

extern "C" fn free(ctx: *mut c_void, block: *mut c_void) {
    // SAFETY: the original allocator has made it, and that is malloc(); the caller's to free.
    if let Some((account, size, tag)) = unsafe { booked(block) } {
        // SAFETY: in the block, which is alive.
        unsafe { tag.write_unaligned([0; 2]) }
        account.give(size);
    }
    state_blocks::free(ctx, block);
}

// ---- arenas, and the blocks that frames are in ----

/// Those that are booked: addresses and accounts. It is in parts, so that most can be seen to have none, and threads do
/// not wait for each other.
static ARENAS: [Part; PARTS] = [const { Part { len: AtomicUsize::new(0), blocks: Mutex::new(Vec::new()) } }; PARTS];
const PARTS: usize = 256;

struct Part {
    len: AtomicUsize,
    blocks: Mutex<Vec<(usize, &'static Account)>>,
}

fn part(block: *mut c_void) -> &'static Part {
    &ARENAS[(block.addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> (usize::BITS - PARTS.ilog2())]
}

/// Some interpreter counts, or has.
static COUNTS: AtomicBool = AtomicBool::new(false);

/// Makes a block of that size with `make`, and books it.
pub fn arena(size: usize, make: impl FnOnce() -> *mut c_void) -> *mut c_void {
    let account = if COUNTS.load(Ordering::Relaxed) { owner() } else { None };
    let Some(account) = account else { return make() };
    // Small objects lie in it, and frames.
    if !account.allows(0, size) {
        return ptr::null_mut();
    }
    let block = make();
    if !block.is_null()
        && let Some(mut blocks) = unless_locked(&part(block).blocks)
        && blocks.try_reserve(1).is_ok()
    {
        blocks.push((block.addr(), account));
        part(block).len.store(blocks.len(), Ordering::Relaxed);
        account.take(size);
    }
    block
}

/// It is given back.
#[inline]
pub fn arena_goes(block: *mut c_void, size: usize) {
    // Whoever has the block sees what was booked with it.
    if part(block).len.load(Ordering::Relaxed) > 0 {
        take_out(block, size);
    }
}

#[cold]
fn take_out(block: *mut c_void, size: usize) {
    let mut blocks = lock(&part(block).blocks);
    // Frames give back last what they took first.
    if let Some(place) = blocks.iter().rposition(|(address, _)| *address == block.addr()) {
        let (_, account) = blocks.swap_remove(place);
        part(block).len.store(blocks.len(), Ordering::Relaxed);
        account.give(size);
    }
}

// ---- put in place ----

fn functions(allocator: &PyMemAllocatorEx) -> [usize; 5] {
    let PyMemAllocatorEx { ctx, malloc, calloc, realloc, free } = *allocator;
    [
        ctx.addr(),
        malloc.map_or(0, |it| it as usize),
        calloc.map_or(0, |it| it as usize),
        realloc.map_or(0, |it| it as usize),
        free.map_or(0, |it| it as usize),
    ]
}

/// The function that CPython calls by this name.
fn global(name: &CStr) -> *const c_void {
    // SAFETY: it looks everywhere.
    unsafe { symbol(EVERYWHERE, name) }
}

/// Whether blocks of the allocator are malloc()'s, and it says itself how large they are.
fn is_malloc(original: &Original) -> bool {
    let cpython = file_at(api().PyMem_SetAllocator as *const c_void);
    let usable = file_at(global(USABLE_SIZE));
    // Who replaces one of these replaces all, the function that says how large a block is too, so it is enough to find some.
    let mut family: Vec<_> =
        [c"malloc", c"calloc", c"realloc", c"free"].map(global).into_iter().filter(|it| !is_stub(*it)).collect();
    if family.is_empty() {
        // A program that takes the addresses of all four, as Node does.
        family.push(next_symbol(c"malloc"));
    }
    original.functions.ctx.is_null()
        && cpython.is_some()
        && file_at(original.malloc as *const c_void) == cpython
        && usable.is_some()
        && family.iter().all(|function| file_at(*function) == usable)
}

/// From now on blocks can be booked. The reason when they cannot. Whether a thread is attached does not matter.
pub fn count() -> Result<(), &'static str> {
    static FIRST: OnceLock<()> = OnceLock::new();
    static PUT: Mutex<()> = Mutex::new(());
    let _alone = lock(&PUT);
    let original = state_blocks::original().filter(|original| is_malloc(original));
    if cfg!(windows) {
        return Err("not on Windows, where CPython and the library have heaps that do not know each other's blocks");
    }
    let original = original.ok_or("CPython's allocator is not malloc(): it is debugged, or a host has its own")?;
    FIRST.get_or_init(|| SECRET.store(RandomState::new().hash_one(0) as usize, Ordering::Relaxed));
    let counted = PyMemAllocatorEx {
        malloc: Some(malloc),
        calloc: Some(calloc),
        realloc: Some(realloc),
        free: Some(free),
        ..original.functions
    };
    let mut now = PyMemAllocatorEx { ctx: ptr::null_mut(), malloc: None, calloc: None, realloc: None, free: None };
    // SAFETY: fills the struct in.
    unsafe { (api().PyMem_GetAllocator)(PYMEM_DOMAIN_RAW, &mut now) };
    if functions(&now) != functions(&counted) {
        if functions(&now) != functions(&state_blocks::in_front(original)) {
            return Err("something else has put itself between CPython and its allocator, as tracemalloc does");
        }
        // SAFETY: the struct is copied. As in `state_blocks`: a thread that allocates meanwhile may see some functions of
        // the one and some of the other, and blocks may be mixed.
        unsafe { (api().PyMem_SetAllocator)(PYMEM_DOMAIN_RAW, &mut { counted }) };
    }
    COUNTS.store(true, Ordering::Relaxed);
    match chunks::count_chunks(api()) {
        true => Ok(()),
        false => Err("something else has put itself between CPython and its allocator of arenas"),
    }
}
