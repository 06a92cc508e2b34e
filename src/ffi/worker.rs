//! What the program worker/main.rs calls, in a process for interpreters. It is no part of the interface, and in no header.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

use super::boundary;
use crate::worker;

/// Be such a process, with the arguments of its main(). Its exit code.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_worker_main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the program passes on what its main() got.
    unsafe { boundary::value(1, || worker::main(&arguments(argc, argv))) }
}

/// # Safety
/// As for main().
unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<OsString> {
    let count = usize::try_from(argc).unwrap_or_default();
    // SAFETY: promised by the caller.
    let argument = |index| unsafe { OsStr::from_bytes(CStr::from_ptr(*argv.add(index)).to_bytes()).to_owned() };
    (0..count).map(argument).collect()
}
