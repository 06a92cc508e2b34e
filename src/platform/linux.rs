//! Linux, with glibc or musl.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr};
use std::time::Duration;

use super::unix::Object;

// ---- threads

/// This thread, by a number that no other one has as long as it lives: what CPython calls it (threading.get_ident()).
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn this_thread() -> usize {
    let thread: usize;
    // SAFETY: the x86-64 ABI has the address of the thread's own block there ("ELF Handling For Thread-Local Storage"),
    // which is what pthread_self() returns, without a call.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) thread, options(pure, readonly, nostack, preserves_flags)) }
    thread
}

/// This thread, by a number that no other one has as long as it lives: what CPython calls it (threading.get_ident()).
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn this_thread() -> usize {
    // SAFETY: it only asks.
    unsafe { libc::pthread_self() as usize }
}

/// True on the thread that the process began with.
pub fn is_first_thread() -> bool {
    // Not libc::gettid(), which came with glibc 2.30.
    // SAFETY: both only read.
    unsafe { libc::syscall(libc::SYS_gettid) == libc::c_long::from(libc::getpid()) }
}

/// The longest name that the kernel keeps.
pub(super) const LONGEST_NAME: usize = 15;

/// Names the calling thread.
pub(super) fn name_thread(name: &CStr) {
    // SAFETY: a text that ends with a NUL.
    unsafe { libc::pthread_setname_np(libc::pthread_self(), name.as_ptr()) };
}

/// How long a thread has run on a processor. 0 when that cannot be told.
///
/// # Safety
/// The thread, one of `this_thread`, must not have ended.
pub unsafe fn time_of(thread: usize) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let mut clock = 0;
    // SAFETY: places for the answers; the thread is alive, as promised.
    unsafe {
        if libc::pthread_getcpuclockid(thread as libc::pthread_t, &mut clock) == 0 {
            libc::clock_gettime(clock, &mut time);
        }
    }
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

// ---- stacks

/// The calling thread's own stack without its guard pages, as CPython itself computes it (Python/ceval.c): where it begins,
/// and how large it is.
pub fn thread_stack() -> Option<(*mut c_void, usize)> {
    // SAFETY: pthread_getattr_np initialises the attributes, which are destroyed here.
    unsafe {
        let mut attr: libc::pthread_attr_t = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attr) != 0 {
            return None;
        }
        let (mut base, mut size, mut guard) = (ptr::null_mut(), 0, 0);
        libc::pthread_attr_getguardsize(&attr, &mut guard);
        let found = libc::pthread_attr_getstack(&attr, &mut base, &mut size);
        libc::pthread_attr_destroy(&mut attr);
        (found == 0).then(|| (base.byte_add(guard), size - guard))
    }
}

/// The mapping that an address lies in: where it begins, and how large it is.
pub fn mapping(address: usize) -> Option<(*mut c_void, usize)> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (from, to) = line.split_once(' ')?.0.split_once('-')?;
        let from = usize::from_str_radix(from, 16).ok()?;
        let to = usize::from_str_radix(to, 16).ok()?;
        (from..to).contains(&address).then(|| (ptr::without_provenance_mut(from), to - from))
    })
}

/// Whether the eight bytes at an address can be read. The kernel copies the set in before it refuses the first argument.
/// Reading the mappings costs a hundred times as much (75 us in a small process), and process_vm_readv(), which would say
/// it plainly, is forbidden in many containers.
pub fn is_readable(address: usize) -> bool {
    let no_set = ptr::null_mut::<libc::sigset_t>();
    // SAFETY: the kernel answers with an error for any address, and changes nothing.
    let refused = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, -1, address, no_set, 8) };
    refused != 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
}

/// How much of a thread's stack the C library takes for the thread-local variables of the program and its libraries, which may
/// be more than all of a small one. glibc says so by a function of its own, which Rust's standard library asks as well;
/// musl does not take it from what it was asked for.
pub(super) fn stack_for_variables(attributes: &libc::pthread_attr_t) -> usize {
    // SAFETY: an exported function of glibc's, of this type since it has it (nptl/nptl-stack.c).
    unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, c"__pthread_get_minstack".as_ptr());
        let least: Option<unsafe extern "C" fn(*const libc::pthread_attr_t) -> usize> = std::mem::transmute(found);
        least.map_or(0, |least| least(attributes).saturating_sub(libc::PTHREAD_STACK_MIN))
    }
}

// ---- what is loaded

/// The program and the libraries in this process.
pub fn objects() -> Vec<Object> {
    let mut objects = Vec::new();
    // SAFETY: `add_object` is called during this call only, with this pointer.
    unsafe { libc::dl_iterate_phdr(Some(add_object), (&raw mut objects).cast()) };
    objects
}

