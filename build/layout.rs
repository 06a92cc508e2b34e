//! Writes into OUT_DIR what src/ffi/layout.rs compares: the names of all constants, structs and members of the C interface.

use std::path::{Path, PathBuf};
use std::{env, fs};

pub fn write(root: &Path) {
    println!("cargo:rerun-if-changed=include/subpy.cdef");
    let declarations = fs::read_to_string(root.join("include/subpy.cdef")).expect("include/subpy.cdef");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("layout.rs"), layout(&declarations)).expect("OUT_DIR is writable");
}

/// Rust code that says what the constants are, and how large the structs and where their members (src/ffi/layout.rs).
fn layout(declarations: &str) -> String {
    let mut lines = String::new();
    let mut current = None;
    for line in declarations.lines() {
        if let Some((name, _)) = line.strip_prefix("enum { ").and_then(|constant| constant.split_once(" = ")) {
            lines.push_str(&format!("constant!({name}),\n"));
        } else if let Some(name) = line.strip_prefix("typedef struct ").and_then(|line| line.strip_suffix(" {")) {
            lines.push_str(&format!("size!({name}),\n"));
            current = Some(name);
        } else if line.starts_with('}') {
            current = None;
        } else if let Some((name, member)) = current.zip(line.strip_suffix(';')) {
            let member = member.rsplit([' ', '*']).next().expect("a name").split('[').next().expect("a name");
            lines.push_str(&format!("offset!({name}, {member}),\n"));
        }
    }
    format!("vec![\n{lines}]\n")
}
