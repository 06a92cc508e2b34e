//! CPython in this process. It is started by the first function that needs an interpreter; subpy_init() is for choosing
//! which CPython, and how it starts. Shutting it down is up to the application, not to libraries that use subpy.

use std::ffi::c_char;
use std::ptr;
use std::time::Duration;

use super::boundary::{self, invalid, known_flags, optional_text};
use super::error::subpy_error;
use super::status::subpy_status;
use crate::manager::{self, CloseOptions, Result, RuntimeOptions, Startup};

/// The version that this header belongs to: major * 1000000 + minor * 1000 + patch.
pub const SUBPY_VERSION: u32 = 1000;

/// Heed PYTHONPATH and the other PYTHON* variables. By default CPython is isolated from the environment.
pub const SUBPY_RUNTIME_USE_ENVIRONMENT: u64 = 1;
/// Start without the site module: no site-packages, but interpreters are created in three fifths of the time.
pub const SUBPY_RUNTIME_NO_SITE: u64 = 2;
/// Leave SIGPIPE as it is. Otherwise, if it has its default action, it is set to be ignored, as `python` does it:
/// Python code that writes to a closed pipe then gets a BrokenPipeError instead of ending the process.
pub const SUBPY_RUNTIME_KEEP_SIGPIPE: u64 = 4;

/// Options of subpy_init(). Zero is the default of every field.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_runtime_options {
    /// sizeof(subpy_runtime_options)
    pub size: usize,
    /// path of an executable, of a libpython, or of the folder of an installation or a virtual environment, in UTF-8;
    /// NULL: see subpy_init()
    pub python: *const c_char,
    /// SUBPY_RUNTIME_*
    pub flags: u64,
    /// path of the program that the processes of interpreters (SUBPY_INTERP_PROCESS) run, in UTF-8; NULL: the one that
    /// is inside the library
    pub worker: *const c_char,
    /// names of modules that are imported once for all interpreters with processes of their own (SUBPY_INTERP_PROCESS),
    /// before the first of them: an array that ends with NULL, each name UTF-8 that ends with a NUL; may be NULL. A
    /// module that starts threads when it is imported cannot be one of them
    pub preload: *const *const c_char,
}

/// Start the runtime, unless it runs already with the same options.
///
/// CPython must be 3.14.1 or newer, with a shared libpython and with a GIL (not free-threaded). Which one is used:
///
/// 1. If a CPython is in this process already, that one or none. If it is initialised too, it is adopted: it keeps its
///    configuration, and its owner finalizes it.
/// 2. options->python, or else the environment variable SUBPY_PYTHON, which takes the same kinds of path.
/// 3. The first that is suitable: VIRTUAL_ENV; python3.14, newer ones, python3 and python on PATH; those in the folders
///    of uv, pyenv and the system; one that tools/get-python of subpy's sources has downloaded.
///
/// Relative paths in the environment are not followed. A program that runs with more rights than whoever started it (setuid,
/// file capabilities) ignores the environment altogether, SUBPY_RUNTIME_USE_ENVIRONMENT too, and looks in the system's own
/// folders alone.
///
/// @param options  NULL for the defaults
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_INVALID_ARGUMENT    an option makes no sense
///         SUBPY_ERROR_PYTHON_NOT_FOUND    none is suitable, or the path given in 2 does not exist; the message lists,
///                                         line by line, what was tried and why it was refused
///         SUBPY_ERROR_PYTHON_UNSUPPORTED  the one in the process (1), or the one that was named (2), is not suitable
///         SUBPY_ERROR_WRONG_STATE         the runtime has other options or is being shut down, the process has used
///                                         another CPython or failed to start one, or this thread's stack is too small
///         SUBPY_ERROR_INTERPRETER         CPython did not start, or the process lacks open files, threads or memory to
///                                         look for one; the message has the reason
///
/// Any thread. CPython is started on a thread of the library's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_init(
    options: *const subpy_runtime_options,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::status(error, || {
            let options = boundary::options(options, "subpy_runtime_options")?;
            let known = SUBPY_RUNTIME_USE_ENVIRONMENT | SUBPY_RUNTIME_NO_SITE | SUBPY_RUNTIME_KEEP_SIGPIPE;
            known_flags(options.flags, known, "subpy_runtime_options.flags")?;
            let has = |flag| options.flags & flag != 0;
            manager::init(&RuntimeOptions {
                python: optional_text(options.python, "subpy_runtime_options.python")?.map(Into::into),
                startup: Startup {
                    use_environment: has(SUBPY_RUNTIME_USE_ENVIRONMENT),
                    no_site: has(SUBPY_RUNTIME_NO_SITE),
                    keep_sigpipe: has(SUBPY_RUNTIME_KEEP_SIGPIPE),
                },
                worker: optional_text(options.worker, "subpy_runtime_options.worker")?.map(Into::into),
                preload: boundary::texts(options.preload, "subpy_runtime_options.preload")?,
            })
        })
    }
}

