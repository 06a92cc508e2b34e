//! macOS.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io::{PipeReader, PipeWriter};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr};
use std::time::Duration;

use super::unix::Object;

// What the crate libc leaves to others, as the SDK's headers have it.
unsafe extern "C" {
    // mach/mach_init.h
    static mach_task_self_: u32;
    // mach/mach_vm.h
    fn mach_vm_region(
        task: u32,
        address: *mut u64,
        size: *mut u64,
        flavor: c_int,
        info: *mut VmRegion,
        count: *mut u32,
        object: *mut u32,
    ) -> c_int;
    // mach-o/dyld.h
    fn _dyld_image_count() -> u32;
    fn _dyld_get_image_header(index: u32) -> *const MachHeader;
    fn _dyld_get_image_vmaddr_slide(index: u32) -> isize;
    fn _dyld_get_image_name(index: u32) -> *const c_char;
}

// ---- threads

/// This thread, by a number that no other one has as long as it lives: what CPython calls it (threading.get_ident()).
#[inline(always)]
pub fn this_thread() -> usize {
    // SAFETY: it only asks.
    unsafe { libc::pthread_self() as usize }
}

/// True on the thread that the process began with.
pub fn is_first_thread() -> bool {
    // SAFETY: it only asks.
    unsafe { libc::pthread_main_np() == 1 }
}

/// The longest name that the system keeps (MAXTHREADNAMESIZE).
pub(super) const LONGEST_NAME: usize = 63;

/// Names the calling thread.
pub(super) fn name_thread(name: &CStr) {
    // SAFETY: a text that ends with a NUL.
    unsafe { libc::pthread_setname_np(name.as_ptr()) };
}

/// How long a thread has run on a processor. 0 when that cannot be told.
///
/// # Safety
/// The thread, one of `this_thread`, must not have ended.
pub unsafe fn time_of(thread: usize) -> Duration {
    // SAFETY: a place for the answer, of the size that is said; the thread is alive, as promised.
    unsafe {
        let mut info: libc::thread_basic_info = std::mem::zeroed();
        let mut count = (size_of::<libc::thread_basic_info>() / size_of::<c_int>()) as u32;
        let port = libc::pthread_mach_thread_np(thread as libc::pthread_t);
        if libc::thread_info(port, libc::THREAD_BASIC_INFO as u32, (&raw mut info).cast(), &mut count) != 0 {
            return Duration::ZERO;
        }
        let time = |seconds: c_int, micros: c_int| {
            Duration::new(u64::from(seconds.unsigned_abs()), 0) + Duration::from_micros(micros.unsigned_abs().into())
        };
        time(info.user_time.seconds, info.user_time.microseconds)
            + time(info.system_time.seconds, info.system_time.microseconds)
    }
}

// ---- stacks

/// The calling thread's own stack, as CPython itself computes it (Python/ceval.c): where it begins, and how large it is.
pub fn thread_stack() -> Option<(*mut c_void, usize)> {
    // SAFETY: they only ask. The address is that of the end.
    unsafe {
        let this = libc::pthread_self();
        let (end, size) = (libc::pthread_get_stackaddr_np(this), libc::pthread_get_stacksize_np(this));
        Some((end.wrapping_byte_sub(size), size))
    }
}

/// struct vm_region_basic_info_64 (mach/vm_region.h), whose members are packed.
#[repr(C, packed(4))]
struct VmRegion {
    protection: c_int,
    max_protection: c_int,
    inheritance: u32,
    shared: u32,
    reserved: u32,
    offset: u64,
    behavior: c_int,
    user_wired_count: u16,
}

const VM_REGION_BASIC_INFO_64: c_int = 9;
const VM_PROT_READ: c_int = 1;

/// The mapping that an address lies in, if it can be read: where it begins, and how large it is.
pub fn mapping(address: usize) -> Option<(*mut c_void, usize)> {
    let (mut start, mut size, mut object) = (address as u64, 0, 0);
    let mut count = (size_of::<VmRegion>() / size_of::<c_int>()) as u32;
    // SAFETY: places for the answers, of the size that is said.
    let info = unsafe {
        let mut info: VmRegion = std::mem::zeroed();
        let (start, size) = (&raw mut start, &raw mut size);
        let flavor = VM_REGION_BASIC_INFO_64;
        if mach_vm_region(mach_task_self_, start, size, flavor, &mut info, &mut count, &mut object) != 0 {
            return None;
        }
        info
    };
    // It is the next one when the address is in none.
    let (start, size) = (usize::try_from(start).ok()?, usize::try_from(size).ok()?);
    let is_it = start <= address && info.protection & VM_PROT_READ != 0;
    is_it.then(|| (ptr::without_provenance_mut(start), size))
}

/// Whether the eight bytes at an address can be read.
pub fn is_readable(address: usize) -> bool {
    mapping(address).is_some()
}

/// How much of a thread's stack the system takes for thread-local variables: none.
pub(super) fn stack_for_variables(_: &libc::pthread_attr_t) -> usize {
    0
}

