//! The memory that two processes see. Its size is fixed and sealed, so neither can take it away from the other: reading
//! where a file has become shorter would end the process.
//!
//! ```text
//! 0      who sleeps
//! 128    the turn, and a message's fixed part: the line that goes back and forth between the cores
//! 160    what belongs to it, as far as it fits
//! 4096   two halves, which are filled in turns when it does not fit
//! ```

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::super::mapping::memory_file;
use super::word::Word;

const SIZE: usize = 1 << 20;
const PAGE: usize = 4096;
/// What small messages take; the rest can be given back.
pub const KEPT: usize = 64 << 10;
/// Where a message's bytes are that fit in one piece, and how many fit.
pub const BYTES: usize = size_of::<Line>();
pub const ROOM: usize = SIZE - BYTES;
/// The two halves.
pub const HALF: usize = (SIZE - PAGE) / 2;
pub const HALVES: [usize; 2] = [PAGE, PAGE + HALF];

const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// What is at its beginning.
#[repr(C)]
pub struct Line {
    pub turn: Word,
    /// `op`, and `flags` in the upper half.
    pub what: AtomicU32,
    pub len: AtomicU64,
    pub a: AtomicU64,
    pub b: AtomicU64,
}

/// The memory, mapped at a place that stays.
pub struct Shared(NonNull<u8>);

// SAFETY: it is a mapping, which belongs to no thread. Two processes use it at the same time anyway, so nothing here
// depends on what the bytes are, and no reference is made to what is not atomic.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// New memory, and the descriptor for the other process. It is not needed here.
    pub fn create() -> io::Result<(Shared, OwnedFd)> {
        let file = memory_file()?;
        // SAFETY: a system call without pointers.
        check(unsafe { libc::ftruncate(file.as_raw_fd(), SIZE as libc::off_t) })?;
        // SAFETY: as above.
        check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) })?;
        Ok((map(&file)?, file))
    }

    /// What another process has created.
    pub fn open(file: BorrowedFd) -> io::Result<Shared> {
        // SAFETY: a system call without pointers; what is no memory file has no seals.
        let seals = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) })?;
        // SAFETY: a struct of numbers.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: it is written there.
        check(unsafe { libc::fstat(file.as_raw_fd(), &raw mut stat) })?;
        if seals & SEALS != SEALS || stat.st_size != SIZE as libc::off_t {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not the memory of a channel"));
        }
        map(&file)
    }

    #[inline]
    pub fn line(&self) -> &Line {
        // SAFETY: the mapping begins with it, on a page's boundary, and lives as long as `self`. It has atomics alone.
        unsafe { self.0.cast().as_ref() }
    }

    /// Writes bytes. Panics when they do not fit.
    #[inline]
    pub fn put(&self, at: usize, bytes: &[u8]) {
        self.check(at, bytes.len());
        // SAFETY: it is within the mapping. The other process may write there too, and then gets a mixture.
        unsafe { self.0.as_ptr().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Reads bytes behind those of `to`, for which there must be room. The other process may write there meanwhile:
    /// nothing is decided by them before they are here.
    #[inline]
    pub fn take(&self, at: usize, len: usize, to: &mut Vec<u8>) {
        self.check(at, len);
        assert!(to.capacity() - to.len() >= len, "the memory was allocated");
        // SAFETY: both ends were checked, and are not the same memory. Any bytes are bytes, so they are initialised.
        unsafe {
            to.as_mut_ptr().add(to.len()).copy_from_nonoverlapping(self.0.as_ptr().add(at), len);
            to.set_len(to.len() + len);
        }
    }

    /// Where so many bytes begin of a message in one piece.
    #[inline]
    pub fn bytes(&self, len: usize) -> *const u8 {
        self.check(BYTES, len);
        // SAFETY: within the mapping.
        unsafe { self.0.as_ptr().add(BYTES) }
    }

    /// Gives back the memory that only large messages need. For who has the turn, while nothing is to be read.
    pub fn shrink(&self) {
        // SAFETY: the mapping's own pages, which are zero from then on.
        unsafe { libc::madvise(self.0.as_ptr().add(KEPT).cast(), SIZE - KEPT, libc::MADV_REMOVE) };
    }

    #[inline]
    fn check(&self, at: usize, len: usize) {
        assert!((BYTES..=SIZE).contains(&at) && len <= SIZE - at, "within the mapping");
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nobody has a reference any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), SIZE) };
    }
}

fn map(file: &impl AsRawFd) -> io::Result<Shared> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, at a place that the kernel chooses.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(Shared(NonNull::new(start.cast()).expect("no mapping is at address 0 unless it is asked for")))
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
