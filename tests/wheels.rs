//! Real packages that refuse an interpreter with a GIL of its own, in interpreters of processes.

mod support;

use std::process::Command;

use support::{build_with, command, expect_success, python, root, skipped};

#[test]
fn numpy_pandas_and_lxml_in_four_processes_at_once() {
    let mut version = Command::new(python());
    version.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    if expect_success(version).stdout.trim_ascii() != b"3.14" {
        return skipped("packages", "tools/get-wheels has them for CPython 3.14");
    }
    let output = Command::new(root().join("tools/get-wheels")).arg("packages").output().expect("sh runs");
    if !output.status.success() {
        return skipped("packages", String::from_utf8_lossy(&output.stderr).trim());
    }
    let folder = String::from_utf8(output.stdout).expect("UTF-8");
    let include = format!("-I{}", root().join("tests/c").display());
    let mut run = command(&build_with(&root().join("tests/wheels/wheels.c"), &[include]));
    // Threads of its own would take longer to start than all the rest.
    run.arg(folder.trim()).env("OPENBLAS_NUM_THREADS", "1");
    expect_success(run);
}
