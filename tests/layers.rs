//! The rooms of src/ and what they may use: dependencies point down, `unsafe` stays in five rooms, files stay small.
//! docs/architecture.md has the picture.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use support::root;

/// A room, and the rooms that it may use.
const ROOMS: [(&str, &[&str]); 8] = [
    ("platform", &[]),
    ("value", &["platform"]),
    ("python", &["platform", "value"]),
    ("process", &["platform", "value"]),
    ("manager", &["platform", "process", "python", "value"]),
    ("worker", &["manager", "platform", "process", "value"]),
    ("ffi", &["manager", "value", "worker"]),
    ("rust", &["manager", "value"]),
];

const UNSAFE_ROOMS: [&str; 5] = ["ffi", "platform", "process", "python", "value"];

/// Lines of a file without its tests. Beyond it, the file is named below with the reason why it is one thing.
const LONGEST: usize = 500;
const LONG_FILES: [(&str, &str); 0] = [];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
    found.sort();
    found
}

/// The code of a file: without comments, and without its tests, which stand at the end or in a file of their own.
fn code(path: &Path) -> String {
    if path.file_stem().is_some_and(|stem| stem == "tests") {
        return String::new();
    }
    let text = fs::read_to_string(path).expect("a source file");
    let tests =
        text.find("\n#[cfg(test)]\nmod tests {").or_else(|| text.find("\n#[cfg(test)]\npub(super) mod tests {"));
    let (code, tests) = text.split_at(tests.unwrap_or(text.len()));
    assert!(
        tests.is_empty() || tests.find("\n}") == Some(tests.trim_end().len() - 2),
        "{path:?}: tests are at the end"
    );
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The identifiers that stand behind a path's beginning, `crate::` or `super::`; those in braces too.
fn used(code: &str, beginning: &str) -> BTreeSet<String> {
    let identifier = |text: &str| {
        let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices(beginning) {
        // `super::super::` is the room above.
        if code[..at].ends_with("super::") {
            continue;
        }
        let rest = &code[at + beginning.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.insert(identifier(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (index, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                letter if start && depth == 0 && !letter.is_whitespace() => {
                    used.insert(identifier(&group[index..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    used
}

/// The rooms that a file names: behind `crate::`, or behind as many `super::` as lead there.
fn rooms_used(code: &str, path: &Path) -> BTreeSet<String> {
    let inside = path.strip_prefix(root().join("src")).expect("inside");
    let depth = inside.components().count() - usize::from(path.ends_with("mod.rs"));
    let mut rooms = used(code, "crate::");
    // In a module within the file it takes one more.
    for depth in [depth, depth + 1] {
        rooms.extend(used(code, &"super::".repeat(depth)));
    }
    rooms
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).expect("inside").display().to_string()
}

#[test]
fn dependencies_point_down() {
    let rooms: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let folders = fs::read_dir(root().join("src")).expect("src").map(|entry| entry.expect("an entry"));
    let folders = folders.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap());
    assert_eq!(folders.collect::<BTreeSet<_>>(), rooms, "each folder of src is a room");
    let mut wrong = Vec::new();
    for (room, allowed) in ROOMS {
        for file in files(&root().join("src").join(room)) {
            for other in rooms_used(&code(&file), &file) {
                if rooms.contains(&other) && other != room && !allowed.contains(&other.as_str()) {
                    wrong.push(format!("{} uses {other}", name(&file)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a room may use those below it ({ROOMS:?}):\n{}", wrong.join("\n"));
}

/// What would hide from these tests which room or file is meant.
#[test]
fn paths_are_plain() {
    const HIDING: [&str; 9] = [
        "#[path",
        "include!(",
        "extern crate",
        "crate as ",
        "super as ",
        "self as ",
        "crate::*",
        "super::*",
        "crate::{self",
    ];
    let mut wrong = Vec::new();
    // A test whose lines are made from the header.
    let generated = root().join("src/ffi/layout.rs");
    for file in files(&root().join("src")).into_iter().filter(|file| *file != generated) {
        let code = code(&file);
        wrong.extend(HIDING.iter().filter(|it| code.contains(**it)).map(|it| format!("{}: {it}", name(&file))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table in src/manager/mod.rs has the order.
#[test]
fn each_file_of_the_manager_uses_those_above_it() {
    let folder = root().join("src/manager");
    let table = fs::read_to_string(folder.join("mod.rs")).expect("mod.rs");
    let rows = table.lines().filter_map(|line| line.strip_prefix("//! | `")?.split(" | ").next());
    let order: Vec<&str> = rows.flat_map(|row| row.split(", ").map(|name| name.trim_matches('`'))).collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in files(&folder) {
        // A folder is one thing: what its files use of each other does not matter.
        let inside = file.strip_prefix(&folder).expect("inside").with_extension("");
        let nested = inside.components().count() > 1;
        let mut names = inside.iter().map(|name| name.to_str().expect("UTF-8"));
        let stem = names.next().expect("a name");
        if stem == "mod" {
            continue;
        }
        let place = order.iter().position(|it| *it == stem).unwrap_or_else(|| panic!("{stem} is not in the table"));
        seen.insert(stem.to_owned());
        let code = code(&file);
        let above = if nested && !inside.ends_with("mod") { "super::super::" } else { "super::" };
        for other in used(&code, above).union(&used(&code, "crate::manager::")) {
            if !order[..place].contains(&other.as_str()) {
                wrong.push(format!("{stem} uses {other}"));
            }
        }
    }
    assert_eq!(seen.len(), order.len(), "the table has files that are there, once");
    assert!(wrong.is_empty(), "each file of src/manager uses files above it in its table:\n{}", wrong.join("\n"));
}

/// The compiler holds it, in macros too, where lib.rs says so.
#[test]
fn unsafe_stays_in_its_rooms() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    for (room, _) in ROOMS {
        let forbidden = lib.contains(&format!("#[forbid(unsafe_code)]\nmod {room};"));
        assert_eq!(forbidden, !UNSAFE_ROOMS.contains(&room), "unsafe in {room}");
    }
}

#[test]
fn files_are_of_a_size_that_can_be_read() {
    let mut long = BTreeSet::new();
    for file in files(&root().join("src")) {
        let text = fs::read_to_string(&file).expect("a source file");
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        if file.file_stem().is_some_and(|stem| stem != "tests") && code.lines().count() > LONGEST {
            long.insert(name(&file));
        }
    }
    let known: BTreeSet<String> = LONG_FILES.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(long, known, "left: files of more than {LONGEST} lines, right: those with a reason");
}

#[test]
fn uses_are_read() {
    let code = "use crate::python::{hooks, lock};\nuse crate::{manager::x, value};\nlet a = crate::ffi::b();\nuse super::a::{B, C};\n\
                use super::{d::{E, F}, g};\nuse super::super::h;";
    assert_eq!(used(code, "crate::"), ["ffi", "manager", "python", "value"].map(String::from).into());
    assert_eq!(used(code, "super::"), ["a", "d", "g", "super"].map(String::from).into());
    let rooms = |path: &str| rooms_used("super::super::python::x; super::ffi::{y}", &root().join("src").join(path));
    assert_eq!(rooms("manager/gate.rs"), ["python"].map(String::from).into());
    assert_eq!(rooms("manager/mod.rs"), ["ffi", "python", "super"].map(String::from).into());
    assert!(rooms("python/convert/call.rs").is_empty());
}

/// tests/mutants/run puts bugs in the place of lines that are there, once.
#[test]
fn the_table_of_mutants_is_of_this_source() {
    let table = fs::read_to_string(root().join("tests/mutants/table")).expect("the table");
    let mutants: Vec<&str> = table.split("\n\n").filter(|block| block.contains("\n-")).collect();
    assert!(mutants.len() > 100, "{} of them", mutants.len());
    let is_there = |mutant: &&&str| {
        let file = mutant.lines().next().and_then(|line| line.split_once(' ')).expect("a name and a file").1;
        let old: Vec<&str> = mutant.lines().filter_map(|line| line.strip_prefix('-')).collect();
        fs::read_to_string(root().join(file)).expect("a source file").matches(&old.join("\n")).count() == 1
    };
    let wrong: Vec<&&str> = mutants.iter().filter(|mutant| !is_there(mutant)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The names of the C tests in a folder.
fn c_tests(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder").map(|entry| entry.expect("an entry").path());
    let sources = entries.filter(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.map(|path| path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned()).collect()
}

/// The lines `NAME: WHY` of a list of tests.
fn known(list: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(list)).expect("a list");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let of = |line: &str| line.split_once(": ").map(|(name, why)| (name.to_owned(), why.to_owned()));
    lines.map(|line| of(line).unwrap_or_else(|| panic!("{list}: {line}"))).collect()
}

/// tests/windows/known has each C test, once, and docs/platforms.md has each reason and how many pass.
#[test]
fn the_c_tests_on_windows_are_known() {
    let list = known("tests/windows/known");
    let names: BTreeSet<String> = list.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names.len(), list.len(), "a test is named twice");
    assert_eq!(names, &c_tests("tests/c") | &c_tests("tests/windows"), "left: tests/windows/known, right: the files");
    let page = fs::read_to_string(root().join("docs/platforms.md")).expect("a page");
    for (name, why) in list.iter().filter(|(_, why)| why != "passes") {
        assert!(page.contains(&format!("\n| `{why}` | ")), "{name}: docs/platforms.md does not say what {why} is");
    }
    let own = c_tests("tests/windows");
    let passes = list.iter().filter(|(name, why)| why == "passes" && !own.contains(name)).count();
    assert!(page.contains(&format!(" {passes} of the C tests, [one of what differs]")), "{passes} of them pass");
}

/// tests/arm64/known has those that were tried alone.
#[test]
fn the_c_tests_on_arm64_are_known() {
    let list = known("tests/arm64/known");
    let names: BTreeSet<String> = list.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names.len(), list.len(), "a test is named twice");
    let there = c_tests("tests/c");
    assert!(names.is_subset(&there), "no such file: {:?}", names.difference(&there));
    let page = fs::read_to_string(root().join("docs/platforms.md")).expect("a page");
    let passes = list.iter().filter(|(_, why)| why == "passes").count();
    assert!(page.contains(&format!(" {passes} of the C tests, ")), "{passes} of them pass");
}
