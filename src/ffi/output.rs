//! What Python code prints goes to the file descriptors 1 and 2, or to a function of yours: for an interpreter, or for
//! one run. Text comes at the end of the run, when 64 KiB have come together, on flush(), and at each line end of stderr
//! and when no run is active; with SUBPY_INTERP_UNBUFFERED at once. docs/output.md says more.

use std::ffi::{c_char, c_void};

use super::boundary;
use super::error::subpy_error;
use super::status::{subpy_finalize_fn, subpy_interp, subpy_status};
use crate::manager::{self, Callback, Result};

/// Takes text that Python code has printed.
///
/// @param userdata  what was given with the function
/// @param interp    the interpreter
/// @param stream    1: stdout; 2: stderr
/// @param text      UTF-8, whole characters, with a NUL behind it; what was no UTF-8 is U+FFFD. Valid during the call
/// @param len       its length in bytes, never 0
///
/// Called without a GIL, on the thread that printed or on one that passes on what has come together; never on two
/// threads at once for the same interpreter or run. It may call any function, and even run code that prints in the same
/// interpreter: that text comes when it has returned. It must not wait by other means, such as a mutex of the host's,
/// for a thread that prints there: that thread may be waiting for it. It must return, not unwind.
#[allow(non_camel_case_types)]
pub type subpy_output_fn = Option<
    unsafe extern "C" fn(userdata: *mut c_void, interp: subpy_interp, stream: i32, text: *const c_char, len: usize),
>;

/// Give what an interpreter prints to a function. From then on all of its output goes there: that of its runs (but for
/// those that have `output` in their request), of threads that its code starts, and what comes between runs and while
/// it is closed. What was printed before goes where it went before.
///
/// sys.stdout and sys.stderr stay what they are, but fileno() raises io.UnsupportedOperation and isatty() is False.
/// Child processes, and C code that writes to the descriptors itself, are not captured.
///
/// @param interp    the interpreter
/// @param fn        NULL: back to the file descriptors
/// @param userdata  passed on to `fn`
/// @param finalize  optional; called with `userdata` when `fn` will not be called any more: it was replaced, the
///                  interpreter has ended, or this function has failed
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_NOT_FOUND    no such interpreter
///         SUBPY_ERROR_INTERPRETER  Python code created the interpreter, or it is the main interpreter of a host's own
///                                  Python, whose streams are left alone
///         SUBPY_ERROR_BUSY         it is closing, and has a process of its own; output goes where it went before
///
/// Any thread, also from inside `fn`, and while something runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_set_output(
    interp: subpy_interp,
    r#fn: subpy_output_fn,
    userdata: *mut c_void,
    finalize: subpy_finalize_fn,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::status(error, setting(interp, r#fn, userdata, finalize)) }
}

/// What subpy_set_output() does. `userdata` is finalized whatever becomes of it.
fn setting(
    interp: subpy_interp,
    call: subpy_output_fn,
    userdata: *mut c_void,
    finalize: subpy_finalize_fn,
) -> impl FnOnce() -> Result<()> {
    let owned = Userdata { data: userdata, finalize };
    move || {
        let callback = RunOutput::new(call, userdata, interp).map(|output| {
            let mut call = output.callback();
            Box::new(move |stream: i32, text: &str| {
                let _owned = &owned;
                call(stream, text);
            }) as Callback
        });
        manager::set_output(interp, callback)
    }
}

/// Finalized when dropped.
struct Userdata {
    data: *mut c_void,
    finalize: subpy_finalize_fn,
}

// SAFETY: the declaration says that it is finalized on any thread.
unsafe impl Send for Userdata {}

impl Drop for Userdata {
    fn drop(&mut self) {
        if let Some(finalize) = self.finalize {
            // SAFETY: the host's function, with what it gave along, once.
            unsafe { finalize(self.data) }
        }
    }
}

/// A host's function for text, and what it wants to be called with.
#[derive(Clone, Copy)]
pub(super) struct RunOutput {
    call: unsafe extern "C" fn(*mut c_void, subpy_interp, i32, *const c_char, usize),
    userdata: *mut c_void,
    interp: subpy_interp,
}

// SAFETY: the declaration says that it is called on any thread.
unsafe impl Send for RunOutput {}
// SAFETY: as above.
unsafe impl Sync for RunOutput {}

impl RunOutput {
    pub fn new(output: subpy_output_fn, userdata: *mut c_void, interp: subpy_interp) -> Option<RunOutput> {
        output.map(|call| RunOutput { call, userdata, interp })
    }

    /// The same, for what is printed in that interpreter.
    pub fn of(self, interp: subpy_interp) -> RunOutput {
        RunOutput { interp, ..self }
    }

    /// For text that ends with a NUL.
    pub fn callback(self) -> impl FnMut(i32, &str) + Send + 'static {
        move |stream, text| {
            let whole = self;
            // SAFETY: the host's function, as its declaration says; text and NUL live during the call.
            unsafe { (whole.call)(whole.userdata, whole.interp, stream, text.as_ptr().cast(), text.len() - 1) }
        }
    }
}
