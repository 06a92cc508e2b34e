//! Every function of the header, misused in every way that tests/misuse/mutations.h knows, from everywhere that
//! contexts.h knows. The table of functions is made from the header, so a new one is covered by itself.

mod support;

#[path = "misuse/generate.rs"]
mod generate;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use support::{build_folder, build_with, command, root};

/// Each of them runs in a process of its own.
const GROUPS: &[&str] = &[
    "arguments", "main", "host", "host-with-gil", "session", "python-atexit", "thread-end", "new-thread-end",
    "stack-64", "stack-256", "coroutine-64", "coroutine-256", "coroutine-1024", "during-shutdown", "before-init",
    "after-shutdown", "after-fork", "c-atexit-early", "c-atexit-late",
];

#[derive(Default)]
struct Seen {
    cells: BTreeSet<String>,
    rows: BTreeSet<usize>,
    failures: Vec<String>,
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn run(program: &Path, group: &str, in_processes: bool, seen: &mut Seen) {
    let mut command = command(program);
    command.arg(group).stdout(Stdio::piped()).stderr(Stdio::piped());
    if in_processes {
        command.env("SUBPY_TEST_PROCESS", "1");
    }
    let mut child = command.spawn().expect("the program starts");
    let errors = BufReader::new(child.stderr.take().expect("stderr"));
    let errors = std::thread::spawn(move || errors.lines().map_while(Result::ok).collect::<Vec<_>>());
    let (mut last, mut done) = (String::from("no cell yet"), false);
    for line in BufReader::new(child.stdout.take().expect("stdout")).lines().map_while(Result::ok) {
        if let Some(cell) = line.strip_prefix("cell ") {
            last = cell.to_owned();
            seen.cells.insert(last.clone());
        } else if let Some(row) = line.strip_prefix("row ") {
            seen.rows.insert(row.parse().expect("a number"));
        } else if let Some(failure) = line.strip_prefix("FAIL ") {
            seen.failures.push(failure.to_owned());
        }
        done |= line == "done";
    }
    let status = child.wait().expect("the program ends");
    let errors = errors.join().expect("stderr is read").join("\n");
    if !done || !(status.success() || status.code() == Some(1)) {
        seen.failures.push(format!("{last}: the program ended with {status}\n{errors}"));
    }
}

#[test]
fn every_export_is_misused() {
    let folder = build_folder().join(format!("misuse-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let exports = generate::exports(&read("include/subpy.cdef"), &read("include/subpy.h"));
    let outcomes = generate::outcomes(&read("tests/misuse/outcomes.txt"));
    let write = |name: &str, text: Result<String, String>| {
        std::fs::write(folder.join(name), text.unwrap_or_else(|why| panic!("{why}"))).expect("it can be written");
    };
    write("exports.h", exports);
    write("outcomes.h", outcomes);
    let arguments = [format!("-I{}", folder.display()), "-Wno-overlength-strings".into()];
    let program = build_with(&root().join("tests/misuse/main.c"), &arguments);
    let mut seen = Seen::default();
    for in_processes in [false, true] {
        for group in GROUPS {
            run(&program, group, in_processes, &mut seen);
        }
    }
    std::fs::remove_file(program).expect("the program can be removed");
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
    println!("{} cells", seen.cells.len());
    assert!(seen.failures.is_empty(), "{} failures:\n{}", seen.failures.len(), seen.failures.join("\n"));
}
