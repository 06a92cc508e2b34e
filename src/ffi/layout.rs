//! The interface's constants, sizes and offsets as Rust has them. tests/abi.rs has those of a C compiler: both are compared
//! with bindings/c/abi.

use std::collections::BTreeSet;

use crate::ffi::*;
use crate::value::subpy_buffer;

macro_rules! constant {
    ($name:ident) => {
        format!("constant {} {}", stringify!($name), $name)
    };
}

macro_rules! size {
    ($name:ident) => {
        format!("size {} {}", stringify!($name), size_of::<$name>())
    };
}

macro_rules! offset {
    ($name:ident, $member:ident) => {
        format!("offset {}.{} {}", stringify!($name), stringify!($member), std::mem::offset_of!($name, $member))
    };
}

#[test]
#[cfg(target_pointer_width = "64")]
fn the_interface_is_what_c_compilers_see() {
    let lines: Vec<String> = include!(concat!(env!("OUT_DIR"), "/layout.rs"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/bindings/c/abi/", env!("CARGO_PKG_VERSION"), ".txt");
    let committed = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}; run: make abi"));
    // Rust has not all members of the union (tools/header).
    let numbers = |line: &&str| {
        let word = line.split(' ').next().expect("a word");
        ["constant", "size", "offset"].contains(&word) && !line.contains("subpy_value_data")
    };
    let committed = committed.lines().filter(numbers);
    let (rust, c): (BTreeSet<&str>, BTreeSet<&str>) = (lines.iter().map(String::as_str).collect(), committed.collect());
    let (rust, c): (Vec<_>, Vec<_>) = (rust.difference(&c).collect(), c.difference(&rust).collect());
    assert!(rust.is_empty() && c.is_empty(), "in Rust: {rust:?}, in {path}: {c:?}");
}
