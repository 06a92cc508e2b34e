//! The binary interface: what a C compiler sees is what was committed for this version (bindings/c/abi), and what has changed
//! since an older one fits the difference of their numbers (docs/abi.md, Compatibility).

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{bounded, build_folder, built, command, compiler, expect_success, have, root};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A line for each constant, type, struct, member and function: a word, a name, and the rest.
type Interface = BTreeMap<String, String>;

fn folder() -> PathBuf {
    root().join("bindings/c/abi")
}

fn file_of(version: &str) -> PathBuf {
    folder().join(format!("{version}.txt"))
}

fn parsed(text: &str) -> Interface {
    let entry = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (word, name) = (words.next().expect("a word"), words.next().expect("a name"));
        (format!("{word} {name}"), words.next().unwrap_or_default().to_owned())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(entry).collect()
}

/// What include/subpy.cdef declares, and what a C compiler makes of it, line by line.
fn lines() -> Vec<String> {
    let declarations = fs::read_to_string(root().join("include/subpy.cdef")).expect("include/subpy.cdef");
    let (mut lines, mut code, mut current) = (Vec::new(), String::new(), None);
    let mut versions = symbol_versions();
    for line in declarations.lines() {
        let opened = line.strip_suffix(" {").and_then(|line| line.strip_prefix("typedef "));
        if let Some((name, _)) = line.strip_prefix("enum { ").and_then(|constant| constant.split_once(" = ")) {
            code += &format!("  printf(\"constant {name} %lld\\n\", (long long){name});\n");
        } else if let Some((word, name)) = opened.and_then(|line| line.split_once(' ')) {
            code += &format!(
                "  puts(\"{word} {name}\"); printf(\"size {name} %zu\\n\", sizeof(struct_of({word}, {name})));\n"
            );
            current = Some((word, name));
        } else if line.starts_with('}') {
            current = None;
        } else if let Some(((word, owner), text)) = current.zip(line.trim().strip_suffix(';')) {
            let declared = text.rsplit([' ', '*']).next().expect("a name");
            let (name, size) = declared.split_at(declared.find('[').unwrap_or(declared.len()));
            let kind = format!("{}{size}", text.strip_suffix(declared).expect("it ends with it").trim());
            code += &format!("  puts(\"member {owner}.{name} {kind}\");\n");
            code +=
                &format!("  printf(\"offset {owner}.{name} %zu\\n\", offsetof(struct_of({word}, {owner}), {name}));\n");
        } else if let Some(text) = line.strip_prefix("typedef ").and_then(|text| text.strip_suffix(';')) {
            let name = match text.split_once("(*") {
                Some((_, rest)) => rest.split_once(')').expect("a bracket").0,
                None => text.rsplit([' ', '*']).next().expect("a name"),
            };
            code += &format!("  puts(\"type {name} {text}\");\n");
        } else {
            let text = line.strip_suffix(';').unwrap_or_else(|| panic!("no declaration: {line}"));
            let name = text.split('(').next().and_then(|text| text.rsplit([' ', '*']).next()).expect("a name");
            let version = versions.remove(name).unwrap_or_else(|| panic!("the library has no {name}"));
            code += &format!("  puts(\"function {name} {version} {text}\");\n");
        }
    }
    versions.remove("subpy_worker_main"); // for the worker alone, which comes with the library
    assert!(versions.is_empty(), "no declaration has {versions:?}");
    let source = build_folder().join("abi.c");
    let program = build_folder().join("abi");
    let text = format!(
        "#include <stddef.h>\n#include <stdio.h>\n#include \"subpy.h\"\n#define struct_of(word, name) word name\n\
         int main(void) {{\n{code}  return 0;\n}}\n"
    );
    fs::write(&source, text).expect("a file");
    let mut compile = compiler(false);
    compile.arg("-std=c11").arg(&source).arg("-o").arg(&program);
    expect_success(compile);
    let printed = String::from_utf8(expect_success(command(&program)).stdout).expect("ASCII");
    lines.extend(printed.lines().map(str::to_owned));
    lines
}

