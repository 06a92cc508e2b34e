//! Every function of the header, misused in every way that tests/misuse/mutations.h knows, from everywhere that
//! contexts.h knows. The table of functions is made from the header, so a new one is covered by itself.

mod support;

#[path = "misuse/generate.rs"]
mod generate;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{bounded, build_folder, build_with, command, root};

/// Each of them runs in a process of its own.
const GROUPS: &[&str] = &[
    "main",
    "host",
    "host-with-gil",
    "session",
    "python-atexit",
    "thread-end",
    "new-thread-end",
    "stack-64",
    "stack-256",
    "coroutine-64",
    "coroutine-256",
    "coroutine-1024",
    "during-shutdown",
    "before-init",
    "after-shutdown",
    "next-runtime",
    "after-fork",
    "c-atexit-early",
    "c-atexit-late",
];

/// What has been run, and what was wrong.
#[derive(Default)]
struct Seen {
    cells: usize,
    /// Lines of outcomes.txt that were of use.
    rows: BTreeSet<usize>,
    failures: Vec<String>,
}

impl Seen {
    fn run(&mut self, mut command: Command) {
        let output = bounded::output(&mut command).expect("the program runs");
        let (mut last, mut done) = (String::from("no cell yet"), false);
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Some(cell) = line.strip_prefix("cell ") {
                last = cell.to_owned();
                self.cells += 1;
            } else if let Some(row) = line.strip_prefix("row ") {
                self.rows.insert(row.parse().expect("a number"));
            } else if let Some(failure) = line.strip_prefix("FAIL ") {
                self.failures.push(failure.to_owned());
            }
            done |= line == "done";
        }
        let (status, errors) = (output.status, String::from_utf8_lossy(&output.stderr));
        if !done || !(status.success() || status.code() == Some(1)) {
            self.failures.push(format!("{last}: the program ended with {status}\n{errors}"));
        }
    }

    fn group(&mut self, program: &Path, group: &str, in_processes: bool, all: bool) {
        let mut command = command(program);
        command.arg(group);
        if all {
            command.arg("all");
        }
        if in_processes {
            command.env("SUBPY_TEST_PROCESS", "1");
        }
        self.run(command);
    }

    fn check(&self) {
        assert!(self.failures.is_empty(), "{} failures:\n{}", self.failures.len(), self.failures.join("\n"));
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn build(name: &str, outcomes: &str) -> PathBuf {
    let folder = build_folder().join(format!("misuse-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: Result<String, String>| {
        std::fs::write(folder.join(name), text.unwrap_or_else(|why| panic!("{why}"))).expect("it can be written");
    };
    write("exports.h", generate::exports(&read("include/subpy.cdef"), &read("include/subpy.h")));
    write("outcomes.h", generate::outcomes(outcomes));
    let program = build_with(&root().join("tests/misuse/main.c"), &[format!("-I{}", folder.display())]);
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
    program
}

#[test]
fn every_export_is_misused() {
    // `make misuse`: all wrong arguments from everywhere.
    let all = std::env::var_os("SUBPY_TEST_MISUSE").is_some_and(|value| value == "all");
    let outcomes = read("tests/misuse/outcomes.txt");
    let program = build("every", &outcomes);
    let mut seen = Seen::default();
    for in_processes in [false, true] {
        seen.group(&program, "arguments", in_processes, false);
        for group in GROUPS {
            // What starts a runtime does so in a process of its own: one cell of each is enough.
            seen.group(&program, group, in_processes, all && *group != "before-init");
        }
    }
    std::fs::remove_file(program).expect("the program can be removed");
    // Not with println!, which is shown for failed tests alone.
    let _ = writeln!(std::io::stderr(), "misuse: {} cells", seen.cells);
    seen.check();
    let rows = outcomes.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let unused: Vec<&str> = rows.filter(|(at, _)| !seen.rows.contains(&(at + 1))).map(|(_, line)| line).collect();
    assert!(all || unused.is_empty(), "no cell fits these lines of tests/misuse/outcomes.txt:\n{}", unused.join("\n"));
}

#[test]
fn what_is_wrong_is_seen_and_named() {
    let wrong = "*/subpy_version/good  EMPTY  wrong on purpose\n*/subpy_id/good  BUSY  likewise\n";
    let program = build("wrong", &(wrong.to_owned() + &read("tests/misuse/outcomes.txt")));
    let mut seen = Seen::default();
    seen.group(&program, "main", false, false);
    std::fs::remove_file(program).expect("the program can be removed");
    let failures = seen.failures.join("\n");
    assert!(seen.failures.len() == 2 && failures.contains("thread/main/subpy_version/good: a number"), "{failures}");
    assert!(failures.contains("thread/main/subpy_id/good: SUBPY_OK, not SUBPY_ERROR_BUSY"), "{failures}");

    // A program that ends in the middle of a cell, and one that ends too early.
    for (script, status) in [("echo cell a/b; kill -SEGV $$", "signal: 11"), ("echo cell a/b", "exit status: 0")] {
        let (mut seen, mut shell) = (Seen::default(), Command::new("sh"));
        shell.arg("-c").arg(script);
        seen.run(shell);
        let failure = &seen.failures[0];
        assert!(failure.contains("a/b: the program ended with") && failure.contains(status), "{failure}");
    }
}

#[test]
fn an_export_that_cannot_be_misused_yet_is_an_error() {
    let (cdef, header) = (read("include/subpy.cdef"), read("include/subpy.h"));
    for (declaration, what) in [
        ("subpy_status subpy_knit(subpy_wool wool, subpy_error **error);", "`subpy_wool wool`"),
        ("subpy_wool subpy_shear(subpy_interp interp);", "subpy_shear returns subpy_wool"),
    ] {
        let error = generate::exports(&format!("{cdef}{declaration}\n"), &header).expect_err("it is not known");
        assert!(error.contains(what) && error.contains("tests/misuse/generate.rs"), "{error}");
    }
    assert!(generate::outcomes("*/good  OK\n").expect_err("no reason").contains("outcomes.txt:1"));
}
