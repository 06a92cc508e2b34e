//! `subpy python install`, with programs in the place of uv and go.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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

/// What is in the cache, but for locks.
fn cached(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path("home/.cache/subpy")).unwrap().map(|entry| entry.unwrap());
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".lock")).collect()
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
    let left = cached(&folder);
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
    assert!(stderr(&output).ends_with("subpy: no CPython was installed, see above\n"), "{}", stderr(&output));
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
    assert_eq!(cached(&folder), Vec::<String>::new(), "{}", stderr(&output));
}

/// The line below what has failed.
fn remedy(output: &Output) -> String {
    expect_code(output, 2);
    let said = stderr(output);
    let remedy = said.lines().find_map(|line| line.strip_prefix("  mend: "));
    remedy.unwrap_or_else(|| panic!("no remedy in {said}")).to_owned()
}

/// What the two programs say when something is wrong, as they have said it, and what then helps.
#[test]
fn each_failure_says_what_to_do() {
    let network = "export HTTPS_PROXY=";
    for (program, said, mend) in [
        (
            "uv",
            "error: Failed to install cpython-3.14.6\n  Caused by: Request failed after 3 retries\n  Caused by: error sending request for url (https://example.org/)\n  Caused by: dns error: failed to lookup address information: Temporary failure in name resolution",
            network,
        ),
        (
            "uv",
            "  Caused by: failed to create directory: No space left on device (os error 28)",
            "free 1 GB in /where/uv/puts/them, or name a folder that has it: export UV_PYTHON_INSTALL_DIR=",
        ),
        (
            "uv",
            "  Caused by: Hash mismatch for `cpython-3.14.6`\n\nExpected: 1\nComputed: 2",
            "what came is not what was published",
        ),
        ("uv", "  Caused by: invalid peer certificate: UnknownIssuer", "export SSL_CERT_FILE="),
        ("uv", "error: No download found for request: cpython-3.14-linux-x86_64-gnu", "uv self update"),
        (
            "uv",
            "  Caused by: Permission denied (os error 13)",
            "name a folder that can be written to: export UV_PYTHON_INSTALL_DIR=",
        ),
        ("uv", "error: something new", "try it with the other program (--with go), or copy a CPython's folder here"),
        (
            "go",
            "go: github.com/kluctl/go-embed-python@v0.0.0: Get \\\"https://example.org/\\\": dial tcp: lookup example.org: no such host",
            network,
        ),
        (
            "go",
            "main.go:1:1: write /x/y: no space left on device",
            "free 1 GB in HOME/.cache/subpy, or name a folder that has it: export SUBPY_CACHE=",
        ),
        (
            "go",
            "verifying github.com/kluctl/go-embed-python: checksum mismatch\n  SECURITY ERROR",
            "what came is not what was published, so it was not used: unset GOPROXY",
        ),
        ("go", "go: x509: certificate signed by unknown authority", "export SSL_CERT_FILE="),
        ("go", "go: errors parsing go.mod: invalid go version '1.21.0'", "install the newest Go"),
        ("go", "something new", "try it with the other program (--with uv), or copy a CPython's folder here"),
    ] {
        let folder = Folder::new();
        let lines = match program {
            "uv" => "[ \"$2\" != dir ] || { echo /where/uv/puts/them; exit; }",
            _ => "[ \"$1\" != env ] || { echo direct; echo; exit; }",
        };
        folder.script(&format!("bin/{program}"), &format!("{lines}\nprintf '%b\\n' \"{said}\" >&2\nexit 1"));
        let output = install(&folder, &[]);
        let mend = mend.replace("HOME", folder.path("home").to_str().unwrap());
        assert!(remedy(&output).starts_with(&mend), "{said}: {}", stderr(&output));
        let could_not = format!("subpy: {program} could not do it (exit code 1), see above\n");
        assert!(stderr(&output).contains(&could_not), "{}", stderr(&output));
        if program == "go" {
            assert_eq!(cached(&folder), Vec::<String>::new());
        }
    }
}

#[test]
fn a_cache_that_cannot_be_had_says_what_to_do() {
    let folder = Folder::new();
    go(&folder, "");
    let file = folder.file("file", "");
    for cache in [file.join("below"), "relative".into()] {
        let mut command = Command::new(SUBPY);
        command.env_clear().env("PATH", folder.path("bin")).env("SUBPY_CACHE", &cache).stdin(Stdio::null());
        let output = output(command.args(["python", "install"]));
        let mend = remedy(&output);
        assert!(mend.contains("export SUBPY_CACHE=/a/folder"), "{}", stderr(&output));
    }
    assert_eq!(called(&folder), "");
}