/// The node that each symbol of the library that is installed has.
fn symbol_versions() -> BTreeMap<String, String> {
    let mut nm = Command::new("nm");
    nm.args(["-D", "--defined-only", "--with-symbol-versions", "--format=posix"]);
    nm.arg(built().join(format!("libsubpy.so.{VERSION}")));
    let symbols = String::from_utf8(expect_success(nm).stdout).expect("ASCII");
    let version = |line: &str| {
        let (name, version) = line.split(' ').next()?.split_once("@@")?;
        Some((name.to_owned(), version.to_owned()))
    };
    symbols.lines().filter_map(version).collect()
}

/// Major, minor and patch.
fn numbers(version: &str) -> [u32; 3] {
    let numbers: Vec<u32> = version.split('.').map(|number| number.parse().expect("a number")).collect();
    numbers.try_into().expect("three numbers")
}

/// What a change of the interface needs that the new version does not have, a line each.
fn broken(old: (&str, &Interface), new: (&str, &Interface)) -> Vec<String> {
    let (before, now) = (numbers(old.0), numbers(new.0));
    // While the major version is 0, a minor one may break what was.
    let may_break = now[0] > before[0] || now[0] == 0 && now[1] > before[1];
    let may_grow = now[..2] > before[..2];
    let node = format!("SUBPY_{}.{}", now[0], now[1]);
    let mut broken = Vec::new();
    for (name, text) in old.1 {
        let needs = match new.1.get(name) {
            Some(same) if same == text => continue,
            None => format!("{name} is gone"),
            // A struct that begins with its size grows at its end: where members are is told by their offsets.
            Some(size) if name.starts_with("size ") && grows(name, old.1, new.1) => {
                if !may_grow {
                    broken.push(format!("{name} is {size}, was {text}: needs a new minor version"));
                }
                continue;
            }
            Some(other) => format!("{name} is {other}, was {text}"),
        };
        if !may_break {
            broken.push(format!("{needs}: needs a version that may break what was"));
        }
    }
    for (name, text) in new.1.iter().filter(|(name, _)| !old.1.contains_key(*name)) {
        if fills_a_hole(name, text, old.1) {
            if !may_break {
                broken.push(format!(
                    "{name} is new, where older programs leave anything: needs a version that may break what was"
                ));
            }
        } else if !may_grow {
            broken.push(format!("{name} is new: needs a new minor version"));
        } else if name.starts_with("function ") && text.split(' ').next() != Some(&node) {
            broken.push(format!("{name} is new, and has the symbol version of an older one: {text}"));
        }
    }
    broken
}

/// Whether this struct begins with its size and is larger than it was.
fn grows(size: &str, old: &Interface, new: &Interface) -> bool {
    let name = size.strip_prefix("size ").expect("a size");
    let bytes = |of: &Interface| of[size].parse::<usize>().expect("a number");
    let sized = old.get(&format!("offset {name}.size")).is_some_and(|offset| offset == "0");
    sized && bytes(new) > bytes(old)
}

/// Whether this is a member of a struct that was there, and not behind what it had.
fn fills_a_hole(name: &str, offset: &str, old: &Interface) -> bool {
    let owner = name.strip_prefix("offset ").and_then(|name| name.split_once('.')).map(|(owner, _)| owner);
    let size = owner
        .filter(|owner| !old.contains_key(&format!("union {owner}")))
        .and_then(|owner| old.get(&format!("size {owner}")));
    size.is_some_and(|size| offset.parse::<usize>().expect("a number") < size.parse::<usize>().expect("a number"))
}

/// The versions that are committed, the oldest first.
fn committed() -> Vec<String> {
    let names = fs::read_dir(folder()).expect("bindings/c/abi").map(|entry| entry.expect("an entry").file_name());
    let mut versions: Vec<String> =
        names.filter_map(|name| Some(name.to_str()?.strip_suffix(".txt")?.to_owned())).collect();
    versions.sort_by_key(|version| numbers(version));
    versions
}

#[test]
fn the_interface_is_that_of_its_version() {
    let now = lines();
    let text =
        format!("# The C interface of subpy {VERSION} on 64-bit systems; `make abi` writes it.\n{}\n", now.join("\n"));
    if std::env::var_os("SUBPY_UPDATE_ABI").is_some() {
        fs::write(file_of(VERSION), &text).expect("bindings/c/abi");
    }
    let file = file_of(VERSION);
    let before = fs::read_to_string(&file).unwrap_or_default();
    let (was, is): (BTreeSet<&str>, BTreeSet<&str>) = (before.lines().collect(), text.lines().collect());
    assert!(
        was == is,
        "the interface is not what {} says. gone: {:#?}, new: {:#?}\nWas {VERSION} released, raise the version in \
         Cargo.toml first; then: make abi",
        file.display(),
        was.difference(&is),
        is.difference(&was)
    );
}

