//! What Linux and macOS have in common: most of POSIX.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Write};
use std::ops::Range;
pub use std::os::fd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use std::{fs, io, ptr};

use fd::{AsRawFd, RawFd};

// ---- libraries

/// For [`symbol`]: as the dynamic linker finds it for everybody.
pub const EVERYWHERE: *mut c_void = libc::RTLD_DEFAULT;

/// Loads a library, whose symbols all others see then; None: the main program. The linker's reason when it cannot be.
pub fn open_library(path: Option<&Path>) -> Result<*mut c_void, String> {
    let name = path.map(|path| CString::new(path.as_os_str().as_bytes()).unwrap_or_default());
    let name = name.as_ref().map_or(ptr::null(), |name| name.as_ptr());
    // SAFETY: a path or NULL, which means the main program; dlerror's text is copied at once.
    unsafe {
        let handle = libc::dlopen(name, libc::RTLD_NOW | libc::RTLD_GLOBAL);
        if !handle.is_null() {
            return Ok(handle);
        }
        let error = libc::dlerror();
        Err(if error.is_null() { String::new() } else { CStr::from_ptr(error).to_string_lossy().into_owned() })
    }
}

/// Looks at a library, if it is loaded. Nothing from the handle may be kept.
pub fn if_loaded<R>(library: &Path, look: impl FnOnce(*mut c_void) -> Option<R>) -> Option<R> {
    let name = CString::new(library.as_os_str().as_bytes()).ok()?;
    // SAFETY: RTLD_NOLOAD only looks the name up among what is loaded: no code runs.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY) };
    if handle.is_null() {
        return None;
    }
    let found = look(handle);
    // SAFETY: it is from the dlopen above.
    unsafe { libc::dlclose(handle) };
    found
}

/// What has this name in a library, or [`EVERYWHERE`]. NULL: nothing.
///
/// # Safety
/// The handle is one of those that are given here, and was not closed.
pub unsafe fn symbol(handle: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: promised by the caller; it only asks.
    unsafe { libc::dlsym(handle, name.as_ptr()) }
}

/// What has this name in what was loaded after this library.
pub fn next_symbol(name: &CStr) -> *mut c_void {
    // SAFETY: it only asks.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

/// The name of the file that an address is in, and where that begins.
pub fn file_of(address: *const c_void) -> Option<(&'static OsStr, usize)> {
    // SAFETY: dladdr() takes any address; the name is a C string that lives as long as the file is loaded. What is asked
    // for stays: this library, the program, CPython, malloc().
    unsafe {
        let mut about: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(address, &mut about) == 0 || about.dli_fname.is_null() {
            return None;
        }
        Some((OsStr::from_bytes(CStr::from_ptr(about.dli_fname).to_bytes()), about.dli_fbase.addr()))
    }
}

/// Where the file begins that an address is in.
pub fn file_at(address: *const c_void) -> Option<usize> {
    file_of(address).map(|(_, start)| start)
}

/// The main program (its name is empty) or a library, and where it lies.
pub struct Object {
    pub name: PathBuf,
    pub spans: Vec<Range<usize>>,
}

impl Object {
    /// # Safety
    /// The name is a C string, or NULL.
    pub(super) unsafe fn new(name: *const c_char, spans: Vec<Range<usize>>) -> Object {
        let name = if name.is_null() {
            PathBuf::new()
        } else {
            // SAFETY: promised by the caller.
            PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()))
        };
        Object { name, spans }
    }
}

// ---- threads

/// A thread that pthread_create() has made.
pub(super) type Thread = libc::pthread_t;

/// Starts a thread with a stack of that size, and what the system takes of it for itself.
///
/// # Safety
/// It may run with that argument, on another thread.
pub(super) unsafe fn create_thread(
    stack: usize,
    run: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> io::Result<Thread> {
    // SAFETY: attributes that are initialized, and destroyed after their use; the rest is promised by the caller.
    let error = unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        let mut thread = std::mem::zeroed();
        let mut error = libc::pthread_attr_init(&mut attributes);
        if error == 0 {
            let all = stack.saturating_add(super::system::stack_for_variables(&attributes));
            error = libc::pthread_attr_setstacksize(&mut attributes, all);
            if error == 0 {
                error = libc::pthread_create(&mut thread, &attributes, run, argument);
            }
            libc::pthread_attr_destroy(&mut attributes);
        }
        if error == 0 {
            return Ok(thread);
        }
        error
    };
    Err(io::Error::from_raw_os_error(error))
}

/// Waits for its end. That it is this thread itself is an error and nothing else.
///
/// # Safety
/// It is joined once, and not detached.
pub(super) unsafe fn join_thread(thread: Thread) {
    // SAFETY: promised by the caller.
    unsafe { libc::pthread_join(thread, ptr::null_mut()) };
}

