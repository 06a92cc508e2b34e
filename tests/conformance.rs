//! conformance/cases.json, run through the Rust crate, the C interface and the C++ header, in interpreters of this process
//! and in those with processes of their own. For C and C++ a program is written, with a function for each case. The other
//! bindings read the table themselves, in their own tests. The table once more, with what is packed: tests/dist.rs.

mod support;

#[path = "conformance/c.rs"]
mod c;
#[path = "conformance/cpp.rs"]
mod cpp;
#[path = "conformance/program.rs"]
mod program;
#[path = "conformance/rust.rs"]
mod rust;
#[path = "conformance/table.rs"]
mod table;

use program::program;
use serde_json::Value as Json;
use support::packages::PROCESS;
use support::{build_folder, command, compiler, expect_success, library_folder, root};
use table::{IN_PROCESSES, OF_DATA, Of, all_cases, items, many, say, tagged, text};

#[test]
fn the_table_makes_sense() {
    let members = ["name", "setup", "do", "text", "args", "kwargs", "filename", "keep_indent", "result", "error"];
    let errors = [
        "status",
        "message",
        "type_name",
        "type_qualname",
        "type_module",
        "exception_message",
        "formatted",
        "display",
        "frames",
        "syntax",
        "exit_status",
    ];
    let unknown = |object: &Json, known: &[&str]| {
        object.as_object().expect("an object").keys().find(|key| !known.contains(&key.as_str())).cloned()
    };
    let mut names = std::collections::BTreeSet::new();
    for (of, case) in all_cases() {
        let name = text(&case, "name");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(["exec", "eval", "call", "prepare_main"].contains(&text(&case, "do")), "{name}");
        let more: &[&str] = match of {
            Of::Running | Of::Host => &[],
            Of::Limits => &["interp_timeout_ms", "timeout_ms", "cancel_ms"],
            Of::Output => &["output", "stdout", "stdout_length", "stderr", "no_stdin"],
            Of::Data => &[&OF_DATA[..], &["timeout_ms"]].concat(),
        };
        assert_eq!(unknown(&case, &[&members[..], more].concat()), None, "{name}");
        if of == Of::Output {
            assert!(["interpreter", "run"].contains(&text(&case, "output")), "{name}");
            assert!(case.get("stdout").is_some() != case.get("stdout_length").is_some(), "{name}");
        }
        if let Some(error) = case.get("error") {
            assert_eq!(unknown(error, &errors), None, "{name}");
            assert!(case.get("result").is_none() && error["status"].is_string(), "{name}");
        }
    }
    assert!(names.len() >= 40);
    for case in many() {
        let name = text(&case, "name");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert_eq!(unknown(&case, &["name", "setup", "text", "rows", "outcomes", "ends"]), None, "{name}");
        assert!(case["rows"].is_array() && case.get("ends").is_none() == case["outcomes"].is_array(), "{name}");
        if let Some(error) = case.get("ends") {
            assert_eq!(unknown(error, &[&errors[..], &["row"]].concat()), None, "{name}");
            assert!(error["status"].is_string(), "{name}");
        }
        assert!(case.get("ends").is_some() || items(&case["outcomes"]).len() == items(&case["rows"]).len(), "{name}");
        for outcome in items(&case["outcomes"]) {
            let (what, of) = tagged(outcome);
            assert!(what == "result" || what == "error" && unknown(of, &errors).is_none(), "{name}");
        }
    }
}

/// Writes the program, builds it and runs it.
fn run_program(cpp: bool) {
    let (text, count) = program(cpp);
    let source = build_folder().join(if cpp { "conformance.cpp" } else { "conformance.c" });
    std::fs::write(&source, text).expect("the program can be written");
    let path = source.with_extension(if cpp { "cpp.out" } else { "c.out" });
    let mut compile = compiler(cpp);
    compile.args(["-O0", "-D_GNU_SOURCE"]).arg(if cpp { "-std=c++17" } else { "-std=c11" });
    for folder in ["bindings/cpp", "tests/conformance", "tests/c", "tests/cpp"] {
        // Not -I: tests/c has a memory.h.
        compile.arg("-iquote").arg(root().join(folder));
    }
    compile.arg(&source).arg("-o").arg(&path).arg("-L").arg(library_folder()).arg("-lsubpy").arg("-pthread");
    compile.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", library_folder().display()));
    expect_success(compile);
    let language = if cpp { "C++" } else { "C" };
    expect_success(command(&path));
    say(count, language);
    let mut again = command(&path);
    again.env(PROCESS, "1");
    expect_success(again);
    say(count, &format!("{language}{IN_PROCESSES}"));
}

#[test]
fn in_c() {
    run_program(false);
}

#[test]
fn in_cpp() {
    run_program(true);
}
