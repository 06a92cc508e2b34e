//! What becomes of scripts that are hard on the interpreter they run in, each file of tests/hell in a process of its own.
//! docs/security.md has the verdicts; SUBPY_UPDATE_HELL=1 writes them there.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::thread;

use support::{bounded, build, command, root};

const BEGIN: &str = "<!-- scripts: written by tests/hell.rs -->\n";
const END: &str = "<!-- end of scripts -->\n";
const PLACES: [&str; 3] = ["own", "process", "main"];
/// How many at a time: some of them wait.
const AT_A_TIME: usize = 4;

/// The scripts, and what each does.
fn scripts() -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("tests/hell"))
        .expect("tests/hell")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    files.sort();
    let with_words = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a Python file");
        let what =
            text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("the first line says what it does");
        (path, what.to_owned())
    };
    files.into_iter().map(with_words).collect()
}

/// What the program told, as a cell of the table: the run, and what is not as it should be afterwards.
fn cell(program: &Path, script: &Path, place: &str) -> String {
    let Output { status, stdout, stderr } =
        bounded::output(command(program).arg(script).arg(place)).expect("the program runs");
    let text = String::from_utf8(stdout).expect("UTF-8");
    let verdict = |what: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == what).map(|(_, value)| value.trim_start_matches("ERROR_"))
    };
    let Some(run) = verdict("run").filter(|_| verdict("shutdown").is_some() && status.success()) else {
        println!("{} in {place}: {status}\n{text}{}", script.display(), String::from_utf8_lossy(&stderr));
        return "**ends the host**".to_owned();
    };
    let code = |verdict: &str| match verdict.split_once(", ") {
        Some((status, more)) => format!("`{status}`, {more}"),
        None => format!("`{verdict}`"),
    };
    let mut cell = code(run);
    let is_gone = run.starts_with("CRASHED");
    let others = [
        ("then", "then"),
        ("errors", "then an error is"),
        ("close", "close"),
        ("idle", "an idle interpreter"),
        ("new", "a new interpreter"),
        ("shutdown", "shutdown"),
    ];
    for (key, words) in others {
        let expected = if is_gone && ["then", "close"].contains(&key) { "NOT_FOUND" } else { "OK" };
        if let Some(verdict) = verdict(key).filter(|verdict| *verdict != expected) {
            write!(cell, "; {words} {}", code(verdict)).expect("text");
        }
    }
    if let Some(calls) = verdict("calls") {
        write!(cell, "; {calls} calls").expect("text");
    }
    cell
}

fn table() -> String {
    let program = build(&root().join("tests/programs/hell.c"));
    let scripts = scripts();
    assert!(scripts.len() >= 40);
    let (cells, next) = (Mutex::new(vec![String::new(); scripts.len() * PLACES.len()]), Mutex::new(0..));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let index: usize = next.lock().expect("a lock").next().expect("a number");
                    let Some((script, _)) = scripts.get(index / PLACES.len()) else { break };
                    let cell = cell(&program, script, PLACES[index % PLACES.len()]);
                    cells.lock().expect("a lock")[index] = cell;
                }
            });
        }
    });
    fs::remove_file(program).expect("the program can be removed");
    let mut table = String::new();
    writeln!(table, "| file | what it does | own GIL | process | main |").expect("text");
    writeln!(table, "|---|---|---|---|---|").expect("text");
    let cells = cells.into_inner().expect("a lock");
    for ((path, what), cells) in scripts.iter().zip(cells.chunks(PLACES.len())) {
        let name = path.file_name().expect("a name").to_string_lossy();
        writeln!(table, "| `{name}` | {what} | {} |", cells.join(" | ")).expect("text");
    }
    table
}

#[test]
fn the_page_has_the_verdicts() {
    let page = root().join("docs/security.md");
    let text = fs::read_to_string(&page).expect("docs/security.md");
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning");
    let (expected, after) = rest.split_once(END).expect("the table's end");
    let found = table();
    if std::env::var_os("SUBPY_UPDATE_HELL").is_some() {
        fs::write(page, format!("{before}{BEGIN}\n{found}\n{END}{after}")).expect("docs/security.md");
        return;
    }
    let without =
        |one: &str, other: &str| one.lines().filter(|line| !other.contains(line)).collect::<Vec<_>>().join("\n");
    let (missing, more) = (without(expected, &found), without(&found, expected));
    assert!(
        missing.is_empty() && more.is_empty(),
        "expected\n{missing}\nfound\n{more}\nSUBPY_UPDATE_HELL=1 cargo test --test hell writes it"
    );
}
