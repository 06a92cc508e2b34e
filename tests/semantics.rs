//! docs/semantics.md says what each operation does: its cases run on Python's own `concurrent.interpreters` and on the
//! library, and CPython's own tests of that module run on the library. What is in Python is in tests/semantics.

mod support;

use std::fs;
use std::io::Write;
use std::process::Command;

use support::{build_folder, command, expect_success, library_folder, python, root};

/// A program of tests/semantics, with the library and its Python package.
fn program(name: &str) -> Command {
    let mut command = command(&python());
    command.arg("-B").arg(root().join("tests/semantics").join(name)).arg(root().join("docs/semantics.md"));
    command
        .env("PYTHONPATH", root().join("bindings/python"))
        .env("SUBPY_LIBRARY", library_folder().join("libsubpy.so"));
    // Its own CPython is the runtime, not one that is chosen.
    command.env_remove("SUBPY_PYTHON");
    command
}

fn print(output: &std::process::Output) {
    let _ = std::io::stderr().write_all(&output.stdout);
}

#[test]
fn every_row_of_the_page() {
    print(&expect_success(program("compare.py")));
}

/// Of the builds of CPython that the tests use, one comes with its tests.
#[test]
fn cpythons_own_tests() {
    let mut has_tests = command(&python());
    has_tests.args(["-c", "import test.test_interpreters"]);
    if !has_tests.output().expect("Python runs").status.success() {
        let again = std::env::var_os("SUBPY_TEST_AGAIN").is_some();
        assert!(!again, "the second build has test.test_interpreters");
        let why =
            "this CPython came without test.test_interpreters (SUBPY_TEST_GCC=1 runs them on the one that has it)";
        let _ = writeln!(std::io::stderr(), "skipped: CPython's own tests: {why}");
        return;
    }
    let folder = build_folder().join(format!("semantics-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder");
    let mut check = program("cpython/check.py");
    check.arg(&folder);
    print(&expect_success(check));
    fs::remove_dir_all(&folder).expect("it can be removed");
}
