//! `subpy check`: what becomes of packages that work, are refused, crash, hang and fail.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use support::{Folder, begun_with, end_in_time, expect_code, json, output, stderr, stdout, subpy, text};

/// A project that pip installs without the network: its backend, which is in it, writes the wheel.
fn project(folder: &Folder, name: &str, source: &str) -> String {
    let backend = format!(
        r#"
import os, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "{name}-1.5-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        wheel.writestr("{name}/__init__.py", open("source.py").read())
        wheel.writestr("{name}-1.5.dist-info/METADATA", "Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        wheel.writestr("{name}-1.5.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("{name}-1.5.dist-info/RECORD", "{name}/__init__.py,,\n")
    return name
"#
    );
    let build = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
    let project = format!("{build}[project]\nname = \"{name}\"\nversion = \"1.5\"\n");
    folder.file(&format!("{name}/pyproject.toml"), project);
    folder.file(&format!("{name}/backend.py"), backend);
    folder.file(&format!("{name}/source.py"), source);
    format!("{name} @ file://{}", folder.path(name).display())
}

/// In a cache of its own, which is then empty.
fn check(folder: &Folder, arguments: &[&str]) -> Output {
    let cache = folder.folder("cache");
    let output = output(subpy().env("SUBPY_CACHE", &cache).arg("check").args(arguments));
    let left: Vec<PathBuf> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?} is left");
    output
}

