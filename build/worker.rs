//! Compiles worker/main.rs, the program that a process for interpreters begins with, into OUT_DIR.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn compile(root: &Path) {
    println!("cargo:rerun-if-changed=worker");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("subpy-worker");
    // Compiled already: for whoever checks or builds without a compiler and linker of the target.
    println!("cargo:rerun-if-env-changed=SUBPY_WORKER");
    if let Some(program) = env::var_os("SUBPY_WORKER") {
        std::fs::copy(&program, &out).unwrap_or_else(|error| panic!("SUBPY_WORKER={program:?}: {error}"));
        return;
    }
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets it"));
    rustc.arg(root.join("worker/main.rs")).arg("-o").arg(&out);
    rustc.args(["--crate-name", "subpy_worker", "--edition", "2024", "--target"]);
    rustc.arg(env::var_os("TARGET").expect("cargo sets it"));
    // Without the standard library, panic is not unwound; optimised, so that nothing of core asks for that.
    rustc.args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "strip=symbols"]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        rustc.arg("-C").arg(option);
    }
    let status = rustc.status().expect("rustc runs");
    assert!(status.success(), "worker/main.rs was not compiled: {status}");
}
