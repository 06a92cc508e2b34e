//! The interface as others see it: the header, the examples, the exported symbols, and that no export goes around the
//! boundary that catches panics and checks pointers.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{build, build_folder, built, command, compiler, expect_success, have, library_folder, root};

fn read(path: &str) -> String {
    let text = std::fs::read_to_string(root().join(path));
    text.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A source file among what the tests build.
fn source(name: &str, text: &str) -> PathBuf {
    let path = build_folder().join(name);
    std::fs::write(&path, text).expect("the source can be written");
    path
}

// ---- the header ----

#[test]
fn the_header_is_the_generated_one() {
    let mut generator = Command::new(env!("CARGO"));
    generator.args(["run", "--quiet", "--locked", "--manifest-path"]).arg(root().join("tools/header/Cargo.toml"));
    // Where `make header` has it, and not for a sanitizer.
    generator.arg("--target-dir").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("header"));
    generator.args(["--", "--check"]);
    expect_success(generator);
}

/// Sizes and offsets are part of the interface. A form of static assertion that every C and C++ knows.
const LAYOUT: &str = r#"#include "subpy.h"
#define CHECK(name, condition) typedef char check_##name[(condition) ? 1 : -1]
CHECK(status, sizeof(subpy_status) == 4);
CHECK(interp, sizeof(subpy_interp) == 8);
CHECK(thread, sizeof(subpy_thread) == 8);
CHECK(auto_len, SUBPY_AUTO_LEN == (size_t)-1);
#if UINTPTR_MAX == UINT64_MAX
CHECK(value, sizeof(subpy_value) == 24);
CHECK(value_kind, offsetof(subpy_value, kind) == 0);
CHECK(value_flags, offsetof(subpy_value, flags) == 4);
CHECK(value_len, offsetof(subpy_value, len) == 8);
CHECK(value_u, offsetof(subpy_value, u) == 16);
CHECK(pair, sizeof(subpy_pair) == 48 && offsetof(subpy_pair, value) == 24);
CHECK(runtime_options, sizeof(subpy_runtime_options) == 40);
CHECK(interp_options, sizeof(subpy_interp_options) == 96);
CHECK(memory_info, sizeof(subpy_memory_info) == 40);
CHECK(lock_info, sizeof(subpy_lock_info) == 16);
CHECK(run_request, sizeof(subpy_run_request) == 112);
CHECK(frame, sizeof(subpy_frame) == 72);
#endif
"#;

