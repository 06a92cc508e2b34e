//! What is asked of Windows itself, as its headers have it.

use std::ffi::{c_char, c_int, c_void};

pub type Handle = *mut c_void;

pub const INVALID_HANDLE: Handle = usize::MAX as Handle;

/// FILETIME: tenths of microseconds.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FileTime {
    low: u32,
    high: u32,
}

impl FileTime {
    pub fn ticks(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
}

/// MEMORY_BASIC_INFORMATION
#[repr(C)]
pub struct MemoryInfo {
    pub base: *mut c_void,
    pub allocation_base: *mut c_void,
    pub allocation_protect: u32,
    pub partition: u16,
    pub size: usize,
    pub state: u32,
    pub protect: u32,
    pub kind: u32,
}

pub const MEM_COMMIT: u32 = 0x1000;
pub const MEM_FREE: u32 = 0x10000;
pub const PAGE_NOACCESS: u32 = 0x01;
pub const PAGE_GUARD: u32 = 0x100;

/// MODULEINFO
#[repr(C)]
pub struct ModuleInfo {
    pub base: *mut c_void,
    pub size: u32,
    pub entry: *mut c_void,
}

/// THREADENTRY32
#[repr(C)]
pub struct ThreadEntry {
    pub size: u32,
    pub usage: u32,
    pub thread: u32,
    pub process: u32,
    pub priorities: [i32; 2],
    pub flags: u32,
}

pub const SNAPSHOT_THREADS: u32 = 4;
pub const THREAD_QUERY_LIMITED_INFORMATION: u32 = 0x0800;
pub const STACK_SIZE_IS_A_RESERVATION: u32 = 0x0001_0000;
pub const INFINITE: u32 = u32::MAX;
pub const NO_SUCH_SLOT: u32 = u32::MAX;
/// LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS
pub const ITS_FOLDER_AND_THE_SYSTEM: u32 = 0x1100;
pub const FROM_ADDRESS_UNCHANGED: u32 = 0x0004 | 0x0002;
pub const FROM_ADDRESS_FOR_GOOD: u32 = 0x0004 | 0x0001;
pub const FILE_TYPE_DISK: u32 = 1;
pub const POLL_READ: i16 = 0x0300;

/// WSAPOLLFD
#[repr(C)]
pub struct PollSocket {
    pub socket: usize,
    pub events: i16,
    pub returned: i16,
}

#[link(name = "kernel32")]
unsafe extern "system" {
    pub fn GetCurrentThreadId() -> u32;
    pub fn GetCurrentProcessId() -> u32;
    pub fn GetCurrentThread() -> Handle;
    pub fn GetCurrentProcess() -> Handle;
    pub fn GetThreadId(thread: Handle) -> u32;
    pub fn OpenThread(access: u32, inherit: c_int, id: u32) -> Handle;
    pub fn GetThreadTimes(
        thread: Handle,
        created: *mut FileTime,
        ended: *mut FileTime,
        kernel: *mut FileTime,
        user: *mut FileTime,
    ) -> c_int;
    pub fn CreateThread(
        security: *const c_void,
        stack: usize,
        run: extern "system" fn(*mut c_void) -> u32,
        argument: *mut c_void,
        flags: u32,
        id: *mut u32,
    ) -> Handle;
    pub fn WaitForSingleObject(object: Handle, milliseconds: u32) -> u32;
    pub fn CloseHandle(object: Handle) -> c_int;
    pub fn CreateToolhelp32Snapshot(flags: u32, process: u32) -> Handle;
    pub fn Thread32First(snapshot: Handle, entry: *mut ThreadEntry) -> c_int;
    pub fn Thread32Next(snapshot: Handle, entry: *mut ThreadEntry) -> c_int;
    pub fn GetCurrentThreadStackLimits(low: *mut usize, high: *mut usize);
    pub fn SetThreadStackGuarantee(size: *mut u32) -> c_int;
    pub fn VirtualQuery(address: *const c_void, info: *mut MemoryInfo, size: usize) -> usize;
    pub fn FlsAlloc(ends: extern "system" fn(*mut c_void)) -> u32;
    pub fn FlsSetValue(slot: u32, value: *mut c_void) -> c_int;
    pub fn LoadLibraryExW(name: *const u16, file: Handle, flags: u32) -> Handle;
    pub fn GetModuleHandleW(name: *const u16) -> Handle;
    pub fn GetModuleHandleExW(flags: u32, address: *const c_void, module: *mut Handle) -> c_int;
    pub fn GetModuleFileNameW(module: Handle, name: *mut u16, size: u32) -> u32;
    pub fn GetProcAddress(module: Handle, name: *const c_char) -> *mut c_void;
    pub fn K32EnumProcessModules(process: Handle, modules: *mut Handle, size: u32, needed: *mut u32) -> c_int;
    pub fn K32GetModuleInformation(process: Handle, module: Handle, info: *mut ModuleInfo, size: u32) -> c_int;
    pub fn QueryPerformanceCounter(count: *mut i64) -> c_int;
    pub fn QueryPerformanceFrequency(frequency: *mut i64) -> c_int;
    pub fn GetFileType(file: Handle) -> u32;
    pub fn PeekNamedPipe(
        pipe: Handle,
        buffer: *mut c_void,
        size: u32,
        read: *mut u32,
        available: *mut u32,
        left: *mut u32,
    ) -> c_int;
}

#[link(name = "ws2_32")]
unsafe extern "system" {
    pub fn WSAPoll(sockets: *mut PollSocket, count: u32, milliseconds: c_int) -> c_int;
}

// The C library, which is CPython's when it is ucrtbase.dll (bindings/c/link-windows).
unsafe extern "C" {
    pub fn _errno() -> *mut c_int;
    pub fn _isatty(descriptor: c_int) -> c_int;
    pub fn _get_osfhandle(descriptor: c_int) -> isize;
    pub fn _write(descriptor: c_int, bytes: *const c_void, count: u32) -> c_int;
    pub fn _msize(block: *mut c_void) -> usize;
}
