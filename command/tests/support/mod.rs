//! What the tests of the command share: they run the program, as a user does.
#![allow(dead_code)] // each test program uses a part of it

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

pub const SUBPY: &str = env!("CARGO_BIN_EXE_subpy");

/// The CPython to test with. `tests/run` sets it.
pub fn python() -> PathBuf {
    let python = std::env::var_os("SUBPY_TEST_PYTHON").expect(
        "SUBPY_TEST_PYTHON names the CPython to test with; run: SUBPY_TEST_PYTHON=$(tools/get-python) cargo test",
    );
    PathBuf::from(python)
}

/// Says that something is not tested, and why. In CI nothing may be left out.
pub fn skipped(what: &str, why: &str) {
    use std::io::Write;
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}: {why}");
    // Not with eprintln!, which is shown for failed tests alone.
    let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}

/// A folder of its own for a test, which goes with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("subpy-command-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path.canonicalize().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn script(&self, name: &str, lines: &str) -> PathBuf {
        let path = self.file(name, format!("#!/bin/sh\n{lines}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program, with nothing of this environment that could choose a CPython but `SUBPY_PYTHON`.
pub fn with_python(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("SUBPY_PYTHON", python()).stdin(Stdio::null());
    for name in ["VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"] {
        command.env_remove(name);
    }
    command
}

pub fn subpy() -> Command {
    with_python(SUBPY)
}

/// As begun by a program that ignores SIGCHLD.
pub fn ignoring_children(arguments: &[&str]) -> Command {
    begun_with("SIGCHLD", "SIG_IGN", arguments)
}

/// As begun by a program that has an action, such as SIG_IGN, for a signal.
pub fn begun_with(signal: &str, action: &str, arguments: &[&str]) -> Command {
    let line = "import os, signal, sys; signal.signal(getattr(signal, sys.argv[1]), getattr(signal, sys.argv[2])); \
                os.execv(sys.argv[3], sys.argv[3:])";
    let mut command = with_python(python().to_str().unwrap());
    command.args(["-I", "-c", line, signal, action, SUBPY]).args(arguments);
    command
}

/// What is written to it is read by nobody.
pub fn unread() -> std::io::PipeWriter {
    let (_, writer) = std::io::pipe().unwrap();
    writer
}

/// Runs it to its end, and fails when it takes too long.
pub fn output(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    end_in_time(&child);
    child.wait_with_output().expect("it is our child")
}

/// Kills it when it has not ended by then, so that what waits for it fails. No program of the tests takes half of the time.
pub fn end_in_time(child: &Child) {
    let id = child.id();
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(600));
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if parent == Some(std::process::id()) {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        }
    });
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn expect_code(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        stdout(output),
        stderr(output)
    );
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A program of this machine.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// What a python answers to the library's questions, between its two marks.
pub fn answer(version: &str, base: &Path, free_threaded: bool, soname: &str) -> Vec<u8> {
    let base = base.to_str().unwrap();
    let gil = if free_threaded { "1" } else { "" };
    let executable = format!("{base}/bin/python3");
    let fields = ["cpython", version, &executable, base, base, "", gil, soname, "", ""];
    format!("<subpy-probe>\0{}\0</subpy-probe>", fields.join("\0")).into_bytes()
}
