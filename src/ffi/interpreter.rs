//! `concurrent.interpreters` of Python 3.14, operation by operation. An interpreter is isolated: it has its own
//! modules, its own `__main__` and, unless you choose otherwise, its own GIL, so interpreters run Python in parallel.
//! What belongs to the process is shared: working directory, environment, file descriptors, signals. Isolation guards
//! against accidents, not against hostile code.

use std::ffi::c_char;
use std::ptr;
use std::time::Duration;

use super::boundary::{self, invalid, known_flags};
use super::error::subpy_error;
use super::run::milliseconds;
use super::runtime::{close_options, subpy_close_options};
use super::status::{SUBPY_AUTO_LEN, subpy_interp, subpy_status};
use crate::manager::{self, Busy, Config, Kind, Options, ProcessOptions, Result, Venv};
use crate::value::{self, check_main_names, subpy_value};

/// Its own GIL: runs in parallel with the others.
pub const SUBPY_GIL_OWN: i32 = 0;
/// Main's GIL: takes turns with the main interpreter and others that share it; see SUBPY_INTERP_NO_EXTENSION_CHECK.
pub const SUBPY_GIL_SHARED: i32 = 1;

/// While one thread runs something, a run of another thread is refused with SUBPY_ERROR_BUSY, as in Python.
pub const SUBPY_BUSY_REFUSE: i32 = 0;
/// A run of another thread waits for its turn; its `timeout_ms` includes that wait. Turns are slices of a fifth of a
/// millisecond, not single runs: until a slice is over, a run that finds the interpreter free may overtake those that
/// wait. Then the one that has waited longest is next. So no run waits for ever as long as the others end.
pub const SUBPY_BUSY_WAIT: i32 = 1;
/// A run of another thread starts at once: the threads take turns with the GIL, as Python's own threads do.
pub const SUBPY_BUSY_SHARE: i32 = 2;

/// Python code may call os.fork(). The child crashes until CPython is fixed (python/cpython#139759). Windows has no
/// os.fork(), and there this changes nothing.
pub const SUBPY_INTERP_ALLOW_FORK: u64 = 1;
/// Python code may call os.exec*(), which replaces the whole process.
pub const SUBPY_INTERP_ALLOW_EXEC: u64 = 2;
/// Python code may not start threads.
pub const SUBPY_INTERP_NO_THREADS: u64 = 4;
/// Python code may start daemon threads. Closing does not wait for them. Python takes the threads of a host for
/// daemons, and a new thread inherits that: a threading.Thread that a run starts is a daemon too, unless made with
/// daemon=False.
pub const SUBPY_INTERP_ALLOW_DAEMON_THREADS: u64 = 8;
/// Extension modules that do not declare support for several interpreters load too. Needs SUBPY_GIL_SHARED. Many of
/// them work in the first interpreter that imports them, and fail or misbehave in the next.
pub const SUBPY_INTERP_NO_EXTENSION_CHECK: u64 = 16;
/// What Python code prints is passed on at once, as `python -u` does it, and does not wait for the end of the run.
pub const SUBPY_INTERP_UNBUFFERED: u64 = 32;
/// sys.stdin is at its end: input() raises EOFError. Descriptor 0 stays what it is, for os.read(0) and child processes.
pub const SUBPY_INTERP_NO_STDIN: u64 = 64;
/// Sets, complex numbers, dates and times, decimals, UUIDs, enums and dataclasses come out as tagged values (SUBPY_TAG_*),
/// where they are SUBPY_ERROR_NOT_SHAREABLE otherwise: in results, and as arguments of host functions.
pub const SUBPY_INTERP_TAGGED_VALUES: u64 = 128;
/// The interpreter counts the memory that it uses: see subpy_memory(). Needs SUBPY_GIL_OWN. Not on Windows, where it is
/// SUBPY_ERROR_WRONG_STATE.
pub const SUBPY_INTERP_COUNT_MEMORY: u64 = 256;
/// The interpreter is the main one of a process of its own. Extension modules that refuse other interpreters load in
/// it, and what would end or block a process ends or blocks that one alone: its end is SUBPY_ERROR_CRASHED, and a run
/// that cannot be interrupted is killed with it. Needs SUBPY_GIL_OWN; not together with
/// SUBPY_INTERP_NO_EXTENSION_CHECK. On Linux only; elsewhere it is SUBPY_ERROR_INTERPRETER.
pub const SUBPY_INTERP_PROCESS: u64 = 512;
/// The interpreter's process is locked down: no network, no other programs, no other processes, no files but those that
/// Python itself needs and those in the folders `readable` and `writable`. Needs SUBPY_INTERP_PROCESS; not together
/// with SUBPY_INTERP_ALLOW_FORK and SUBPY_INTERP_ALLOW_EXEC.
pub const SUBPY_INTERP_LOCKED: u64 = 1024;
/// It is no error if the kernel lacks a part of what a lock needs (version 6 of Landlock, as in Linux 6.12, and filters
/// of system calls): the process is locked with what there is, and subpy_lock_get_info() says what that is. Needs
/// SUBPY_INTERP_LOCKED.
pub const SUBPY_INTERP_LOCK_BEST_EFFORT: u64 = 2048;

