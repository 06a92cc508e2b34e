//! A word that two processes look at, and sleep at: a futex. The model checker (`model`) brings its own.

#[cfg(all(test, loom))]
pub use super::model::{AtomicU32, Word};
#[cfg(not(all(test, loom)))]
pub use real::{AtomicU32, Word};

#[cfg(not(all(test, loom)))]
mod real {
    use std::ptr;
    pub use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::{Acquire, SeqCst};
    use std::time::Duration;

    #[repr(transparent)]
    pub struct Word(AtomicU32);

    impl Word {
        #[inline]
        pub fn load(&self) -> u32 {
            self.0.load(Acquire)
        }

        #[inline]
        pub fn swap(&self, new: u32) -> u32 {
            self.0.swap(new, SeqCst)
        }

        /// False: it is not `old` any more.
        pub fn exchange(&self, old: u32, new: u32) -> bool {
            self.0.compare_exchange(old, new, SeqCst, SeqCst).is_ok()
        }

        pub fn add_bits(&self, bits: u32) {
            self.0.fetch_or(bits, SeqCst);
        }

        /// Sleeps while it is `expected`: until it is woken, until the time is over, or for no reason at all.
        pub fn sleep(&self, expected: u32, time: Option<Duration>) {
            let time = time.map(|time| libc::timespec {
                tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: time.subsec_nanos().into(),
            });
            let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
            // SAFETY: word and time live through the call. Not FUTEX_PRIVATE: the word is another process's too.
            unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAIT, expected, time) };
        }

        /// Wakes all: one alone may be somebody who has no business here.
        pub fn wake(&self) {
            // SAFETY: nothing is read or written; the word is only where those who are woken sleep.
            unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
        }
    }
}
