//! How many instructions of the library's own a call takes, counted by callgrind: those of CPython and of libc are not
//! ours. tests/instructions/budget.txt has the budget; a change that needs more than 5 % above it fails here.
//! SUBPY_UPDATE_BUDGET=1 writes the file anew. And how many it takes all in all, beside the plain C API.

mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{build_folder, command, compiler, expect_success, have, python, root, skipped};

/// The programs have callgrind count so many calls of each act.
const COUNTED: u64 = 200;

/// What an act of calls.c may take all in all, in percent of an act of raw.c.
const LIMITS: &[(&str, &str, u64)] = &[
    ("call()", "call()", 100),
    ("call(int, int)", "call(int, int)", 100),
    ("function(int, int)", "call(int, int)", 90),
    ("function(int, int) in a session", "function(int, int) in a session", 144),
    ("exec x = 1", "exec x = 1", 103),
    ("host function(int, int), 100 times", "host function(int, int), 100 times", 124),
    ("host function(int, int) with the GIL, 100 times", "host function(int, int) with the GIL, 100 times", 137),
];

/// What an act of calls.c may take all in all, in percent of another one.
const OWN_LIMITS: &[(&str, &str, u64)] = &[
    // The goal is 115; malloc takes a hundred more or less, as its lists are.
    ("run add(int, int) with a time limit", "run add(int, int)", 117),
    // It is found by its handle, and knows its runs.
    ("run add(int, int) with a token", "run add(int, int)", 119),
];

#[test]
fn calls_keep_to_their_budget() {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return skipped("the budget of instructions", "it is for x86-64 Linux");
    }
    if !have("valgrind", "the budget of instructions", "install the package valgrind") {
        return;
    }
    let file = root().join("tests/instructions/budget.txt");
    let budget = std::fs::read_to_string(&file).expect("the budget");
    let library = release_library();
    let (counts, libpython) = counts(&mut command(&program("calls", Some(&library))));
    let mut raw = command(&program("raw", None));
    raw.arg(libpython.trim()).arg(python());
    let (raw, _) = self::counts(&mut raw);
    let budget: Vec<(u64, &str)> = budget
        .lines()
        .map(|line| line.trim().split_once(' ').expect("a number and a name"))
        .map(|(allowed, name)| (allowed.parse().expect("a number"), name))
        .collect();
    let count = |counts: &[Count], name| counts.iter().find(|count| count.act == name).expect("it was counted").clone();
    assert_eq!(counts.len(), budget.len(), "the budget has what calls.c does");
    let (mut counted, mut wrong) = (String::new(), String::new());
    for (allowed, name) in budget {
        let now = count(&counts, name).own;
        writeln!(counted, "{now:>6} {name}").expect("memory");
        if now * 100 > allowed * 105 {
            writeln!(wrong, "{name}: {now} instructions, the budget is {allowed}").expect("memory");
        }
    }
    println!("{counted}");
    for (name, raw_name, limit) in LIMITS {
        let (ours, theirs) = (count(&counts, name).all, count(&raw, raw_name).all);
        println!("{ours:>6} {name}, all in all; {theirs} {raw_name} with the C API: {} %", ours * 100 / theirs);
        if ours * 100 > theirs * limit {
            writeln!(wrong, "{name}: {ours} instructions all in all, {limit} % of {theirs} are allowed")
                .expect("memory");
        }
    }
    for (name, without, limit) in OWN_LIMITS {
        let (with, without) = (count(&counts, name).all, count(&counts, without).all);
        println!("{with:>6} {name}, all in all; {without} without: {} %", with * 100 / without);
        if with * 100 > without * limit {
            writeln!(wrong, "{name}: {with} instructions all in all, {limit} % of {without} are allowed")
                .expect("memory");
        }
    }
    if std::env::var_os("SUBPY_UPDATE_BUDGET").is_some() {
        std::fs::write(&file, counted).expect("the budget can be written");
    } else {
        assert_eq!(wrong, "", "SUBPY_UPDATE_BUDGET=1 accepts it");
    }
}

