//! Threads of the library's own. Those of the standard library take the memory for their names and numbers from malloc
//! itself, past any global allocator, and abort the process when there is none; so do its channels and scopes, for whoever
//! uses them. These need what pthread_create() needs, which fails, and two boxes.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{io, ptr, thread};

/// The longest name that the kernel keeps.
const LONGEST_NAME: usize = 15;

struct Start<'a> {
    name: [u8; LONGEST_NAME + 1],
    main: Box<dyn FnOnce() + Send + 'a>,
}

/// A thread that can be waited for. Dropping this detaches it.
pub struct JoinHandle(libc::pthread_t);

impl JoinHandle {
    /// Waits for its end.
    pub fn join(self) {
        let thread = self.0;
        std::mem::forget(self);
        // SAFETY: it is joined once, and not detached. That it is this thread itself is an error and nothing else.
        unsafe { libc::pthread_join(thread, ptr::null_mut()) };
    }
}

impl Drop for JoinHandle {
    fn drop(&mut self) {
        // SAFETY: it is detached once, and not joined.
        unsafe { libc::pthread_detach(self.0) };
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

/// How much of a thread's stack the C library takes for the thread-local variables of the program and its libraries, which may
/// be more than all of a small one. glibc says so by a function of its own, which Rust's standard library asks as well;
/// others do not take it from what they were asked for.
fn thread_local(attributes: &libc::pthread_attr_t) -> usize {
    // SAFETY: an exported function of glibc's, of this type since it has it (nptl/nptl-stack.c).
    unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, c"__pthread_get_minstack".as_ptr());
        let least: Option<unsafe extern "C" fn(*const libc::pthread_attr_t) -> usize> = std::mem::transmute(found);
        least.map_or(0, |least| least(attributes).saturating_sub(libc::PTHREAD_STACK_MIN))
    }
}

/// # Safety
/// What `main` borrows must be there until the thread has ended.
unsafe fn start<'a>(name: &str, stack: usize, main: Box<dyn FnOnce() + Send + 'a>) -> io::Result<JoinHandle> {
    let mut start = Box::new(Start { name: [0; LONGEST_NAME + 1], main });
    let len = name.len().min(LONGEST_NAME);
    start.name[..len].copy_from_slice(&name.as_bytes()[..len]);
    let start: *mut Start<'a> = Box::into_raw(start);
    // SAFETY: attributes that are initialized, and destroyed after their use; the thread gets the box, if it starts.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        let mut thread = std::mem::zeroed();
        let mut error = libc::pthread_attr_init(&mut attributes);
        if error == 0 {
            let all = stack.saturating_add(thread_local(&attributes));
            error = libc::pthread_attr_setstacksize(&mut attributes, all);
            if error == 0 {
                error = libc::pthread_create(&mut thread, &attributes, run, start.cast());
            }
            libc::pthread_attr_destroy(&mut attributes);
        }
        if error != 0 {
            drop(Box::from_raw(start));
            return Err(io::Error::from_raw_os_error(error));
        }
        Ok(JoinHandle(thread))
    }
}

extern "C" fn run(start: *mut c_void) -> *mut c_void {
    // SAFETY: the box of `start`, which is this thread's.
    let Start { name, main } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    // SAFETY: a text that ends with a NUL.
    unsafe { libc::pthread_setname_np(libc::pthread_self(), name.as_ptr().cast()) };
    let _ = catch_unwind(AssertUnwindSafe(main));
    ptr::null_mut()
}

/// No signal comes to this thread, until this is dropped.
pub struct NoSignals(libc::sigset_t);

impl NoSignals {
    pub fn new() -> Self {
        // SAFETY: sets of signals, which are filled in.
        unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &all, &mut before);
            NoSignals(before)
        }
    }
}

impl Drop for NoSignals {
    fn drop(&mut self) {
        // SAFETY: the set that was there before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
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