/// Options of subpy_create(). Zero is the default of every field, and what `concurrent.interpreters` does.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_interp_options {
    /// sizeof(subpy_interp_options)
    pub size: usize,
    /// SUBPY_GIL_*
    pub gil: i32,
    /// SUBPY_BUSY_*: what happens to a run while another thread runs something in the interpreter
    pub busy: i32,
    /// SUBPY_INTERP_*
    pub flags: u64,
    /// `path_len` folders to put in front of sys.path, each UTF-8 that ends with a NUL; may be NULL when that is 0
    pub path: *const *const c_char,
    /// how many
    pub path_len: usize,
    /// how long each run in it may take, in milliseconds, unless its request has a `timeout_ms` of its own; 0: no limit
    pub timeout_ms: i64,
    /// how much memory it may use, in bytes; 0: no limit. Code that goes beyond it gets a MemoryError, and can go on
    /// when it has given memory back. With a limit the memory is counted, too (SUBPY_INTERP_COUNT_MEMORY)
    pub memory_limit: u64,
    /// how long code may go on, in milliseconds, after the exception that is to end its run (for a time limit or a
    /// token); then its process is killed. 0: 100 ms. Needs SUBPY_INTERP_PROCESS, as the next three do
    pub grace_ms: u64,
    /// how much processor time its process may use in all, in milliseconds; then SIGXCPU ends it, which is
    /// SUBPY_ERROR_CRASHED. 0: no limit
    pub cpu_limit_ms: u64,
    /// folders that it may read, with all that is below, besides those that Python needs: each an absolute path, UTF-8
    /// that ends with a NUL, the last one followed by NULL; may be NULL. Needs SUBPY_INTERP_LOCKED, as the next one does
    pub readable: *const *const c_char,
    /// folders that it may read and write, likewise
    pub writable: *const *const c_char,
    /// the folder of a virtual environment (PEP 405), UTF-8 that ends with a NUL: the interpreter has its packages
    /// instead of those of the process. It must have been made for the same minor version of Python. NULL: the packages
    /// of the process
    pub venv: *const c_char,
}

