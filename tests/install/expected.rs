//! Examples say at their top what they print. This holds them to it.

use std::path::{Path, PathBuf};
use std::process::Output;

/// The lines after " * Prints:" of the comment at the top.
fn promised(source: &Path) -> String {
    let text = std::fs::read_to_string(source).expect("the example");
    let comment = text.split_once("*/").expect("a comment at the top").0;
    let (_, lines) =
        comment.split_once(" * Prints:\n").unwrap_or_else(|| panic!("{}: what does it print?", source.display()));
    let lines = lines.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("{}\n", line.strip_prefix(" *   ").unwrap_or_default())).collect()
}

/// Fails unless the program printed what its source promises.
pub fn check_output(source: &Path, output: &Output) {
    let printed = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    assert_eq!(printed, promised(source), "{}: left is what it printed, right what it says", source.display());
}

/// The files of a folder with this extension, sorted.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no .{extension}", folder.display());
    files
}
