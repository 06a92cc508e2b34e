//! Landlock (Linux): which files a thread, and those that it starts, can open from now on. linux/landlock.h.

use std::ffi::{CString, c_long};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The version from which on all that is wanted is there: no TCP (4), no device's ioctl (5), signals and abstract
/// sockets (6). Files alone can be had from 3 on: before, they could be cut off.
pub const WANTED: u32 = 6;
pub const OLDEST: u32 = 3;

const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// All up to the one in version 3.
const ALL: u64 = (1 << 15) - 1;
/// Binding and connecting.
const TCP: u64 = 3;
/// Abstract sockets, signals.
const SCOPES: u64 = 3;

const READ: u64 = READ_FILE | READ_DIR;
/// No symbolic links: whoever opens what is in such a folder would follow them. Nor sockets, FIFOs and devices.
const WRITE: u64 = READ | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER;
/// What a file, which is no folder, can have.
const OF_FILES: u64 = READ_FILE | WRITE_FILE | TRUNCATE;

#[repr(C)]
struct Attributes {
    files: u64,
    net: u64,
    scopes: u64,
}

#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

const VERSION: u32 = 1;
const BENEATH: u32 = 1;

fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// This kernel's version of it; 0: it has none, or it is not switched on.
pub fn version() -> u32 {
    // SAFETY: without attributes it tells its version.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0usize, 0usize, VERSION) };
    version.try_into().unwrap_or(0)
}

/// What will be allowed; all else is not.
pub struct Rules(OwnedFd);

impl Rules {
    /// For a kernel's version, which must be `OLDEST` at least.
    pub fn new(version: u32) -> io::Result<Rules> {
        let since = |from, what| if version >= from { what } else { 0 };
        let attributes = Attributes { files: ALL | since(5, IOCTL_DEV), net: since(4, TCP), scopes: since(6, SCOPES) };
        // SAFETY: a struct of the size that is said. An older kernel does not mind that it is longer: the rest is 0.
        let number = check(unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size_of::<Attributes>(), 0)
        })?;
        // SAFETY: a new descriptor.
        Ok(Rules(unsafe { OwnedFd::from_raw_fd(number as i32) }))
    }

    /// A folder and all that is in it, or a file, can be read.
    pub fn read(&self, path: &Path) -> io::Result<()> {
        self.allow(path, READ)
    }

    /// And written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        self.allow(path, WRITE)
    }

    fn allow(&self, path: &Path, rights: u64) -> io::Result<()> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: a C string; a new descriptor, or -1.
        let parent = unsafe {
            let number = check(libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC).into())?;
            OwnedFd::from_raw_fd(number as i32)
        };
        // SAFETY: room for what is asked.
        let is_folder = unsafe {
            let mut about: libc::stat = std::mem::zeroed();
            check(libc::fstat(parent.as_raw_fd(), &mut about).into())?;
            about.st_mode & libc::S_IFMT == libc::S_IFDIR
        };
        let allowed = if is_folder { rights } else { rights & OF_FILES };
        let rule = Beneath { allowed, parent: parent.as_raw_fd() };
        // SAFETY: a struct of the rule's kind.
        check(unsafe { libc::syscall(libc::SYS_landlock_add_rule, self.0.as_raw_fd(), BENEATH, &raw const rule, 0) })
            .map(drop)
    }

    /// From now on they hold for this thread. It must have given up new privileges.
    pub fn begin(self) -> io::Result<()> {
        // SAFETY: it touches no memory.
        check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.0.as_raw_fd(), 0) }).map(drop)
    }
}
