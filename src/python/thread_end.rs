//! What is to be done when a thread ends.

use std::ffi::c_void;
use std::sync::OnceLock;

/// Has this called once when the calling thread ends, on that thread. Not by a destructor of Rust's thread-local
/// variables: those do not run when the process's main thread ends by pthread_exit(), nor for variables that are first
/// used when the others' destructors have run; and they do run at exit(), which ends no thread.
pub fn at_thread_end(ends: fn()) {
    static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
    extern "C" fn call(ends: *mut c_void) {
        // SAFETY: a value of this key's, which is a function.
        let ends = unsafe { std::mem::transmute::<*mut c_void, fn()>(ends) };
        // A panic that leaves a destructor of C's would end the process.
        let _ = std::panic::catch_unwind(ends);
    }
    let key = KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: fills the key in. The destructor is never unloaded (libsubpy is nodelete).
        (unsafe { libc::pthread_key_create(&mut key, Some(call)) } == 0).then_some(key)
    });
    if let Some(key) = *key {
        // SAFETY: the key was created, and is never deleted. Without memory the thread's end goes unseen.
        unsafe { libc::pthread_setspecific(key, ends as *const c_void) };
    }
}
