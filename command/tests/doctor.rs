//! `subpy doctor` on set-ups that are broken: it names what is wrong, and its remedy mends it.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use support::{Folder, SUBPY, answer, expect_code, json, output, python, skipped, stderr, stdout, text};

/// A shell in which nothing is set but what the lines set.
fn shell(folder: &Folder, lines: &str) -> Output {
    let mut command = Command::new("bash");
    let path = format!("{}:/usr/bin:/bin", python().parent().unwrap().display());
    command.env_clear().env("PATH", path).env("HOME", folder.folder("home")).stdin(Stdio::null());
    output(command.args(["-c", lines]))
}

fn doctor(folder: &Folder, setup: &str) -> Value {
    let output = shell(folder, &format!("{setup}\nexec {SUBPY} doctor --json"));
    let report = json(&stdout(&output));
    expect_code(&output, if report["works"] == true { 0 } else { 1 });
    report
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name} is not in {report}"))
}

/// The check has this status, and says so; its remedy begins like that. It is given back.
fn expect(report: &Value, name: &str, status: &str, found: &str, remedy: &str) -> String {
    let check = check(report, name);
    assert_eq!(check["status"], status, "{check}");
    assert!(text(&check["found"]).contains(found), "{found:?} is not in {check}");
    assert!(text(&check["remedy"]).starts_with(remedy), "{remedy:?} does not begin {check}");
    text(&check["remedy"]).to_owned()
}

