//! Programs of other runtimes that open libsubpy.so: Java (java.lang.foreign) and Python (ctypes). What they test is in
//! their own languages, in tests/hosts/.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{build_folder, command, expect_success, library_folder, python, root, skipped};

/// A program that runs in a folder of tests/hosts, with the library and the CPython of these tests.
fn host(folder: &str, program: &Path, args: &[&str]) -> Command {
    let mut command = command(program);
    command.current_dir(root().join("tests/hosts").join(folder)).args(args);
    command.env("SUBPY_LIBRARY", library_folder().join("libsubpy.so"));
    // The JVM says so on stderr when it finds one of these.
    command.env_remove("JAVA_TOOL_OPTIONS").env_remove("JDK_JAVA_OPTIONS").env_remove("_JAVA_OPTIONS");
    command
}

/// What it printed; it has to succeed.
fn printed(command: Command) -> String {
    String::from_utf8(expect_success(command).stdout).expect("UTF-8")
}

/// The same for a program that says "done" when it has come to its end, and nothing on stderr.
fn done(command: Command) -> String {
    let shown = format!("{command:?}");
    let output = expect_success(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(err, "", "{shown}\n{out}");
    assert_eq!(out.lines().last(), Some("done"), "{shown}\n{out}");
    print!("{out}");
    out.into_owned()
}

const HELLO: &str = "Traceback (most recent call last):
  File \"<script>\", line ";

// ---- Java

/// The `bin` of a JDK with the final java.lang.foreign: in JAVA_HOME, on PATH, or where systems put JDKs.
fn jdk() -> Option<&'static Path> {
    static JDK: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = JDK.get_or_init(|| {
        let home = std::env::var_os("JAVA_HOME").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        // java on PATH is often a link out of a folder that has nothing else of the JDK.
        let on_path = std::env::split_paths(&path).filter_map(|at| at.join("java").canonicalize().ok());
        let mut bins: Vec<PathBuf> = home.map(|home| home.join("bin")).into_iter().collect();
        bins.extend(on_path.filter_map(|java| java.parent().map(Path::to_owned)));
        let user = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        let folders = [
            "/usr/lib/jvm".into(),
            "/usr/java".into(),
            "/opt".into(),
            user.join(".sdkman/candidates/java"),
            user.join(".jdks"),
        ];
        for folder in folders {
            let jdks = fs::read_dir(folder).into_iter().flatten().flatten();
            bins.extend(jdks.map(|jdk| jdk.path().join("bin")));
        }
        bins.into_iter().find(|bin| java_version(bin).is_some_and(|version| version >= 22))
    });
    if found.is_none() {
        skipped("Java", "a JDK is missing (install JDK 22 or newer, or set JAVA_HOME)");
    }
    found.as_deref()
}

/// The feature version of the JDK with this `bin`: 25. None when it is no JDK.
fn java_version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("javac")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.strip_prefix("javac ")?.split(['.', '-', '+', '\n']).next()?.trim().parse().ok()
}

/// The folder with the compiled classes. Compiled without a warning.
fn classes(jdk: &Path) -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let folder = build_folder().join("java");
        let _ = fs::remove_dir_all(&folder);
        let sources = |folder: &str| {
            let files = fs::read_dir(root().join("tests/hosts/java").join(folder)).expect("a folder");
            files
                .map(|file| file.expect("a file").path())
                .filter(|path| path.extension().is_some_and(|is| is == "java"))
        };
        let mut javac =
            host("java", &jdk.join("javac"), &["--release", "22", "-Werror", "-Xlint:all,-restricted", "-d"]);
        javac.arg(&folder).args(sources(".")).args(sources("subpy"));
        expect_success(javac);
        folder
    })
}

/// A compiled program. `-Xcheck:jni` tells, on stdout, when a signal handler of the JVM is gone.
fn java(jdk: &Path, args: &[&str]) -> Command {
    let options = ["--enable-native-access=ALL-UNNAMED", "-Xcheck:jni", "-cp"];
    let mut command = host("java", &jdk.join("java"), &options);
    command.arg(classes(jdk)).args(args);
    command
}

fn java_done(program: &str) {
    if let Some(jdk) = jdk() {
        let output = done(java(jdk, &[program]));
        assert!(!output.to_lowercase().contains("warning"), "{output}");
    }
}

#[test]
fn java_from_its_sources() {
    let Some(jdk) = jdk() else { return };
    done(host("java", &jdk.join("java"), &["--enable-native-access=ALL-UNNAMED", "Main.java"]));
}

