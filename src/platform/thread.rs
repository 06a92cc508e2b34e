//! Threads of the library's own. Those of the standard library take the memory for their names and numbers from malloc
//! itself, past any global allocator, and abort the process when there is none; so do its channels and scopes, for whoever
//! uses them. These need what pthread_create() needs, which fails, and two boxes.

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{io, ptr, thread};

use super::common::{Thread, create_thread, detach_thread, join_thread};
use super::system::{LONGEST_NAME, name_thread};

struct Start<'a> {
    name: [u8; LONGEST_NAME + 1],
    main: Box<dyn FnOnce() + Send + 'a>,
}

/// A thread that can be waited for. Dropping this detaches it.
pub struct JoinHandle(Thread);

// SAFETY: a name of the thread, which any other may use; some systems have an address for it.
unsafe impl Send for JoinHandle {}
// SAFETY: as above; what is shared does nothing.
unsafe impl Sync for JoinHandle {}

impl JoinHandle {
    /// Waits for its end.
    pub fn join(self) {
        let thread = self.0;
        std::mem::forget(self);
        // SAFETY: it is joined once, and not detached.
        unsafe { join_thread(thread) };
    }
}

impl Drop for JoinHandle {
    fn drop(&mut self) {
        // SAFETY: it is detached once, and not joined.
        unsafe { detach_thread(self.0) };
    }
}

/// Starts a thread with a stack of that size. A panic ends it, and nobody is told.
pub fn spawn(name: &str, stack: usize, main: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle> {
    // SAFETY: it borrows nothing.
    unsafe { start(name, stack, Box::new(main)) }
}

/// Does something on a thread of its own, and something else here, and gives the result when both are done.
pub fn aside<R: Send>(
    name: &str,
    stack: usize,
    act: impl FnOnce() -> R + Send,
    meanwhile: impl FnOnce(),
) -> io::Result<thread::Result<R>> {
    struct Joins(Option<JoinHandle>);
    impl Drop for Joins {
        fn drop(&mut self) {
            self.0.take().into_iter().for_each(JoinHandle::join);
        }
    }
    let mut result = None;
    let place = &mut result;
    // SAFETY: whatever happens here, it has ended before anything goes that it borrows.
    let thread = unsafe { start(name, stack, Box::new(move || *place = Some(catch_unwind(AssertUnwindSafe(act)))))? };
    let joins = Joins(Some(thread));
    meanwhile();
    drop(joins);
    Ok(result.unwrap_or_else(|| Err(Box::new("the thread has not run"))))
}

/// # Safety
/// What `main` borrows must be there until the thread has ended.
unsafe fn start<'a>(name: &str, stack: usize, main: Box<dyn FnOnce() + Send + 'a>) -> io::Result<JoinHandle> {
    let mut start = Box::new(Start { name: [0; LONGEST_NAME + 1], main });
    let len = name.len().min(LONGEST_NAME);
    start.name[..len].copy_from_slice(&name.as_bytes()[..len]);
    let start: *mut Start<'a> = Box::into_raw(start);
    // SAFETY: the thread gets the box, if it starts; what that borrows is there, as promised.
    unsafe { create_thread(stack, run, start.cast()).map(JoinHandle).inspect_err(|_| drop(Box::from_raw(start))) }
}

extern "C" fn run(start: *mut c_void) -> *mut c_void {
    // SAFETY: the box of `start`, which is this thread's.
    let Start { name, main } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    let _ = CStr::from_bytes_until_nul(&name).map(name_thread);
    let _ = catch_unwind(AssertUnwindSafe(main));
    ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    const STACK: usize = 128 << 10;

    #[test]
    fn a_thread_has_its_name_and_is_waited_for() {
        static DONE: AtomicBool = AtomicBool::new(false);
        let thread = spawn("a name that is too long", STACK, || {
            let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            DONE.store(name == "a name that is \n", Ordering::Relaxed);
        });
        thread.unwrap().join();
        assert!(DONE.load(Ordering::Relaxed));
    }

    #[test]
    fn what_is_done_aside_may_borrow_and_panic() {
        let (mut here, text) = (0, String::from("text"));
        assert_eq!(aside("aside", STACK, || text.len(), || here = 1).unwrap().unwrap(), 4);
        assert_eq!(here, 1);
        assert!(aside("aside", STACK, || panic!("on purpose"), || ()).unwrap().is_err());
        let panicked = catch_unwind(|| aside("aside", STACK, || text.len(), || panic!("on purpose")));
        assert!(panicked.is_err());
    }

    #[test]
    fn a_stack_that_cannot_be_is_an_error() {
        assert!(spawn("small", 1, || ()).is_err());
    }
}
