//! What becomes of code that never ends: the files of examples/judge, each in a process of its own. docs/closing.md has the
//! verdicts; SUBPY_UPDATE_RUNAWAYS=1 writes them there.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::thread;

use support::{bounded, build, command, root};

const BEGIN: &str = "<!-- runaways: written by tests/runaways.rs -->\n";
const END: &str = "<!-- end of runaways -->\n";

fn updates() -> bool {
    std::env::var_os("SUBPY_UPDATE_RUNAWAYS").is_some()
}

/// How many at a time: most of them sleep.
const AT_A_TIME: usize = 6;
/// The time limit, and what closing and shutting down may take, each in milliseconds. What cannot be ended takes them all.
const PATIENCE: u32 = 1000;
/// For those whose verdict is not the expected one: the machine may have been busy.
const MORE_PATIENCE: u32 = 8_000;

struct Runaway {
    /// As the program takes it.
    argument: String,
    name: String,
    /// What it does.
    what: String,
}

fn runaways() -> Vec<Runaway> {
    let folder = root().join("examples/judge");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("examples/judge")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    files.sort();
    let of_file = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a Python file");
        let what =
            text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("the first line says what it does");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        Runaway { argument: path.to_string_lossy().into_owned(), name: format!("`{name}`"), what: what.to_owned() }
    };
    let mut runaways: Vec<Runaway> = files.iter().map(of_file).collect();
    runaways.push(Runaway {
        argument: "host function".into(),
        name: "in C".into(),
        what: "A host function that never returns.".into(),
    });
    runaways
}

/// The program's three lines as cells of the table.
fn row(program: &Path, runaway: &Runaway, patience: u32) -> String {
    let Output { status, stdout, stderr } =
        bounded::output(command(program).arg(&runaway.argument).arg(patience.to_string())).expect("the program runs");
    let text = String::from_utf8(stdout).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    // exit() ends the process whatever is left in it.
    let [limit, close, shutdown] = lines[..] else {
        panic!("{}: {status}\n{text}{}", runaway.name, String::from_utf8_lossy(&stderr))
    };
    assert!(status.success(), "{}: {status}\n{text}{}", runaway.name, String::from_utf8_lossy(&stderr));
    let limit = match limit.split(':').next().expect("a status") {
        "OK" => "ends, `OK`".to_owned(),
        "goes on" => "goes on".to_owned(),
        status => format!("ends, `{}`", status.trim_start_matches("ERROR_")),
    };
    let (close, shutdown) = (cell(close, "closed", patience), cell(shutdown, "clean", patience));
    format!("| {} | {} | {limit} | {close} | {shutdown} |\n", runaway.name, runaway.what)
}

/// A status and the words of the message that are the same each time.
fn cell(line: &str, ok: &str, patience: u32) -> String {
    let Some((status, message)) = line.split_once(": ") else { return ok.to_owned() };
    let message = message.trim_start_matches(&format!("not closed within {patience} ms: "));
    // Where it was.
    let message = message.split(" at ").next().expect("text");
    let message = message.split(", and has not ended").next().expect("text");
    format!("`{}`: {message}", status.trim_start_matches("ERROR_"))
}

fn table(expected: &str) -> String {
    let program = build(&root().join("tests/programs/runaway.c"));
    let (runaways, next) = (runaways(), Mutex::new(0));
    let rows = Mutex::new(vec![String::new(); runaways.len()]);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let index = {
                        let mut next = next.lock().expect("a lock");
                        *next += 1;
                        *next - 1
                    };
                    let Some(runaway) = runaways.get(index) else { break };
                    let mut row_ = row(&program, runaway, PATIENCE);
                    if !updates() && !expected.contains(row_.trim()) {
                        println!("again: {row_}");
                        row_ = row(&program, runaway, MORE_PATIENCE);
                    }
                    rows.lock().expect("a lock")[index] = row_;
                }
            });
        }
    });
    fs::remove_file(program).expect("the program can be removed");
    let mut table = String::new();
    writeln!(table, "| file | what it does | time limit | `subpy_close_with` | `subpy_shutdown_with` |").expect("text");
    writeln!(table, "|---|---|---|---|---|").expect("text");
    table + &rows.into_inner().expect("a lock").concat()
}

#[test]
fn the_page_has_the_verdicts() {
    let page = root().join("docs/closing.md");
    let text = fs::read_to_string(&page).expect("docs/closing.md");
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning");
    let (expected, after) = rest.split_once(END).expect("the table's end");
    let expected = expected.trim();
    let found = table(expected);
    if updates() {
        fs::write(page, format!("{before}{BEGIN}\n{found}\n{END}{after}")).expect("docs/closing.md");
        return;
    }
    assert_eq!(expected, found.trim(), "SUBPY_UPDATE_RUNAWAYS=1 cargo test --test runaways writes it");
}
