//! Memory for when there is none. Rust aborts the process when a small allocation fails that nobody checks: a box, a
//! message, an entry of a list. So a few blocks are held back, from which those are served when malloc has nothing more.
//! What begins asks whether there is enough left (`enough`), and is refused otherwise: so what has begun can end.
//!
//! What a caller, a guest or another process sizes is no matter of the reserve: it is allocated fallibly.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::platform::usable_size;

/// How large blocks are, and how many there are of each size.
const SIZES: [(usize, usize); 3] = [(256, 192), (2048, 32), (16384, 4)];
/// From one size to the next.
const STEP: usize = 8;
const BLOCKS: usize = SIZES[0].1 + SIZES[1].1 + SIZES[2].1;
/// What any of them is aligned to.
const ALIGN: usize = 128;

/// What is held back. A block that was taken is like any other of malloc's, and is freed like it.
static HELD: [AtomicPtr<u8>; BLOCKS] = [const { AtomicPtr::new(ptr::null_mut()) }; BLOCKS];

/// Some may be missing.
static SHORT: AtomicBool = AtomicBool::new(true);

fn places() -> impl Iterator<Item = (usize, &'static AtomicPtr<u8>)> {
    SIZES.iter().flat_map(|(size, count)| std::iter::repeat_n(*size, *count)).zip(&HELD)
}

/// Takes from malloc what is missing; all of it at first. False: it has nothing either.
#[cold]
fn refill() -> bool {
    // Whoever takes a block meanwhile says so after this.
    SHORT.store(false, Ordering::Relaxed);
    for (size, place) in places() {
        if !place.load(Ordering::Relaxed).is_null() {
            continue;
        }
        // SAFETY: a size that is not 0, and an alignment that is a power of two.
        let block = unsafe { allocate(Layout::from_size_align_unchecked(size, ALIGN)) };
        if block.is_null() {
            SHORT.store(true, Ordering::Relaxed);
            return false;
        }
        if place.compare_exchange(ptr::null_mut(), block, Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: malloc's, and nobody has it.
            unsafe { libc::free(block.cast()) };
        }
    }
    true
}

/// The smallest block that is held and large enough. NULL: none.
#[cold]
fn take(layout: Layout) -> *mut u8 {
    if layout.align() > ALIGN {
        return ptr::null_mut();
    }
    for (_, place) in places().filter(|(size, _)| *size >= layout.size()) {
        let block = place.swap(ptr::null_mut(), Ordering::Acquire);
        if !block.is_null() {
            SHORT.store(true, Ordering::Relaxed);
            return block;
        }
    }
    ptr::null_mut()
}

/// Holds a block back that is given up, if one of its size is missing. False: it is to be freed.
///
/// # Safety
/// It must be malloc's, and nobody else's.
#[cold]
unsafe fn keep(block: *mut u8) -> bool {
    // SAFETY: promised by the caller.
    let room = unsafe { usable_size(block.cast()) };
    if !block.addr().is_multiple_of(ALIGN) {
        return false;
    }
    places()
        .filter(|(size, _)| room >= *size && room < *size * STEP)
        .any(|(_, place)| place.compare_exchange(ptr::null_mut(), block, Ordering::Release, Ordering::Relaxed).is_ok())
}

/// Whether what begins now can count on the reserve: at least half of each size is there.
#[inline]
pub fn enough() -> bool {
    !SHORT.load(Ordering::Relaxed) || refill() || half()
}

#[cold]
fn half() -> bool {
    SIZES.iter().all(|(wanted, count)| {
        let held = places().filter(|(size, place)| size == wanted && !place.load(Ordering::Relaxed).is_null());
        held.count() * 2 >= *count
    })
}

