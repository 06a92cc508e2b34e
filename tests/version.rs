//! Cargo.toml has the version, and all other places say the same (tools/version).

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::packages::empty_folder;
use support::{bounded, expect_success, have, root, skipped};

fn version(at: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(at.join("tools/version"));
    command.args(arguments);
    let output = bounded::output(&mut command).expect("bash runs");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_place_says_the_same_version() {
    let (fine, said) = version(root(), &[]);
    assert!(fine, "{said}");
}

/// On a copy of what git knows.
#[test]
fn a_release_changes_all_places_and_nothing_else() {
    if !have("git", "a release on a copy", "install git") {
        return;
    }
    if !root().join(".git").exists() {
        return skipped("a release on a copy", "this is no checkout");
    }
    let copy = empty_folder("release");
    let mut files = Command::new("sh");
    files.current_dir(root()).arg("-c");
    files.arg("git ls-files -z --cached --others --exclude-standard | tar --null -T - -c --ignore-failed-read -f - | tar -x -C \"$0\"").arg(&copy);
    expect_success(files);
    let here = env!("CARGO_PKG_VERSION");
    let file = |name: &str| fs::read_to_string(copy.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));

    for (arguments, reason) in [
        (&["set", "1.2"][..], "1.2 is no version"),
        (&["set", "1.2.x"], "1.2.x is no version"),
        (&["set", "01.2.3"], "01.2.3 is no version"),
        (&["release"], "tools/version release X.Y.Z"),
        (&["more"], "tools/version set X.Y.Z"),
    ] {
        let (fine, said) = version(&copy, arguments);
        assert!(!fine && said.contains(reason), "{arguments:?}: {said}");
    }
    assert_eq!(version(&copy, &[]), (true, String::new()));
    // Right behind a release there is nothing to release.
    let changes = file("CHANGELOG.md").replacen("## [Unreleased]\n", "## [Unreleased]\n\n- A change.\n", 1);
    fs::write(copy.join("CHANGELOG.md"), changes).expect("a file");

    let (fine, said) = version(&copy, &["release", "7.8.9"]);
    assert!(fine, "{said}");
    assert!(file("Cargo.toml").contains("\nversion = \"7.8.9\"\n"));
    assert!(file("bindings/go/subpy/calls_purego.go").contains("neededVersion = 7008009\n"));
    assert!(file("bindings/python/subpy/_library.py").contains("_NEEDED = 7008 "));
    assert!(file("bindings/lua/subpy-7.8.9-1.rockspec").contains("version = \"7.8.9-1\""));
    assert!(file("docs/c.md").contains("find_package(subpy 7.8 REQUIRED)"));
    assert!(file("include/subpy.h").contains("\n#define SUBPY_VERSION 7008009\n"));
    assert!(file("include/subpy.cdef").contains(" SUBPY_VERSION = 7008009 "));
    assert!(file("src/ffi/runtime.rs").contains(" SUBPY_VERSION: u32 = 7008009;"));
    // What came with a version keeps it.
    assert!(file("docs/c.md").contains("SUBPY_0.1"));
    let changes = file("CHANGELOG.md");
    let (_, heading) = changes.split_once("## [Unreleased]\n\n## [7.8.9] - ").expect("a new heading");
    assert_eq!(heading.lines().next().map(str::len), Some("2026-01-31".len()));

    // No other line about subpy has the version that was: examples in comments, and what was measured or made with it, may.
    const MAY: &[&str] = &[
        "CHANGELOG.md",
        "bindings/c/abi/",
        "bindings/cpp/",
        "bindings/go/subpy/runtime.go",
        "docs/packages.md",
        "docs/performance",
        "include/subpy.h",
        "src/ffi/runtime.rs",
        "src/rust/runtime.rs",
    ];
    let mut names = Command::new("git");
    let pattern = format!("subpy.*[^0-9.]{}($|[^0-9])", here.replace('.', "\\."));
    names.current_dir(&copy).args([
        "grep",
        "--no-index",
        "-lE",
        &pattern,
        "--",
        ".",
        ":!*.lock",
        ":!*.sum",
        ":!*-lock.json",
    ]);
    let output = bounded::output(&mut names).expect("git runs");
    let left = String::from_utf8_lossy(&output.stdout).into_owned();
    let left: Vec<&str> = left.lines().filter(|name| !MAY.iter().any(|may| name.starts_with(may))).collect();
    assert!(left.is_empty(), "{here} stands in {left:?}: tools/version has to know them");

    // A second one has nothing to release; one that is there is not released again.
    let (fine, said) = version(&copy, &["release", "7.9.0"]);
    assert!(!fine && said.contains("no changes below ## [Unreleased]"), "{said}");
    // And back: nothing else was changed.
    let (fine, said) = version(&copy, &["set", here]);
    assert!(fine, "{said}");
    let mut differences = Command::new("git");
    differences.current_dir(root()).args(["diff", "--no-index", "--stat", "--"]);
    differences.arg("docs").arg(copy.join("docs"));
    let output = bounded::output(&mut differences).expect("git runs");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));

    // One place that says another version is seen.
    for (name, from, to) in [
        ("docs/java.md", format!("subpy-{here}.jar"), "subpy-9.9.9.jar".to_owned()),
        ("bindings/node/package.json", format!("\"{here}\""), "\"9.9.9\"".to_owned()),
        ("Cargo.lock", format!("\"subpy\"\nversion = \"{here}\""), "\"subpy\"\nversion = \"9.9.9\"".to_owned()),
        (
            "command/Cargo.lock",
            format!("\"subpy-command\"\nversion = \"{here}\""),
            "\"subpy-command\"\nversion = \"9.9.9\"".to_owned(),
        ),
        ("bindings/go/subpy/calls_purego.go", "neededVersion = ".to_owned(), "neededVersion = 9".to_owned()),
    ] {
        let text = file(name);
        assert!(text.contains(&from), "{name}: {from}");
        fs::write(copy.join(name), text.replace(&from, &to)).expect("a file");
        let (fine, said) = version(&copy, &[]);
        assert!(!fine && said.contains(name), "{name}: {said}");
        fs::write(copy.join(name), text).expect("a file");
    }
}
