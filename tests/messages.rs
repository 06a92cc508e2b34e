//! docs/messages.md has each message of the library: each text in `src/` that has two words or more, and is not below.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use support::root;

/// What stands before a text that nobody is shown, or that is told as a part of another message, which has a row.
const TOLD_TO_NOBODY: [&str; 19] = [
    "expect(",
    "assert!(",
    "assert_eq!(",
    "debug_assert!(",
    "unreachable!(",
    "panic!(",
    "must_use = ",
    "contains(",
    "starts_with(",
    "strip_prefix(",
    "compile_own(",
    "compile_error!(",
    "asm!(",
    "println!(",
    "write_str(",
    // What another process has said is damaged; a bug in subpy.
    "breaks(",
    "damaged(",
    "wrong(",
    "Panic(",
];

/// Texts that are no messages: parts of such without a meaning of their own, reasons of assertions, Python code.
const NO_MESSAGES: [&str; 51] = [
    "within … ms",
    "it is about to be",
    "the interpreter",
    "an object",
    "an error",
    "timed out",
    "exec code for",
    "define a function in",
    "ask for the lock of",
    "count the memory of",
    "use an object of",
    "capture the output of",
    "make a call in",
    "update __main__ for",
    "runtime init",
    "_interpreters module",
    "legacy C-API",
    "cross-interpreter C-API",
    ": the pool was closed",
    "the interpreters of a pool",
    "the runtime",
    "given up",
    "thread subpy-…",
    "each speaks in turn",
    "this is not the memory of a channel",
    "the memory was allocated",
    "within the mapping",
    "no more was written than there is room",
    "as much room as was asked for",
    "return int(...)",
    "return float(...)",
    "return str(...)",
    "return bytes(...)",
    "return tuple(...)",
    "return list(...)",
    "return dict(...)",
    "<exception str() failed>",
    "Interpreter change detected",
    "system folders",
    "there is room for all tables",
    "<host function …>",
    "<frozen importlib._bootstrap>",
    "... (… more bytes)",
    "it gives no reason",
    "the signature or docstring",
    "the kinds of arguments",
    "as many values as there are",
    "with len …",
    "the thread has not run",
    "str or dict",
    "a row of numbers",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = path.file_stem().expect("a name").to_str().expect("UTF-8");
        if ["tests", "model", "bench", "fuzzing", "calls", "layout"].contains(&name) {
            continue;
        } else if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The texts in a source, and what stands before each.
fn texts(source: &str) -> Vec<(String, String)> {
    let tests = ["mod tests {", "pub(super) mod tests {"].map(|begin| source.find(&format!("\n#[cfg(test)]\n{begin}")));
    let source = &source[..tests.into_iter().flatten().next().unwrap_or(source.len())];
    let (mut texts, mut before) = (Vec::new(), String::new());
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if letter == '\'' && rest[1..].chars().nth(1) == Some('\'') {
            rest = &rest[3..];
        } else if rest.starts_with("'\\") {
            rest = &rest[3 + rest[3..].find('\'').expect("the end of a character") + 1..];
        } else if rest.starts_with("r\"") || rest.starts_with("r#\"") {
            let end = if rest.starts_with("r\"") { "\"" } else { "\"#" };
            let begin = rest.find('"').expect("it is there") + 1;
            rest = &rest[begin + rest[begin..].find(end).expect("the end of a raw text") + end.len()..];
        } else if letter == '"' {
            let mut end = 1;
            while !rest[end..].starts_with('"') {
                end += if rest[end..].starts_with('\\') {
                    1 + rest[end + 1..].chars().next().map_or(0, char::len_utf8)
                } else {
                    1
                };
                while !rest.is_char_boundary(end) {
                    end += 1;
                }
            }
            texts.push((before.trim_end_matches('c').trim_end().to_owned(), shown(&rest[1..end])));
            rest = &rest[end + 1..];
        } else {
            before.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    texts
}

/// A text with `…` for what is put in, without escapes.
fn shown(text: &str) -> String {
    let mut joined = String::new();
    for (number, line) in text.split("\\\n").enumerate() {
        joined += if number == 0 { line } else { line.trim_start() };
    }
    let joined = joined.replace("\\\"", "\"").replace("\\0", "");
    let mut shown = String::new();
    let mut rest = joined.as_str();
    while let Some((plain, placeholder)) = rest.split_once('{') {
        shown += plain;
        shown.push('…');
        rest = placeholder.split_once('}').map_or("", |(_, after)| after);
    }
    (shown + rest).trim().to_owned()
}

/// Two words or more, and no Python code.
fn is_sentence(text: &str) -> bool {
    let is_code = ["\n", "\\n", "__import__(", "lambda space"].iter().any(|sign| text.contains(sign));
    let letters = |word: &&str| word.chars().filter(char::is_ascii_alphabetic).count() >= 2;
    text.split(' ').filter(letters).count() >= 2 && !is_code
}

/// Whether a message can be what a row of the table says. A row of few letters is what it says.
fn fits(row: &str, message: &str) -> bool {
    if row == message {
        return true;
    }
    let mut parts = row.split('…');
    let mut rest = match message.strip_prefix(parts.next().expect("one")) {
        Some(rest) if row.chars().filter(char::is_ascii_alphabetic).count() >= 6 => rest,
        _ => return false,
    };
    let parts: Vec<&str> = parts.collect();
    for (number, part) in parts.iter().enumerate() {
        if number + 1 == parts.len() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[test]
fn each_message_has_a_cause_and_a_remedy() {
    let page = fs::read_to_string(root().join("docs/messages.md")).expect("the page");
    let lines: Vec<Vec<&str>> =
        page.lines().filter(|line| line.starts_with("| `")).map(|line| line.split(" | ").collect()).collect();
    let rows: Vec<&str> = lines.iter().map(|row| row[0].trim_start_matches("| `").trim_end_matches('`')).collect();
    assert!(
        lines.iter().all(|row| row.len() == 3 && row.iter().all(|cell| !cell.is_empty())),
        "three cells in each row"
    );
    let (mut used, mut missing, mut other) = (BTreeSet::<&str>::new(), BTreeSet::new(), BTreeSet::new());
    for file in sources(&root().join("src")) {
        for (before, text) in texts(&fs::read_to_string(&file).expect("a source file")) {
            used.extend(rows.iter().copied().filter(|row| fits(row, &text)));
            let told = !TOLD_TO_NOBODY.iter().any(|beginning| before.ends_with(beginning.trim_end()));
            if NO_MESSAGES.contains(&text.as_str()) {
                other.insert(text);
            } else if told && is_sentence(&text) && !rows.iter().any(|row| fits(row, &text)) {
                missing.insert(format!("{}: {text}", file.strip_prefix(root()).expect("inside").display()));
            }
        }
    }
    let of_nothing: Vec<&&str> = rows.iter().filter(|row| !used.contains(*row)).collect();
    let gone: Vec<&&str> = NO_MESSAGES.iter().filter(|text| !other.contains(**text)).collect();
    assert!(missing.is_empty(), "not in docs/messages.md:\n{}", missing.into_iter().collect::<Vec<_>>().join("\n"));
    assert!(of_nothing.is_empty(), "rows of docs/messages.md that no source has: {of_nothing:#?}");
    assert!(gone.is_empty(), "no text of the source: {gone:#?}");
}

#[test]
fn messages_are_read() {
    let source = "// \"a comment\"\nf(format!(\"{name} is \\\"{}\\\" \\\n    and more\")); let a = '\"'; x.expect(\"a reason\");\n#[cfg(test)]\nmod tests {\"not\"";
    let found: Vec<String> = texts(source).into_iter().map(|(_, text)| text).collect();
    assert_eq!(found, ["… is \"…\" and more", "a reason"]);
    assert!(texts(source)[1].0.ends_with(".expect("));
    assert!(fits("… is \"…\" and mor…", "… is \"…\" and more"));
    assert!(!fits("… is \"…\" and mo", "… is \"…\" and more"));
    assert!(!fits("… is …", "… is \"…\" and more"));
}
