//! Programs of other runtimes that open libsubpy.so: Node (koffi), LuaJIT, Go without cgo. What they test is in their
//! own languages, in bindings/node and tests/hosts.

mod support;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use support::{build_folder, built, command, expect_success, have, library_folder, root};

/// A program in a folder of tests/hosts, with the library and the CPython of these tests.
fn host(folder: &str, program: &str, args: &[&str]) -> Command {
    let mut command = command(Path::new(program));
    command.current_dir(root().join("tests/hosts").join(folder)).args(args);
    command.env("SUBPY_LIBRARY", library_folder().join("libsubpy.so"));
    command
}

/// Runs it and shows what it printed.
fn run(command: Command) {
    print!("{}", String::from_utf8_lossy(&expect_success(command).stdout));
}

#[test]
fn node() {
    if !have("node", "Node", "install Node.js 20 or newer") || !have("npm", "Node", "install npm") {
        return;
    }
    // Makes the package with the library of these tests and uses it as a program would: see there.
    let mut check = command(&root().join("bindings/node/check"));
    check.arg(built().join("libsubpy.so")).arg(build_folder().with_file_name("node"));
    let output = expect_success(check);
    let printed = String::from_utf8_lossy(&output.stdout);
    let table = || printed.lines().filter(|line| line.starts_with("conformance:") || line.starts_with("skipped:"));
    assert_eq!(table().filter(|line| line.starts_with("conformance:")).count(), 1, "{printed}");
    // Shown although the test passes.
    table().for_each(|line| writeln!(std::io::stderr(), "{line}").expect("stderr"));
    print!("{printed}");
}

#[test]
fn luajit() {
    if !have("luajit", "LuaJIT", "install the package luajit") {
        return;
    }
    for jit in ["-jon", "-joff"] {
        run(host("lua", "luajit", &[jit, "subpy_test.lua"]));
    }
}

#[test]
fn go_without_cgo() {
    if !have("go", "Go without cgo", "install Go 1.25 or newer, https://go.dev/dl") {
        return;
    }
    let mut go = host("purego", "go", &["test", "-count=1", "-v", "./..."]);
    go.env("CGO_ENABLED", "0");
    run(go);
}