/// Create an interpreter. Starts the runtime if it is not running. Python: create().
///
/// In this process that takes about six milliseconds, for a part of which it needs the main interpreter's GIL; an
/// interpreter takes about 2.3 MiB of memory. With SUBPY_INTERP_PROCESS it takes about one millisecond, after some 20 ms
/// for the first one, and about 1 MiB.
///
/// @param options  NULL for the defaults
/// @param interp   the new interpreter, not NULL; to be closed with subpy_close(), or by subpy_shutdown()
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_init();
///         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense, such as a memory_limit that is less than what a new
///                                       interpreter uses, or needs another option, or `interp` is NULL
///         SUBPY_ERROR_INTERPRETER       CPython did not create it; the message has the reason
///         SUBPY_ERROR_WRONG_STATE       the runtime, or the Python that was adopted, is being shut down, or this
///                                       thread's stack is too small, or memory cannot be counted with this CPython
///
/// Any thread. Several threads may create interpreters at the same time.
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
/// `path` must point to `path_len` C strings, `venv` be NULL or a C string, and `readable` and `writable` be as for
/// [`boundary::texts`].
pub(super) unsafe fn to_options(options: &subpy_interp_options) -> Result<Options> {
    let known = SUBPY_INTERP_ALLOW_FORK
        | SUBPY_INTERP_ALLOW_EXEC
        | SUBPY_INTERP_NO_THREADS
        | SUBPY_INTERP_ALLOW_DAEMON_THREADS
        | SUBPY_INTERP_NO_EXTENSION_CHECK
        | SUBPY_INTERP_UNBUFFERED
        | SUBPY_INTERP_NO_STDIN
        | SUBPY_INTERP_TAGGED_VALUES
        | SUBPY_INTERP_COUNT_MEMORY
        | SUBPY_INTERP_PROCESS
        | SUBPY_INTERP_LOCKED
        | SUBPY_INTERP_LOCK_BEST_EFFORT;
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
    if options.path_len > value::MOST_BYTES / size_of::<*const c_char>() {
        return invalid(format!("subpy_interp_options.path_len is {}, more than memory can hold", options.path_len));
    }
    let mut path = Vec::new();
    path.try_reserve_exact(options.path_len).map_err(|_| Kind::NoMemory)?;
    for index in 0..options.path_len {
        let name = format!("subpy_interp_options.path[{index}]");
        // SAFETY: promised by the caller.
        path.push(manager::copy(unsafe { boundary::text(*options.path.add(index), SUBPY_AUTO_LEN, &name)? })?);
    }
    let venv = match options.venv.is_null() {
        true => None,
        false => {
            // SAFETY: promised by the caller.
            let folder = unsafe { boundary::text(options.venv, SUBPY_AUTO_LEN, "subpy_interp_options.venv")? };
            Some(Venv::new(manager::copy(folder)?))
        }
    };
    let has = |flag| options.flags & flag != 0;
    let config = Config {
        shared_gil,
        allow_fork: has(SUBPY_INTERP_ALLOW_FORK),
        allow_exec: has(SUBPY_INTERP_ALLOW_EXEC),
        no_threads: has(SUBPY_INTERP_NO_THREADS),
        allow_daemon_threads: has(SUBPY_INTERP_ALLOW_DAEMON_THREADS),
        no_extension_check: has(SUBPY_INTERP_NO_EXTENSION_CHECK),
        unbuffered: has(SUBPY_INTERP_UNBUFFERED),
        no_stdin: has(SUBPY_INTERP_NO_STDIN),
        tagged_values: has(SUBPY_INTERP_TAGGED_VALUES),
        count_memory: has(SUBPY_INTERP_COUNT_MEMORY),
        path,
        venv,
    };
    let timeout = milliseconds(options.timeout_ms, "subpy_interp_options.timeout_ms")?;
    let memory_limit = (options.memory_limit != 0).then_some(options.memory_limit);
    // SAFETY: promised by the caller.
    let process = unsafe { to_process_options(options)? };
    Ok(Options { busy, config, timeout, memory_limit, process })
}

