//! What is made before the library is compiled: the program that processes begin with (build/worker.rs), and for the
//! feature `capi` a list of what the header declares (build/layout.rs).

#[cfg(feature = "capi")]
#[path = "build/layout.rs"]
mod layout;
#[path = "build/worker.rs"]
mod worker;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    // For the tests, which compile programs for the same target.
    println!("cargo:rustc-env=SUBPY_TARGET={}", std::env::var("TARGET").expect("cargo sets it"));
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    // Processes for interpreters are there on Linux alone.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        worker::compile(root.as_ref());
    }
    #[cfg(feature = "capi")]
    {
        // dlclose() must not unload a library with running threads and thread-local caches.
        if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        layout::write(root.as_ref());
    }
}
