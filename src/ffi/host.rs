//! Python code calls the host: a host function is an object like a builtin function.
//!
//! The interpreter's GIL is released while the host's code runs, which may call any function of the library: more of
//! the same interpreter, which goes on with the Python thread state that is there already (threading.local, context
//! variables), or of others. A run that is nested like this is never SUBPY_ERROR_BUSY, unless the interpreter is closing.
//!
//! A host function must return in the ordinary way. An exception of C++, a panic or longjmp() that leaves it is caught
//! by nobody: C++ exceptions and panics end the process, and a longjmp() past the library is undefined. Bindings catch
//! what their language can throw and pass it on with subpy_context_raise().

use std::ffi::{c_char, c_void};

use super::boundary::{self, invalid, known_flags, optional_text, text};
use super::error::subpy_error;
use super::status::{SUBPY_ERROR_PANIC, SUBPY_OK, subpy_finalize_fn, subpy_interp, subpy_status};
use crate::manager::{self, Context, HostCode, How, Kind, Result};
use crate::value::{self, Args, OwnedValue, subpy_value};

/// One call of a host function. It stands for a number and is never dereferenced: to use one when the call is over, or
/// any that was made up, is SUBPY_ERROR_NOT_FOUND.
#[allow(non_camel_case_types)]
pub struct subpy_context {
    _opaque: [u8; 0],
}

/// What Python code calls.
///
/// The arguments are valid until it returns, and must not be changed or freed. It says what Python gets with
/// subpy_context_return() or subpy_context_raise(); without either, that is None.
///
/// @param userdata  what was given with the function
/// @param ctx       this call
/// @param args      the arguments by position
/// @param nargs     how many there are
/// @param kwargs    a DICT with STR keys; NULL when there are no keyword arguments
///
/// The interpreter's GIL is not held, unless SUBPY_DEFINE_KEEP_GIL says so. Several threads may call it at the same time.
#[allow(non_camel_case_types)]
pub type subpy_host_fn = Option<
    unsafe extern "C-unwind" fn(
        userdata: *mut c_void,
        ctx: *mut subpy_context,
        args: *const subpy_value,
        nargs: usize,
        kwargs: *const subpy_value,
    ),
>;

/// The GIL is kept while the host's code runs: for functions that take nanoseconds. They should not call the library.
/// What needs a GIL there releases this one meanwhile, and CPython parks a daemon thread that wants its GIL back when
/// its interpreter has ended: such a call never returns, and the function's `finalize` is not called.
pub const SUBPY_DEFINE_KEEP_GIL: u32 = 1;
/// Only on the thread that calls subpy_define(): Python code on any other one gets a RuntimeError. For hosts whose code
/// must not run on threads that they do not know.
pub const SUBPY_DEFINE_CALLER_THREAD_ONLY: u32 = 2;

/// Options of subpy_define_with(). Zero is the default of every field.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_define_options {
    /// sizeof(subpy_define_options)
    pub size: usize,
    /// SUBPY_DEFINE_*
    pub flags: u32,
    /// 0
    pub reserved: u32,
    /// what inspect.signature() and help() show, such as "(a, b=0, *, c=None)", UTF-8 that ends with a NUL; NULL: none.
    /// The arguments of calls are not checked against it
    pub signature: *const c_char,
    /// the docstring, likewise
    pub doc: *const c_char,
}

/// Define a function that Python code can call.
///
/// The function is put into the module of that name if there is one, imported already or not yet. Otherwise the module
/// and its parents are made, so that `import` finds them. A name that is bound already is bound anew.
///
/// Defining is a run: it imports the module, and waits or is refused as SUBPY_BUSY_* says, but not on a thread that is
/// inside the interpreter already.
///
/// `finalize(userdata)` is called exactly once: when Python has given the function up (it was redefined, say) and no
/// call of it is running, or else when the interpreter is closed or destroyed, the runtime is shut down, or the Python
/// of a host is finalized; and before subpy_define() returns when that fails. If a call is still running then, on a
/// daemon thread of Python's, `finalize` comes when it has returned, and nothing else waits for that.
///
/// @param interp    the interpreter
/// @param name      "name" in `__main__`, or "package.module:name"
/// @param len       its length in bytes, or SUBPY_AUTO_LEN
/// @param flags     0 or SUBPY_DEFINE_*
/// @param fn        the function, not NULL
/// @param userdata  passed to `fn` and `finalize`; may be NULL
/// @param finalize  NULL, or what is to be called when the function is not needed any more
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_exec(); SUBPY_ERROR_INVALID_ARGUMENT for a name that makes no sense;
///         SUBPY_ERROR_EXECUTION_FAILED when the module raises an exception while it is imported
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_define(
    interp: subpy_interp,
    name: *const c_char,
    len: usize,
    flags: u32,
    r#fn: subpy_host_fn,
    userdata: *mut c_void,
    finalize: subpy_finalize_fn,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::status(
            error,
            registering(r#fn, userdata, finalize, move |code| {
                known_flags(flags.into(), KNOWN_FLAGS.into(), "flags")?;
                define(interp, text(name, len, "name")?, flags, None, None, code)
            }),
        )
    }
}