/// # Safety
/// `readable` and `writable` must be as for [`boundary::texts`].
unsafe fn to_process_options(options: &subpy_interp_options) -> Result<Option<ProcessOptions>> {
    let locked = options.flags & SUBPY_INTERP_LOCKED != 0;
    let lock_best_effort = options.flags & SUBPY_INTERP_LOCK_BEST_EFFORT != 0;
    if options.flags & SUBPY_INTERP_PROCESS == 0 {
        let given = [
            (locked, "SUBPY_INTERP_LOCKED"),
            (lock_best_effort, "SUBPY_INTERP_LOCK_BEST_EFFORT"),
            (options.grace_ms != 0, "subpy_interp_options.grace_ms"),
            (options.cpu_limit_ms != 0, "subpy_interp_options.cpu_limit_ms"),
            (!options.readable.is_null(), "subpy_interp_options.readable"),
            (!options.writable.is_null(), "subpy_interp_options.writable"),
        ];
        return match given.iter().find(|(is_given, _)| *is_given) {
            Some((_, what)) => invalid(format!("{what} needs SUBPY_INTERP_PROCESS: it is about a process")),
            None => Ok(None),
        };
    }
    let grace = match options.grace_ms {
        0 => ProcessOptions::GRACE,
        grace => Duration::from_millis(grace),
    };
    let cpu_limit = (options.cpu_limit_ms != 0).then(|| Duration::from_millis(options.cpu_limit_ms));
    // SAFETY: promised by the caller.
    let (readable, writable) = unsafe {
        (
            boundary::texts(options.readable, "subpy_interp_options.readable")?,
            boundary::texts(options.writable, "subpy_interp_options.writable")?,
        )
    };
    Ok(Some(ProcessOptions { grace, cpu_limit, locked, lock_best_effort, readable, writable }))
}

/// Finalize and destroy an interpreter. Python: Interpreter.close().
///
/// Waits for the threads that Python code started in it with `threading` (not for daemons), without a time limit; then
/// runs its atexit handlers and frees it, together with interpreters that its code created and nobody else holds. While
/// it waits, the interpreter is still listed, and runs in it are SUBPY_ERROR_BUSY.
///
/// @param interp  the interpreter
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_BUSY         something is running in it, a thread has entered it (subpy_enter()), another thread
///                                  is closing it, or this is called by a subpy_output_fn or subpy_finalize_fn of it;
///                                  it stays as it was
///         SUBPY_ERROR_INTERPRETER  it is the one that this thread is inside of, or main, or Python code created it
///         SUBPY_ERROR_NOT_FOUND    no such interpreter; it may be closed already
///         SUBPY_ERROR_WRONG_STATE  this thread's stack is too small, or the Python that was adopted is being finalized
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_close(interp: subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointer is as the declaration says.
    unsafe { boundary::status(error, || manager::close(interp)) }
}

/// Finalize and destroy an interpreter within a time, and end what still runs in it.
///
/// The interpreter must have come to rest: no run in it, no thread that has entered it (subpy_enter()), and no thread
/// alive that Python code started with `threading` (daemons do not count, nor the idle threads of a
/// `concurrent.futures` pool). Without flags only those threads are waited for, and a run is SUBPY_ERROR_BUSY at once, as
/// with subpy_close(). If the time is over before that, the interpreter goes on as before, but for what was interrupted.
///
/// Then it ends. That cannot be taken back, and may run Python code: atexit handlers, `__del__`. With
/// SUBPY_CLOSE_INTERRUPT these get a KeyboardInterrupt too. Ending always gets a second, however short the time is;
/// after that it is SUBPY_ERROR_TIMEOUT, while a thread of the library's goes on with it. Call this function again to
/// wait on.
///
/// @param interp   the interpreter
/// @param options  NULL: as if all bytes were zero, which waits for nothing
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_close();
///         SUBPY_ERROR_BUSY              it has not come to rest in time; the message names each run and thread that is
///                                       still there, and where its code is. The interpreter is as it was
///         SUBPY_ERROR_TIMEOUT           it is ending, and has not ended in time
///         SUBPY_ERROR_INTERPRETER       this thread is running something in it, perhaps further up its stack
///         SUBPY_ERROR_WRONG_STATE       this CPython cannot be interrupted
///         SUBPY_ERROR_INVALID_ARGUMENT  an option makes no sense
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_close_with(
    interp: subpy_interp,
    options: *const subpy_close_options,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::status(error, || manager::close_with(interp, close_options(options)?)) }
}

