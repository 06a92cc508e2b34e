//! `concurrent.interpreters` of Python 3.14, operation by operation. An interpreter is isolated: it has its own modules,
//! its own `__main__` and, unless asked otherwise, its own GIL, so interpreters run Python in parallel. They share what
//! belongs to the process: working directory, environment, file descriptors, signals. Isolation guards against accidents,
//! not against hostile code.

use std::ffi::c_char;
use std::ptr;

use super::boundary::{self, invalid, known_flags};
use super::error::subpy_error;
use super::status::{SUBPY_AUTO_LEN, subpy_interp, subpy_status};
use crate::manager::{self, Busy, Config, Options, Result};
use crate::value::{check_main_names, subpy_value};

/// Its own GIL: runs in parallel with the others.
pub const SUBPY_GIL_OWN: i32 = 0;
/// The main interpreter's GIL: more extension modules load; it takes turns with main and the others that share it.
pub const SUBPY_GIL_SHARED: i32 = 1;

/// While the interpreter is running, another run is refused with SUBPY_ERROR_BUSY, as in Python.
pub const SUBPY_BUSY_REFUSE: i32 = 0;
/// Another run waits until it is its turn; first come, first served.
pub const SUBPY_BUSY_WAIT: i32 = 1;
/// Another run starts at once: the threads take turns with the GIL, as Python's own threads do.
pub const SUBPY_BUSY_SHARE: i32 = 2;

/// Python code may call os.fork(). The child crashes, until CPython has a fix (python/cpython#139759).
pub const SUBPY_INTERP_ALLOW_FORK: u64 = 1;
/// Python code may call os.exec*(), which replaces the whole process.
pub const SUBPY_INTERP_ALLOW_EXEC: u64 = 2;
/// Python code may not start threads.
pub const SUBPY_INTERP_NO_THREADS: u64 = 4;
/// Python code may start daemon threads. Python takes a thread of the host for a daemon, so threading.Thread makes daemons
/// there unless it is told daemon=False; closing does not wait for those.
pub const SUBPY_INTERP_ALLOW_DAEMON_THREADS: u64 = 8;
/// Extension modules that do not declare support for sub-interpreters load too. Needs SUBPY_GIL_SHARED. Many of them work
/// in the first interpreter that imports them, and fail or misbehave in the next.
pub const SUBPY_INTERP_NO_EXTENSION_CHECK: u64 = 16;

/// Options of subpy_create(). Zero is the default of every field, and what `concurrent.interpreters` does.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_interp_options {
    /// sizeof(subpy_interp_options)
    pub size: usize,
    /// SUBPY_GIL_*
    pub gil: i32,
    /// SUBPY_BUSY_*: what happens to a run while the interpreter is running
    pub busy: i32,
    /// SUBPY_INTERP_*
    pub flags: u64,
    /// folders to put in front of sys.path, `path_len` of them
    pub path: *const *const c_char,
    /// how many; 0: none
    pub path_len: usize,
}

/// Create an interpreter. Starts the runtime when it is not running. Python: create().
///
/// Takes about ten milliseconds, and 2 MiB of memory while it lives. The main interpreter's GIL is needed for some of it.
///
/// @param options  NULL for the defaults
/// @param interp   the new interpreter, not NULL; to be closed with subpy_close(), or by subpy_shutdown()
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_init();
///         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense
///         SUBPY_ERROR_INTERPRETER       CPython did not create it
///         SUBPY_ERROR_WRONG_STATE       the runtime is being shut down, or this thread's stack is too small
///
/// Any thread; several threads create in parallel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_create(
    options: *const subpy_interp_options,
    interp: *mut subpy_interp,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(interp, 0, error, || {
            if interp.is_null() {
                return invalid("interp is NULL: nobody could close the interpreter");
            }
            let options = boundary::options(options, "subpy_interp_options")?;
            manager::create(&to_options(&options)?)
        })
    }
}

/// # Safety
/// `path` must point to `path_len` C strings.
unsafe fn to_options(options: &subpy_interp_options) -> Result<Options> {
    let known = SUBPY_INTERP_ALLOW_FORK
        | SUBPY_INTERP_ALLOW_EXEC
        | SUBPY_INTERP_NO_THREADS
        | SUBPY_INTERP_ALLOW_DAEMON_THREADS
        | SUBPY_INTERP_NO_EXTENSION_CHECK;
    known_flags(options.flags, known, "subpy_interp_options.flags")?;
    let shared_gil = match options.gil {
        SUBPY_GIL_OWN => false,
        SUBPY_GIL_SHARED => true,
        other => return invalid(format!("subpy_interp_options.gil is {other}, must be one of SUBPY_GIL_*")),
    };
    let busy = match options.busy {
        SUBPY_BUSY_REFUSE => Busy::Refuse,
        SUBPY_BUSY_WAIT => Busy::Wait,
        SUBPY_BUSY_SHARE => Busy::Share,
        other => return invalid(format!("subpy_interp_options.busy is {other}, must be one of SUBPY_BUSY_*")),
    };
    if options.path.is_null() && options.path_len > 0 {
        return invalid(format!("subpy_interp_options.path is NULL but path_len is {}", options.path_len));
    }
    if options.path_len > isize::MAX as usize / size_of::<*const c_char>() {
        return invalid(format!("subpy_interp_options.path_len is {}, more than memory can hold", options.path_len));
    }
    let path = (0..options.path_len).map(|index| {
        // SAFETY: promised by the caller.
        let folder = unsafe { *options.path.add(index) };
        // SAFETY: as above.
        unsafe { boundary::text(folder, SUBPY_AUTO_LEN, &format!("subpy_interp_options.path[{index}]")) }
            .map(String::from)
    });
    let has = |flag| options.flags & flag != 0;
    let config = Config {
        shared_gil,
        allow_fork: has(SUBPY_INTERP_ALLOW_FORK),
        allow_exec: has(SUBPY_INTERP_ALLOW_EXEC),
        no_threads: has(SUBPY_INTERP_NO_THREADS),
        allow_daemon_threads: has(SUBPY_INTERP_ALLOW_DAEMON_THREADS),
        no_extension_check: has(SUBPY_INTERP_NO_EXTENSION_CHECK),
        path: path.collect::<Result<_>>()?,
    };
    Ok(Options { busy, config })
}