/// NULL: no memory.
///
/// # Safety
/// As for [`GlobalAlloc::alloc`].
#[inline]
unsafe fn allocate(layout: Layout) -> *mut u8 {
    // SAFETY: malloc takes any size, and posix_memalign such alignments. What is smaller than its alignment malloc may
    // align to its size.
    unsafe {
        if layout.align() <= align_of::<libc::max_align_t>() && layout.align() <= layout.size() {
            return libc::malloc(layout.size()).cast();
        }
        let mut block = ptr::null_mut();
        let align = layout.align().max(size_of::<usize>());
        match libc::posix_memalign(&mut block, align, layout.size()) {
            0 => block.cast(),
            _ => ptr::null_mut(),
        }
    }
}

/// # Safety
/// As for `keep`.
#[inline]
unsafe fn free(block: *mut u8) {
    // SAFETY: promised by the caller.
    unsafe {
        if !SHORT.load(Ordering::Relaxed) || !keep(block) {
            libc::free(block.cast());
        }
    }
}

/// malloc, and behind it the reserve.
pub struct Reserve;

// Calls, as those of the allocator that Rust has otherwise: inlined, they would be a burden on whoever drops something.
// SAFETY: blocks are malloc's, of the size and alignment that is asked for or more; it does not unwind.
unsafe impl GlobalAlloc for Reserve {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: promised by the caller.
        let block = unsafe { allocate(layout) };
        if block.is_null() { take(layout) } else { block }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: calloc takes any size; a block of at least that size is written to.
        unsafe {
            if layout.align() <= align_of::<libc::max_align_t>() && layout.align() <= layout.size() {
                let block: *mut u8 = libc::calloc(1, layout.size()).cast();
                if !block.is_null() {
                    return block;
                }
            }
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: it came from malloc or posix_memalign, and is the caller's.
        unsafe { free(block) }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: it came from malloc or posix_memalign, and the new one has room for what is copied.
        unsafe {
            let wanted = Layout::from_size_align_unchecked(size, layout.align());
            let new = if layout.align() <= align_of::<libc::max_align_t>() && layout.align() <= size {
                libc::realloc(block.cast(), size).cast()
            } else {
                replace(block, layout, self.alloc(wanted), size)
            };
            if !new.is_null() {
                return new;
            }
            // It has room enough for less.
            if size <= layout.size() { block } else { replace(block, layout, take(wanted), size) }
        }
    }
}

/// Moves what is in a block to a new one, which may be NULL: then nothing is done.
///
/// # Safety
/// As for [`GlobalAlloc::realloc`]; the new one has that size.
unsafe fn replace(block: *mut u8, layout: Layout, new: *mut u8, size: usize) -> *mut u8 {
    if !new.is_null() {
        // SAFETY: promised by the caller.
        unsafe {
            ptr::copy_nonoverlapping(block, new, layout.size().min(size));
            free(block);
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_the_reserve_is_large_enough_and_aligned_and_can_be_freed() {
        assert!(refill());
        for (size, align) in [(1, 1), (256, 128), (257, 8), (2048, 16), (16384, 64)] {
            let block = take(Layout::from_size_align(size, align).unwrap());
            assert!(!block.is_null() && block.addr().is_multiple_of(align));
            // SAFETY: a block of that size or more, of malloc's.
            unsafe {
                block.write_bytes(7, size);
                assert!(usable_size(block.cast()) >= size);
                Reserve.dealloc(block, Layout::from_size_align(size, align).unwrap());
            }
        }
        for (size, align) in [(16385, 8), (8, 256)] {
            assert!(take(Layout::from_size_align(size, align).unwrap()).is_null());
        }
    }

    #[test]
    fn a_block_keeps_what_is_in_it_when_its_size_changes() {
        for align in [1, 16, 64] {
            // SAFETY: layouts as they were asked for.
            unsafe {
                let layout = |size| Layout::from_size_align(size, align).unwrap();
                let mut block = Reserve.alloc(layout(100));
                for index in 0..100 {
                    block.add(index).write(index as u8);
                }
                for (before, after) in [(100, 5000), (5000, 60), (60, 61)] {
                    block = Reserve.realloc(block, layout(before), after);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align));
                }
                for index in 0..60 {
                    assert_eq!(block.add(index).read(), index as u8);
                }
                Reserve.dealloc(block, layout(61));
            }
        }
    }
}
