//! Generates the C header from src/ffi, a section a noun, into include/: `make header`. With --check it writes nothing and
//! fails when what is there differs, as a test does (tests/interface.rs). A program of its own: who builds the library needs
//! no cbindgen.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

/// A section: its title, and the files that it is made of.
const SECTIONS: &[(&str, &[&str])] = &[
    ("Status codes and handles", &["src/ffi/status.rs"]),
    ("Errors", &["src/ffi/error.rs"]),
    ("Values", &["src/ffi/value.rs", "src/value/mod.rs"]),
    ("The runtime", &["src/ffi/runtime.rs"]),
    ("Interpreters", &["src/ffi/interpreter.rs"]),
    ("Output", &["src/ffi/output.rs"]),
    ("Running code", &["src/ffi/run.rs"]),
    ("Prepared functions", &["src/ffi/function.rs"]),
    ("Objects", &["src/ffi/object.rs"]),
    ("Host functions", &["src/ffi/host.rs"]),
    ("Sessions", &["src/ffi/session.rs"]),
    ("Threads", &["src/ffi/thread.rs"]),
    ("Limits", &["src/ffi/cancel.rs"]),
    ("Memory", &["src/ffi/memory.rs"]),
    ("Locks", &["src/ffi/lock.rs"]),
    ("Memory for buffers", &["src/ffi/buffer.rs"]),
    ("Queues", &["src/ffi/queue.rs"]),
    ("Pools", &["src/ffi/pool.rs", "src/ffi/pool_map.rs"]),
];

fn main() -> ExitCode {
    let check = match &env::args().skip(1).collect::<Vec<_>>()[..] {
        [] => false,
        [only] if only == "--check" => true,
        _ => {
            eprintln!("usage: make header, or: cargo run --manifest-path tools/header/Cargo.toml -- [--check]");
            return ExitCode::from(2);
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let header = header(&root);
    let declarations = declarations_alone(&header);
    let mut status = ExitCode::SUCCESS;
    for (name, text) in [("include/subpy.h", &header), ("include/subpy.cdef", &declarations)] {
        let path = root.join(name);
        if !check {
            fs::write(&path, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        } else if fs::read_to_string(&path).unwrap_or_default() != *text {
            eprintln!("{name} is not what the sources say; run `make header` and commit it");
            status = ExitCode::FAILURE;
        }
    }
    status
}

/// The header for parsers without a preprocessor (LuaJIT's ffi.cdef, cffi): no comments, constants as enumerations, a
/// function a line.
fn declarations_alone(header: &str) -> String {
    let mut text = String::new();
    let mut rest = header;
    while let Some((before, comment)) = rest.split_once("/*") {
        text.push_str(before);
        rest = comment.split_once("*/").expect("comments end").1;
    }
    text.push_str(rest);
    let mut declarations = String::new();
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        match line.strip_prefix("#define ").and_then(|define| define.split_once(' ')) {
            // Of the macros only the numbers; SUBPY_AUTO_LEN is (size_t)-1 there, no int.
            Some((name, value)) => {
                let value = value.trim_matches(['(', ')']);
                if value.parse::<i64>().is_ok() {
                    declarations.push_str(&format!("\nenum {{ {name} = {value} }};"));
                }
            }
            None if line.starts_with('#') || line.starts_with("extern \"C\"") || line == "}" => {}
            None if declarations.ends_with([',', '(']) => declarations.push_str(&format!(" {}", line.trim())),
            None => declarations.push_str(&format!("\n{}", line.replace(API, "").replace(NODISCARD, ""))),
        }
    }
    format!("{}\n", declarations.trim_start())
}

fn header(root: &Path) -> String {
    // The conventions and the example at the top, and the two lines around the declarations, are written by hand.
    let template = fs::read_to_string(root.join("src/ffi/header.h")).expect("src/ffi/header.h");
    let (before, after) = template.split_once("@DECLARATIONS@\n").expect("the place for the declarations");
    let sections: String = SECTIONS.iter().map(|(title, files)| section(root, title, files)).collect();
    format!("{before}{sections}{after}")
}

fn section(root: &Path, title: &str, files: &[&str]) -> String {
    let mut config = cbindgen::Config::from_file(root.join("tools/header/cbindgen.toml")).expect("cbindgen.toml");
    // The members of the union that cbindgen cannot write; see src/value/mod.rs.
    let union_members = "  /** BOOL: one byte is read, true unless 0; all eight are written */\n  bool as_bool;\n  \
                         /** DICT */\n  const struct subpy_pair *as_pairs;\n  /** ERROR: it belongs to the results, do not \
                         free it */\n  const struct subpy_error *as_error;";
    config.export.body.insert("subpy_value_data".into(), union_members.into());
    let builder = files
        .iter()
        .fold(cbindgen::Builder::new().with_config(config), |builder, file| builder.with_src(root.join(file)));
    let mut text = Vec::new();
    builder.generate().expect("cbindgen understands src/ffi").write(&mut text);
    let text = tidy(&String::from_utf8(text).expect("cbindgen writes UTF-8"));
    let rule = "-".repeat(117);
    format!("/* {rule}\n * {title}\n *\n{}\n * {rule} */\n\n{}\n\n", intro(root, files[0]), text.trim())
}

const API: &str = "SUBPY_API ";
const NODISCARD: &str = "SUBPY_NODISCARD ";

/// A function's declaration in as few lines as fit. An attribute comes first: C++ wants it there.
fn declaration(lines: &[&str]) -> String {
    let text = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let nodiscard = if text.contains(NODISCARD) { NODISCARD } else { "" };
    let text = format!("{nodiscard}{}", text.replace(NODISCARD, ""));
    let (indent, mut wrapped, mut width) = ("    ", String::new(), 0);
    for word in text.split_inclusive(", ") {
        if width > 0 && width + word.trim_end().len() > 117 {
            wrapped.truncate(wrapped.trim_end().len());
            wrapped.push_str(&format!("\n{indent}"));
            width = indent.len();
        }
        wrapped.push_str(word);
        width += word.len();
    }
    wrapped
}

/// Comments of one line on one line, and constants that belong together without blank lines between them.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut tidied: Vec<String> = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let line = lines[index];
        let indent = &line[..line.len() - line.trim_start().len()];
        if line.trim() == "/**" && lines.get(index + 2).is_some_and(|end| end.trim() == "*/") {
            tidied.push(format!("{indent}/** {} */", lines[index + 1].trim().trim_start_matches("* ")));
            index += 3;
            continue;
        }
        if line.starts_with(API.trim()) {
            let end = lines[index..].iter().position(|line| line.ends_with(';')).expect("declarations end") + index;
            tidied.push(declaration(&lines[index..=end]));
            index = end + 1;
            continue;
        }
        let between_constants = line.is_empty()
            && index > 0
            && lines[index - 1].starts_with("#define")
            && lines[index + 1..]
                .iter()
                .find(|line| !line.starts_with("/*") && !line.starts_with(" *"))
                .is_some_and(|next| next.starts_with("#define"));
        if !between_constants {
            // Parentheses around a negative number, as a macro's value should have.
            let negative = line.strip_prefix("#define ").and_then(|define| define.split_once(" -"));
            tidied.push(negative.map_or_else(|| line.into(), |(name, value)| format!("#define {name} (-{value})")));
        }
        index += 1;
    }
    tidied.join("\n")
}

/// The `//!` lines of a file, as lines of a C comment.
fn intro(root: &Path, file: &str) -> String {
    let source = fs::read_to_string(root.join(file)).expect("a section's file");
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| format!(" *{line}")).collect::<Vec<_>>().join("\n")
}
