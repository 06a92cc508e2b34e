//! `examples/sqlite`: the extension is loaded by programs that use SQLite from several threads, and by SQLite's shell.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use support::{build_folder, build_with, command, compiler, expect_success, have, root, skipped};

/// What the compiler has to be told about SQLite; nothing when there is none and none can be built.
fn sqlite() -> Option<&'static [String]> {
    static ARGUMENTS: OnceLock<Option<Vec<String>>> = OnceLock::new();
    let arguments = ARGUMENTS.get_or_init(|| {
        // A shell undoes the escapes.
        let mut shell = Command::new("sh");
        shell.arg("-ec").arg(
            r#"cflags=$("$1" --cflags); libs=$("$1" --libs); eval "set -- $cflags $libs"; [ $# -eq 0 ] || printf '%s\n' "$@""#,
        );
        let output = shell.arg("sh").arg(root().join("tools/get-sqlite")).output().expect("sh runs");
        if !output.status.success() {
            skipped("the SQLite extension", String::from_utf8_lossy(&output.stderr).trim());
            return None;
        }
        Some(String::from_utf8(output.stdout).expect("UTF-8").lines().map(String::from).collect())
    });
    arguments.as_deref()
}

fn source() -> PathBuf {
    root().join("examples/sqlite/subpy_sqlite.c")
}

/// The extension, built as its users do it: it takes SQLite from the program that loads it.
fn extension(arguments: &[String]) -> &'static Path {
    static EXTENSION: OnceLock<PathBuf> = OnceLock::new();
    EXTENSION.get_or_init(|| {
        let mut arguments: Vec<String> =
            arguments.iter().filter(|argument| !argument.starts_with("-l")).cloned().collect();
        arguments.extend(["-shared", "-fPIC"].map(String::from));
        build_with(&source(), &arguments)
    })
}

/// Runs a program of tests/sqlite, under valgrind if so wanted.
fn run(name: &str, valgrind: bool) {
    let Some(arguments) = sqlite() else { return };
    let program = build_with(&root().join(format!("tests/sqlite/{name}.c")), arguments);
    let mut run = command(if valgrind { "valgrind".as_ref() } else { &program });
    if valgrind {
        run.args(["--quiet", "--error-exitcode=99", "--leak-check=no", "--num-callers=30", "--fair-sched=try"]);
        run.arg(format!("--suppressions={}", root().join("tests/support/valgrind.supp").display()));
        run.arg(&program);
    }
    run.arg(extension(arguments));
    if valgrind {
        run.arg("few");
    }
    expect_success(run);
    std::fs::remove_file(program).expect("the program can be removed");
}

#[test]
fn functions() {
    run("functions", false);
}

#[test]
fn threads() {
    run("threads", false);
}

#[test]
fn interrupt() {
    run("interrupt", false);
}

fn no_invalid_access(name: &str) {
    if have("valgrind", "the SQLite extension under valgrind", "install the package valgrind") {
        run(name, true);
    }
}

#[test]
fn functions_under_valgrind() {
    no_invalid_access("functions");
}

#[test]
fn threads_under_valgrind() {
    no_invalid_access("threads");
}

#[test]
fn interrupt_under_valgrind() {
    no_invalid_access("interrupt");
}

/// Any version of the shell will do, also one that is older than the headers that the extension was built with.
#[test]
fn the_demo_prints_what_it_says() {
    let Some(arguments) = sqlite() else { return };
    if !have("sqlite3", "the demo of the SQLite extension", "install the package sqlite3") {
        return;
    }
    let folder = build_folder().join(format!("sqlite {}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(extension(arguments), folder.join("subpy_sqlite.so")).expect("a copy");
    let demo = std::fs::read_to_string(root().join("examples/sqlite/demo.sql")).expect("the demo");
    let mut shell = command("sqlite3".as_ref());
    shell.arg("-bail").arg(":memory:").current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().expect("the shell runs");
    shell.stdin.take().expect("a pipe").write_all(demo.as_bytes()).expect("the shell reads");
    let output = shell.wait_with_output().expect("the shell ends");
    std::fs::remove_dir_all(folder).expect("the folder can be removed");

    let promised =
        demo.lines().skip_while(|line| *line != "-- Prints:").skip(1).map_while(|line| line.strip_prefix("--   "));
    let promised: String = promised.map(|line| format!("{line}\n")).collect();
    assert!(!promised.is_empty() && output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), promised);
}

/// As a part of a program, too.
#[test]
fn it_compiles_for_programs_that_have_sqlite_inside() {
    let Some(arguments) = sqlite() else { return };
    let mut compiler = compiler(false);
    compiler.args(["-std=c11", "-DSQLITE_CORE", "-fsyntax-only"]).args(arguments).arg(source());
    expect_success(compiler);
}