/// Does what the remedy says, in the same shell, and looks again.
fn mended(folder: &Folder, setup: &str, remedy: &str, name: &str) -> Value {
    let report = doctor(folder, &format!("{setup}\n{{ {remedy}\n}} >/dev/null"));
    assert_eq!(check(&report, name)["status"], "ok", "after {remedy:?}: {report}");
    report
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

#[test]
fn nothing_is_wrong() {
    let folder = Folder::new();
    let report = doctor(&folder, "");
    assert_eq!(report["works"], true, "{report}");
    let found = Path::new(text(&report["python"]["executable"])).parent().map(Path::to_owned);
    assert_eq!(found, python().canonicalize().unwrap().parent().map(Path::to_owned));
    for name in ["library", "CPython", "environment", "venv", "start", "GIL", "own GIL", "process", "stack", "cache"] {
        assert_eq!(check(&report, name)["status"], "ok", "{report}");
    }
    let printed = shell(&folder, &format!("{SUBPY} doctor"));
    expect_code(&printed, 0);
    assert!(stdout(&printed).contains("ok       own GIL"), "{}", stdout(&printed));
}

/// A PATH with the command and a uv alone, which installs the CPython of the tests.
fn with_uv(folder: &Folder) -> String {
    let tree = folder.path("home/.local/share/uv/python/cpython-3.14.6-linux-x86_64-gnu");
    let made = format!(
        "/bin/mkdir -p {tree}/bin && /bin/ln -sf {} {tree}/bin/python3",
        quoted(&python()),
        tree = quoted(&tree)
    );
    let uv = folder.script("bin/uv", &made);
    symlink(SUBPY, uv.with_file_name("subpy")).unwrap();
    format!("PATH={}", quoted(uv.parent().unwrap()))
}

#[test]
fn there_is_no_python() {
    let folder = Folder::new();
    let setup = with_uv(&folder);
    let report = doctor(&folder, &setup);
    if report["python"].is_object() {
        return skipped("doctor without a CPython", "this system has one in its folders");
    }
    let found = "no CPython 3.14.1 or newer with a shared libpython was found";
    expect(&report, "CPython", "error", found, "subpy python install");
    let tried: Vec<&str> = report["tried"].as_array().unwrap().iter().map(|tried| text(&tried["what"])).collect();
    assert!(tried.contains(&"PATH") && tried.contains(&"system folders"), "{tried:?}");
    assert_eq!(check(&report, "own GIL")["status"], "skipped");
    let report = mended(&folder, &setup, text(&check(&report, "CPython")["remedy"]), "CPython");
    assert_eq!(report["works"], true, "{report}");
}

#[test]
fn subpy_python_names_nothing() {
    let folder = Folder::new();
    let setup = format!("export SUBPY_PYTHON={}", quoted(&folder.path("gone/python3.14")));
    let report = doctor(&folder, &setup);
    let remedy = expect(&report, "CPython", "error", "No such file or directory", "unset SUBPY_PYTHON");
    assert!(remedy.contains(python().canonicalize().unwrap().to_str().unwrap()), "{remedy}");
    mended(&folder, &setup, &remedy, "CPython");
}

#[test]
fn subpy_python_is_relative() {
    let folder = Folder::new();
    let setup = format!("cd {}; export SUBPY_PYTHON=python3", quoted(python().parent().unwrap()));
    let remedy = expect(&doctor(&folder, &setup), "CPython", "error", "it is relative", "export SUBPY_PYTHON=/");
    mended(&folder, &setup, &remedy, "CPython");
}

/// One that nobody has: its variable goes, or it is made again.
#[test]
fn an_environment_can_be_made_again() {
    let folder = Folder::new();
    let setup = format!("export VIRTUAL_ENV={}", quoted(&folder.path("gone")));
    let remedy =
        expect(&doctor(&folder, &setup), "venv", "error", "is not there", "unset VIRTUAL_ENV  # or make it again: ");
    let (_, other) = remedy.split_once("again: ").unwrap();
    mended(&folder, &setup, other, "venv");
    // Also where there is no CPython yet.
    let folder = Folder::new();
    let setup = format!("{}; export VIRTUAL_ENV={}", with_uv(&folder), quoted(&folder.path("gone")));
    let report = doctor(&folder, &setup);
    if report["python"].is_object() {
        return skipped("an environment without a CPython", "this system has one in its folders");
    }
    let remedy = expect(&report, "venv", "error", "is not there", "unset VIRTUAL_ENV  # or make it again: ");
    let (_, other) = remedy.split_once("again: ").unwrap();
    mended(&folder, &setup, other, "venv");
}

#[test]
fn there_are_no_site_packages() {
    let folder = Folder::new();
    let report = doctor(&folder, "");
    if check(&report, "site-packages")["status"] == "ok" {
        return skipped("a CPython without site-packages", "that of the tests has some");
    }
    let remedy = expect(&report, "site-packages", "warning", "has none", "/");
    mended(&folder, &format!("cd {}", quoted(&folder.0)), &remedy, "site-packages");
}

/// A python that says something of itself.
fn says(folder: &Folder, version: &str, free_threaded: bool, soname: &str) -> String {
    let base = folder.folder("base");
    folder.file("base/lib/python3.14/os.py", "");
    let answer = folder.file("answer", answer(version, &base, free_threaded, soname));
    let python = folder.script("base/bin/python3", &format!("cat {}", quoted(&answer)));
    format!("export SUBPY_PYTHON={}", quoted(&python))
}

#[test]
fn it_is_too_old() {
    let folder = Folder::new();
    let setup = says(&folder, "3.11.7", false, "libpython3.11.so.1.0");
    let remedy =
        expect(&doctor(&folder, &setup), "CPython", "error", "CPython 3.11.7 is too old", "unset SUBPY_PYTHON");
    mended(&folder, &setup, &remedy, "CPython");
}

#[test]
fn it_is_free_threaded() {
    let folder = Folder::new();
    let setup = says(&folder, "3.14.6", true, "libpython3.14t.so.1.0");
    let remedy = expect(&doctor(&folder, &setup), "CPython", "error", "free-threaded build", "unset SUBPY_PYTHON");
    mended(&folder, &setup, &remedy, "CPython");
}

#[test]
fn it_has_no_shared_libpython() {
    let folder = Folder::new();
    let setup = says(&folder, "3.14.6", false, "libpython3.14.a");
    let found = "it was built without a shared libpython";
    let remedy = expect(&doctor(&folder, &setup), "CPython", "error", found, "unset SUBPY_PYTHON");
    mended(&folder, &setup, &remedy, "CPython");
}

#[test]
fn it_is_no_python() {
    let folder = Folder::new();
    let setup = format!("export SUBPY_PYTHON={}", quoted(&folder.script("python3", "echo hello")));
    let remedy = expect(&doctor(&folder, &setup), "CPython", "error", "hello", "unset SUBPY_PYTHON");
    mended(&folder, &setup, &remedy, "CPython");
}

#[test]
fn it_is_not_executable() {
    let folder = Folder::new();
    let script = folder.script("bin/python3", &format!("exec {} \"$@\"", quoted(&python())));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    let setup = format!("export SUBPY_PYTHON={}", quoted(&script));
    let remedy = expect(&doctor(&folder, &setup), "CPython", "error", "it cannot be run", "chmod +x ");
    mended(&folder, &setup, &remedy, "CPython");
}

#[test]
fn without_another_one_it_says_to_install_one() {
    let folder = Folder::new();
    let setup = format!("{}; {}", says(&folder, "3.11.7", false, ""), with_uv(&folder));
    let report = doctor(&folder, &setup);
    let remedy = text(&check(&report, "CPython")["remedy"]);
    // A system may have one in its folders.
    assert!(remedy == "subpy python install && unset SUBPY_PYTHON" || remedy.contains("# the search then"), "{remedy}");
    mended(&folder, &setup, remedy, "CPython");
}

#[test]
fn the_virtual_environment_is_gone() {
    let folder = Folder::new();
    let setup = format!("export VIRTUAL_ENV={}", quoted(&folder.path("gone")));
    let report = doctor(&folder, &setup);
    let remedy = expect(&report, "venv", "error", "is not there", "unset VIRTUAL_ENV");
    assert_eq!(report["tried"][0]["what"], format!("VIRTUAL_ENV: {}", folder.path("gone").display()));
    mended(&folder, &setup, &remedy, "venv");
}

#[test]
fn the_base_of_the_virtual_environment_is_gone() {
    let folder = Folder::new();
    let env = folder.folder("env");
    folder.file("env/pyvenv.cfg", format!("home = {}\n", folder.path("gone/bin").display()));
    fs::create_dir_all(env.join("bin")).unwrap();
    symlink(folder.path("gone/bin/python3"), env.join("bin/python")).unwrap();
    // By the variable of an activated one, and by subpy's own.
    let setup = format!("export VIRTUAL_ENV={}", quoted(&env));
    let report = doctor(&folder, &setup);
    let begins = python().canonicalize().unwrap().display().to_string();
    let remedy = expect(&report, "venv", "error", "is gone", &begins);
    assert!(remedy.contains(" -m venv ") && remedy.contains(" --clear "), "{remedy}");
    let setup = format!("{setup}\nexport SUBPY_PYTHON=$VIRTUAL_ENV");
    let same = expect(&doctor(&folder, &setup), "CPython", "error", "there is no bin/python", &begins);
    assert_eq!(same, remedy);
    let report = mended(&folder, &setup, &remedy, "CPython");
    assert_eq!(check(&report, "venv")["status"], "ok", "{report}");
}

#[test]
fn another_python_comes_before_the_virtual_environment() {
    let folder = Folder::new();
    let env = folder.path("env");
    let made = output(Command::new(python()).args(["-m", "venv", "--without-pip"]).arg(&env));
    expect_code(&made, 0);
    let setup = format!("export VIRTUAL_ENV={} SUBPY_PYTHON={}", quoted(&env), quoted(&python()));
    let report = doctor(&folder, &setup);
    let remedy = expect(&report, "venv", "warning", "comes before it", "unset SUBPY_PYTHON");
    mended(&folder, &setup, &remedy, "venv");
}

#[test]
fn pythonhome_is_wrong() {
    let folder = Folder::new();
    let setup = format!("export PYTHONHOME={}", quoted(&folder.folder("home")));
    let report = doctor(&folder, &setup);
    let remedy = expect(&report, "environment", "error", "has no standard library", "unset PYTHONHOME");
    // subpy itself ignores it.
    assert_eq!(check(&report, "own GIL")["status"], "ok", "{report}");
    mended(&folder, &setup, &remedy, "environment");
}

#[test]
fn the_stack_is_tiny() {
    let folder = Folder::new();
    for size in [64, 128, 200] {
        let setup = format!("ulimit -S -s {size}");
        let remedy = expect(&doctor(&folder, &setup), "stack", "error", &format!("{size} KiB"), "ulimit -s 8192");
        let report = mended(&folder, &setup, &remedy, "stack");
        assert_eq!(report["works"], true, "{report}");
    }
}

/// Whatever is wrong then, the limit is behind it.
fn expect_all(report: &Value, remedy: &str) {
    let checks = report["checks"].as_array().unwrap().iter();
    let wrong: Vec<&Value> =
        checks.filter(|check| check["remedy"].is_string() && check["name"] != "site-packages").collect();
    assert!(!wrong.is_empty(), "{report}");
    assert!(wrong.iter().all(|check| text(&check["remedy"]).starts_with(remedy)), "{wrong:?}");
}

#[test]
fn few_files_may_be_open() {
    let folder = Folder::new();
    for count in [6, 8, 12] {
        // Whether there is a python is not known then, or not in time.
        let setup = format!("export SUBPY_PYTHON={}\nulimit -S -n {count}", quoted(&python()));
        let report = doctor(&folder, &setup);
        let remedy = expect(&report, "open files", "error", &count.to_string(), "ulimit -n 1024");
        expect_all(&report, "ulimit -n 1024");
        // Without a name the search ends there, and what it has refused before is told.
        let gone = format!("export VIRTUAL_ENV={}\nulimit -S -n {count}", quoted(&folder.path("gone")));
        let searched = doctor(&folder, &gone);
        if searched["python"].is_null() {
            let tried: Vec<&str> =
                searched["tried"].as_array().unwrap().iter().map(|tried| text(&tried["what"])).collect();
            assert!(tried.len() > 1 && tried[0].starts_with("VIRTUAL_ENV: "), "{searched}");
        }
        let report = mended(&folder, &setup, &remedy, "open files");
        assert_eq!(report["works"], true, "{report}");
    }
}

#[test]
fn there_is_little_address_space() {
    let folder = Folder::new();
    for (size, shown) in [(80_000, "78 MiB"), (120_000, "117 MiB")] {
        let setup = format!("ulimit -S -v {size}");
        let report = doctor(&folder, &setup);
        let remedy = expect(&report, "address space", "error", shown, "ulimit -v unlimited");
        expect_all(&report, "ulimit -v unlimited");
        let report = mended(&folder, &setup, &remedy, "address space");
        assert_eq!(report["works"], true, "{report}");
    }
}

#[test]
fn it_may_be_told_nothing_of_children() {
    let report = output(&mut support::ignoring_children(&["doctor", "--json"]));
    expect_code(&report, 0);
    let report = json(&stdout(&report));
    for name in ["start", "own GIL", "process"] {
        assert_eq!(check(&report, name)["status"], "ok", "{report}");
    }
}

#[test]
fn there_is_no_home() {
    let folder = Folder::new();
    for (setup, found) in [("unset HOME", "HOME is not set"), ("export HOME=/dev/null", "/dev/null is not a folder")] {
        let report = doctor(&folder, setup);
        expect(&report, "cache", "warning", found, "export SUBPY_CACHE=");
        assert_eq!(report["works"], true, "{report}");
        mended(&folder, setup, &format!("export SUBPY_CACHE={}", quoted(&folder.0)), "cache");
    }
}

#[test]
fn a_wrong_word_is_an_error() {
    let folder = Folder::new();
    let output = shell(&folder, &format!("{SUBPY} doctor --jason"));
    expect_code(&output, 2);
    assert!(stderr(&output).contains("--json"), "{}", stderr(&output));
}

#[test]
fn man_pages_and_completions_are_written() {
    let folder = Folder::new();
    let output = shell(&folder, &format!("{SUBPY} generate {}", quoted(&folder.0)));
    expect_code(&output, 0);
    let mut pages: Vec<String> = fs::read_dir(folder.path("man"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    let expected = ["check.1", "doctor.1", "python-install.1", "python.1", "repl.1", "run.1"];
    let expected: Vec<String> =
        expected.iter().map(|page| format!("subpy-{page}")).chain(["subpy.1".to_owned()]).collect();
    assert_eq!(pages, expected);
    let page = fs::read_to_string(folder.path("man/subpy-doctor.1")).unwrap();
    assert!(page.contains("Says what works here"), "{page}");
    for file in ["subpy.bash", "subpy.fish", "_subpy"] {
        let words = fs::read_to_string(folder.path("completions").join(file)).unwrap();
        assert!(words.contains("doctor") && words.contains("python"), "{file}: {words}");
        assert!(!words.contains("probe") && !words.contains("generate"), "{file}: {words}");
    }
}