/// Define a function that Python code can call, with a signature and a docstring.
///
/// @param interp    the interpreter
/// @param name      "name" in `__main__`, or "package.module:name"
/// @param len       its length in bytes, or SUBPY_AUTO_LEN
/// @param options   NULL for the defaults
/// @param fn        the function, not NULL
/// @param userdata  passed to `fn` and `finalize`; may be NULL
/// @param finalize  NULL, or what is to be called when the function is not needed any more
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_define(); SUBPY_ERROR_INVALID_ARGUMENT also for an option that makes no sense
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_define_with(
    interp: subpy_interp,
    name: *const c_char,
    len: usize,
    options: *const subpy_define_options,
    r#fn: subpy_host_fn,
    userdata: *mut c_void,
    finalize: subpy_finalize_fn,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::status(
            error,
            registering(r#fn, userdata, finalize, move |code| {
                let options = boundary::options(options, "subpy_define_options")?;
                known_flags(options.flags.into(), KNOWN_FLAGS.into(), "subpy_define_options.flags")?;
                known_flags(options.reserved.into(), 0, "subpy_define_options.reserved")?;
                let signature = optional_text(options.signature, "subpy_define_options.signature")?;
                let doc = optional_text(options.doc, "subpy_define_options.doc")?;
                define(interp, text(name, len, "name")?, options.flags, signature, doc, code)
            }),
        )
    }
}

const KNOWN_FLAGS: u32 = SUBPY_DEFINE_KEEP_GIL | SUBPY_DEFINE_CALLER_THREAD_ONLY;

/// A function of C's, and the duty to finalize it.
struct Registered {
    function: subpy_host_fn,
    userdata: *mut c_void,
    finalize: subpy_finalize_fn,
}

// SAFETY: the host has to expect calls on any thread (`subpy_host_fn`).
unsafe impl Send for Registered {}
// SAFETY: as above.
unsafe impl Sync for Registered {}

impl HostCode for Registered {
    #[inline]
    fn call(&self, Context(context): Context, args: Args) {
        let Some(function) = self.function else { return };
        let call = |kwargs: *const subpy_value| {
            let context = std::ptr::without_provenance_mut(context);
            // SAFETY: the host's function, as it was declared to be.
            unsafe { function(self.userdata, context, args.items.as_ptr(), args.items.len(), kwargs) }
        };
        // Without keyword arguments there is nothing to come back to: it is a jump.
        if args.kwargs.is_empty() { call(std::ptr::null()) } else { call(&value::dict_of(args.kwargs)) }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(finalize) = self.finalize {
            // SAFETY: the host's function, as it was declared to be; once.
            manager::outside(|| unsafe { finalize(self.userdata) });
        }
    }
}

/// What `boundary::status` is to do: it drops what is registered here even when it does nothing.
fn registering(
    function: subpy_host_fn,
    userdata: *mut c_void,
    finalize: subpy_finalize_fn,
    register: impl FnOnce(Box<Registered>) -> Result<()>,
) -> impl FnOnce() -> Result<()> {
    let code = Box::new(Registered { function, userdata, finalize });
    move || if code.function.is_none() { invalid("fn is NULL") } else { register(code) }
}

fn define(
    interp: subpy_interp,
    name: &str,
    flags: u32,
    signature: Option<&str>,
    doc: Option<&str>,
    code: Box<Registered>,
) -> Result<()> {
    let how = How {
        keep_gil: flags & SUBPY_DEFINE_KEEP_GIL != 0,
        this_thread_only: flags & SUBPY_DEFINE_CALLER_THREAD_ONLY != 0,
    };
    manager::define(interp, &manager::HostFunction { name, signature, doc, how }, code)
}

