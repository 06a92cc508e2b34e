//! Windows, with the C library that CPython has as well (ucrtbase.dll), and so its descriptors.
//!
//! | file | what |
//! |---|---|
//! | `system` | what is asked of Windows itself |
//! | `descriptors` | descriptors, and files |

mod descriptors;
mod system;

use std::ffi::{CStr, OsStr, OsString, c_int, c_void};
use std::ops::Range;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use std::{io, ptr};

pub use descriptors::{
    Event, PIPE_BUF, Ready, fd, is_file, is_terminal, open_file, read_at, wait_readable, wait_writable, write,
};
use system::*;

// ---- threads

/// This thread, by a number that no other one has as long as it lives: what CPython calls it (threading.get_ident()).
#[inline(always)]
pub fn this_thread() -> usize {
    // SAFETY: it only asks.
    unsafe { GetCurrentThreadId() as usize }
}

/// When a thread was made, and how long it has run, in tenths of microseconds.
fn times(thread: u32) -> Option<(u64, u64)> {
    let mut times = [FileTime::default(); 4];
    let [created, ended, kernel, user] = &mut times;
    // SAFETY: places for the answers; the handle is closed once.
    unsafe {
        let handle = OpenThread(THREAD_QUERY_LIMITED_INFORMATION, 0, thread);
        if handle.is_null() {
            return None;
        }
        let found = GetThreadTimes(handle, created, ended, kernel, user);
        CloseHandle(handle);
        (found != 0).then(|| (times[0].ticks(), times[2].ticks() + times[3].ticks()))
    }
}

/// True on the thread that the process began with: the oldest one. Windows does not say which that is.
pub fn is_first_thread() -> bool {
    static FIRST: OnceLock<Option<u32>> = OnceLock::new();
    let first = FIRST.get_or_init(|| {
        let mut threads = Vec::new();
        // SAFETY: a place for the answers, whose size is said; the handle is closed once.
        unsafe {
            let snapshot = CreateToolhelp32Snapshot(SNAPSHOT_THREADS, 0);
            if snapshot == INVALID_HANDLE {
                return None;
            }
            let mut entry: ThreadEntry = std::mem::zeroed();
            entry.size = size_of::<ThreadEntry>() as u32;
            let mut found = Thread32First(snapshot, &mut entry);
            while found != 0 {
                if entry.process == GetCurrentProcessId() {
                    threads.push(entry.thread);
                }
                found = Thread32Next(snapshot, &mut entry);
            }
            CloseHandle(snapshot);
        }
        let made = |thread: &u32| times(*thread).map_or(u64::MAX, |(made, _)| made);
        threads.into_iter().min_by_key(made)
    });
    // SAFETY: it only asks.
    *first == Some(unsafe { GetCurrentThreadId() })
}

/// The longest name that a thread of the library's is given.
pub(super) const LONGEST_NAME: usize = 63;

/// Names the calling thread, where the system can (Windows 10 1607).
pub(super) fn name_thread(name: &CStr) {
    type SetDescription = extern "system" fn(Handle, *const u16) -> i32;
    static SET: OnceLock<Option<SetDescription>> = OnceLock::new();
    let set = SET.get_or_init(|| {
        // SAFETY: what has this name in that library is a function of this type.
        unsafe {
            let library = GetModuleHandleW(wide(OsStr::new("kernelbase.dll")).as_ptr());
            std::mem::transmute(GetProcAddress(library, c"SetThreadDescription".as_ptr()))
        }
    });
    if let (Some(set), Ok(name)) = (set, name.to_str()) {
        // SAFETY: it only asks.
        set(unsafe { GetCurrentThread() }, wide(OsStr::new(name)).as_ptr());
    }
}

/// How long a thread has run on a processor. 0 when that cannot be told.
///
/// # Safety
/// The thread, one of `this_thread`, must not have ended.
pub unsafe fn time_of(thread: usize) -> Duration {
    times(thread as u32).map_or(Duration::ZERO, |(_, ran)| Duration::from_nanos(ran * 100))
}

/// A thread that `create_thread` has made: an address, so that it is like a number.
pub(super) type Thread = usize;

struct Start {
    run: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
}

extern "system" fn begin(start: *mut c_void) -> u32 {
    // SAFETY: the box of `create_thread`, which is this thread's.
    let Start { run, argument } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    run(argument);
    0
}

