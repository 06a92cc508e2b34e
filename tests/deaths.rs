//! How interpreters in processes of their own can die, and what becomes of them: tests/programs/process_death.c does each
//! again and again. docs/processes.md has the outcomes; SUBPY_UPDATE_DEATHS=1 writes them there, each done 100 times.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Output;

use support::{bounded, build, command, root};

const BEGIN: &str = "<!-- deaths: written by tests/deaths.rs -->\n";
const END: &str = "<!-- end of deaths -->\n";

fn updates() -> bool {
    std::env::var_os("SUBPY_UPDATE_DEATHS").is_some()
}

/// How often each is done.
fn times() -> u32 {
    if updates() { 100 } else { 3 }
}

/// As the program takes it, what it is, and the time limit of the run.
const DEATHS: &[(&str, &str, &str)] = &[
    ("segfault", "It reads from address 0.", ""),
    ("abort", "`os.abort()`", ""),
    ("exit", "`os._exit(7)`", ""),
    ("kill itself", "It sends itself SIGKILL.", ""),
    ("kill", "Somebody else sends it SIGKILL.", ""),
    ("terminate", "It gets SIGTERM.", ""),
    ("thread", "A thread that Python started reads from address 0.", ""),
    ("python loop", "Python code that never ends and catches every exception.", "100 ms"),
    ("c loop", "C code that never ends and keeps the GIL.", "100 ms"),
    ("stop", "It sends itself SIGSTOP.", "100 ms"),
    ("fork bomb", "It forks until there are 32 processes, none of which ends.", "200 ms"),
    ("child", "It starts a process that goes on, then aborts.", ""),
    ("closed descriptors", "It closes all descriptors, then never ends.", "100 ms"),
    ("memory hog", "Python code that allocates without end, with a `memory_limit` of 64 MiB.", ""),
    ("c memory hog", "C code that does so, and does not look whether there was memory.", ""),
    ("cpu hog", "It never ends, with a `cpu_limit_ms` of 500.", ""),
    ("garbage", "It writes nonsense to all descriptors.", ""),
    ("zygote", "It kills the process that it was forked from.", ""),
    ("host", "The host gets SIGKILL while two interpreters run.", ""),
    ("host and zygote", "The same; the process that they were forked from is dead, and a fork of the host lives.", ""),
    ("host and stopped zygote", "The same; that process is stopped: it ends when it goes on.", ""),
];

fn outcome(program: &Path, death: &str) -> String {
    let Output { status, stdout, stderr } =
        bounded::output(command(program).arg(death).arg(times().to_string())).expect("the program runs");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{death}: {status}\n{stderr}");
    String::from_utf8(stdout).expect("UTF-8").trim().to_owned()
}

fn table() -> String {
    let program = build(&root().join("tests/programs/process_death.c"));
    let mut table = String::new();
    writeln!(table, "| what happens | time limit | the run | the interpreter after it |").expect("text");
    writeln!(table, "|---|---|---|---|").expect("text");
    for (death, what, limit) in DEATHS {
        writeln!(table, "| {what} | {limit} | {} |", outcome(&program, death)).expect("text");
    }
    fs::remove_file(program).expect("the program can be removed");
    table
}

#[test]
fn the_page_has_the_outcomes() {
    let page = root().join("docs/processes.md");
    let text = fs::read_to_string(&page).expect("docs/processes.md");
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning");
    let (expected, after) = rest.split_once(END).expect("the table's end");
    let found = table();
    if updates() {
        fs::write(page, format!("{before}{BEGIN}\n{found}\n{END}{after}")).expect("docs/processes.md");
        return;
    }
    assert_eq!(expected.trim(), found.trim(), "SUBPY_UPDATE_DEATHS=1 cargo test --test deaths writes it");
}
