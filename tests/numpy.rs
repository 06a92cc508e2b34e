//! numpy and a host share memory, with the real numpy.

mod support;

use std::process::Command;
use std::sync::OnceLock;

use support::{build, command, expect_success, python, root, skipped};

/// The folder that numpy is in; none when it cannot be had.
fn numpy() -> Option<&'static str> {
    static FOLDER: OnceLock<Option<String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let mut version = Command::new(python());
        version.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
        if expect_success(version).stdout.trim_ascii() != b"3.14" {
            skipped("numpy", "tools/get-wheels has it for CPython 3.14");
            return None;
        }
        let output = Command::new(root().join("tools/get-wheels")).arg("numpy").output().expect("sh runs");
        if !output.status.success() {
            skipped("numpy", String::from_utf8_lossy(&output.stderr).trim());
            return None;
        }
        Some(String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned())
    });
    folder.as_deref()
}

fn run(interpreter: &str) {
    run_program("numpy.c", &[interpreter]);
}

fn run_program(name: &str, args: &[&str]) {
    let Some(folder) = numpy() else { return };
    let program = build(&root().join("tests/numpy").join(name));
    let mut run = command(&program);
    // Threads of its own would take longer to start than all the rest.
    run.args(args).arg(folder).env("OPENBLAS_NUM_THREADS", "1");
    expect_success(run);
}

#[test]
fn in_the_main_interpreter() {
    run("main");
}

#[test]
fn in_the_example_of_the_main_interpreter() {
    let Some(folder) = numpy() else { return };
    let mut run = command(&build(&root().join("examples/c/main_interpreter.c")));
    run.args(["numpy", "numpy.arange(5).sum()"]).env("PYTHONPATH", folder).env("OPENBLAS_NUM_THREADS", "1");
    assert_eq!(String::from_utf8_lossy(&expect_success(run).stdout), "own GIL: ImportError\nmain: 10\n");
}

#[test]
fn in_an_interpreter_that_shares_mains_gil() {
    run("shared");
}

#[test]
fn in_a_pool_that_moves_to_processes() {
    run_program("pool.c", &[]);
}

#[test]
fn not_in_one_with_a_gil_of_its_own() {
    run("own");
}

#[test]
fn in_processes() {
    run_program("process.c", &[]);
}

/// `examples/numpy.c`: it fails when a number is wrong or memory was copied.
#[test]
fn the_example_of_four_processes() {
    let Some(folder) = numpy() else { return };
    let program = build(&root().join("examples/numpy.c"));
    let mut run = command(&program);
    run.args(["1024", "1"]).env("PYTHONPATH", folder);
    let printed = String::from_utf8(expect_success(run).stdout).expect("UTF-8");
    std::fs::remove_file(program).expect("the program can be removed");
    for line in [
        "1048576 numbers compared with those of C: 0 differ",
        "each interpreter sees the same sum of the whole image: ",
        "the image has 4.0 MiB and is there once: nothing was copied",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
}