/// Starts a thread with a stack of that size.
///
/// # Safety
/// It may run with that argument, on another thread.
pub(super) unsafe fn create_thread(
    stack: usize,
    run: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> io::Result<Thread> {
    let start = Box::into_raw(Box::new(Start { run, argument }));
    let flags = STACK_SIZE_IS_A_RESERVATION;
    // SAFETY: the thread gets the box, if it starts; the rest is promised by the caller.
    unsafe {
        let handle = CreateThread(ptr::null(), stack, begin, start.cast(), flags, ptr::null_mut());
        if handle.is_null() {
            let error = io::Error::last_os_error();
            drop(Box::from_raw(start));
            return Err(error);
        }
        Ok(handle.expose_provenance())
    }
}

/// Waits for its end. That it is this thread itself is an error and nothing else.
///
/// # Safety
/// It is joined once, and not detached.
pub(super) unsafe fn join_thread(thread: Thread) {
    let handle = ptr::with_exposed_provenance_mut(thread);
    // SAFETY: a handle that is open, as promised.
    unsafe {
        if GetThreadId(handle) != GetCurrentThreadId() {
            WaitForSingleObject(handle, INFINITE);
        }
        CloseHandle(handle);
    }
}

/// # Safety
/// It is detached once, and not joined.
pub(super) unsafe fn detach_thread(thread: Thread) {
    // SAFETY: a handle that is open, as promised.
    unsafe { CloseHandle(ptr::with_exposed_provenance_mut(thread)) };
}

/// Something that is to be done once when a thread ends, on that thread: not when the process does, which has no other
/// threads any more then.
pub struct AtThreadEnd {
    slot: OnceLock<u32>,
    ends: fn(),
}

impl AtThreadEnd {
    pub const fn new(ends: fn()) -> AtThreadEnd {
        AtThreadEnd { slot: OnceLock::new(), ends }
    }

    /// The calling thread is one of those.
    pub fn watch(&'static self) {
        extern "system" fn call(this: *mut c_void) {
            if this.is_null() || process_ends() {
                return;
            }
            // SAFETY: a value of such a slot, which is one of these.
            let this = unsafe { &*this.cast::<AtThreadEnd>() };
            // A panic that leaves a function that the system calls would end the process.
            let _ = std::panic::catch_unwind(this.ends);
        }
        // SAFETY: a place for an answer, and an address in what is to stay. Then the function is never unloaded.
        let slot = *self.slot.get_or_init(|| unsafe {
            let mut module = ptr::null_mut();
            match GetModuleHandleExW(FROM_ADDRESS_FOR_GOOD, call as *const c_void, &mut module) {
                0 => NO_SUCH_SLOT,
                _ => FlsAlloc(call),
            }
        });
        if slot != NO_SUCH_SLOT {
            // SAFETY: the slot is there for good. Without memory the thread's end goes unseen.
            unsafe { FlsSetValue(slot, std::ptr::from_ref(self).cast_mut().cast()) };
        }
    }
}

/// Whether the process is about to end: all other threads have been ended wherever they were.
fn process_ends() -> bool {
    type Ends = extern "system" fn() -> u8;
    // SAFETY: what has this name in that library, which every process has, is a function of this type.
    let ends: Option<Ends> = unsafe {
        let library = GetModuleHandleW(wide(OsStr::new("ntdll.dll")).as_ptr());
        std::mem::transmute(GetProcAddress(library, c"RtlDllShutdownInProgress".as_ptr()))
    };
    ends.is_some_and(|ends| ends() != 0)
}

// ---- stacks

/// What is at the end of each stack: its guard pages, and the last page, which is never there.
const GUARD: usize = 3 * 4096;

/// The calling thread's own stack without its guard pages: where it begins, and how large it is.
pub fn thread_stack() -> Option<(*mut c_void, usize)> {
    let (mut low, mut high, mut guarantee) = (0, 0, 0);
    // SAFETY: places for the answers. A size of 0 asks how much is left for those who handle its overflow.
    unsafe {
        GetCurrentThreadStackLimits(&mut low, &mut high);
        SetThreadStackGuarantee(&mut guarantee);
    }
    let low = low + GUARD + guarantee as usize;
    (low < high).then(|| (ptr::without_provenance_mut(low), high - low))
}

fn memory_at(address: usize) -> Option<MemoryInfo> {
    // SAFETY: a place for the answer, whose size is said; it takes any address.
    unsafe {
        let mut info: MemoryInfo = std::mem::zeroed();
        let size = VirtualQuery(ptr::without_provenance(address), &mut info, size_of::<MemoryInfo>());
        (size != 0 && info.state != MEM_FREE).then_some(info)
    }
}

/// The mapping that an address lies in: where it begins, and how large it is. A stack's pages come below those that it has.
pub fn mapping(address: usize) -> Option<(*mut c_void, usize)> {
    let info = memory_at(address)?;
    let (start, end) = (info.allocation_base.addr() + GUARD, info.base.addr() + info.size);
    (start < end).then(|| (ptr::without_provenance_mut(start), end - start))
}

/// Whether the eight bytes at an address can be read.
pub fn is_readable(address: usize) -> bool {
    memory_at(address).is_some_and(|info| info.state == MEM_COMMIT && info.protect & (PAGE_NOACCESS | PAGE_GUARD) == 0)
}

// ---- what is loaded

/// For [`symbol`]: the program itself. Libraries do not share their symbols.
pub const EVERYWHERE: *mut c_void = ptr::null_mut();

fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

/// Loads a library by its whole path, and what it needs from its folder or the system's, not the current one; None: the main
/// program. The system's reason when it cannot be.
pub fn open_library(path: Option<&Path>) -> Result<*mut c_void, String> {
    // SAFETY: texts that end with 0, or NULL.
    let handle = unsafe {
        match path {
            Some(path) => LoadLibraryExW(wide(path.as_os_str()).as_ptr(), ptr::null_mut(), ITS_FOLDER_AND_THE_SYSTEM),
            None => GetModuleHandleW(ptr::null()),
        }
    };
    if handle.is_null() { Err(io::Error::last_os_error().to_string()) } else { Ok(handle) }
}

/// Looks at a library, if it is loaded. Nothing from the handle may be kept.
pub fn if_loaded<R>(library: &Path, look: impl FnOnce(*mut c_void) -> Option<R>) -> Option<R> {
    // SAFETY: a text that ends with 0.
    let handle = unsafe { GetModuleHandleW(wide(library.as_os_str()).as_ptr()) };
    if handle.is_null() { None } else { look(handle) }
}

/// What has this name in a library, or [`EVERYWHERE`]. NULL: nothing.
///
/// # Safety
/// The handle is one of those that are given here, and was not closed.
pub unsafe fn symbol(handle: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: promised by the caller; NULL is the program.
    unsafe {
        let handle = if handle.is_null() { GetModuleHandleW(ptr::null()) } else { handle };
        GetProcAddress(handle, name.as_ptr())
    }
}

/// There is no order in which libraries are looked through.
pub fn next_symbol(_: &CStr) -> *mut c_void {
    ptr::null_mut()
}

/// Where the file begins that an address is in.
pub fn file_at(address: *const c_void) -> Option<usize> {
    let mut module = ptr::null_mut();
    // SAFETY: a place for the answer; it takes any address.
    let found = unsafe { GetModuleHandleExW(FROM_ADDRESS_UNCHANGED, address, &mut module) };
    (found != 0).then(|| module.addr())
}

/// What is found by a name is the function itself.
pub fn is_stub(_: *const c_void) -> bool {
    false
}

/// The main program (its name is empty) or a library, and where it lies.
pub struct Object {
    pub name: PathBuf,
    pub spans: Vec<Range<usize>>,
}

/// The program and the libraries in this process. What is loaded or goes meanwhile may be missing.
pub fn objects() -> Vec<Object> {
    let mut modules: Vec<Handle> = vec![ptr::null_mut(); 256];
    // SAFETY: places for the answers, whose sizes are said.
    unsafe {
        let process = GetCurrentProcess();
        loop {
            let (size, mut needed) = ((modules.len() * size_of::<Handle>()) as u32, 0);
            if K32EnumProcessModules(process, modules.as_mut_ptr(), size, &mut needed) == 0 {
                return Vec::new();
            }
            let count = needed as usize / size_of::<Handle>();
            let is_all = needed <= size;
            modules.resize(count, ptr::null_mut());
            if is_all {
                break;
            }
        }
        let program = GetModuleHandleW(ptr::null());
        let object = |module: Handle| {
            let mut info: ModuleInfo = std::mem::zeroed();
            let size = size_of::<ModuleInfo>() as u32;
            let found = K32GetModuleInformation(process, module, &mut info, size) != 0;
            let span = info.base.addr()..info.base.addr() + info.size as usize;
            let name = if module == program { PathBuf::new() } else { name_of(module)? };
            found.then(|| Object { name, spans: vec![span] })
        };
        modules.into_iter().filter_map(object).collect()
    }
}

fn name_of(module: Handle) -> Option<PathBuf> {
    let mut name = vec![0; 32768];
    // SAFETY: a place for the name, whose size is said.
    let size = unsafe { GetModuleFileNameW(module, name.as_mut_ptr(), name.len() as u32) };
    (size > 0).then(|| OsString::from_wide(&name[..size as usize]).into())
}

// ---- memory

/// The name of the function that says how large a block of malloc()'s is.
pub const USABLE_SIZE: &CStr = c"_msize";

/// How large it is.
///
/// # Safety
/// A block that malloc() of this library made.
#[inline(always)]
pub unsafe fn usable_size(block: *mut c_void) -> usize {
    // SAFETY: promised by the caller.
    unsafe { _msize(block) }
}

// ---- paths

/// A path of bytes, as CPython gives it: UTF-8.
pub fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Without links, in the form that people and CPython know, where that can say it.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    let real = path.canonicalize()?;
    Ok(match real.to_str().and_then(|real| real.strip_prefix(r"\\?\")) {
        Some(plain) if plain.as_bytes().get(1) == Some(&b':') && plain.len() < 260 => PathBuf::from(plain),
        _ => real,
    })
}

pub fn is_same_file(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

// ---- the process

/// No program has more rights than whoever starts it.
pub fn has_more_rights() -> bool {
    false
}

/// `errno` of this thread, in the C library that CPython has.
pub fn set_errno(errno: i32) {
    type Errno = extern "C" fn() -> *mut c_int;
    static ERRNO: OnceLock<Option<Errno>> = OnceLock::new();
    let place = ERRNO.get_or_init(|| {
        // SAFETY: what has this name in that library is a function of this type.
        unsafe {
            let library = GetModuleHandleW(wide(OsStr::new("ucrtbase.dll")).as_ptr());
            std::mem::transmute(GetProcAddress(library, c"_errno".as_ptr()))
        }
    });
    if let Some(place) = place {
        // SAFETY: it is this thread's own.
        unsafe { *place() = errno };
    }
}

/// Of open files, processes or memory: ERROR_TOO_MANY_OPEN_FILES, NOT_ENOUGH_MEMORY, OUTOFMEMORY, NO_SYSTEM_RESOURCES,
/// COMMITMENT_LIMIT.
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(4 | NO_MEMORY | 14 | 1450 | 1455))
}

