//! `subpy python install`, with programs in the place of uv and go.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::{Folder, SUBPY, expect_code, output, python, stderr, stdout};

/// Nothing is there but what the test makes, and what its scripts call.
fn install(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = Command::new(SUBPY);
    command.env_clear().env("PATH", folder.folder("bin")).env("HOME", folder.folder("home")).stdin(Stdio::null());
    output(command.args(["python", "install"]).args(arguments))
}

/// A folder of an installation: its python is that of the tests.
fn makes(folder: &Path) -> String {
    let (folder, python) = (folder.display(), python().display().to_string());
    format!("/bin/mkdir -p '{folder}/bin' && /bin/ln -s '{python}' '{folder}/bin/python3'")
}

fn uv(folder: &Folder) {
    let place = folder.path("home/.local/share/uv/python/cpython-3.14.6-linux-x86_64-gnu");
    let called = folder.path("called");
    folder.script(
        "bin/uv",
        &format!("echo \"$@\" bin=$UV_PYTHON_INSTALL_BIN >>'{}'\n{}", called.display(), makes(&place)),
    );
}

/// `go env` says nothing of use; `go build -o FILE .` writes a program that makes the tree.
fn go(folder: &Folder, sum: &str) {
    let called = folder.path("called");
    let tree = "/bin/mkdir -p \"$1/bin\" && /bin/ln -s";
    let lines = format!(
        "case $1 in env) echo direct; echo; exit;; esac\necho \"$1 $2\" >>'{}'\n{sum}\n\
         printf '#!/bin/sh\\n%s\\n' '{tree} {} \"$1/bin/python3\"' >\"$3\"; /bin/chmod +x \"$3\"",
        called.display(),
        python().display(),
    );
    folder.script("bin/go", &lines);
}

fn called(folder: &Folder) -> String {
    fs::read_to_string(folder.path("called")).unwrap_or_default()
}

#[test]
fn uv_comes_first() {
    let folder = Folder::new();
    uv(&folder);
    go(&folder, "");
    let dry = install(&folder, &["--dry-run"]);
    expect_code(&dry, 0);
    assert!(stderr(&dry).contains("uv python install 3.14: some"), "{}", stderr(&dry));
    assert_eq!((stdout(&dry).as_str(), called(&folder).as_str()), ("", ""));

    let output = install(&folder, &[]);
    expect_code(&output, 0);
    assert_eq!(called(&folder), "python install 3.14 bin=0\n");
    assert!(stderr(&output).contains("uv python install 3.14: some"), "{}", stderr(&output));
    // Where the search finds it, unless there is one in the folders of the system.
    assert!(Path::new(stdout(&output).trim()).is_file(), "{}", stdout(&output));
}

#[test]
fn go_puts_it_into_the_cache() {
    let folder = Folder::new();
    // It is begun where the module is, with its hashes.
    go(&folder, "[ -f go.mod ] && [ -f main.go ] && read -r line <go.sum && case $line in *h1:*) ;; *) exit 1;; esac");
    let dry = install(&folder, &["--dry-run"]);
    expect_code(&dry, 0);
    assert!(stderr(&dry).contains("as a Go module"), "{}", stderr(&dry));
    assert_eq!(called(&folder), "");
    let output = install(&folder, &[]);
    expect_code(&output, 0);
    assert_eq!(called(&folder), "build -o\n");
    let cache = folder.path("home/.cache/subpy");
    let left: Vec<String> =
        fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.len() == 1 && left[0].starts_with("embed-3.14.") && !left[0].contains("tmp"), "{left:?}");
    // The search finds it there, and a second time nothing is fetched.
    let mut doctor = Command::new(SUBPY);
    doctor.env_clear().env("PATH", folder.folder("empty")).env("HOME", folder.path("home")).arg("doctor");
    let doctor = support::output(&mut doctor);
    assert!(stdout(&doctor).contains("ok       CPython"), "{}", stdout(&doctor));
    expect_code(&install(&folder, &["--with", "go"]), 0);
    assert_eq!(called(&folder), "build -o\n");
}

#[test]
fn what_fails_is_said_and_the_other_way_taken() {
    let folder = Folder::new();
    folder.script("bin/uv", "echo no network >&2; exit 1");
    go(&folder, "");
    let output = install(&folder, &[]);
    expect_code(&output, 0);
    assert!(
        stderr(&output).contains("no network") && stderr(&output).contains("uv could not do it"),
        "{}",
        stderr(&output)
    );
    let output = install(&folder, &["--with", "uv"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("no CPython was installed: uv could not do it"), "{}", stderr(&output));
}

#[test]
fn a_tree_that_does_not_fit_is_not_taken() {
    let folder = Folder::new();
    folder.script(
        "bin/go",
        "case $1 in env) echo direct; echo; exit;; esac\nprintf '#!/bin/sh\\n/bin/mkdir -p \"$1/bin\"\\n' >\"$3\"; /bin/chmod +x \"$3\"",
    );
    let output = install(&folder, &[]);
    expect_code(&output, 2);
    assert_eq!(fs::read_dir(folder.path("home/.cache/subpy")).unwrap().count(), 0, "{}", stderr(&output));
}

#[test]
fn without_either_it_says_what_to_install() {
    let folder = Folder::new();
    let output = install(&folder, &[]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("neither uv nor go is on PATH: install uv"), "{}", stderr(&output));
    let output = install(&folder, &["--with", "go"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("go is not on PATH"), "{}", stderr(&output));
}
