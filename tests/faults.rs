//! What becomes of a host when the system has nothing more to give: memory, threads, descriptors, mappings, processes; when
//! signals interrupt everything, output goes nowhere, and the clock jumps. The programs in tests/faults run behind shim.c,
//! which refuses what it is told to. With FAULTS_ALL (`make faults`) at each place, else at some.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{build_folder, build_with, command, compiler, expect_success, python, root, skipped};

fn source(name: &str) -> PathBuf {
    root().join("tests/faults").join(name)
}

/// What stands before the C library. None: it is for another one.
fn shim() -> Option<&'static Path> {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
        skipped("faults", "the shim is for x86-64 Linux with glibc");
        return None;
    }
    Some(SHIM.get_or_init(|| {
        let library = build_folder().join(format!("shim-{}.so", std::process::id()));
        let mut command = compiler(false);
        command.args(["-std=c11", "-D_GNU_SOURCE", "-fPIC", "-shared", "-fvisibility=hidden"]);
        // It is told by where calls return to who has made them.
        command.args(["-fno-builtin", "-fno-optimize-sibling-calls"]);
        command.arg(source("shim.c")).arg("-o").arg(&library).arg("-ldl");
        expect_success(command);
        library
    }))
}

/// Runs a program, with these arguments and variables.
fn run(name: &str, arguments: &[&str], variables: &[&str]) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let Some(shim) = shim() else { return };
    let program =
        build_with(&source(&format!("{name}.c")), &[shim.display().to_string(), "-Wno-unused-function".into()]);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let shared = build_folder().join(format!("faults-{}-{number}", std::process::id()));
    let all = std::env::var_os("FAULTS_ALL").is_some();
    // What hangs is to fail: several times what it takes on a machine that has much else to do.
    let mut timed = Command::new("timeout");
    timed.args(["--kill-after=10", if all { "7200" } else { "900" }]).arg(&program).args(arguments);
    let same = command(&program);
    timed.stdin(std::process::Stdio::null()).envs(same.get_envs().filter_map(|(name, value)| Some((name, value?))));
    timed.env("SUBPY_PYTHON", python()).env_remove("VIRTUAL_ENV");
    timed.env("LD_PRELOAD", shim).env("SUBPY_FAULTS", &shared);
    timed.envs(variables.iter().map(|variable| (variable, "1")));
    let output = expect_success(timed);
    println!("{name} {}: {}", arguments.join(" "), variables.join(" "));
    print!("{}", String::from_utf8_lossy(&output.stdout));
    std::fs::remove_file(program).expect("the program can be removed");
    std::fs::remove_file(shared).expect("it has made it");
}

const PROCESS: &[&str] = &["FAULTS_PROCESS"];
const THERE: &[&str] = &["FAULTS_PROCESS", "FAULTS_THERE"];

#[test]
fn memory() {
    run("refuse", &["memory"], &[]);
}

#[test]
fn memory_of_a_host_of_processes() {
    run("refuse", &["memory"], PROCESS);
}

#[test]
fn memory_of_processes() {
    run("refuse", &["memory"], THERE);
}

/// Those acts that ask for it.
const THREADS: &[&str] = &["threads", "threads", "limits", "creates", "pools", "restarts"];
const FILES: &[&str] = &["files", "queues", "buffers", "threads", "coroutines", "creates", "pools", "restarts"];
const MAPS: &[&str] = &["maps", "buffers", "creates"];
const PROCESSES: &[&str] = &["processes", "creates", "restarts"];

#[test]
fn threads_and_files_and_maps() {
    for kinds in [THREADS, FILES, MAPS] {
        run("refuse", kinds, &[]);
    }
}

#[test]
fn threads_and_files_and_maps_of_a_host_of_processes() {
    for kinds in [THREADS, FILES, MAPS, PROCESSES] {
        run("refuse", kinds, PROCESS);
    }
}

#[test]
fn threads_and_files_and_maps_of_processes() {
    for kinds in [THREADS, FILES, MAPS, PROCESSES] {
        run("refuse", kinds, THERE);
    }
}

/// With interpreters in this process, and in processes of their own.
fn run_in_both(name: &str) {
    run(name, &[], &[]);
    run(name, &[], PROCESS);
}

#[test]
fn descriptors() {
    run_in_both("descriptors");
}

#[test]
fn signals() {
    run_in_both("signals");
}

#[test]
fn stdout() {
    run_in_both("stdout");
}

#[test]
fn clock() {
    run_in_both("clock");
}
