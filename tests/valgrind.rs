//! The C tests that do most with memory and threads, again under valgrind: any invalid access fails.

mod support;

use std::process::Command;

use support::{build, command, expect_success, root};

/// What valgrind runs; those that are left out use up memory on purpose, fork, or are stress tests.
const PROGRAMS: &[&str] =
    &["basics", "close", "eval_call", "foreign", "nested", "threads", "values_exact", "values_refused"];

/// Valgrind's exit code when it found something.
const FOUND: &str = "--error-exitcode=99";

#[test]
fn no_invalid_access() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "valgrind is missing, install the package valgrind");
        println!("valgrind is missing: the C tests were not run under it");
        return;
    }
    for name in PROGRAMS {
        let program = build(&root().join("tests/c").join(format!("{name}.c")));
        let mut valgrind = command("valgrind".as_ref());
        valgrind.args(["--quiet", FOUND, "--leak-check=no", "--num-callers=30"]);
        valgrind.arg(format!("--suppressions={}", root().join("tests/support/valgrind.supp").display()));
        valgrind.arg(&program);
        expect_success(valgrind);
        std::fs::remove_file(program).expect("the program can be removed");
    }
}