fn number(context: *const subpy_context) -> usize {
    context.addr()
}

/// Say what a call of a host function returns.
///
/// The value is copied at once. Of several calls the last one counts, and none does if there is a
/// subpy_context_raise(). A value that makes no sense is raised in Python as a TypeError, and the status says so.
///
/// @param ctx    the call
/// @param value  NULL: None
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND when the call is over; SUBPY_ERROR_INVALID_ARGUMENT; SUBPY_ERROR_NO_MEMORY
///
/// Any thread, until the host function returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_context_return(ctx: *mut subpy_context, value: *const subpy_value) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::value(SUBPY_ERROR_PANIC, || {
            let plain = |value| manager::context_return_plain(number(ctx), value);
            if value.as_ref().is_some_and(plain) { SUBPY_OK } else { return_copy_of(ctx, value) }
        })
    }
}

/// # Safety
/// `value` is NULL, or a value, and all that it points to must be as it says.
#[inline(never)]
unsafe fn return_copy_of(ctx: *mut subpy_context, value: *const subpy_value) -> subpy_status {
    // SAFETY: promised by the caller; the check comes before the copy.
    unsafe {
        boundary::status(std::ptr::null_mut(), || {
            let copy = match value.as_ref() {
                None => Ok(OwnedValue::none()),
                Some(value) => match value::check_value(value, "value") {
                    Ok(_) => manager::copy_of(value).map_err(|error| error.kind),
                    Err(bad) => Err(Kind::InvalidArgument(bad)),
                },
            };
            manager::context_return(number(ctx), copy)
        })
    }
}

/// Have a call of a host function raise an exception when it returns. Of several the last one counts, and it wins over
/// subpy_context_return(), before or after.
///
/// The class is called with the message, in Python. If there is no such class, or it is not an exception class, Python
/// gets a TypeError that says so and includes the message.
///
/// @param ctx       the call
/// @param type      "ValueError", or any other builtin one, or "package.module:Type"
/// @param type_len  its length in bytes, or SUBPY_AUTO_LEN
/// @param message   the message
/// @param len       its length in bytes, or SUBPY_AUTO_LEN
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND when the call is over; SUBPY_ERROR_INVALID_ARGUMENT for text that is not UTF-8;
///         SUBPY_ERROR_NO_MEMORY
///
/// Any thread, until the host function returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_context_raise(
    ctx: *mut subpy_context,
    r#type: *const c_char,
    type_len: usize,
    message: *const c_char,
    len: usize,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::status(std::ptr::null_mut(), || {
            let kind = manager::copy(text(r#type, type_len, "type")?)?;
            manager::context_raise(number(ctx), kind, manager::copy(text(message, len, "message")?)?)
        })
    }
}

/// Add a note to the exception that a call of a host function is to raise, such as the host's own stack. Python shows
/// it below the traceback (PEP 678). Without subpy_context_raise() it has no effect.
///
/// @param ctx   the call
/// @param text  the note, which may have several lines
/// @param len   its length in bytes, or SUBPY_AUTO_LEN
/// @return as subpy_context_raise(). Any thread, until the host function returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_context_note(ctx: *mut subpy_context, text: *const c_char, len: usize) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::status(std::ptr::null_mut(), || {
            manager::context_note(number(ctx), manager::copy(boundary::text(text, len, "text")?)?)
        })
    }
}

/// Give the exception that a call of a host function is to raise a number. subpy_error_tag() has it when the exception
/// comes out of a run, so that the host recognises its own exception.
///
/// @param ctx  the call
/// @param tag  any number; 0: none
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND when the call is over. Any thread, until the host function returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_context_tag(ctx: *mut subpy_context, tag: u64) -> subpy_status {
    // SAFETY: NULL is allowed.
    unsafe { boundary::status(std::ptr::null_mut(), || manager::context_tag(number(ctx), tag)) }
}

/// The interpreter that `ctx`, a call of a host function, comes from; 0 when the call is over. Any thread.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_context_interp(ctx: *const subpy_context) -> subpy_interp {
    boundary::value(0, || manager::context_interp(number(ctx)))
}

/// Whether the run that `ctx`, a call of a host function, is a part of was cancelled, or its time is up: if so, the host
/// function should return soon. False when the call is over. Any thread.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_context_cancelled(ctx: *const subpy_context) -> bool {
    boundary::value(false, || manager::context_cancelled(number(ctx)))
}