/// Close every interpreter, including those that Python code created, and finalize CPython unless it was adopted.
///
/// Waits, as subpy_close() does, for the threads that Python code started. All handles become SUBPY_ERROR_NOT_FOUND;
/// results and errors stay valid. Threads that were not joined are freed, and the errors of failed runs are printed.
/// Afterwards the runtime can be started again, with the same CPython.
///
/// @param error  optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK, also when the runtime does not run;
///         SUBPY_ERROR_BUSY         something is running or being created or closed, a thread has entered an
///                                  interpreter (subpy_enter()), or this thread is inside one; everything stays as it
///                                  was
///         SUBPY_ERROR_WRONG_STATE  another thread is shutting down, this thread's stack is too small, or the Python
///                                  that was adopted is being finalized
///
/// Any thread, but not one that Python code started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_shutdown(error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointer is as the declaration says.
    unsafe { boundary::status(error, manager::shutdown) }
}

/// Runs that have begun, or wait for their turn, may finish. New ones are refused with SUBPY_ERROR_BUSY.
pub const SUBPY_CLOSE_DRAIN: u32 = 1;
/// Runs that have begun get a KeyboardInterrupt, again and again until they end with SUBPY_ERROR_INTERRUPTED; those
/// that wait for their turn, and new ones, are refused with SUBPY_ERROR_BUSY. Python's own threads get a SystemExit,
/// which ends them silently; threading.Timer is cancelled, pools of threads drop what they have not begun, loops of
/// asyncio are woken. What is blocked in C code (time.sleep(), a lock, a socket) notices when that returns. With
/// SUBPY_CLOSE_DRAIN too, all this begins when half of the time is over, or at once if there is no limit.
pub const SUBPY_CLOSE_INTERRUPT: u32 = 2;

/// Options of subpy_shutdown_with() and subpy_close_with().
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_close_options {
    /// sizeof(subpy_close_options)
    pub size: usize,
    /// milliseconds that everything may take; 0: wait for nothing; -1: no limit
    pub timeout_ms: i64,
    /// SUBPY_CLOSE_*
    pub flags: u32,
    /// 0
    pub reserved: u32,
}

/// Close every interpreter and finalize CPython within a time, and end what still runs: subpy_close_with() for all of
/// them at the same time, main included. All or nothing: if not all have come to rest in time, all go on as before,
/// except for what was interrupted.
///
/// Then they end, one after the other, and CPython is finalized unless it was adopted. In an adopted CPython only runs in
/// main are waited for or interrupted; its other threads are its owner's.
///
/// If Python code cannot be made to end, exit() and _exit() still end the process: the library waits for nothing then.
///
/// @param options  NULL: as if all bytes were zero, which waits for nothing
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK, also when the runtime does not run; any error of subpy_shutdown();
///         SUBPY_ERROR_BUSY              the message names what is still there, by interpreter; everything is as it was
///         SUBPY_ERROR_TIMEOUT           all are ending, and have not ended in time; call it again to wait on. Until
///                                       then no interpreter can be used or created
///         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense
///
/// Any thread, but not one that Python code started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_shutdown_with(
    options: *const subpy_close_options,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::status(error, || manager::shutdown_with(close_options(options)?)) }
}

/// # Safety
/// As for [`boundary::options`].
pub(super) unsafe fn close_options(options: *const subpy_close_options) -> Result<CloseOptions> {
    // SAFETY: promised by the caller.
    let options = unsafe { boundary::options(options, "subpy_close_options")? };
    let known = u64::from(SUBPY_CLOSE_DRAIN | SUBPY_CLOSE_INTERRUPT);
    known_flags(u64::from(options.flags), known, "subpy_close_options.flags")?;
    if options.reserved != 0 {
        return invalid(format!("subpy_close_options.reserved is {}, must be 0", options.reserved));
    }
    let timeout = match options.timeout_ms {
        -1 => None,
        limit => match u64::try_from(limit) {
            Ok(limit) => Some(Duration::from_millis(limit)),
            Err(_) => return invalid(format!("subpy_close_options.timeout_ms is {limit}, must be -1 or more")),
        },
    };
    let has = |flag| options.flags & flag != 0;
    Ok(CloseOptions { timeout, drain: has(SUBPY_CLOSE_DRAIN), interrupt: has(SUBPY_CLOSE_INTERRUPT) })
}

/// The version of the library: major * 1000000 + minor * 1000 + patch, so 1000 is 0.1.0. If you open the library at run
/// time, compare this with SUBPY_VERSION first. Any thread.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_version() -> u32 {
    boundary::value(0, || SUBPY_VERSION)
}

/// The version of the library as static text, such as "0.1.0". Any thread.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_version_string() -> *const c_char {
    boundary::value(ptr::null(), || concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast())
}

/// The version of the CPython in use, such as "3.14.6"; NULL before the first start of the runtime. Valid until the
/// process exits. Any thread.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_python_version() -> *const c_char {
    boundary::value(ptr::null(), || manager::python_version().map_or(ptr::null(), |text| text.as_ptr()))
}

/// The path of the libpython in use; "" when CPython is part of the program itself; NULL before the first start of the
/// runtime. Valid until the process exits. Any thread.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_python_library() -> *const c_char {
    boundary::value(ptr::null(), || manager::python_library().map_or(ptr::null(), |text| text.as_ptr()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_cargos() {
        let numbers: Vec<u32> = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().unwrap()).collect();
        assert_eq!(super::SUBPY_VERSION, numbers[0] * 1_000_000 + numbers[1] * 1_000 + numbers[2]);
    }
}
