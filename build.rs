//! What the C interface needs when it is built: its header, which build/header.rs makes. The crate without the feature
//! `capi` needs nothing.

#[cfg(feature = "capi")]
#[path = "build/header.rs"]
mod header;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    // For the tests, which compile programs for the same target.
    println!("cargo:rustc-env=SUBPY_TARGET={}", std::env::var("TARGET").expect("cargo sets it"));
    #[cfg(feature = "capi")]
    {
        // dlclose() must not unload a library with running threads and thread-local caches.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
        header::write(root.as_ref());
    }
}
