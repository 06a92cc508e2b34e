//! A word that two processes look at, and sleep at: a futex, and whether anybody sleeps. The model checker (`model`)
//! brings its own.

#[cfg(all(test, loom))]
pub use super::model::{AtomicU32, Word, fence};
#[cfg(not(all(test, loom)))]
pub use real::{AtomicU32, Word, fence};

#[cfg(not(all(test, loom)))]
mod real {
    use std::ptr;
    pub use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
    pub use std::sync::atomic::fence;
    use std::time::Duration;

    #[repr(C)]
    pub struct Word {
        /// The worker, and the host. Each sets its own: whoever wakes up late must not hide that the other one sleeps.
        sleeping: [AtomicU32; 2],
        /// What is looked at all the time is in another line of the caches than what is written seldom.
        _apart: [u32; 30],
        value: AtomicU32,
    }

    impl Word {
        #[inline]
        pub fn load(&self) -> u32 {
            self.value.load(Acquire)
        }

        /// With all that was written before.
        #[inline]
        pub fn store(&self, value: u32) {
            self.value.store(value, Release);
        }

        #[inline]
        pub fn is_sleeping(&self, host: bool) -> bool {
            self.sleeping[usize::from(host)].load(Relaxed) != 0
        }

        pub fn set_sleeping(&self, host: bool, sleeping: bool) {
            self.sleeping[usize::from(host)].store(sleeping.into(), Relaxed);
        }

        /// False: it is not `old` any more.
        pub fn exchange(&self, old: u32, new: u32) -> bool {
            self.value.compare_exchange(old, new, SeqCst, SeqCst).is_ok()
        }

        pub fn add_bits(&self, bits: u32) {
            self.value.fetch_or(bits, SeqCst);
        }

        /// Sleeps while it is `expected`: until it is woken, until the time is over, or for no reason at all.
        pub fn sleep(&self, expected: u32, time: Option<Duration>) {
            let time = time.map(|time| libc::timespec {
                tv_sec: time.as_secs().try_into().unwrap_or(i32::MAX.into()),
                tv_nsec: time.subsec_nanos().into(),
            });
            let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
            // SAFETY: word and time live through the call. Not FUTEX_PRIVATE: the word is another process's too.
            unsafe { libc::syscall(libc::SYS_futex, self.value.as_ptr(), libc::FUTEX_WAIT, expected, time) };
        }

        /// Wakes all: one alone may be somebody who has no business here.
        pub fn wake(&self) {
            // SAFETY: nothing is read or written; the word is only where those who are woken sleep.
            unsafe { libc::syscall(libc::SYS_futex, self.value.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
        }
    }
}
