//! The command as `make install` puts it below a prefix: the program, its man pages and its completions.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{Folder, SUBPY, expect_code, output, stderr, stdout};

/// What `make command` leaves.
fn built() -> Folder {
    let built = Folder::new();
    built.folder("release");
    fs::copy(SUBPY, built.path("release/subpy")).unwrap();
    expect_code(&output(Command::new(SUBPY).arg("generate").arg(built.path("command"))), 0);
    built
}

fn script(name: &str, arguments: &[&Path]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    output(Command::new(script).args(arguments))
}

/// All files below it, from there.
fn files(folder: &Path) -> Vec<String> {
    fn add(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { add(&entry, found) } else { found.push(entry) }
        }
    }
    let mut found = Vec::new();
    add(folder, &mut found);
    let mut found: Vec<String> =
        found.iter().map(|file| file.strip_prefix(folder).unwrap().display().to_string()).collect();
    found.sort();
    found
}

const INSTALLED: [&str; 11] = [
    "bin/subpy",
    "share/bash-completion/completions/subpy",
    "share/fish/vendor_completions.d/subpy.fish",
    "share/man/man1/subpy-check.1",
    "share/man/man1/subpy-doctor.1",
    "share/man/man1/subpy-python-install.1",
    "share/man/man1/subpy-python.1",
    "share/man/man1/subpy-repl.1",
    "share/man/man1/subpy-run.1",
    "share/man/man1/subpy.1",
    "share/zsh/site-functions/_subpy",
];

#[test]
fn all_of_it_is_installed_and_goes_again() {
    let (built, prefix) = (built(), Folder::new());
    let to = prefix.folder("a prefix");
    for _ in 0..2 {
        expect_code(&script("install", &[&built.0, &to]), 0);
        assert_eq!(files(&to), INSTALLED);
    }
    for (file, mode) in INSTALLED.iter().map(|file| (file, if file.starts_with("bin/") { 0o755 } else { 0o644 })) {
        assert_eq!(fs::metadata(to.join(file)).unwrap().permissions().mode() & 0o777, mode, "{file}");
    }
    let version = output(Command::new(to.join("bin/subpy")).arg("--version"));
    assert_eq!(stdout(&version), concat!("subpy ", env!("CARGO_PKG_VERSION"), "\n"));

    let other = to.join("share/man/man1/other.1");
    fs::write(&other, "").unwrap();
    expect_code(&script("uninstall", &[&to]), 0);
    assert_eq!(files(&to), ["share/man/man1/other.1"]);
    assert!(!to.join("share/fish").exists() && !to.join("share/zsh").exists(), "empty folders stay");
    let again = script("uninstall", &[&to]);
    expect_code(&again, 0);
    assert_eq!(stderr(&again), "", "nothing to do is no error");
}

#[test]
fn destdir_is_put_in_front() {
    let (built, stage) = (built(), Folder::new());
    expect_code(&script("install", &[&built.0, Path::new("/opt/subpy"), &stage.0]), 0);
    assert_eq!(files(&stage.path("opt/subpy")), INSTALLED);
    expect_code(&script("uninstall", &[Path::new("/opt/subpy"), &stage.0]), 0);
    assert_eq!(files(&stage.0), Vec::<String>::new());
}

#[test]
fn what_is_not_whole_is_not_installed() {
    let (built, prefix) = (built(), Folder::new());
    let refused = |why: &str| {
        let output = script("install", &[&built.0, &prefix.0]);
        expect_code(&output, 1);
        assert!(stderr(&output).contains(why) && stderr(&output).contains("make command"), "{}", stderr(&output));
        assert_eq!(files(&prefix.0), Vec::<String>::new());
    };
    fs::write(built.path("command/man/subpy-more.1"), "").unwrap();
    refused("command/man has not the pages of this version");
    fs::remove_file(built.path("command/man/subpy-more.1")).unwrap();
    fs::remove_file(built.path("command/completions/_subpy")).unwrap();
    refused("_subpy is missing");
    fs::remove_dir_all(built.path("command")).unwrap();
    refused("command/man has not the pages");
    fs::remove_file(built.path("release/subpy")).unwrap();
    refused("release/subpy is missing");
    for wrong in [script("install", &[&built.0, Path::new("usr")]), script("uninstall", &[Path::new("usr")])] {
        expect_code(&wrong, 1);
        assert!(stderr(&wrong).contains("absolute path: usr"), "{}", stderr(&wrong));
    }
    expect_code(&script("install", &[&built.0]), 1);
}

#[test]
fn bash_completes_the_words() {
    let (built, prefix) = (built(), Folder::new());
    expect_code(&script("install", &[&built.0, &prefix.0]), 0);
    let words = "COMP_WORDS=(subpy python in); COMP_CWORD=2; _subpy subpy in python; echo \"${COMPREPLY[*]}\"";
    let line = format!("source '{}'; {words}", prefix.path(INSTALLED[1]).display());
    let completed = output(Command::new("bash").args(["-c", &line]));
    expect_code(&completed, 0);
    assert_eq!(stdout(&completed), "install\n", "{}", stderr(&completed));
}