/// Finalize and destroy an interpreter. Python: Interpreter.close().
///
/// Waits for the threads that Python code started in it (not for daemons), runs its atexit handlers and frees it, with the
/// interpreters that its code created and nobody else holds. While it waits the interpreter is still listed, and runs in
/// it are SUBPY_ERROR_BUSY. A thread that never ends is waited for without end.
///
/// @param interp  the interpreter
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_BUSY         something is running in it, or another thread is closing it; it stays as it was
///         SUBPY_ERROR_INTERPRETER  called from inside the interpreter itself; or it is main, or Python code created it
///         SUBPY_ERROR_NOT_FOUND    no such interpreter (closed already)
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_close(interp: subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointer is as the declaration says.
    unsafe { boundary::status(error, || manager::close(interp)) }
}

/// Bind names in the interpreter's `__main__`. Python: Interpreter.prepare_main(). All or nothing.
///
/// @param interp  the interpreter
/// @param names   a DICT that is not empty, with STR keys without NUL
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT, naming the path to what is wrong; any error of subpy_exec()
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_prepare_main(
    interp: subpy_interp,
    names: *const subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::status(error, || {
            let Some(names) = names.as_ref() else { return invalid("names is NULL") };
            manager::prepare_main(interp, check_main_names(names).or_else(invalid)?)
        })
    }
}

/// Whether something is being run in the interpreter by this library. Threads that Python code left behind do not count.
/// Python: Interpreter.is_running().
///
/// @param running  the answer
/// @return SUBPY_OK or SUBPY_ERROR_NOT_FOUND. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_is_running(
    interp: subpy_interp,
    running: *mut bool,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(running, false, error, || manager::is_running(interp)) }
}

/// The id that CPython gave the interpreter: 0 for main, then ascending, never used twice between subpy_init() and
/// subpy_shutdown(). Python: Interpreter.id.
///
/// @param id  the id
/// @return SUBPY_OK or SUBPY_ERROR_NOT_FOUND. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_id(interp: subpy_interp, id: *mut i64, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(id, 0, error, || manager::id(interp)) }
}

/// Where the interpreter came from, in CPython's words: "runtime init" (main), "C-API" (subpy_create()),
/// "_interpreters module" (Python code), "legacy C-API", "cross-interpreter C-API" or "unknown". Python:
/// Interpreter.whence.
///
/// @param whence  static text
/// @return SUBPY_OK or SUBPY_ERROR_NOT_FOUND. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_whence(
    interp: subpy_interp,
    whence: *mut *const c_char,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(whence, ptr::null(), error, || manager::whence(interp).map(|text| text.as_ptr())) }
}

/// All interpreters by ascending id: main, yours, and those that Python code created, which can be asked about but not
/// run in. Starts the runtime when it is not running. Python: list_all().
///
/// @param interps   room for `capacity` handles; may be NULL when that is 0
/// @param capacity  how many to write at most
/// @param count     how many there are, whatever the capacity; may be NULL
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK, also when there are more than fit; any error of subpy_init()
///
/// Any thread. Others may create and close meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_list_all(
    interps: *mut subpy_interp,
    capacity: usize,
    count: *mut usize,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says; at most `capacity` handles are written.
    unsafe {
        boundary::output(count, 0, error, || {
            if interps.is_null() && capacity > 0 {
                return invalid(format!("interps is NULL but capacity is {capacity}"));
            }
            let all = manager::list_all()?;
            for (index, handle) in all.iter().take(capacity).enumerate() {
                interps.add(index).write(*handle);
            }
            Ok(all.len())
        })
    }
}

/// The interpreter that the calling thread is in: when Python code calls a C function, that Python code's. Python:
/// get_current().
///
/// @param interp  the interpreter
/// @return SUBPY_OK, or SUBPY_ERROR_NOT_FOUND when it is in none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_get_current(interp: *mut subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(interp, 0, error, manager::get_current) }
}

/// The main interpreter. Starts the runtime when it is not running. Python: get_main().
///
/// Code can be run in it: packages that refuse other interpreters work there. It cannot be closed. A long run in it delays
/// the creation of interpreters, and the first import of an extension module in each. Threads that code in it starts are
/// daemons unless told daemon=False, so subpy_shutdown() does not wait for them.
///
/// @param interp  the interpreter
/// @return SUBPY_OK or any error of subpy_init(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_get_main(interp: *mut subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(interp, 0, error, manager::get_main) }
}

/// The interpreter with this id. Starts the runtime when it is not running. Python: Interpreter(id).
///
/// @param id      CPython's id, see subpy_id()
/// @param interp  the interpreter
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INVALID_ARGUMENT for a negative id; any error of subpy_init().
///         Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_find(id: i64, interp: *mut subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(interp, 0, error, || manager::find(id)) }
}
