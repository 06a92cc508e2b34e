//! The C tests again, under valgrind: any invalid access fails.

mod support;

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use support::{build, command, expect_success, have, root};

/// What valgrind runs: all but `exceptions` and `no_memory` (use up the memory on purpose), `fork` and `left_threads` (glibc
/// finds no stack bounds in their children under valgrind), `leak` (counts pages of its own), `churn` (too slow there to
/// say anything), `signals` (its threads are disturbed by the clock, which is not slower there), and `lifecycle`, `output`,
/// `sources` and `values_large`, which would take minutes.
const PROGRAMS: &[&str] = &[
    "basics",
    "block",
    "busy",
    "close",
    "dedent",
    "eval_call",
    "exec",
    "foreign",
    "functions",
    "interpreters",
    "main",
    "misuse",
    "nested",
    "request",
    "rules",
    "sessions",
    "small_stack",
    "syntax",
    "thread_end",
    "threads",
    "values_exact",
    "values_refused",
];

/// Valgrind's exit code when it found something.
const FOUND: &str = "--error-exitcode=99";

#[test]
fn no_invalid_access() {
    if !have("valgrind", "the C tests under valgrind", "install the package valgrind") {
        return;
    }
    // One program on each core: most have one thread that does something.
    let programs = Mutex::new(PROGRAMS.iter());
    let next = || programs.lock().expect("no other test failed").next();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(name) = next() {
                    run(name);
                }
            });
        }
    });
}

fn run(name: &str) {
    let program = build(&root().join("tests/c").join(format!("{name}.c")));
    let mut valgrind = command("valgrind".as_ref());
    valgrind.args(["--quiet", FOUND, "--leak-check=no", "--num-callers=30", "--fair-sched=try"]);
    valgrind.arg(format!("--suppressions={}", root().join("tests/support/valgrind.supp").display()));
    valgrind.arg(&program);
    expect_success(valgrind);
    std::fs::remove_file(program).expect("the program can be removed");
}