/// ERROR_NOT_ENOUGH_MEMORY
pub const NO_MEMORY: i32 = 8;

// ---- time

/// Nanoseconds of the clock that never goes back.
#[inline]
pub fn now() -> u64 {
    static FREQUENCY: OnceLock<u64> = OnceLock::new();
    let frequency = *FREQUENCY.get_or_init(|| {
        let mut frequency = 0;
        // SAFETY: a place for the answer. It never fails.
        unsafe { QueryPerformanceFrequency(&mut frequency) };
        frequency.unsigned_abs().max(1)
    });
    let mut count = 0;
    // SAFETY: a place for the answer. It never fails.
    unsafe { QueryPerformanceCounter(&mut count) };
    let count = count.unsigned_abs();
    count / frequency * 1_000_000_000 + count % frequency * 1_000_000_000 / frequency
}

// ---- forks and signals, of which there are none

/// Nothing is forked.
///
/// # Safety
/// There is nothing to be kept.
pub unsafe fn watch_forks(_: extern "C" fn()) {}

/// No signal comes to any thread.
pub struct NoSignals;

impl NoSignals {
    pub fn new() -> Self {
        NoSignals
    }
}

/// No function is put in the place of one that handles a signal.
pub fn signal_handler(_: c_int) -> Option<usize> {
    None
}

/// # Safety
/// There is nothing to be kept.
pub unsafe fn set_signal_handler(_: c_int, _: extern "C" fn(c_int)) {}

/// A pipe that nobody reads gives an error.
pub fn ignore_broken_pipes() {}