/// Compiles without output; what the compiler says when it refuses.
fn check_syntax(mut compiler: Command, standard: &str, source: &Path) -> Result<(), String> {
    let output = compiler.arg(format!("-std={standard}")).arg("-fsyntax-only").arg(source).output();
    let output = output.expect("the compiler runs");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The header alone, in every standard; in the newest ones if the compiler knows them.
fn check_header(compiler: impl Fn(bool) -> Command, name: &str) {
    for (cpp, standard, required) in [
        (false, "c99", true),
        (false, "c11", true),
        (false, "gnu2x", false),
        (true, "c++11", true),
        (true, "c++17", true),
        (true, "c++20", false),
    ] {
        let file = |stem: &str| format!("{stem}-{name}-{standard}.{}", if cpp { "cpp" } else { "c" });
        let known = check_syntax(compiler(cpp), standard, &source(&file("empty"), "int unused(void);\n"));
        match known {
            Err(reason) if required => panic!("{name} does not know {standard}: {reason}"),
            Err(_) => continue,
            Ok(()) => {}
        }
        if let Err(reason) = check_syntax(compiler(cpp), standard, &source(&file("header"), LAYOUT)) {
            panic!("the header with {name} -std={standard}:\n{reason}");
        }
    }
}

#[test]
fn the_header_compiles_alone_as_c_and_as_cpp() {
    check_header(compiler, "cc");
}

#[test]
fn the_header_compiles_with_clang() {
    if !have("clang", "the header with clang", "install the package clang") {
        return;
    }
    let clang = |cpp| {
        let mut command = Command::new(if cpp { "clang++" } else { "clang" });
        command.args(["-Wall", "-Wextra", "-pedantic", "-Werror"]).arg("-I").arg(root().join("include"));
        command
    };
    check_header(clang, "clang");
}

/// What readers without a preprocessor get says the same as the header: a program that includes both compiles, and
/// every constant and function of the one is in the other.
#[test]
fn the_declarations_alone_are_those_of_the_header() {
    let (header, alone) = (read("include/subpy.h"), read("include/subpy.cdef"));
    assert!(!alone.contains('#') && !alone.contains("/*"));
    let mut both = String::from("#include \"subpy.h\"\n");
    for line in alone.lines() {
        match line.strip_prefix("enum { ").and_then(|line| line.strip_suffix(" };")) {
            Some(constant) => {
                let (name, value) = constant.split_once(" = ").expect("NAME = value");
                both.push_str(&format!("typedef char is_{name}[(int64_t)({name}) == (int64_t)({value}) ? 1 : -1];\n"));
            }
            None if line.ends_with(");") => both.push_str(&format!("{line}\n")),
            None => {}
        }
    }
    let syntax = check_syntax(compiler(false), "c11", &source("both.c", &both));
    assert!(syntax.is_ok(), "{syntax:?}");
    for line in header.lines().filter_map(|line| line.strip_prefix("#define ")) {
        let Some((name, _)) = line.split_once(' ') else { continue };
        let for_compilers = ["SUBPY_AUTO_LEN", "SUBPY_API", "SUBPY_NODISCARD"].contains(&name);
        assert!(for_compilers || alone.contains(&format!("enum {{ {name} = ")), "{name} is missing");
    }
    for name in declarations(&header).keys() {
        assert!(alone.contains(&format!("{name}(")), "{name} is missing");
    }
}

/// Every `#define NAME (-number)` of a status code.
fn status_codes() -> BTreeMap<String, i32> {
    let header = read("include/subpy.h");
    let defines = header.lines().filter_map(|line| line.strip_prefix("#define ")?.split_once(' '));
    let codes = defines.filter(|(name, _)| *name == "SUBPY_OK" || name.starts_with("SUBPY_ERROR_"));
    codes
        .map(|(name, value)| {
            let value = value.trim_matches(['(', ')']).parse();
            (name.to_owned(), value.unwrap_or_else(|_| panic!("{name} is no number")))
        })
        .collect()
}

#[test]
fn every_status_code_has_its_name() {
    let codes = status_codes();
    assert!(codes.len() > 10 && codes["SUBPY_OK"] == 0, "{codes:?}");
    let numbers: BTreeSet<i32> = codes.values().copied().collect();
    assert_eq!(numbers.len(), codes.len(), "two codes share a number: {codes:?}");
    assert!(numbers.iter().all(|number| *number <= 0), "errors are negative: {codes:?}");

    let mut program = String::from(
        "#include <stdio.h>\n#include <string.h>\n#include \"subpy.h\"\n\
         static int wrong;\n\
         static void check(subpy_status status, const char *name) {\n\
           if (strcmp(subpy_status_name(status), name) == 0) return;\n\
           fprintf(stderr, \"%d is %s, not %s\\n\", (int)status, subpy_status_name(status), name);\n\
           wrong = 1;\n\
         }\n\
         int main(void) {\n",
    );
    for name in codes.keys() {
        program += &format!("  check({name}, \"{name}\");\n");
    }
    for unknown in ["1", "-1000", "INT32_MIN", "INT32_MAX"] {
        program += &format!("  check({unknown}, \"SUBPY_ERROR_UNKNOWN\");\n");
    }
    program += "  return wrong;\n}\n";
    expect_success(command(&build(&source("status_names.c", &program))));
}

// ---- the examples ----

fn run_example(name: &str, text: &str) -> String {
    let output = expect_success(command(&build(&source(name, text))));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_example_in_the_header_works() {
    let header = read("include/subpy.h");
    let comment = header.lines().take_while(|line| *line != " */");
    let mut example: Vec<&str> = comment
        .skip_while(|line| !line.starts_with(" *   #include"))
        .take_while(|line| *line != " * Conventions")
        .map(|line| line.strip_prefix(" *   ").unwrap_or_default())
        .collect();
    example.push("");
    let printed = run_example("header_example.c", &example.join("\n"));
    assert_eq!(printed.lines().next(), Some("hello from Python"));
    assert!(printed.contains("1.414213562373095"), "{printed}");
}

#[test]
fn the_examples_in_the_readme_work() {
    let readme = read("README.md");
    let mut rest = readme.as_str();
    let mut count = 0;
    while let Some((_, block)) = rest.split_once("```c\n") {
        let (example, after) = block.split_once("```").expect("the block ends");
        rest = after;
        if example.contains("int main") {
            count += 1;
            run_example(&format!("readme_example_{count}.c"), example);
        }
    }
    assert!(count > 0, "README.md shows no whole C program");
}

// ---- the exports ----

fn output_of(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = expect_success({
        let mut command = Command::new(program);
        command.args(arguments).arg(file);
        command
    });
    String::from_utf8(output.stdout).expect("symbols are ASCII")
}

fn shared_library() -> PathBuf {
    library_folder().join("libsubpy.so")
}

/// The committed list: what may never go away, and what nothing is added to by accident.
fn exports() -> BTreeSet<String> {
    let exports: BTreeSet<String> = read("bindings/c/exports.txt").lines().map(String::from).collect();
    assert!(exports.len() > 30);
    exports
}

#[test]
fn the_library_exports_the_committed_list_and_nothing_else() {
    let symbols = output_of("nm", &["-D", "--defined-only", "--format=posix"], &shared_library());
    let symbols: BTreeSet<String> = symbols.lines().filter_map(|line| Some(line.split_once(' ')?.0.into())).collect();
    assert_eq!(symbols, exports(), "left: libsubpy.so, right: bindings/c/exports.txt");
}

/// What only the program of processes for interpreters calls: it comes with the library.
const INTERNAL: &str = "subpy_worker_main";

/// The functions that the header declares, each with the comment before it.
fn declarations(header: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let (mut comment, mut code) = (String::new(), String::new());
    let mut rest = header;
    while !rest.is_empty() {
        if let Some(start) = rest.strip_prefix("/*") {
            let (text, after) = start.split_once("*/").expect("the comment ends");
            (comment, rest) = (text.into(), after);
        } else if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(after) = rest.strip_prefix(';') {
            // A type of functions is none itself.
            if let Some((before, _)) = code.split_once('(').filter(|_| !code.trim_start().starts_with("typedef")) {
                let name = before.rsplit([' ', '*', '\n']).next().expect("a name");
                found.insert(name.to_owned(), std::mem::take(&mut comment));
            }
            (code, rest) = (String::new(), after);
        } else {
            let next = rest.chars().next().expect("not empty");
            code.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    found
}

#[test]
fn every_export_is_declared_and_documented() {
    let declarations = declarations(&read("include/subpy.h"));
    let names: BTreeSet<String> = declarations.keys().cloned().collect();
    let mut exports = exports();
    assert!(exports.remove(INTERNAL));
    assert_eq!(names, exports, "left: include/subpy.h, right: bindings/c/exports.txt");
    for (name, comment) in declarations {
        assert!(comment.starts_with('*'), "{name} has no comment");
    }
}

/// Constants, types and the members of structs and unions: each has a comment of its own right before it.
#[test]
fn every_constant_type_and_member_is_documented() {
    let header = read("include/subpy.h");
    let (_, declared) = header.split_once("#endif\n\n/** A length").expect("the declarations");
    let mut undocumented = Vec::new();
    let (mut count, mut documented) = (0, false);
    for line in declared.lines().take_while(|line| *line != "#ifdef __cplusplus") {
        let indented = line.strip_prefix("  ").is_some_and(|rest| rest.starts_with(char::is_alphabetic));
        let member = indented && line.ends_with(';');
        if line.starts_with("#define ") || line.starts_with("typedef ") || member {
            count += 1;
            if !documented {
                undocumented.push(line);
            }
        }
        documented = line.ends_with("*/") && !line.starts_with(" * ---");
    }
    assert!(count > 60, "{count}");
    assert!(undocumented.is_empty(), "{undocumented:?}");
}

/// Splits after the bracket that belongs to the one at the start. Brackets in texts and comments do not count.
fn split_bracketed(code: &str) -> (&str, &str) {
    let mut depth = 0;
    let mut in_text = false;
    let mut characters = code.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' if in_text => drop(characters.next()),
            '"' => in_text = !in_text,
            '(' | '{' | '[' if !in_text => depth += 1,
            ')' | '}' | ']' if !in_text => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return code.split_at(index + 1);
        }
    }
    panic!("no closing bracket: {code}");
}

/// What is inside the brackets that the code begins and ends with.
fn inside(code: &str) -> &str {
    let (bracketed, after) = split_bracketed(code);
    assert!(after.trim().is_empty(), "more follows: {after}");
    bracketed[1..bracketed.len() - 1].trim()
}

/// The function's body is one call of the boundary, or of error.rs's `text`, which is one itself.
fn is_boundary_call(body: &str) -> bool {
    let body = body.trim().trim_end_matches(';');
    if let Some(block) = body.strip_prefix("unsafe ") {
        return is_boundary_call(inside(block));
    }
    let calls = |function: &str| {
        let arguments = body.strip_prefix(function).filter(|rest| rest.starts_with('('));
        arguments.is_some_and(|arguments| split_bracketed(arguments).1.trim().is_empty())
    };
    let ways = ["status", "output", "run", "run_and_output", "info", "value"];
    ways.iter().any(|way| calls(&format!("boundary::{way}"))) || calls("text")
}

/// The bodies of the functions whose definition begins like this, by name.
fn bodies(source: &str, start: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (index, _) in source.match_indices(start) {
        let definition = &source[index + start.len()..];
        let name = definition.split(['(', '<']).next().expect("a name");
        let (_, after) = split_bracketed(&definition[definition.find('(').expect("parameters")..]);
        let body = split_bracketed(&after[after.find('{').expect("a body")..]).0;
        found.insert(name.to_owned(), inside(body).to_owned());
    }
    found
}

/// Source code without its comments.
fn without_comments(source: &str) -> String {
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn every_export_goes_through_the_boundary() {
    let mut names = BTreeSet::new();
    for path in rust_files(&root().join("src")) {
        let source = without_comments(&std::fs::read_to_string(&path).expect("a source"));
        let functions = bodies(&source, "extern \"C\" fn subpy_");
        let marked = source.matches("#[unsafe(no_mangle)]").count() + source.matches("export_name").count();
        assert_eq!(functions.len(), marked, "{}: only functions named subpy_* are exported", path.display());
        assert!(functions.is_empty() || path.parent() == Some(&root().join("src/ffi")), "{}", path.display());
        for (name, body) in functions {
            assert!(is_boundary_call(&body), "subpy_{name} does more than to call the boundary:\n{body}");
            let uses_text = body.contains("text(") && !body.contains("boundary::");
            assert!(!uses_text || path.ends_with("error.rs"), "subpy_{name}: this file has no `text` that is safe");
            names.insert(format!("subpy_{name}"));
        }
    }
    assert_eq!(names, exports(), "left: src/ffi, right: bindings/c/exports.txt");

    let helpers = bodies(&without_comments(&read("src/ffi/error.rs")), "\nunsafe fn ");
    assert!(helpers["text"].starts_with("boundary::value(") && is_boundary_call(&helpers["text"]));
}

#[test]
fn the_check_of_the_boundary_sees_what_is_wrong() {
    assert!(is_boundary_call("boundary::value(0, || { f(\")\") })"));
    assert!(is_boundary_call("unsafe { boundary::output(a, 0, b, || c()) }"));
    assert!(!is_boundary_call("let a = f(); boundary::value(0, || a)"));
    assert!(!is_boundary_call("boundary::value(0, || 1) + f()"));
    assert!(!is_boundary_call("f(boundary::value(0, || 1))"));
    assert_eq!(bodies("pub extern \"C\" fn subpy_a(b: c) -> d { e(f) }", "extern \"C\" fn subpy_")["a"], "e(f)");
}

// ---- what the library needs ----

#[test]
fn the_library_needs_no_libpython_and_is_never_unloaded() {
    let undefined = output_of("nm", &["-D", "--undefined-only", "--format=posix"], &shared_library());
    let names = undefined.lines().filter_map(|line| line.split_whitespace().next());
    let python: Vec<&str> = names.filter(|name| name.starts_with("Py") || name.starts_with("_Py")).collect();
    assert!(python.is_empty(), "undefined symbols of CPython: {python:?}");
    let dynamic = output_of("readelf", &["-d", "-W"], &shared_library());
    assert!(dynamic.contains("(NEEDED)"), "{dynamic}");
    assert!(!dynamic.contains("libpython"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

#[test]
fn what_is_installed_has_a_soname_and_versions() {
    let library = built().join(concat!("libsubpy.so.", env!("CARGO_PKG_VERSION")));
    let symbols = output_of("nm", &["-D", "--with-symbol-versions", "--format=posix"], &library);
    let symbols = symbols.lines().map(|line| {
        let mut words = line.split_whitespace();
        (words.next().expect("a name"), words.next().expect("a kind"))
    });
    let (undefined, defined): (Vec<_>, Vec<_>) = symbols.partition(|(_, kind)| ["U", "w", "v"].contains(kind));
    // The version itself is a symbol, too.
    let defined: BTreeSet<String> =
        defined.into_iter().filter(|(_, kind)| *kind != "A").map(|(name, _)| name.to_owned()).collect();
    let expected: BTreeSet<String> = exports().iter().map(|name| format!("{name}@@SUBPY_0.1")).collect();
    assert_eq!(defined, expected, "left: {}, right: bindings/c/exports.txt", library.display());

    // One without a version is found in any library, or in none, on a system that is older than this one.
    assert!(undefined.iter().any(|(name, _)| name.starts_with("malloc@GLIBC")), "{undefined:?}");
    let loose: Vec<_> = undefined.iter().filter(|(name, kind)| *kind == "U" && !name.contains('@')).collect();
    assert!(loose.is_empty(), "undefined symbols without a version: {loose:?}");

    let dynamic = output_of("readelf", &["-d", "-W"], &library);
    assert!(dynamic.contains("Library soname: [libsubpy.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE") && dynamic.contains("BIND_NOW"), "{dynamic}");
    assert!(dynamic.contains("(NEEDED)") && !dynamic.contains("libpython"), "{dynamic}");
}

#[test]
fn an_archive_that_lacks_an_export_is_not_linked() {
    let folder = support::packages::empty_folder("lacking");
    let mut compile = compiler(false);
    compile.arg("-c").arg(source("one.c", "int subpy_bool(void);\nint subpy_bool(void) { return 1; }\n"));
    compile.arg("-fPIC").arg("-o").arg(folder.join("one.o"));
    expect_success(compile);
    let mut archive = Command::new("ar");
    archive.arg("rc").arg(folder.join("libsubpy.a")).arg(folder.join("one.o"));
    expect_success(archive);
    let mut link = Command::new(root().join("bindings/c/link"));
    link.arg(&folder);
    let said = support::packages::refused(link);
    assert!(said.contains("libsubpy.a lacks subpy_bigint subpy_buffer_free "), "{said}");
    assert!(!said.contains(" subpy_bool "), "{said}");
}

#[test]
fn programs_ask_for_the_soname_and_the_versions() {
    let folder = built();
    let example =
        source("soname.c", "#include \"subpy.h\"\nint main(void) { return subpy_version() != SUBPY_VERSION; }\n");
    let program = build_folder().join("soname");
    let mut link = compiler(false);
    link.arg(example).arg("-o").arg(&program).arg("-L").arg(folder).arg("-lsubpy");
    link.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", folder.display()));
    expect_success(link);
    let dynamic = output_of("readelf", &["-d", "-W"], &program);
    assert!(dynamic.contains("Shared library: [libsubpy.so.0]"), "{dynamic}");
    assert!(output_of("readelf", &["-V", "-W"], &program).contains("SUBPY_0.1"));
    let output = expect_success(command(&program));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_program_can_link_the_static_library() {
    let example = source(
        "static.c",
        "#include \"subpy.h\"\n\
         static subpy_status answers(uint64_t flags) {\n\
           subpy_interp_options options = {.size = sizeof options, .flags = flags};\n\
           subpy_interp interp;\n\
           subpy_value value = {0};\n\
           subpy_status status = subpy_create(&options, &interp, NULL);\n\
           if (status == SUBPY_OK) status = subpy_eval(interp, \"6 * 7\", SUBPY_AUTO_LEN, &value, NULL);\n\
           return status == SUBPY_OK && value.u.as_int != 42 ? -1 : status;\n\
         }\n\
         int main(void) {\n\
           if (answers(0) != SUBPY_OK) return 1;\n\
           if (answers(SUBPY_INTERP_PROCESS) != SUBPY_OK) return 2;\n\
           return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 3;\n\
         }\n",
    );
    let program = build_folder().join("static");
    let mut link = compiler(false);
    link.arg("-std=c11").arg(example).arg(library_folder().join("libsubpy.a")).arg("-o").arg(&program);
    expect_success({
        link.args(["-lpthread", "-ldl", "-lm"]);
        link
    });
    let dynamic = output_of("readelf", &["-d", "-W"], &program);
    assert!(!dynamic.contains("libsubpy") && !dynamic.contains("libpython"), "{dynamic}");
    expect_success(command(&program));
}