unsafe extern "C" fn add_object(info: *mut libc::dl_phdr_info, _size: usize, objects: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr passes a valid record and the pointer it was given by `objects()`.
    let (info, objects) = unsafe { (&*info, &mut *objects.cast::<Vec<Object>>()) };
    let headers = if info.dlpi_phdr.is_null() {
        &[]
    } else {
        // SAFETY: the record says that there are this many program headers at this place.
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) }
    };
    let spans = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).map(|header| {
        let start = (info.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
        start..start.wrapping_add(header.p_memsz as usize)
    });
    // SAFETY: dlpi_name is NUL-terminated and lives as long as the object, which the linker's lock keeps here.
    objects.push(unsafe { Object::new(info.dlpi_name, spans.collect()) });
    0
}

/// Whether what was found by a name only leads to the function: a program that is not position-independent has that for
/// functions whose address it takes.
#[cfg(target_env = "gnu")]
pub fn is_stub(function: *const c_void) -> bool {
    #[cfg(target_pointer_width = "64")]
    type Symbol = libc::Elf64_Sym;
    #[cfg(target_pointer_width = "32")]
    type Symbol = libc::Elf32_Sym;
    /// Of `<dlfcn.h>`.
    const RTLD_DL_SYMENT: c_int = 1;

    // SAFETY: it only asks; both are written to when the answer is not 0. An entry of the symbol table of a file that is
    // loaded for good: the program's, or malloc()'s.
    unsafe {
        let (mut info, mut symbol): (libc::Dl_info, _) = (std::mem::zeroed(), ptr::null_mut());
        let found = libc::dladdr1(function, &mut info, &raw mut symbol, RTLD_DL_SYMENT);
        found != 0 && symbol.cast::<Symbol>().as_ref().is_some_and(|symbol| symbol.st_shndx == 0)
    }
}

/// musl cannot say that: such a program has no interpreters that count their memory.
#[cfg(not(target_env = "gnu"))]
pub fn is_stub(_: *const c_void) -> bool {
    false
}

// ---- memory

/// The name of the function that says how large a block of malloc()'s is.
pub const USABLE_SIZE: &CStr = c"malloc_usable_size";

/// How large it is.
///
/// # Safety
/// A block that malloc() made.
#[inline(always)]
pub unsafe fn usable_size(block: *mut c_void) -> usize {
    // SAFETY: promised by the caller.
    unsafe { libc::malloc_usable_size(block) }
}

// ---- the process

/// This program has more rights than whoever started it (setuid, setgid, file capabilities), who must not choose what it does.
pub fn has_more_rights() -> bool {
    // SAFETY: it reads what the kernel has told this process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// `errno` of this thread.
pub fn set_errno(errno: i32) {
    // SAFETY: it is this thread's own.
    unsafe { *libc::__errno_location() = errno };
}

/// The table of the environment, which ends with NULL.
pub fn environment() -> &'static AtomicPtr<AtomicPtr<c_char>> {
    unsafe extern "C" {
        // unistd.h
        static mut environ: *mut *mut c_char;
    }
    // SAFETY: it is there as long as the process, and as large as any pointer. glibc reads it like this as well.
    unsafe { AtomicPtr::from_ptr((&raw mut environ).cast()) }
}

/// A descriptor that is readable or not: an eventfd, whose count is not 0 while it is readable.
pub struct Event {
    descriptor: OwnedFd,
    pub(super) readable: AtomicBool,
}

impl Event {
    /// The error is an errno.
    pub fn new() -> Result<Event, i32> {
        // SAFETY: a call without pointers; a descriptor that nobody else has.
        unsafe {
            let descriptor = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if descriptor < 0 {
                return Err(*libc::__errno_location());
            }
            Ok(Event { descriptor: OwnedFd::from_raw_fd(descriptor), readable: AtomicBool::new(false) })
        }
    }

    pub fn descriptor(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Makes it readable, as a signal's handler may: `errno` stays.
    pub fn raise(&self) {
        let count = 1u64;
        // SAFETY: eight bytes, of which all are written. It never blocks.
        unsafe {
            let errno = *libc::__errno_location();
            libc::write(self.descriptor(), (&raw const count).cast(), size_of::<u64>());
            *libc::__errno_location() = errno;
        }
    }

    /// Makes it unreadable. False: that cannot be, it is no more: a guest has closed what is not its own.
    pub fn clear(&self) -> bool {
        let mut count = 0u64;
        // SAFETY: room for eight bytes. It never blocks.
        unsafe {
            let read = libc::read(self.descriptor(), (&raw mut count).cast(), size_of::<u64>());
            read == 8 || read < 0 && [libc::EAGAIN, libc::EINTR].contains(&*libc::__errno_location())
        }
    }
}
