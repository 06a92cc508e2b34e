//! How many instructions of the library's own a call takes, counted by callgrind: those of CPython and of libc are not
//! ours. tests/instructions/budget.txt has the budget; a change that needs more than 5 % above it fails here.
//! SUBPY_UPDATE_BUDGET=1 writes the file anew.

mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{build_folder, command, compiler, expect_success, have, root, skipped};

/// calls.c has callgrind count so many calls of each act.
const COUNTED: u64 = 200;

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
    let program = program(&release_library());
    let budget: Vec<(u64, &str)> = budget
        .lines()
        .map(|line| line.trim().split_once(' ').expect("a number and a name"))
        .map(|(allowed, name)| (allowed.parse().expect("a number"), name))
        .collect();
    let counts = counts(&program);
    let count = |name| counts.iter().find(|(act, _)| act == name).map(|(_, count)| *count).expect("it was counted");
    assert_eq!(counts.len(), budget.len(), "the budget has what calls.c does");
    let (mut counted, mut wrong) = (String::new(), String::new());
    for (allowed, name) in budget {
        let now = count(name);
        writeln!(counted, "{now:>6} {name}").expect("memory");
        if now * 100 > allowed * 105 {
            writeln!(wrong, "{name}: {now} instructions, the budget is {allowed}").expect("memory");
        }
    }
    println!("{counted}");
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

fn program(library: &Path) -> PathBuf {
    let program = build_folder().join("instructions");
    let mut compiler = compiler(false);
    // Valgrind's macros are GNU C.
    compiler
        .args(["-std=gnu11", "-Wno-pedantic"])
        .arg(root().join("tests/instructions/calls.c"))
        .arg("-o")
        .arg(&program);
    compiler.arg("-L").arg(library).arg("-lsubpy");
    compiler.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", library.display()));
    expect_success(compiler);
    program
}

/// What each act of calls.c costs once. Callgrind writes a file for each, and one more at the end.
fn counts(program: &Path) -> Vec<(String, u64)> {
    let folder = build_folder().join(format!("callgrind-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for profiles");
    let mut valgrind = command("valgrind".as_ref());
    valgrind.args(["--quiet", "--tool=callgrind"]);
    valgrind.arg(format!("--callgrind-out-file={}", folder.join("out").display())).arg(program);
    expect_success(valgrind);
    let profiles = std::fs::read_dir(&folder).expect("the profiles").map(|entry| entry.expect("a profile").path());
    let counts = profiles
        .filter_map(|path| {
            let profile = std::fs::read_to_string(path).expect("a profile");
            let name = profile.lines().find_map(|line| line.strip_prefix("desc: Trigger: Client Request: "))?;
            Some((name.to_owned(), own_cost(&profile) / COUNTED))
        })
        .collect();
    std::fs::remove_dir_all(folder).expect("the profiles can be removed");
    counts
}

/// The sum of what functions of libsubpy.so cost themselves. The format: valgrind's manual, "Callgrind Format
/// Specification". Names are written once, as "(number) name"; later the number alone.
fn own_cost(profile: &str) -> u64 {
    let mut ours = None;
    let (mut inside, mut sum) = (false, 0);
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
        } else if inside && line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            sum += line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok()).expect("a cost");
        }
    }
    assert!(sum > 0, "libsubpy.so is in the profile");
    sum
}

#[test]
fn the_format_is_read() {
    let profile = "ob=(1) /lib/libc.so\nfn=(1) f\n10 5\ncob=(2) /x/libsubpy.so\ncfn=(2) g\ncalls=1 0\n11 9\nob=(2)\nfl=(1) a.rs\nfn=(2)\n10 3\n+1 4\ncfn=(1)\n\
                   calls=1 5\n* 100\n-2 2\nob=(1)\nfn=(1)\n12 50\nob=(2)\nfn=(2)\n5 1\n";
    assert_eq!(own_cost(profile), 10);
}
