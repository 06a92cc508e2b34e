//! The file that the library is in. It may be the program itself: one in Rust, or one that is linked to libsubpy.a. Such a
//! program is the one that its zygotes begin with, too; there the library takes the place of its main(). Or it is one in
//! memory: programs that carry the library inside themselves load it from there, and a descriptor is all that leads to it.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_void};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::platform::{file_of, has_more_rights};

/// The name of zygotes, their argument 0.
pub const NAME: &str = "subpy-zygote";

/// The program would see that it is a zygote.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// What a zygote does, with its arguments. Its exit code.
pub trait Main {
    fn main(arguments: &[OsString]) -> i32;
}

/// A function that is called when the library is loaded or the program begins.
pub type BeforeMain = extern "C" fn(c_int, *const *const c_char);

/// Is a zygote if this program is to be one.
pub extern "C" fn before_main<M: Main>(argc: c_int, argv: *const *const c_char) {
    IS_WATCHED.store(true, Ordering::Relaxed);
    let count = usize::try_from(argc).unwrap_or_default();
    // SAFETY: glibc calls the functions of this section with the arguments of main().
    let argument = |index: usize| unsafe { OsStr::from_bytes(CStr::from_ptr(*argv.add(index)).to_bytes()) };
    if count < 2 || argument(0) != NAME || !argument(1).is_empty() {
        return;
    }
    // The library in the program is meant, and no other that is loaded there.
    if !matches!(library(), Ok(Library::Program)) {
        return;
    }
    // Nor is this the time for what the program does otherwise.
    if has_more_rights() {
        std::process::exit(1);
    }
    let arguments: Vec<OsString> = (0..count).map(|index| argument(index).to_owned()).collect();
    std::process::exit(catch_unwind(|| M::main(&arguments)).unwrap_or(1));
}

/// Where the library is.
#[derive(Debug)]
pub enum Library {
    /// In the program.
    Program,
    File(PathBuf),
    /// In a file without a name (memfd_create()).
    Memory(OwnedFd),
}

pub fn library() -> io::Result<Library> {
    let own: fn() -> io::Result<Library> = library;
    // SAFETY: it reads what the kernel has told this process.
    let entry = unsafe { libc::getauxval(libc::AT_ENTRY) };
    let (name, base) = file_of(own as *const c_void).ok_or(io::ErrorKind::NotFound)?;
    if file_of(entry as *const c_void).is_some_and(|(_, program)| program == base) {
        return Ok(Library::Program);
    }
    if let Some(memory) = memory_of(own as usize) {
        return opened(Path::new(name), memory).map(Library::Memory);
    }
    std::fs::canonicalize(name).map(Library::File)
}

/// The device and the inode of the file in memory that an address is mapped from, if it is one.
fn memory_of(address: usize) -> Option<(u64, u64)> {
    let maps = std::fs::read("/proc/self/maps").ok()?;
    // 7f0a8a600000-7f0a8a6e5000 r-xp 00028000 00:01 1234        /memfd:libsubpy.so (deleted)
    String::from_utf8_lossy(&maps).lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        if !(hex(from)?..hex(to)?).contains(&(address as u64)) {
            return None;
        }
        let (major, minor) = fields.nth(2)?.split_once(':')?;
        let device = libc::makedev(hex(major)? as u32, hex(minor)? as u32);
        let inode = fields.next()?.parse().ok()?;
        fields.next()?.starts_with("/memfd:").then_some((device, inode))
    })
}

/// The file that a descriptor's name leads to, in /proc or in /dev. By now the descriptor may be another file's: of a pipe, for
/// whose other end nobody waits, or of a terminal, which does not become this process's.
fn opened(name: &Path, memory: (u64, u64)) -> io::Result<OwnedFd> {
    let closed = || io::Error::other("the descriptor that it was loaded from was closed");
    let careful = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(careful).open(name).map_err(|_| closed())?;
    let found = file.metadata()?;
    if (found.dev(), found.ino()) == memory { Ok(file.into()) } else { Err(closed()) }
}

/// The program that the library is in.
pub fn open() -> io::Result<OwnedFd> {
    if !IS_WATCHED.load(Ordering::Relaxed) {
        // It would do what it does already, again.
        return Err(io::Error::other("the linker has left out what makes it one of libsubpy's"));
    }
    if has_more_rights() {
        return Err(io::Error::other("it runs with the rights of another user, and needs libsubpy.so"));
    }
    File::open("/proc/self/exe").map(OwnedFd::from)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::ptr;

    use super::*;
    use crate::process::system::check;

    fn in_memory() -> OwnedFd {
        // SAFETY: a C string; a new descriptor.
        let memory = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"library".as_ptr(), libc::MFD_CLOEXEC)) };
        std::fs::write(format!("/proc/self/fd/{}", memory.as_raw_fd()), "a library").expect("it is written");
        memory
    }

    #[test]
    fn it_is_found_by_each_name_of_its_descriptor() {
        let (memory, other) = (in_memory(), in_memory());
        // SAFETY: a new mapping, of a file that stays as it is.
        let mapped =
            unsafe { libc::mmap(ptr::null_mut(), 9, libc::PROT_READ, libc::MAP_PRIVATE, memory.as_raw_fd(), 0) };
        assert_ne!(mapped, libc::MAP_FAILED);
        let file = memory_of(mapped.addr()).expect("it is in memory");
        assert_eq!(memory_of(memory_of as *const () as usize), None);
        for folder in ["/proc/self/fd", "/proc/self/./fd", "/dev/fd", "/proc/thread-self/fd"] {
            let name = |descriptor: &OwnedFd| PathBuf::from(format!("{folder}/{}", descriptor.as_raw_fd()));
            let found = opened(&name(&memory), file).expect(folder);
            assert_eq!(std::fs::read(name(&found)).expect("what is in it"), b"a library");
            opened(&name(&other), file).expect_err("another file");
        }
        // SAFETY: the mapping, which nobody uses any more.
        unsafe { libc::munmap(mapped, 9) };
    }

    #[test]
    fn nobody_is_waited_for_when_the_descriptor_is_a_pipe() {
        let name = std::env::temp_dir().join(format!("subpy-pipe-{}", std::process::id()));
        let path = std::ffi::CString::new(name.as_os_str().as_bytes()).expect("a path");
        // SAFETY: a C string.
        check(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).expect("a pipe");
        let error = opened(&name, (0, 0)).expect_err("another file");
        assert_eq!(error.to_string(), "the descriptor that it was loaded from was closed");
        std::fs::remove_file(name).expect("it is there");
    }
}