// ---- what is loaded

/// struct mach_header_64 (mach-o/loader.h).
#[repr(C)]
struct MachHeader {
    magic: u32,
    cpu: [c_int; 2],
    kind: u32,
    commands: u32,
    size_of_commands: u32,
    flags: u32,
    reserved: u32,
}

/// struct segment_command_64 up to where it lies; of other commands the first two members alone.
#[repr(C)]
struct Segment {
    command: u32,
    size: u32,
    name: [u8; 16],
    address: u64,
    len: u64,
}

const MH_EXECUTE: u32 = 2;
const LC_SEGMENT_64: u32 = 0x19;

/// The program and the libraries in this process. What is loaded or goes meanwhile may be missing.
pub fn objects() -> Vec<Object> {
    // SAFETY: they take any number. What was found stays as long as it is loaded, and no CPython is ever unloaded.
    unsafe {
        let image = |index| {
            let header = _dyld_get_image_header(index).as_ref()?;
            let spans = spans(header, _dyld_get_image_vmaddr_slide(index));
            let name = if header.kind == MH_EXECUTE { ptr::null() } else { _dyld_get_image_name(index) };
            Some(Object::new(name, spans))
        };
        (0.._dyld_image_count()).filter_map(image).collect()
    }
}

/// Where the segments of an image lie.
///
/// # Safety
/// The header of an image that is loaded.
unsafe fn spans(header: &MachHeader, slide: isize) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut command: *const Segment = ptr::from_ref(header).wrapping_add(1).cast();
    for _ in 0..header.commands {
        // SAFETY: as many commands follow the header, each as long as it says.
        unsafe {
            let size = (&raw const (*command).size).read();
            if (&raw const (*command).command).read() == LC_SEGMENT_64 {
                let start = ((*command).address as usize).wrapping_add_signed(slide);
                spans.push(start..start.wrapping_add((*command).len as usize));
            }
            command = command.wrapping_byte_add(size as usize);
        }
    }
    spans
}

/// What is found by a name is the function itself.
pub fn is_stub(_: *const c_void) -> bool {
    false
}

// ---- memory

/// The name of the function that says how large a block of malloc()'s is.
pub const USABLE_SIZE: &CStr = c"malloc_size";

/// How large it is.
///
/// # Safety
/// A block that malloc() made.
#[inline(always)]
pub unsafe fn usable_size(block: *mut c_void) -> usize {
    // SAFETY: promised by the caller.
    unsafe { libc::malloc_size(block) }
}

// ---- the process

/// This program has more rights than whoever started it (setuid, setgid), who must not choose what it does.
pub fn has_more_rights() -> bool {
    // SAFETY: it only asks.
    unsafe { libc::issetugid() != 0 }
}

/// `errno` of this thread.
pub fn set_errno(errno: i32) {
    // SAFETY: it is this thread's own.
    unsafe { *libc::__error() = errno };
}

/// The table of the environment, which ends with NULL.
pub fn environment() -> &'static AtomicPtr<AtomicPtr<c_char>> {
    // SAFETY: it is there as long as the process, and as large as any pointer.
    unsafe { AtomicPtr::from_ptr(libc::_NSGetEnviron().cast()) }
}

/// A descriptor that is readable or not: a pipe, in which there is something while it is readable.
pub struct Event {
    reader: PipeReader,
    writer: PipeWriter,
    pub(super) readable: AtomicBool,
}

impl Event {
    /// The error is an errno.
    pub fn new() -> Result<Event, i32> {
        let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
        let (reader, writer) = std::io::pipe().map_err(errno)?;
        for descriptor in [reader.as_raw_fd(), writer.as_raw_fd()] {
            // SAFETY: it sets a flag of a descriptor that nobody else has.
            if unsafe { libc::fcntl(descriptor, libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
                return Err(errno(std::io::Error::last_os_error()));
            }
        }
        Ok(Event { reader, writer, readable: AtomicBool::new(false) })
    }

    pub fn descriptor(&self) -> i32 {
        self.reader.as_raw_fd()
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Makes it readable, as a signal's handler may: `errno` stays.
    pub fn raise(&self) {
        // SAFETY: one byte. It never blocks, and fails only when the pipe is full.
        unsafe {
            let errno = *libc::__error();
            libc::write(self.writer.as_raw_fd(), [1u8].as_ptr().cast(), 1);
            *libc::__error() = errno;
        }
    }

    /// Makes it unreadable. False: that cannot be, it is no more: a guest has closed what is not its own.
    pub fn clear(&self) -> bool {
        let mut bytes = [0u8; 64];
        // SAFETY: room for as many bytes. It never blocks.
        unsafe {
            while libc::read(self.descriptor(), bytes.as_mut_ptr().cast(), bytes.len()) > 0 {}
            [libc::EAGAIN, libc::EINTR].contains(&*libc::__error())
        }
    }
}
