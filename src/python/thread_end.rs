//! What is to be done when a thread ends.

use std::ffi::c_void;
use std::sync::OnceLock;

/// Something that is to be done once when a thread ends, on that thread. Not by a destructor of Rust's thread-local
/// variables: those do not run when the process's main thread ends by pthread_exit(), nor for variables that are first
/// used when the others' destructors have run; and they do run at exit(), which ends no thread.
pub struct AtThreadEnd {
    key: OnceLock<Option<libc::pthread_key_t>>,
    ends: fn(),
}

impl AtThreadEnd {
    pub const fn new(ends: fn()) -> AtThreadEnd {
        AtThreadEnd { key: OnceLock::new(), ends }
    }

    /// The calling thread is one of those.
    pub fn watch(&'static self) {
        extern "C" fn call(this: *mut c_void) {
            // SAFETY: a value of such a key, which is one of these.
            let this = unsafe { &*this.cast::<AtThreadEnd>() };
            // A panic that leaves a destructor of C's would end the process.
            let _ = std::panic::catch_unwind(this.ends);
        }
        let key = self.key.get_or_init(|| {
            let mut key = 0;
            // SAFETY: fills the key in. The destructor is never unloaded (libsubpy is nodelete).
            (unsafe { libc::pthread_key_create(&mut key, Some(call)) } == 0).then_some(key)
        });
        if let Some(key) = *key {
            // SAFETY: the key was created, and is never deleted. Without memory the thread's end goes unseen.
            unsafe { libc::pthread_setspecific(key, std::ptr::from_ref(self).cast()) };
        }
    }
}