/// The real one, which asks a proxy that is not there, and one that has something else than what was published.
#[test]
fn go_itself_without_a_network_and_with_a_wrong_file() {
    let Some(go) = support::on_path("go") else {
        return support::skipped("go without a network", "go is missing (install Go, https://go.dev/dl)");
    };
    let folder = Folder::new();
    std::os::unix::fs::symlink(go, folder.folder("bin").join("go")).unwrap();
    let install = |proxy: &str| {
        let mut command = Command::new(SUBPY);
        command.env_clear().env("PATH", folder.path("bin")).env("HOME", folder.folder("home")).stdin(Stdio::null());
        output(
            command.args(["python", "install"]).env("GOPROXY", proxy).env("GONOSUMDB", "*").env("GOTOOLCHAIN", "local"),
        )
    };
    // Nobody listens there.
    let output = install("http://127.0.0.1:9");
    let mend = remedy(&output);
    assert!(mend.starts_with("export HTTPS_PROXY="), "{}", stderr(&output));

    let module = include_str!("../../tools/python-embed/go.mod");
    let line = module.lines().find(|line| line.contains("go-embed-python")).unwrap();
    let words: Vec<&str> = line.split_whitespace().filter(|word| !["require", "("].contains(word)).collect();
    let [name, version] = words[..2] else { panic!("{line}") };
    let at = format!("proxy/{name}/@v/{version}");
    folder.file(&format!("{at}.info"), format!("{{\"Version\":\"{version}\"}}"));
    folder.file(&format!("{at}.mod"), format!("module {name}\n\ngo 1.99\n"));
    folder.file(&format!("{at}.zip"), "this is none");
    let output = install(&format!("file://{}", folder.path("proxy").display()));
    let mend = remedy(&output);
    assert!(
        mend.starts_with("what came is not what was published, so it was not used: unset GOPROXY"),
        "{}",
        stderr(&output)
    );
    assert_eq!(cached(&folder), Vec::<String>::new());
}

#[test]
fn a_signal_leaves_nothing_behind_and_the_next_one_removes_what_a_kill_has_left() {
    let folder = Folder::new();
    let begun = folder.path("begun");
    let slow = format!("echo $$ >'{}'; exec /bin/sleep 60", begun.display());
    let ended = |signal: &str| {
        let _ = fs::remove_file(&begun);
        go(&folder, &slow);
        let mut command = Command::new(SUBPY);
        command.env_clear().env("PATH", folder.path("bin")).env("HOME", folder.folder("home")).stdin(Stdio::null());
        let child = command.args(["python", "install"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        support::end_in_time(&child);
        while fs::read_to_string(&begun).unwrap_or_default().is_empty() {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(cached(&folder).iter().any(|name| name.contains(".tmp.")));
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        child.wait_with_output().unwrap()
    };
    expect_code(&ended("-INT"), 130);
    assert_eq!(cached(&folder), Vec::<String>::new());
    // What it has begun has ended too.
    let id = fs::read_to_string(&begun).unwrap();
    let is_there = || {
        let state = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
        !(state.is_empty() || state.contains(") Z"))
    };
    let start = Instant::now();
    while is_there() {
        assert!(start.elapsed() < Duration::from_secs(10), "it goes on");
        thread::sleep(Duration::from_millis(20));
    }

    ended("-KILL");
    let left = cached(&folder);
    assert_eq!(left.len(), 1, "{left:?}");
    let id = fs::read_to_string(&begun).unwrap();
    let _ = Command::new("kill").args(["-KILL", id.trim()]).status();
    go(&folder, "");
    expect_code(&install(&folder, &[]), 0);
    let there = cached(&folder);
    assert!(there.len() == 1 && !there[0].contains(".tmp."), "{there:?}");
}

/// A second one waits for the first, and then has nothing to do.
#[test]
fn two_at_a_time_fetch_it_once() {
    let folder = Folder::new();
    go(&folder, "/bin/sleep 1");
    folder.folder("home");
    let begin = || {
        let mut command = Command::new(SUBPY);
        command.env_clear().env("PATH", folder.path("bin")).env("HOME", folder.path("home")).stdin(Stdio::null());
        command.args(["python", "install"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [begin(), begin()];
    for child in both {
        expect_code(&child.wait_with_output().unwrap(), 0);
    }
    assert_eq!(called(&folder), "build -o\n");
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
