//! A descriptor that is readable or not.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// An eventfd, whose count is 1 while it is readable, else 0.
pub struct Event {
    descriptor: OwnedFd,
    readable: AtomicBool,
}

impl Event {
    /// The error is an errno.
    pub fn new() -> Result<Event, i32> {
        // SAFETY: a call without pointers; a descriptor that nobody else has.
        unsafe {
            let descriptor = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if descriptor < 0 {
                return Err(*libc::__errno_location());
            }
            Ok(Event { descriptor: OwnedFd::from_raw_fd(descriptor), readable: AtomicBool::new(false) })
        }
    }

    pub fn descriptor(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// By one thread at a time.
    pub fn set(&self, readable: bool) {
        if self.readable.load(Ordering::Relaxed) == readable {
            return;
        }
        self.readable.store(readable, Ordering::Relaxed);
        let mut count = 1u64;
        let (descriptor, number) = (self.descriptor(), (&raw mut count).cast());
        // SAFETY: eight bytes, of which one is read or all are written. It never blocks.
        unsafe {
            if readable {
                libc::write(descriptor, number, size_of::<u64>());
            } else {
                libc::read(descriptor, number, size_of::<u64>());
            }
        }
    }
}