/// # Safety
/// It is detached once, and not joined.
pub(super) unsafe fn detach_thread(thread: Thread) {
    // SAFETY: promised by the caller.
    unsafe { libc::pthread_detach(thread) };
}

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

// ---- time

/// Nanoseconds of the clock that never goes back. The standard library's `Instant` takes three times as long to say so.
#[inline]
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for the answer. It never fails for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

// ---- forks and signals

/// Has this called in each child that is forked from now on.
///
/// # Safety
/// It may be called at any time in a child that has one thread, and is never unloaded.
pub unsafe fn watch_forks(in_child: extern "C" fn()) {
    // SAFETY: promised by the caller.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
}

/// Forks this process: the child's id, or 0 in the child.
///
/// # Safety
/// No other thread has a lock that the child would wait for.
pub unsafe fn fork() -> io::Result<i32> {
    // SAFETY: promised by the caller.
    let child = unsafe { libc::fork() };
    if child < 0 { Err(io::Error::last_os_error()) } else { Ok(child) }
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

fn action_of(number: c_int) -> Option<libc::sigaction> {
    // SAFETY: a place for the answer; without a new action it changes nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        (libc::sigaction(number, ptr::null(), &mut action) == 0).then_some(action)
    }
}

/// The address of the function that handles a signal. None: it is ignored, or does what it does by default.
pub fn signal_handler(number: c_int) -> Option<usize> {
    let handler = action_of(number)?.sa_sigaction;
    (![libc::SIG_DFL, libc::SIG_IGN].contains(&handler)).then_some(handler)
}

/// Puts a function in the place of the one that handles a signal. Flags and mask stay.
///
/// # Safety
/// It may be called at any time, on any thread.
pub unsafe fn set_signal_handler(number: c_int, handler: extern "C" fn(c_int)) {
    if let Some(mut action) = action_of(number) {
        action.sa_sigaction = handler as usize;
        // SAFETY: promised by the caller.
        unsafe { libc::sigaction(number, &action, ptr::null_mut()) };
    }
}

/// Whoever writes to a pipe that nobody reads gets an error, and no signal, unless this process handles that.
pub fn ignore_broken_pipes() {
    if action_of(libc::SIGPIPE).is_some_and(|action| action.sa_sigaction == libc::SIG_DFL) {
        // SAFETY: it changes one signal's disposition.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    }
}

// ---- descriptors

/// A pipe that can be written to has room for as much.
pub const PIPE_BUF: usize = libc::PIPE_BUF;

pub fn is_terminal(descriptor: c_int) -> bool {
    // SAFETY: isatty takes any number.
    unsafe { libc::isatty(descriptor) == 1 }
}

/// A regular file.
pub fn is_file(descriptor: c_int) -> bool {
    // SAFETY: room for one stat, which fstat fills unless it fails.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        libc::fstat(descriptor, &mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFREG
    }
}

/// Writes some of it, at least one byte.
pub fn write(descriptor: c_int, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: pointer and length of a slice.
    let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Waits until there is room for [`PIPE_BUF`] bytes, or something to be told of. False: there was not, in that time.
pub fn wait_writable(descriptor: c_int, limit: Duration) -> bool {
    poll(descriptor, libc::POLLOUT, limit) != 0
}

/// Waits until there is something to read, or the end. False: there was not, in that time, or a signal has come.
pub fn wait_readable(descriptor: &impl AsRawFd, limit: Duration) -> bool {
    poll(descriptor.as_raw_fd(), libc::POLLIN, limit) > 0
}

fn poll(descriptor: c_int, events: i16, limit: Duration) -> c_int {
    let mut wanted = libc::pollfd { fd: descriptor, events, revents: 0 };
    // Rounded up, so that it does not end too early.
    let limit = limit.as_micros().div_ceil(1000).try_into().unwrap_or(c_int::MAX);
    // SAFETY: one entry.
    unsafe { libc::poll(&mut wanted, 1, limit) }
}

/// A descriptor that becomes readable, and stays it.
pub struct Ready {
    reader: PipeReader,
    /// Until then.
    writer: Option<PipeWriter>,
}

impl Ready {
    pub fn new() -> io::Result<Ready> {
        io::pipe().map(|(reader, writer)| Ready { reader, writer: Some(writer) })
    }

    pub fn descriptor(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    pub fn signal(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            // One byte always fits; without it the end of the pipe is readable as well.
            let _ = writer.write(&[1]);
        }
    }
}

// ---- files

/// Opens a file to read it. Where it is a pipe, nobody is waited for who writes to it.
pub fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// As many bytes of a file, from a place on.
pub fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    file.read_exact_at(bytes, at)
}

/// A path of bytes.
pub fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Without links.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// By device and inode, so that links and mounts do not matter.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|data| (data.dev(), data.ino())).ok();
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

/// Of open files, processes or memory.
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::EAGAIN | NO_MEMORY))
}

/// The error of that.
pub const NO_MEMORY: i32 = libc::ENOMEM;