/// A release is what its tag has.
#[test]
fn what_was_released_stays() {
    if !root().join(".git").exists() || !have("git", "the comparison with the tag of this version", "install git") {
        return;
    }
    let mut released = Command::new("git");
    released.current_dir(root()).arg("show").arg(format!("v{VERSION}:bindings/c/abi/{VERSION}.txt"));
    let output = bounded::output(&mut released).expect("git runs");
    let now = fs::read(file_of(VERSION)).expect("the committed file");
    assert!(
        !output.status.success() || output.stdout == now,
        "v{VERSION} was released with another interface: raise the version"
    );
}

#[test]
fn what_has_changed_fits_the_version() {
    let versions = committed();
    assert_eq!(versions.last().map(String::as_str), Some(VERSION), "the newest of {}", folder().display());
    let interfaces: Vec<Interface> =
        versions.iter().map(|version| parsed(&fs::read_to_string(file_of(version)).expect("a file"))).collect();
    for (at, pair) in interfaces.windows(2).enumerate() {
        let broken = broken((&versions[at], &pair[0]), (&versions[at + 1], &pair[1]));
        assert!(broken.is_empty(), "{broken:#?}");
    }
}

/// Every kind of change, with a version that is enough for it, and one that is not.
#[test]
fn a_change_without_its_version_is_seen() {
    let old = parsed(&fs::read_to_string(file_of(VERSION)).expect("the committed file"));
    let [major, minor, patch] = numbers(VERSION);
    let next_patch = format!("{major}.{minor}.{}", patch + 1);
    let next_minor = format!("{major}.{}.0", minor + 1);
    let check = |change: &dyn Fn(&mut Interface), expected: &str, grows_only: bool| {
        let mut new = old.clone();
        change(&mut new);
        let of = |old_version: &str, new_version: &str| broken((old_version, &old), (new_version, &new));
        let said = of(VERSION, &next_patch);
        assert!(said.iter().any(|line| line.contains(expected)), "{expected}: {said:?}");
        assert_eq!(of(VERSION, &next_minor), [""; 0], "{expected}");
        assert!(of("1.2.0", "1.3.0").is_empty() || !grows_only, "{expected}");
        if !grows_only {
            assert!(!of("1.2.0", "1.3.0").is_empty(), "{expected}: 1.3 may not break 1.2");
        }
    };
    let set = |name: &'static str, text: &'static str| {
        move |new: &mut Interface| {
            assert!(new.insert(name.to_owned(), text.to_owned()).is_some(), "{name} is there");
        }
    };
    check(&set("constant SUBPY_KIND_NONE", "7"), "constant SUBPY_KIND_NONE is 7, was 0", false);
    check(&set("member subpy_value.kind", "int64_t"), "member subpy_value.kind is int64_t, was int32_t", false);
    check(&set("offset subpy_frame.file", "16"), "offset subpy_frame.file is 16", false);
    check(&set("size subpy_value", "32"), "size subpy_value is 32, was 24", false);
    check(&set("size subpy_queue_options", "8"), "size subpy_queue_options is 8", false);
    check(&set("type subpy_status", "int64_t subpy_status"), "type subpy_status", false);
    check(&set("function subpy_close", "SUBPY_0.1 void subpy_close(void)"), "function subpy_close is", false);
    check(&|new| drop(new.remove("function subpy_close")), "function subpy_close is gone", false);
    check(&|new| drop(new.remove("constant SUBPY_OK")), "constant SUBPY_OK is gone", false);
    let node = format!("SUBPY_{major}.{} void subpy_more(void)", minor + 1);
    let mut new = old.clone();
    new.insert("function subpy_more".into(), node);
    assert_eq!(broken((VERSION, &old), (&next_minor, &new)), [""; 0]);
    assert!(broken((VERSION, &old), (&next_patch, &new))[0].contains("function subpy_more is new: needs a new minor"));
    new.insert("function subpy_more".into(), format!("SUBPY_{major}.{minor} void subpy_more(void)"));
    assert!(broken((VERSION, &old), (&next_minor, &new))[0].contains("has the symbol version of an older one"));
    // An option at the end.
    let grown = |new: &mut Interface| {
        new.insert("size subpy_interp_options".into(), "4096".into());
        new.insert("offset subpy_interp_options.more".into(), "4088".into());
        new.insert("member subpy_interp_options.more".into(), "uint64_t".into());
    };
    check(&grown, "size subpy_interp_options is 4096", true);
    let hole = |new: &mut Interface| drop(new.insert("offset subpy_queue_options.more".into(), "4".into()));
    check(&hole, "offset subpy_queue_options.more is new, where older programs leave anything", false);
    check(&|new| drop(new.insert("constant SUBPY_MORE".into(), "1".into())), "constant SUBPY_MORE is new", true);
}

