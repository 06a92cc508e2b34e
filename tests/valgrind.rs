//! The C tests again, under valgrind: any invalid access fails.

mod support;

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use support::{build, command, expect_success, have, root};

/// What valgrind runs: all but the races (it lets one thread run at a time), `exceptions` and `no_memory` (use up the
/// memory on purpose), `fork`, `left_threads` and `state_blocks` (glibc finds no stack bounds in their children under
/// valgrind), `leak` (counts pages of its own), `scale` and `stress` (too slow there to say anything), `signals` (its threads are
/// disturbed by the clock, which is not slower there; so are those of `close_with`, `interrupt`, `late_hits`, `pool_close`,
/// `pool_limits`, `pool_map` and `shutdown_with`), `set_output`, `run_output` and others whose parts are child processes,
/// `host_stack` and `host_threads` (the end of a stack, pages), and `foreign_stack`, `lifecycle`, `many_threads`,
/// `memory_limit`, `output`, `sources` and `values_large`, which would take minutes, and `memory` (blocks that are counted
/// are told from others by what they end with, which those others have not written).
///
/// What is left, closed, refused and shared is looked at in every run of the tests. The rest of it calls and
/// converts, which AddressSanitizer sees as well: `make test-valgrind` runs that too.
const ALWAYS: &[&str] = &["buffers", "close", "close_itself", "sessions", "thread_end", "values_refused"];

const WHOLE: &[&str] = &[
    "arrays",
    "basics",
    "block",
    "buffers_out",
    "busy",
    "cancel",
    "codecs",
    "dedent",
    "eval_call",
    "exec",
    "foreign",
    "functions",
    "host_cancelled",
    "host_context",
    "host_finalize",
    "host_finalizes",
    "host_functions",
    "host_nested",
    "interpreters",
    "limits",
    "main",
    "many",
    "misuse",
    "nested",
    "objects",
    "pool",
    "pool_outcomes",
    "queues",
    "request",
    "rules",
    "small_stack",
    "syntax",
    "tagged",
    "threads",
    "values_exact",
    "values_keys",
    "values_text",
];

/// Valgrind's exit code when it found something.
const FOUND: &str = "--error-exitcode=99";

#[test]
fn no_invalid_access() {
    if !have("valgrind", "the C tests under valgrind", "install the package valgrind") {
        return;
    }
    // One program on each core: most have one thread that does something.
    let whole = if std::env::var_os("SUBPY_TEST_VALGRIND").is_some() { WHOLE } else { &[] };
    let programs = Mutex::new(ALWAYS.iter().chain(whole));
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
