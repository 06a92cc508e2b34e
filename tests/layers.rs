//! The rooms of src/ and what they may use: dependencies point down, `unsafe` stays in three rooms, files stay small.
//! docs/architecture.md has the picture.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use support::root;

/// A room, and the rooms that it may use.
const ROOMS: [(&str, &[&str]); 5] = [
    ("value", &[]),
    ("python", &["value"]),
    ("manager", &["python", "value"]),
    ("ffi", &["manager", "value"]),
    ("rust", &["manager", "value"]),
];

const UNSAFE_ROOMS: [&str; 3] = ["ffi", "python", "value"];

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
fn code(path: &Path) -> Vec<String> {
    if path.file_stem().is_some_and(|stem| stem == "tests") {
        return Vec::new();
    }
    let text = fs::read_to_string(path).expect("a source file");
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.filter(|line| !line.trim_start().starts_with("//")).map(String::from).collect()
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
    used.remove("");
    used
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).expect("inside").display().to_string()
}

#[test]
fn dependencies_point_down() {
    let rooms: Vec<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let mut wrong = Vec::new();
    for (room, allowed) in ROOMS {
        for file in files(&root().join("src").join(room)) {
            for other in used(&code(&file).join("\n"), "crate::") {
                if rooms.contains(&other.as_str()) && other != room && !allowed.contains(&other.as_str()) {
                    wrong.push(format!("{} uses crate::{other}", name(&file)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a room may use those below it ({ROOMS:?}):\n{}", wrong.join("\n"));
}

#[test]
fn the_files_of_the_manager_form_no_circle() {
    let folder = root().join("src/manager");
    let files: BTreeMap<String, BTreeSet<String>> = files(&folder)
        .iter()
        .filter_map(|path| {
            let stem = path.file_stem()?.to_str()?.to_owned();
            (stem != "mod").then(|| (stem, used(&code(path).join("\n"), "super::")))
        })
        .collect();
    assert!(files.len() > 5);
    let mut done = BTreeSet::new();
    loop {
        let free = |(name, uses): &(&String, &BTreeSet<String>)| {
            !done.contains(*name) && uses.iter().all(|other| done.contains(other) || !files.contains_key(other))
        };
        let Some((name, _)) = files.iter().find(free) else { break };
        done.insert(name.clone());
    }
    let circle: Vec<String> = files
        .iter()
        .filter(|(name, _)| !done.contains(*name))
        .map(|(name, uses)| {
            format!("{name} uses {:?}", uses.iter().filter(|it| files.contains_key(*it)).collect::<Vec<_>>())
        })
        .collect();
    assert!(circle.is_empty(), "each file of src/manager uses files below it:\n{}", circle.join("\n"));
}

#[test]
fn unsafe_stays_in_its_rooms() {
    let mut wrong = Vec::new();
    for file in files(&root().join("src")) {
        let path = name(&file);
        let room = path.split('/').nth(1).expect("src/room");
        if UNSAFE_ROOMS.contains(&room) {
            continue;
        }
        let is_word =
            |line: &str| line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|it| it == "unsafe");
        if code(&file).iter().any(|line| is_word(line)) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "unsafe outside of {UNSAFE_ROOMS:?}: {wrong:?}");
}

#[test]
fn files_are_of_a_size_that_can_be_read() {
    let mut long = BTreeSet::new();
    for file in files(&root().join("src")) {
        let text = fs::read_to_string(&file).expect("a source file");
        if file.file_stem().is_some_and(|stem| stem != "tests")
            && text.lines().take_while(|line| *line != "#[cfg(test)]").count() > LONGEST
        {
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
}
