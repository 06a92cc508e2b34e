//! The file that the library is in. It may be the program itself: one in Rust, or one that is linked to libsubpy.a. Such a
//! program is the one that its zygotes begin with, too; there the library takes the place of its main().

use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::panic::catch_unwind;
use std::path::PathBuf;
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
    if !matches!(library(), Ok(None)) {
        return;
    }
    // Nor is this the time for what the program does otherwise.
    if has_more_rights() {
        std::process::exit(1);
    }
    let arguments: Vec<OsString> = (0..count).map(|index| argument(index).to_owned()).collect();
    std::process::exit(catch_unwind(|| M::main(&arguments)).unwrap_or(1));
}

/// The library's file. None: it is the program.
pub fn library() -> io::Result<Option<PathBuf>> {
    let own: fn() -> io::Result<Option<PathBuf>> = library;
    // SAFETY: it reads what the kernel has told this process.
    let entry = unsafe { libc::getauxval(libc::AT_ENTRY) };
    let (name, base) = file_of(own as *const c_void).ok_or(io::ErrorKind::NotFound)?;
    if file_of(entry as *const c_void).is_some_and(|(_, program)| program == base) {
        return Ok(None);
    }
    std::fs::canonicalize(name).map(Some)
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