#[test]
fn java_hello() {
    let Some(jdk) = jdk() else { return };
    let output = printed(java(jdk, &["Hello"]));
    assert_eq!(
        output,
        format!("to: 2\nbe: 2\n{HELLO}4, in count\nAttributeError: 'int' object has no attribute 'split'\n")
    );
}

#[test]
fn java_misuse() {
    java_done("Misuse");
}

#[test]
fn java_and_what_a_jvm_is_like() {
    java_done("Jvm");
}

#[test]
fn java_exits_while_python_runs() {
    let Some(jdk) = jdk() else { return };
    let mut command = java(jdk, &["Jvm", "exit"]);
    let output = command.output().expect("the program runs");
    assert_eq!((output.status.code(), output.stdout, output.stderr), (Some(7), b"printed by Python\n".into(), vec![]));
}

#[test]
fn java_bench_runs() {
    let Some(jdk) = jdk() else { return };
    assert_eq!(printed(java(jdk, &["Bench", "0.001"])).lines().count(), 4);
}

// ---- Python

fn python_host(args: &[&str]) -> Command {
    let mut command = host("python", &python(), &["-B"]);
    command.args(args);
    // Its own CPython is the runtime, not one that is chosen.
    command.env_remove("SUBPY_PYTHON");
    command
}

#[test]
fn python_tour() {
    done(python_host(&["-X", "dev", "-W", "error", "main.py"]));
}

#[test]
fn python_hello() {
    assert_eq!(
        printed(python_host(&["hello.py"])),
        format!("{{'to': 2, 'be': 2}}\n{HELLO}5, in count\nAttributeError: 'int' object has no attribute 'split'\n")
    );
}

#[test]
fn python_misuse() {
    done(python_host(&["-X", "dev", "-W", "error", "misuse.py"]));
}

#[test]
fn python_interrupted() {
    done(python_host(&["-X", "dev", "-W", "error", "interrupted.py"]));
}

#[test]
fn python_beside_and_inside_concurrent_interpreters() {
    done(python_host(&["-X", "dev", "-W", "error", "inside.py"]));
}

#[test]
fn python_at_exit() {
    let end = "the end of the program\n";
    let quiet = |how, expected: &str| {
        let output = expect_success(python_host(&["at_exit.py", how]));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{end}{expected}"), "{how}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{how}");
    };
    quiet("tidy", "at exit: 3.0 2\n");
    quiet("late", "after the exit handlers: unrecognized interpreter ID 1\n");
    for _ in 0..5 {
        let output = expect_success(python_host(&["at_exit.py", "creating"]));
        assert_eq!(String::from_utf8_lossy(&output.stdout), end);
    }
    for (how, expected) in
        [("left", "the exit handler of an interpreter\nan object of __main__ is finalised\n"), ("daemon", "")]
    {
        let output = expect_success(python_host(&["at_exit.py", how]));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{end}{expected}"), "{how}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("RuntimeWarning: remaining subinterpreters"), "{how}: {said}");
    }
}

#[test]
fn python_bench_runs() {
    assert_eq!(printed(python_host(&["bench.py", "0.001"])).lines().count(), 4 * 5);
}

/// Pythons from 3.9, which subpy's Python module needs, to 3.13, which subpy refuses: of the system and of pyenv.
fn older_pythons() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/usr/bin/python3"), PathBuf::from("/usr/local/bin/python3")];
    let pyenv = PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".pyenv/versions");
    let versions = fs::read_dir(pyenv).into_iter().flatten().flatten();
    found.extend(versions.map(|version| version.path().join("bin/python3")));
    let fits = "import ctypes, sys; sys.exit(not (3, 9) <= sys.version_info < (3, 14))";
    found.retain(|python| Command::new(python).args(["-I", "-c", fits]).output().is_ok_and(|ran| ran.status.success()));
    found
}

#[test]
fn an_older_python_is_refused_and_can_ask_a_newer_one() {
    let pythons = older_pythons();
    if pythons.is_empty() {
        skipped("an older Python as host", "a Python 3.9 to 3.13 is missing (install the package python3)");
    }
    for python in pythons {
        let refused = printed(host("python", &python, &["-B", "refused.py"]));
        assert!(refused.contains("cannot be used") && refused.lines().count() == 1, "{refused}");
        let asked = printed(host("python", &python, &["-B", "from_old_python.py"]));
        let expected = "{'result': 15511210043330985984000000}\nValueError: expected a nonnegative input, got -1.0\n";
        assert_eq!(asked, expected);
    }
}