/// The library as it is shipped. Cargo made the tests' own without optimization.
fn release_library() -> PathBuf {
    let target = support::library_folder().join("../..").canonicalize().expect("the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--target-dir"]).arg(&target).current_dir(root());
    expect_success(cargo);
    target.join("release")
}

fn program(name: &str, library: Option<&Path>) -> PathBuf {
    let program = build_folder().join(format!("instructions-{name}"));
    let mut compiler = compiler(false);
    // Valgrind's macros are GNU C.
    compiler
        .args(["-std=gnu11", "-D_GNU_SOURCE", "-Wno-pedantic"])
        .arg(root().join(format!("tests/instructions/{name}.c")))
        .arg("-o")
        .arg(&program);
    if let Some(library) = library {
        compiler.arg("-L").arg(library).arg("-lsubpy");
        compiler.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", library.display()));
    }
    compiler.args(["-ldl", "-pthread"]);
    expect_success(compiler);
    program
}

/// What an act costs once.
#[derive(Clone)]
struct Count {
    act: String,
    own: u64,
    all: u64,
}

/// What each act of a program costs, and what the program prints. Callgrind writes a file for each act, and one more at
/// the end.
fn counts(program: &mut Command) -> (Vec<Count>, String) {
    let folder = build_folder().join(format!("callgrind-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for profiles");
    let mut valgrind = command("valgrind".as_ref());
    valgrind.args(["--quiet", "--tool=callgrind"]);
    valgrind.arg(format!("--callgrind-out-file={}", folder.join("out").display()));
    valgrind.arg(program.get_program()).args(program.get_args());
    let output = expect_success(valgrind);
    let profiles = std::fs::read_dir(&folder).expect("the profiles").map(|entry| entry.expect("a profile").path());
    let counts = profiles
        .filter_map(|path| {
            let profile = std::fs::read_to_string(path).expect("a profile");
            let act = profile.lines().find_map(|line| line.strip_prefix("desc: Trigger: Client Request: "))?.to_owned();
            let (own, all) = costs(&profile);
            Some(Count { act, own: own / COUNTED, all: all / COUNTED })
        })
        .collect();
    std::fs::remove_dir_all(folder).expect("the profiles can be removed");
    (counts, String::from_utf8(output.stdout).expect("UTF-8"))
}

/// The sums of what functions cost themselves: those of libsubpy.so, and all. The format: valgrind's manual, "Callgrind
/// Format Specification". Names are written once, as "(number) name"; later the number alone.
fn costs(profile: &str) -> (u64, u64) {
    let mut ours = None;
    let (mut inside, mut own, mut all) = (false, 0, 0);
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(object) = line.strip_prefix("ob=").or_else(|| line.strip_prefix("cob=")) {
            let (number, name) = object.split_once(' ').unwrap_or((object, ""));
            if name.contains("/libsubpy.so") {
                ours = Some(number);
            }
            if line.starts_with('o') {
                inside = Some(number) == ours;
            }
        } else if line.starts_with("calls=") {
            lines.next(); // what was called, all in all
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok()).expect("a cost");
            all += cost;
            own += if inside { cost } else { 0 };
        }
    }
    assert!(all > 0, "there is a profile");
    (own, all)
}

#[test]
fn the_format_is_read() {
    let profile = "ob=(1) /lib/libc.so\nfn=(1) f\n10 5\ncob=(2) /x/libsubpy.so\ncfn=(2) g\ncalls=1 0\n11 9\nob=(2)\nfl=(1) a.rs\nfn=(2)\n10 3\n+1 4\ncfn=(1)\n\
                   calls=1 5\n* 100\n-2 2\nob=(1)\nfn=(1)\n12 50\nob=(2)\nfn=(2)\n5 1\n";
    assert_eq!(costs(profile), (10, 65));
}
