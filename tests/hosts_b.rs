//! Programs of other runtimes that open libsubpy.so: Java (java.lang.foreign) and Python (ctypes). What they test is in
//! their own languages, in tests/hosts/ and bindings/python/tests/.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::packages::{self, empty_folder};
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

/// Whether this machine has what builds and installs the package.
fn have_pip() -> bool {
    let needed = "import pip, sys; sys.exit(sys.version_info < (3, 10))";
    let found = Command::new("python3").args(["-c", needed]).output().is_ok_and(|ran| ran.status.success());
    if !found {
        skipped("the Python package", "python3 with pip is missing (install the packages python3 and python3-pip)");
    }
    found
}

/// pip, for the Python of these tests, which need not have one.
fn pip(args: &[&str]) -> Command {
    let mut pip = Command::new("python3");
    pip.arg("-m").arg("pip").arg("--python").arg(python()).args(["--disable-pip-version-check", "--quiet"]).args(args);
    pip
}

fn wheel(packages: &Path) -> PathBuf {
    packages.join("subpy-0.1.0-py3-none-any.whl")
}

/// A new folder with the package from its wheel, and nothing else.
fn installed(name: &str, packages: &Path) -> PathBuf {
    let folder = empty_folder(name);
    let mut install = pip(&["install", "--no-index", "--root-user-action=ignore", "--target"]);
    install.arg(&folder).arg(wheel(packages));
    expect_success(install);
    folder
}

/// The folder with the wheel and the sdist, and one into which the wheel is installed. None when something is missing.
fn python_package() -> Option<(&'static Path, &'static Path)> {
    static PACKAGE: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    if !have_pip() {
        return None;
    }
    let (packages, folder) = PACKAGE.get_or_init(|| {
        let packages = packages::pack("python");
        let folder = installed("python-package", &packages);
        (packages, folder)
    });
    Some((packages, folder))
}

/// A program of bindings/python/tests with the package that was installed.
fn python_host_of(python: &Path, package: &Path, args: &[&str]) -> Command {
    let mut command = command(python);
    command.current_dir(root().join("bindings/python/tests")).arg("-B").args(args);
    command.env("PYTHONPATH", package).env("SUBPY_LIBRARY", library_folder().join("libsubpy.so"));
    command
}

fn python_host(args: &[&str]) -> Option<Command> {
    let mut command = python_host_of(&python(), python_package()?.1, args);
    // Its own CPython is the runtime, not one that is chosen.
    command.env_remove("SUBPY_PYTHON");
    Some(command)
}

fn python_done(args: &[&str]) {
    if let Some(mut command) = python_host(&["-X", "dev", "-W", "error"]) {
        command.args(args);
        done(command);
    }
}

#[test]
fn python_tour() {
    python_done(&["main.py"]);
}

#[test]
fn python_first_program_from_the_package_alone() {
    let Some((packages, package)) = python_package() else { return };
    let (program, expected) = packages::first_program("python.md", "python");
    let folder = empty_folder("python-empty");
    fs::write(folder.join("first.py"), program).expect("a file");
    let mut first = command(&python());
    first.current_dir(&folder).args(["-B", "first.py"]).env_remove("SUBPY_PYTHON");
    first.env("PYTHONPATH", package).env("SUBPY_LIBRARY", library_folder().join("libsubpy.so"));
    assert_eq!(printed(first), expected);

    assert!(package.join("subpy/py.typed").is_file());
    packages::same_licences(&package.join("subpy-0.1.0.dist-info/licenses"));
    // The sdist makes the same wheel, byte for byte.
    let tools = packages.parent().expect("target").join("package-tools/python");
    let mut build = Command::new("python3");
    build.args(["-m", "pip", "wheel", "--disable-pip-version-check", "--quiet", "--no-index", "--no-build-isolation"]);
    build.args(["--ignore-requires-python", "--wheel-dir"]).arg(&folder).arg(packages.join("subpy-0.1.0.tar.gz"));
    build.env("PYTHONPATH", tools);
    expect_success(build);
    assert!(fs::read(wheel(&folder)).expect("a wheel") == fs::read(wheel(packages)).expect("a wheel"));
}

#[test]
fn python_conformance() {
    let cases = root().join("conformance/cases.json");
    if let Some(command) =
        python_host(&["-X", "dev", "-W", "error", "conformance.py", cases.to_str().expect("a path in UTF-8")])
    {
        packages::show_conformance(&printed(command));
    }
}

#[test]
fn python_finds_its_library_or_says_what_is_wrong() {
    let Some((packages, _)) = python_package() else { return };
    let package = installed("python-beside", packages);
    let import = |library: Option<&Path>, loader: &Path| {
        let program = "import subpy\nsubpy.create().exec('print(6 * 7)')\nsubpy.shutdown()";
        let mut command = python_host_of(&python(), &package, &["-c", program]);
        command.env("LD_LIBRARY_PATH", loader).env_remove("SUBPY_PYTHON").env_remove("SUBPY_LIBRARY");
        command.envs(library.map(|library| ("SUBPY_LIBRARY", library)));
        command
    };
    let broken = packages::broken_library("python-broken");

    let said = packages::refused(import(None, &broken));
    for part in ["/subpy/libsubpy.so: cannot open", "libsubpy.so.0: file too short", "SUBPY_LIBRARY to its path"] {
        assert!(said.contains(part), "{said}");
    }
    let said = packages::refused(import(Some(Path::new("/nowhere/libsubpy.so")), &broken));
    assert!(said.contains("SUBPY_LIBRARY names /nowhere/libsubpy.so"), "{said}");
    let said = packages::refused(import(Some(&packages::library_of("python-newer", packages::NEWER)), &broken));
    assert!(said.contains("is libsubpy 0.2.3, and this package needs 0.1: install"), "{said}");
    let said = packages::refused(import(Some(&packages::library_of("python-other", "int other(void);\n")), &broken));
    assert!(said.contains("is not libsubpy: it has no subpy_version()"), "{said}");

    assert_eq!(printed(import(None, &library_folder())), "42\n");
    fs::copy(library_folder().join("libsubpy.so"), package.join("subpy/libsubpy.so")).expect("a copy");
    assert_eq!(printed(import(None, &broken)), "42\n");
}

#[test]
fn python_misuse() {
    python_done(&["misuse.py"]);
}

#[test]
fn python_interrupted() {
    python_done(&["interrupted.py"]);
}

#[test]
fn python_beside_and_inside_concurrent_interpreters() {
    python_done(&["inside.py"]);
}

#[test]
fn python_at_exit() {
    let Some((_, package)) = python_package() else { return };
    let python_host = |args: &[&str]| {
        let mut command = python_host_of(&python(), package, args);
        command.env_remove("SUBPY_PYTHON");
        command
    };
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
    if let Some(command) = python_host(&["bench.py", "0.001"]) {
        assert_eq!(printed(command).lines().count(), 2 * (5 + 6));
    }
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
    let Some((_, package)) = python_package() else { return };
    let pythons = older_pythons();
    if pythons.is_empty() {
        skipped("an older Python as host", "a Python 3.9 to 3.13 is missing (install the package python3)");
    }
    for python in pythons {
        let refused = printed(python_host_of(&python, package, &["refused.py"]));
        assert!(refused.contains("cannot be used") && refused.lines().count() == 1, "{refused}");
        let asked = printed(python_host_of(&python, package, &["from_old_python.py"]));
        let expected = "{'result': 15511210043330985984000000}\nValueError: expected a nonnegative input, got -1.0\n";
        assert_eq!(asked, expected);
    }
}