/// Bind names in the interpreter's `__main__`: all of them or, on failure, none. Python: Interpreter.prepare_main().
///
/// @param interp  the interpreter
/// @param names   a DICT with at least one entry, whose keys are STR without NUL characters; copied
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_exec(); SUBPY_ERROR_INVALID_ARGUMENT says where `names` is wrong
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
            let (pairs, buffers) = check_main_names(names).or_else(invalid)?;
            if !buffers {
                return manager::prepare_main(interp, pairs);
            }
            let copy = manager::copy_of(names)?;
            manager::prepare_main(interp, copy.as_value().pairs())
        })
    }
}

/// Whether something is being run in the interpreter: a run of this library's or, in an interpreter that Python code
/// created, of that code's. Threads that Python code started do not count. Python: Interpreter.is_running().
///
/// @param interp   the interpreter
/// @param running  receives the answer
/// @param error    optional; set on failure, to be freed with subpy_error_free()
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

/// The id that CPython gave the interpreter: 0 for main, then ascending. CPython begins again with 0 after
/// subpy_shutdown(). Python: Interpreter.id.
///
/// @param interp  the interpreter
/// @param id      receives the id
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK or SUBPY_ERROR_NOT_FOUND. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_id(interp: subpy_interp, id: *mut i64, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(id, 0, error, || manager::id(interp)) }
}

/// Where the interpreter came from, in CPython's words: "runtime init" (main), "C-API" (subpy_create()),
/// "_interpreters module" (Python code), "legacy C-API", "cross-interpreter C-API" or "unknown"; and "process" for one
/// that has a process of its own (SUBPY_INTERP_PROCESS). Python: Interpreter.whence.
///
/// @param interp  the interpreter
/// @param whence  receives static text
/// @param error   optional; set on failure, to be freed with subpy_error_free()
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

/// List all interpreters by ascending id: main, yours, and those that Python code created. About the latter you can
/// ask, but nothing can be run in them. Starts the runtime if it is not running. Python: list_all().
///
/// @param interps   room for `capacity` handles; may be NULL when that is 0; on failure nothing is written to it
/// @param capacity  how many handles to write at most
/// @param count     receives how many interpreters there are, whatever the capacity; may be NULL
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK, even if there are more than fit; SUBPY_ERROR_INVALID_ARGUMENT; any error of subpy_init()
///
/// Any thread. Others may create and close interpreters meanwhile.
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

/// The interpreter that the calling thread is inside of. In a C function that Python code calls, it is that Python
/// code's; on a thread of an adopted Python, it is main. Between runs a thread is in none. Python: get_current().
///
/// @param interp  receives the interpreter
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND when the thread is in none; in a process whose Python is to be adopted, any
///         error of subpy_init(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_get_current(interp: *mut subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(interp, 0, error, manager::get_current) }
}

/// The main interpreter. Starts the runtime if it is not running. Python: get_main().
///
/// Packages that refuse to load in other interpreters work in it. Its policy is SUBPY_BUSY_REFUSE, and it cannot be
/// closed. A long run in it delays the creation of interpreters, and the first import of an extension module in each of
/// them. A threading.Thread that a run in it starts is a daemon unless made with daemon=False, so subpy_shutdown() does
/// not wait for it.
///
/// @param interp  receives the interpreter
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK or any error of subpy_init(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_get_main(interp: *mut subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(interp, 0, error, manager::get_main) }
}

/// The interpreter with this id. Starts the runtime if it is not running. Python: Interpreter(id).
///
/// @param id      CPython's id, see subpy_id()
/// @param interp  receives the interpreter
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_INVALID_ARGUMENT for a negative id; any error of subpy_init().
///         Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_find(id: i64, interp: *mut subpy_interp, error: *mut *mut subpy_error) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(interp, 0, error, || manager::find(id)) }
}