fn package<'a>(report: &'a Value, name: &str) -> &'a Value {
    let packages = report["packages"].as_array().unwrap();
    packages.iter().find(|package| package["package"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

const PLACES: [&str; 4] = ["own", "second", "shared", "main"];

fn verdicts(package: &Value) -> [&str; 4] {
    PLACES.map(|place| text(&package[place]["verdict"]))
}

const REFUSES: &str = "
import _interpreters
if _interpreters.get_current()[0] != 0:
    raise ImportError('not in a sub-interpreter, please')
";
const CRASHES: &str = "
import _interpreters, os
if _interpreters.get_current()[0] != 0:
    os.abort()
";
const CRASHES_AT_THE_END: &str = "
import atexit, os
atexit.register(os.abort)
";
/// In a second one of the process alone.
const ONCE: &str = "
import os
try:
    open(f'{__file__}.{os.getpid()}', 'x').close()
except FileExistsError:
    raise ImportError('once a process')
";

#[test]
fn each_verdict_is_told() {
    let folder = Folder::new();
    let mut arguments = vec!["--json".to_owned(), "--timeout".to_owned(), "20".to_owned()];
    for (name, source) in [
        ("works_fine", "import json\nprint('hello')"),
        ("refuses", REFUSES),
        ("crashes", CRASHES),
        ("ends_badly", CRASHES_AT_THE_END),
        ("hangs", "while True: pass"),
        ("fails", "1 / 0"),
        ("exits", "import os; os._exit(7)"),
        ("once", ONCE),
    ] {
        arguments.push(project(&folder, name, source));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = check(&folder, &arguments);
    expect_code(&output, 1);
    let report = json(&stdout(&output));
    assert_eq!(package(&report, "works_fine")["version"], "1.5");
    assert_eq!(package(&report, "works_fine")["modules"], serde_json::json!(["works_fine"]));
    assert_eq!(verdicts(package(&report, "works_fine")), ["works"; 4], "{report}");
    assert_eq!(verdicts(package(&report, "refuses")), ["refused", "refused", "refused", "works"], "{report}");
    assert_eq!(package(&report, "refuses")["own"]["reason"], "not in a sub-interpreter, please");
    assert_eq!(verdicts(package(&report, "crashes")), ["crashes", "crashes", "crashes", "works"], "{report}");
    assert_eq!(package(&report, "crashes")["own"]["signal"], "SIGABRT");
    assert_eq!(verdicts(package(&report, "ends_badly")), ["crashes"; 4], "{report}");
    assert_eq!(package(&report, "ends_badly")["main"]["reason"], "SIGABRT, when it is closed");
    assert_eq!(verdicts(package(&report, "hangs")), ["hangs"; 4], "{report}");
    assert_eq!(verdicts(package(&report, "fails")), ["fails"; 4], "{report}");
    assert_eq!(package(&report, "fails")["own"]["reason"], "ZeroDivisionError: division by zero");
    assert_eq!(verdicts(package(&report, "exits")), ["fails"; 4], "{report}");
    assert!(text(&package(&report, "exits")["own"]["reason"]).contains("exit code 7"), "{report}");
    assert_eq!(verdicts(package(&report, "once")), ["works", "refused", "works", "works"], "{report}");
}

#[test]
fn a_table_is_for_people_and_for_pages() {
    let folder = Folder::new();
    let list = format!(
        "# a comment\n{}\n\n{}  # another\n",
        project(&folder, "works_fine", ""),
        project(&folder, "refuses", REFUSES)
    );
    let list = folder.file("requirements.txt", list);
    let page = folder.file(
        "page.md",
        "before\n<!-- packages: written by subpy check --table -->\nold\n<!-- end of packages -->\nafter\n",
    );
    let (list, page_name) = (list.to_str().unwrap(), page.to_str().unwrap());
    let output = check(&folder, &["-r", list, "--separate", "--table", page_name, "--require", "main"]);
    expect_code(&output, 0);
    let printed = stdout(&output);
    let mut lines = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert!(lines.any(|line| line == ["works_fine", "1.5", "works", "works", "works", "works"]), "{printed}");
    assert!(lines.any(|line| line == ["refuses", "1.5", "refused", "refused", "refused", "works"]), "{printed}");
    assert!(printed.contains("refuses: own: not in a sub-interpreter, please"), "{printed}");
    let written = fs::read_to_string(&page).unwrap();
    assert!(
        written.starts_with("before\n<!-- packages") && written.ends_with("<!-- end of packages -->\nafter\n"),
        "{written}"
    );
    assert!(
        !written.contains("old") && written.contains(concat!("subpy ", env!("CARGO_PKG_VERSION"), ", 20")),
        "{written}"
    );
    for line in [
        "| works_fine 1.5 | yes | yes | yes | yes |",
        "| refuses 1.5 | ImportError | ImportError | ImportError | yes |",
        "| 2 packages work | 1 | 1 | 1 | 2 |",
    ] {
        assert!(written.contains(&format!("\n{line}\n")), "{written}");
    }
    // Once more, it is the same page.
    expect_code(&check(&folder, &["-r", list, "--table", page_name, "--require", "main"]), 0);
    assert_eq!(fs::read_to_string(&page).unwrap(), written);
    let bare = folder.file("bare.md", "no marks\n");
    let output = check(&folder, &["-r", list, "--table", bare.to_str().unwrap()]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("<!-- packages"), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_installed_is_told_beside_what_can() {
    let folder = Folder::new();
    let good = project(&folder, "works_fine", "");
    let gone = format!("gone @ file://{}", folder.path("gone").display());
    let output = check(&folder, &["--json", &good, &gone]);
    expect_code(&output, 1);
    let report = json(&stdout(&output));
    assert_eq!(verdicts(package(&report, "works_fine")), ["works"; 4], "{report}");
    let package = package(&report, "gone");
    assert!(text(&package["error"]).starts_with("it cannot be installed: "), "{report}");
    assert_eq!(package["own"], Value::Null);
}

#[test]
fn what_is_no_package_is_refused() {
    let folder = Folder::new();
    for wrong in ["./here", "https://example.org/x.whl", "a b"] {
        let output = check(&folder, &[wrong]);
        expect_code(&output, 2);
        assert!(stderr(&output).contains("no name of a package"), "{}", stderr(&output));
    }
    expect_code(&check(&folder, &[]), 2);
    expect_code(&check(&folder, &["--upgrade"]), 2);
    let output = check(&folder, &["-r", folder.path("gone.txt").to_str().unwrap()]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("gone.txt: No such file"), "{}", stderr(&output));
}

/// The processes that this one has begun for imports. proc(5): behind the name, in brackets, are the state and the parent.
fn importing(parent: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let is_one = |id: &String| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let of = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split_whitespace().nth(1));
        let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        of == Some(parent) && words.split(|byte| *byte == 0).any(|word| word == b"import")
    };
    processes.filter(is_one).collect()
}

/// A check that hangs gets signals, one after the other: it ends with the code of the last one that is not ignored, and leaves nothing.
fn signalled(mut check: Command, cache: &Path, signals: &[&str], code: i32) {
    let child = check.env("SUBPY_CACHE", cache).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    end_in_time(&child);
    let start = Instant::now();
    let id = child.id().to_string();
    let begun = loop {
        let begun = importing(&id);
        if !begun.is_empty() {
            break begun;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "it does not begin");
        thread::sleep(Duration::from_millis(20));
    };
    for signal in signals {
        assert!(Command::new("kill").args([signal, id.as_str()]).status().unwrap().success());
    }
    expect_code(&child.wait_with_output().unwrap(), code);
    assert_eq!(fs::read_dir(cache).unwrap().count(), 0, "{signals:?}");
    let is_there = |id: &String| {
        let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        !(state.is_empty() || state.contains(") Z"))
    };
    let start = Instant::now();
    while begun.iter().any(is_there) {
        assert!(start.elapsed() < Duration::from_secs(10), "{begun:?} go on after {signals:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_signal_leaves_nothing_behind() {
    let folder = Folder::new();
    let cache = folder.folder("cache");
    let hangs = project(&folder, "hangs", "while True: pass");
    // SIGHUP is that of a terminal that is closed.
    for (name, signal, code) in
        [("SIGINT", "-INT", 130), ("SIGTERM", "-TERM", 143), ("SIGHUP", "-HUP", 129), ("SIGQUIT", "-QUIT", 131)]
    {
        signalled(begun_with(name, "SIG_DFL", &["check", &hangs]), &cache, &[signal], code);
    }
    // As nohup begins it.
    signalled(begun_with("SIGHUP", "SIG_IGN", &["check", &hangs]), &cache, &["-HUP", "-TERM"], 143);
}

/// What a check has begun that was killed: its folder.
fn killed(folder: &Folder, cache: &Path) -> PathBuf {
    let mut command = subpy();
    command.env("SUBPY_CACHE", cache).args(["check", &project(folder, "hangs", "while True: pass")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    end_in_time(&child);
    let start = Instant::now();
    while importing(&child.id().to_string()).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(120), "it does not begin");
        thread::sleep(Duration::from_millis(20));
    }
    let left = checks(cache);
    assert_eq!(left.len(), 1, "{left:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    left[0].clone()
}

/// The folders of checks that are there.
fn checks(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("subpy-check-"))
        .map(|entry| entry.path())
        .collect()
}

#[test]
fn the_next_check_removes_what_a_killed_one_has_left() {
    let folder = Folder::new();
    let cache = folder.folder("cache");
    let left = killed(&folder, &cache);
    assert!(left.join("venv/bin/python").exists());

    // What is not for it to remove: what a link leads to, what others may look into, what was kept, what has another name.
    let others = folder.folder("others");
    fs::write(others.join("file"), "").unwrap();
    fs::set_permissions(&others, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&others, cache.join("subpy-check-linked")).unwrap();
    fs::create_dir(cache.join("subpy-check-opened")).unwrap();
    fs::set_permissions(cache.join("subpy-check-opened"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(cache.join("subpy-check-a-file"), "").unwrap();
    for name in ["subpy-kept-123456", "check-123456"] {
        fs::create_dir(cache.join(name)).unwrap();
        fs::set_permissions(cache.join(name), fs::Permissions::from_mode(0o700)).unwrap();
    }
    let stay: Vec<PathBuf> =
        fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).filter(|path| *path != left).collect();
    assert_eq!(stay.len(), 5);

    // One that goes on while others begin and end.
    let mut command = subpy();
    command.env("SUBPY_CACHE", &cache).args(["check", &project(&folder, "slow", "import time; time.sleep(10)")]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    end_in_time(&running);
    let id = running.id().to_string();
    while importing(&id).is_empty() {
        thread::sleep(Duration::from_millis(20));
    }
    assert!(!left.exists(), "it was not removed");
    let its = checks(&cache).into_iter().find(|path| !stay.contains(path)).expect("its own");
    let output = output(subpy().env("SUBPY_CACHE", &cache).args(["check", &project(&folder, "works_fine", "")]));
    expect_code(&output, 0);
    assert!(its.join("venv/bin/python").exists(), "that of another was removed");
    expect_code(&running.wait_with_output().unwrap(), 0);

    let mut there: Vec<PathBuf> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    there.sort();
    let mut stay = stay;
    stay.sort();
    assert_eq!(there, stay);
    assert!(others.join("file").exists());
}

/// Where others may put things too, nothing is removed: they could be theirs.
#[test]
fn in_a_folder_of_all_nothing_is_removed() {
    let folder = Folder::new();
    let cache = folder.folder("cache");
    let left = cache.join("subpy-check-abcdef");
    fs::create_dir(&left).unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o700)).unwrap();
    for (mode, stays) in [(0o777, true), (0o1777, false)] {
        fs::set_permissions(&cache, fs::Permissions::from_mode(mode)).unwrap();
        let gone = format!("gone @ file://{}", folder.path("gone").display());
        expect_code(&output(subpy().env("SUBPY_CACHE", &cache).args(["check", &gone])), 1);
        assert_eq!(left.exists(), stays, "{mode:o}");
    }
}

#[test]
fn what_is_kept_stays() {
    let folder = Folder::new();
    let cache = folder.folder("cache");
    let output =
        output(subpy().env("SUBPY_CACHE", &cache).args(["check", "--keep", &project(&folder, "works_fine", "")]));
    expect_code(&output, 0);
    let (_, kept) = stderr(&output)
        .split_once("the environments stay in ")
        .map(|(a, b)| (a.to_owned(), b.trim().to_owned()))
        .unwrap();
    assert!(PathBuf::from(kept).join("venv/bin/python").exists());
}

/// The status of a child is nobody's, and still each verdict is right.
#[test]
fn it_may_be_told_nothing_of_children() {
    let folder = Folder::new();
    let cache = folder.folder("cache");
    let (crashes, fails) = (project(&folder, "crashes", CRASHES), project(&folder, "exits", "import os; os._exit(7)"));
    let output = output(support::ignoring_children(&["check", "--json", &crashes, &fails]).env("SUBPY_CACHE", &cache));
    expect_code(&output, 1);
    let report = json(&stdout(&output));
    assert_eq!(verdicts(package(&report, "crashes")), ["crashes", "crashes", "crashes", "works"], "{report}");
    assert!(text(&package(&report, "exits")["own"]["reason"]).contains("exit code 7"), "{report}");
}

/// From PyPI: one with C extensions that refuse, and a pure one.
#[test]
fn numpy_refuses_and_six_works() {
    let folder = Folder::new();
    let output = check(&folder, &["--json", "six", "numpy", "PyYAML", "cffi"]);
    let report = json(&stdout(&output));
    if package(&report, "six")["error"].is_string() {
        return support::skipped("packages of PyPI", text(&package(&report, "six")["error"]));
    }
    expect_code(&output, 1);
    assert_eq!(verdicts(package(&report, "six")), ["works"; 4], "{report}");
    assert_eq!(verdicts(package(&report, "numpy")), ["refused", "refused", "works", "works"], "{report}");
    assert!(text(&package(&report, "numpy")["own"]["reason"]).contains("subinterpreters"), "{report}");
    // It does without its extension module, whose import it tries.
    assert_eq!(verdicts(package(&report, "PyYAML")), ["works"; 4], "{report}");
    assert_eq!(package(&report, "PyYAML")["own"]["without"], serde_json::json!(["yaml._yaml"]));
    assert_eq!(package(&report, "PyYAML")["shared"]["without"], Value::Null);
    // It loads its own only when it needs it.
    assert_eq!(verdicts(package(&report, "cffi")), ["refused", "refused", "works", "works"], "{report}");
}

#[test]
fn without_anything_that_installs_it_says_so() {
    let folder = Folder::new();
    let has_ensurepip = output(Command::new(support::python()).args(["-I", "-c", "import ensurepip"])).status.success();
    if has_ensurepip {
        return support::skipped("check without pip", "the CPython of the tests has ensurepip");
    }
    let output = output(subpy().args(["check", "six"]).env("PATH", folder.folder("empty")));
    expect_code(&output, 2);
    assert!(stderr(&output).contains("install uv"), "{}", stderr(&output));
}