/// A shared library with these functions and nothing in them, and all that debuggers are told of their types. What the real
/// one tells is Rust's, which abidiff does not read.
fn stub(name: &str, declarations: &str) -> PathBuf {
    let folder = support::packages::empty_folder(name);
    let functions = declarations.lines().filter(|line| line.ends_with(");") && !line.starts_with("typedef"));
    let bodies: String =
        functions.map(|line| format!("{} {{ __builtin_abort(); }}\n", line.trim_end_matches(';'))).collect();
    let includes = "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n";
    fs::write(folder.join("stub.c"), format!("{includes}{declarations}{bodies}")).expect("a file");
    let library = folder.join("libsubpy.so.0");
    let mut compile = compiler(false);
    compile.args(["-g", "-shared", "-fPIC", "-w", "-Wl,-soname,libsubpy.so.0"]);
    // By its name alone, which is what is written down.
    compile.current_dir(&folder).arg("stub.c");
    compile.arg("-o").arg(&library);
    expect_success(compile);
    library
}

/// What abidiff says of a library, beside the types that were committed for a version: its bits (abidiff(1)) and its words.
fn abidiff(version: &str, library: &Path) -> (i32, String) {
    let mut abidiff = Command::new("abidiff");
    abidiff.arg(folder().join(format!("{version}.abi"))).arg(library);
    let output = bounded::output(&mut abidiff).expect("abidiff runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().expect("it ends"), said)
}

/// Bits of its exit status: it could not do it, was used wrongly, something has changed, so that programs break.
const FAILED: i32 = 1 | 2;
const BREAKS: i32 = 8;

#[test]
fn abidiff_finds_what_breaks_programs() {
    if !have("abidiff", "the comparison of types with the version before", "install the package \"abigail-tools\"") {
        return;
    }
    let declarations = fs::read_to_string(root().join("include/subpy.cdef")).expect("include/subpy.cdef");
    let library = stub("abi-now", &declarations);
    let types = folder().join(format!("{VERSION}.abi"));
    if std::env::var_os("SUBPY_UPDATE_ABI").is_some() {
        let mut abidw = Command::new("abidw");
        abidw.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-write-default-sizes"]);
        expect_success({
            abidw.arg("--out-file").arg(&types).arg(&library);
            abidw
        });
    }
    let (bits, said) = abidiff(VERSION, &library);
    assert_eq!(bits, 0, "{}: {said}", types.display());
    // Versions that this one must not break.
    for version in committed() {
        if numbers(&version)[..2] == numbers(VERSION)[..2] || numbers(&version)[0] > 0 {
            let (bits, said) = abidiff(&version, &library);
            assert_eq!(bits & (FAILED | BREAKS), 0, "{version}: {said}");
        }
    }
    // And it sees it when something is.
    let changes = [
        ("double as_float;", "float as_float;"),
        ("struct subpy_value subpy_float(double value);", "struct subpy_value subpy_float(float value);"),
        ("typedef int32_t subpy_status;", "typedef int64_t subpy_status;"),
        ("void subpy_error_free(struct subpy_error *error);\n", ""),
    ];
    for (at, (from, to)) in changes.into_iter().enumerate() {
        assert!(declarations.contains(from), "{from}");
        let (bits, said) = abidiff(VERSION, &stub(&format!("abi-changed-{at}"), &declarations.replace(from, to)));
        assert_eq!(bits & FAILED, 0, "{said}");
        assert_ne!(bits, 0, "{from} became {to:?}: {said}");
    }
}
