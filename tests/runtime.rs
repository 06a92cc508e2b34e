//! Which CPython is used, and how it lives with its host: C programs and Pythons as hosts, each in a process of its
//! own.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{build, build_folder, command, expect_success, library_folder, python, root};

const USE_ENVIRONMENT: &str = "flags=1";
const NO_SITE: &str = "flags=2";

/// tests/programs/drive.c, without anything in its environment that chooses a CPython.
fn drive(steps: &[&str]) -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| build(&root().join("tests/programs/drive.c")));
    let mut command = command(program);
    command.env_remove("SUBPY_PYTHON").env("PATH", "/nonexistent").env("HOME", "/nonexistent").args(steps);
    for variable in ["XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR", "PYENV_ROOT", "XDG_CACHE_HOME", "SUBPY_CACHE"] {
        command.env_remove(variable);
    }
    command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    command
}

/// What it printed, line by line; it has to succeed, and to say nothing on stderr.
fn lines(command: Command) -> Vec<String> {
    let shown = format!("{command:?}");
    let output = expect_success(command);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shown}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// What the CPython of the tests says about itself.
fn asked(expression: &str) -> String {
    let script = format!("import os, sys; print({expression})");
    let mut command = command(&python());
    command.args(["-I", "-c", &script]);
    lines(command).remove(0)
}

/// A folder for one test, emptied before.
fn folder(name: &str) -> PathBuf {
    let folder = build_folder().join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A virtual environment of the CPython of the tests, with a package that only it has.
fn virtual_env(name: &str) -> PathBuf {
    let env = folder(name);
    let mut command = command(&python());
    command.args(["-I", "-m", "venv", "--without-pip"]).arg(&env);
    lines(command);
    let lib = fs::read_dir(env.join("lib")).unwrap().next().unwrap().unwrap().path();
    fs::write(lib.join("site-packages/only_here.py"), "name = 'only here'\n").unwrap();
    env
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn libpython() -> PathBuf {
    let found = lines(drive(&[&format!("init={}", text(&python())), "library"]));
    PathBuf::from(&found[0])
}

// ---- the choice

#[test]
fn the_choice_is_an_executable_a_folder_or_a_library() {
    let prefix = asked("os.path.realpath(sys.base_prefix)");
    let library = libpython();
    let version = asked("'%d.%d.%d' % sys.version_info[:3]");
    for choice in [text(&python()), &prefix, text(&library)] {
        let steps = [
            &format!("init={choice}"),
            "library",
            "version",
            "create",
            "eval=__import__('os').path.realpath(__import__('sys').base_prefix)",
        ];
        assert_eq!(lines(drive(&steps)), [text(&library), &version, &prefix], "{choice}");
        let mut by_variable = drive(&["create", "library", "version", "eval=__import__('sys').prefix"]);
        by_variable.env("SUBPY_PYTHON", choice);
        assert_eq!(lines(by_variable), [text(&library), &version, &prefix], "{choice}");
    }
}

#[test]
fn relative_paths_and_links_work() {
    let folder = folder("links");
    std::os::unix::fs::symlink(python(), folder.join("my-python")).unwrap();
    let library = libpython();
    let mut command = drive(&["init=my-python", "library", "exec=1", "create", "exec=import json"]);
    command.current_dir(&folder);
    assert_eq!(lines(command), [text(&library), "exec: SUBPY_ERROR_NOT_FOUND: 0 is not the handle of an interpreter"]);
}

#[test]
fn the_explicit_choice_comes_first_then_the_variables_then_the_path() {
    let (one, other) = (virtual_env("first-env"), virtual_env("second-env"));
    let prefix = "eval=__import__('sys').prefix";
    let explicit = format!("init={}", text(&one));
    let bin = other.join("bin");

    let mut command = drive(&[&explicit, "create", prefix]);
    command.env("SUBPY_PYTHON", &other).env("VIRTUAL_ENV", &other);
    assert_eq!(lines(command), [text(&one)]);
    let mut command = drive(&["create", prefix]);
    command.env("SUBPY_PYTHON", &one).env("VIRTUAL_ENV", &other).env("PATH", &bin);
    assert_eq!(lines(command), [text(&one)]);
    let mut command = drive(&["create", prefix]);
    command.env("SUBPY_PYTHON", "").env("VIRTUAL_ENV", &one).env("PATH", &bin);
    assert_eq!(lines(command), [text(&one)], "an empty variable is none");
    let mut command = drive(&["create", prefix]);
    command.env("VIRTUAL_ENV", "").env("PATH", &bin);
    assert_eq!(lines(command), [text(&other)]);
}

#[test]
fn the_packages_of_a_virtual_environment_are_there_in_every_runtime() {
    let env = virtual_env("env");
    let name = "eval=__import__('only_here').name";
    let rounds = ["create", name, "create", name, "main", name, "shutdown", "create", name, "main", name, "shutdown"];
    let expected = ["only here"; 5];

    let init = format!("init={}", text(&env));
    let explicit: Vec<&str> = rounds
        .iter()
        .flat_map(|step| match *step {
            "shutdown" => vec!["shutdown", &init],
            step => vec![step],
        })
        .collect();
    let steps: Vec<&str> = std::iter::once(init.as_str()).chain(explicit).collect();
    assert_eq!(lines(drive(&steps)), expected, "the option");
    for variable in ["SUBPY_PYTHON", "VIRTUAL_ENV"] {
        let mut command = drive(&rounds);
        command.env(variable, &env);
        assert_eq!(lines(command), expected, "{variable}");
    }
    let mut command = drive(&rounds);
    command.env("PATH", env.join("bin"));
    assert_eq!(lines(command), expected, "PATH");

    // Without the environment the package is not there, and children that Python starts have it too.
    let mut without = drive(&["create", name]);
    without.env("SUBPY_PYTHON", python());
    assert_eq!(
        lines(without),
        ["eval: SUBPY_ERROR_EXECUTION_FAILED: ModuleNotFoundError: No module named 'only_here'"]
    );
    let child = "eval=__import__('subprocess').check_output([__import__('sys').executable, '-c', 'import only_here; print(only_here.name)'], text=True).strip()";
    assert_eq!(lines(drive(&[&init, "create", child])), ["only here"]);
}

#[test]
fn another_environment_of_the_same_cpython_may_follow() {
    let (one, other) = (virtual_env("one-env"), virtual_env("other-env"));
    let prefix = "eval=__import__('sys').prefix";
    let (first, second) = (format!("init={}", text(&one)), format!("init={}", text(&other)));
    let steps = [&first, "create", prefix, "shutdown", &second, "create", prefix, "shutdown", &first, "create", prefix];
    assert_eq!(lines(drive(&steps)), [text(&one), text(&other), text(&one)]);
}

#[test]
fn while_it_runs_other_options_are_refused() {
    let env = virtual_env("options-env");
    let init = format!("init={}", text(&python()));
    let other = format!("init={}", text(&env));
    let refused = "init: SUBPY_ERROR_WRONG_STATE: subpy is running already, with other options; call subpy_init() before the first \
                   use, or subpy_shutdown() first";
    assert_eq!(lines(drive(&[&init, &init, &other, "init", NO_SITE, &init])), [refused; 3]);
    let mut implicit = drive(&["create", "init", "init", &init, "shutdown", &init]);
    implicit.env("SUBPY_PYTHON", python());
    assert_eq!(lines(implicit), [refused]);
}

#[test]
fn the_flags_do_what_they_say() {
    let init = format!("init={}", text(&python()));
    let has_site = "eval=str('site' in __import__('sys').modules)";
    let flags = "eval='%d %d' % (__import__('sys').flags.no_site, __import__('sys').flags.ignore_environment)";
    assert_eq!(lines(drive(&[&init, "create", has_site, flags])), ["True", "0 1"]);
    assert_eq!(lines(drive(&[NO_SITE, &init, "create", has_site, flags, "main", has_site])), ["False", "1 1", "False"]);

    let folder = folder("python-path");
    fs::write(folder.join("by_path.py"), "name = 'by path'\n").unwrap();
    let name = "eval=__import__('by_path').name";
    let with_path = |steps: &[&str]| {
        let mut command = drive(steps);
        command.env("PYTHONPATH", &folder);
        lines(command)
    };
    let missing = "eval: SUBPY_ERROR_EXECUTION_FAILED: ModuleNotFoundError: No module named 'by_path'";
    assert_eq!(
        with_path(&[USE_ENVIRONMENT, &init, "create", flags, name, "create", name]),
        ["0 0", "by path", "by path"]
    );
    assert_eq!(with_path(&[&init, "create", name]), [missing]);
    // The folder that the program is in, or was started in, is never searched.
    let mut command = drive(&[&init, "create", name]);
    command.current_dir(&folder);
    assert_eq!(lines(command), [missing]);
}

// ---- what is not found, or does not fit

/// What a message says when nothing is found at the one place that was named.
fn not_found(step: &str, place: &str) -> Vec<String> {
    let what = "SUBPY_ERROR_PYTHON_NOT_FOUND: no CPython 3.14.1 or newer with a shared libpython was found";
    vec![
        format!("{step}: {what}"),
        format!("  {place}: No such file or directory (os error 2)"),
        "install one with: uv python install 3.14 (uv: https://docs.astral.sh/uv), or from the system's packages"
            .into(),
        "or name the folder of one that is installed: SUBPY_PYTHON=/path/to/its/folder".into(),
    ]
}

#[test]
fn what_is_not_found_is_told_line_by_line() {
    let explicit = not_found("init", "python=/nowhere/python");
    assert_eq!(lines(drive(&["init=/nowhere/python"])), explicit);
    let mut variable = drive(&["create"]);
    variable.env("SUBPY_PYTHON", "/nowhere/python");
    assert_eq!(lines(variable), not_found("create", "SUBPY_PYTHON=/nowhere/python"));

    // It can be tried again, with another choice.
    let init = format!("init={}", text(&python()));
    let printed = lines(drive(&["init=/nowhere/python", &init, "create", "eval='works'"]));
    assert_eq!(printed, [&explicit[..], &["works".into()]].concat());
}

#[test]
fn what_would_be_waited_for_without_end_is_refused() {
    let folder = folder("fifo");
    for name in ["libpython3.14.so.1.0", "python3.14"] {
        let fifo = folder.join(name);
        expect_success({
            let mut command = Command::new("mkfifo");
            command.arg(&fifo);
            command
        });
        let mut by_environment = drive(&["create"]);
        by_environment.env("VIRTUAL_ENV", &fifo);
        for command in [drive(&[&format!("init={}", text(&fifo))]), by_environment] {
            // Whoever opens it for reading is not left waiting by this test.
            let mut limited = Command::new("timeout");
            limited.arg("20").arg(command.get_program()).args(command.get_args());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => limited.env(name, value),
                    None => limited.env_remove(name),
                };
            }
            limited.env("PATH", std::env::var_os("PATH").unwrap_or_default());
            let output = limited.output().unwrap();
            assert_ne!(output.status.code(), Some(124), "it waits for a writer of {name}");
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(printed.contains("it is neither a file nor a folder") || printed.is_empty(), "{printed}");
            assert!(!printed.is_empty() || command.get_args().any(|step| step == "create"), "{name} was taken");
        }
    }
}

/// Nobody's program may run what somebody put into the folder that it happens to be started in.
#[test]
fn the_folder_that_a_program_is_started_in_is_not_searched() {
    let folder = folder("planted");
    let script = "#!/bin/sh\n: >\"$0.ran\"\n";
    for name in ["bin/python3.14", "env/bin/python3.14", "python3.14", ".pyenv/versions/3.14.6/bin/python3.14"] {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let planted = |variables: &[(&str, &str)]| {
        let mut command = drive(&["create"]);
        command.current_dir(&folder).env_remove("VIRTUAL_ENV").envs(variables.iter().copied());
        lines(command);
        let mut find = Command::new("find");
        find.arg(&folder).args(["-name", "*.ran"]);
        let ran = lines(find);
        assert!(ran.is_empty(), "{variables:?}: {ran:?}");
    };
    planted(&[("VIRTUAL_ENV", "env")]);
    planted(&[("VIRTUAL_ENV", ".")]);
    planted(&[("SUBPY_PYTHON", ".")]);
    planted(&[("SUBPY_PYTHON", "env/bin/python3.14")]);
    planted(&[("PATH", "/nonexistent:")]);
    planted(&[("PATH", ".:/nonexistent")]);
    planted(&[("HOME", ".")]);
    planted(&[("PYENV_ROOT", ".pyenv")]);
}

#[test]
fn a_shortage_of_files_says_nothing_about_a_cpython() {
    let library = libpython();
    for choice in [python(), library] {
        let init = format!("init={}", text(&choice));
        let steps =
            ["files=0", &init, "files=1", &init, "files=2", &init, "files=100", &init, "create", "eval='works'"];
        let printed = lines(drive(&steps));
        let (last, refused) = printed.split_last().expect("something is printed");
        assert_eq!(last, "works", "{printed:?}");
        assert!(!refused.is_empty(), "no file was needed");
        for line in refused {
            assert!(line.starts_with("init: SUBPY_ERROR_INTERPRETER: "), "{line}");
            assert!(line.contains("Too many open files"), "{line}");
        }
    }
    // Nor does the search go on, and take another one.
    let mut command = drive(&["files=0", "init"]);
    command.env("VIRTUAL_ENV", python());
    let printed = lines(command);
    assert!(
        printed.len() == 1 && printed[0].starts_with("init: SUBPY_ERROR_INTERPRETER: could not look at"),
        "{printed:?}"
    );
}

#[test]
fn what_does_not_fit_says_why() {
    let folder = folder("unfit");
    let file = folder.join("notes.txt");
    fs::write(&file, "no Python").unwrap();
    for (choice, reason) in [
        (text(&folder), "there is no bin/python in this folder"),
        (text(&file), "is it executable (chmod +x)?"),
        ("/bin/true", "it did not answer like a Python"),
        ("/bin/false", "it failed (exit status: 1)"),
    ] {
        let printed = lines(drive(&[&format!("init={choice}")]));
        let start = format!("init: SUBPY_ERROR_PYTHON_UNSUPPORTED: python={choice} cannot be used: ");
        assert!(printed.len() == 1 && printed[0].starts_with(&start), "{printed:?}");
        assert!(printed[0].contains(reason), "{printed:?}");
    }
}

/// Pythons that are too old, as the machine has them: executables with a libpython, by pyenv or by the system.
fn older_libraries() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("/usr/lib/x86_64-linux-gnu"), PathBuf::from("/usr/lib64"), "/usr/lib".into()];
    if let Some(home) = std::env::var_os("HOME") {
        let versions = fs::read_dir(Path::new(&home).join(".pyenv/versions"));
        folders.extend(versions.into_iter().flatten().flatten().map(|entry| entry.path().join("lib")));
    }
    let names = (6..14).map(|minor| format!("libpython3.{minor}.so.1.0"));
    let mut found: Vec<PathBuf> =
        names.flat_map(|name| folders.iter().map(move |folder| folder.join(&name)).collect::<Vec<_>>()).collect();
    found.retain(|library| library.is_file());
    found
}

#[test]
fn an_older_cpython_in_the_process_is_refused() {
    let libraries = older_libraries();
    if libraries.is_empty() {
        eprintln!("skipped: there is no libpython3.6 to 3.13 on this machine to load beside");
    }
    let init = format!("init={}", text(&python()));
    for library in libraries {
        let (open, local) = (format!("dlopen={}", text(&library)), format!("dlopen-local={}", text(&library)));
        for steps in [[&open, "create"], [&open, &init], [&local, "create"]] {
            let mut command = drive(&steps);
            command.env("SUBPY_PYTHON", python());
            let printed = lines(command);
            let expected = "SUBPY_ERROR_PYTHON_UNSUPPORTED: CPython 3.";
            assert!(printed.len() == 1 && printed[0].contains(expected), "{steps:?}: {printed:?}");
            assert!(printed[0].contains("which is in this process already"), "{printed:?}");
        }
    }
}

#[test]
fn a_fitting_one_in_the_process_is_used() {
    let library = libpython();
    let (open, local) = (format!("dlopen={}", text(&library)), format!("dlopen-local={}", text(&library)));
    let works = "eval=str(__import__('json').loads('1') + len(__import__('sqlite3').sqlite_version_info))";
    for open in [&open, &local] {
        assert_eq!(
            lines(drive(&[open, "create", works, "library", "shutdown", "create", works])),
            ["4", text(&library), "4"]
        );
    }
    let mut environment = drive(&[&open, "create", works, "eval=__import__('sys').prefix"]);
    let env = virtual_env("in-process-env");
    environment.env("SUBPY_PYTHON", &env);
    assert_eq!(lines(environment), ["4", text(&env)]);
}

#[test]
fn a_cpython_that_a_c_host_started_is_adopted() {
    let library = libpython();
    let (open, works) = (format!("dlopen={}", text(&library)), "eval=str(__import__('json').loads('1'))");
    // Without a choice CPython would take its prefix from the first python3 on PATH.
    let home = format!("setenv=PYTHONHOME={}", asked("os.path.realpath(sys.base_prefix)"));
    let start = [home.as_str(), &open, "initialize", "create", works, "main", works, "library", "shutdown"];
    let expected = ["1", "1", text(&library)];
    assert_eq!(lines(drive(&start)), expected);
    assert_eq!(
        lines(drive(&[&start[..], &["create", works, "shutdown", "finalize"]].concat())),
        [&expected[..], &["1"]].concat()
    );
    // Another life, the library's own this time.
    let again = [&start[..], &["finalize", "create", works, "main", works, "shutdown"]].concat();
    assert_eq!(lines(drive(&again)), [&expected[..], &["1", "1"]].concat());
}

// ---- the codecs' modules, which new interpreters take from memory

/// A standard library that is the tests' one but for `encodings`, which is a copy without compiled files. Returns what
/// PYTHONHOME is to be, and the copy.
fn other_home(name: &str) -> (PathBuf, PathBuf) {
    let (home, stdlib) = (folder(name), PathBuf::from(asked("os.path.dirname(os.__file__)")));
    let lib = home.join("lib").join(stdlib.file_name().unwrap());
    let copy = lib.join("encodings");
    fs::create_dir_all(&copy).unwrap();
    for entry in fs::read_dir(&stdlib).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_name() != "encodings" {
            std::os::unix::fs::symlink(entry.path(), lib.join(entry.file_name())).unwrap();
        }
    }
    for entry in fs::read_dir(stdlib.join("encodings")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|extension| extension == "py") {
            fs::copy(&entry, copy.join(entry.file_name().unwrap())).unwrap();
        }
    }
    (home, copy)
}

/// Evaluates to where the codecs' modules are, and to where they would be taken from.
const CODECS: &str = "eval=' '.join([__import__('encodings').__path__[0], __import__('encodings.aliases').__file__,\
    __import__('encodings').search_function.__code__.co_filename,\
    'frozen' if __import__('_imp').is_frozen('encodings') else 'file', '\\u20ac'.encode('cp1252').hex()])";

fn codecs_of(copy: &Path, how: &str) -> String {
    let init = text(&copy.join("__init__.py")).to_owned();
    format!("{} {init} {init} {how} 80", text(copy))
}

#[test]
fn the_codecs_are_those_of_the_python_that_is_used() {
    let (home, copy) = other_home("codecs-home");
    let init = format!("init={}", text(&python()));
    let gone = copy.with_file_name("moved");
    let moved = |from: &Path, to: &Path| format!("exec=__import__('os').rename({:?}, {:?})", text(from), text(to));
    let (away, back) = (moved(&copy, &gone), moved(&gone, &copy));
    // Compiled files are neither needed nor made; and the files are read once.
    let steps = [USE_ENVIRONMENT, &init, "create", CODECS, "main", CODECS, &away, "create", &back, CODECS];
    let mut command = drive(&steps);
    command.env("PYTHONHOME", &home).env("PYTHONDONTWRITEBYTECODE", "1");
    assert_eq!(lines(command), vec![codecs_of(&copy, "frozen"); 3]);
    assert!(!copy.join("__pycache__").exists());

    // Nothing compiled that is broken gets in.
    let tag = asked("sys.implementation.cache_tag");
    for garbage in [&b""[..], b"short", &[0xff; 100], &[0; 5000]] {
        fs::create_dir_all(copy.join("__pycache__")).unwrap();
        for name in ["__init__", "aliases", "utf_8"] {
            fs::write(copy.join(format!("__pycache__/{name}.{tag}.pyc")), garbage).unwrap();
        }
        let mut command = drive(&[USE_ENVIRONMENT, &init, "create", CODECS]);
        command.env("PYTHONHOME", &home).env("PYTHONDONTWRITEBYTECODE", "1");
        assert_eq!(lines(command), [codecs_of(&copy, "frozen")]);
    }

    // Another life reads them again, main and guests.
    let change = format!("exec=open({:?}, 'a').write('life = 2\\n')", text(&copy.join("__init__.py")));
    let life = "eval=str(__import__('encodings').life)";
    let steps = [USE_ENVIRONMENT, &init, "create", CODECS, &change, "shutdown", &init, "create", life, "main", life];
    let mut command = drive(&steps);
    command.env("PYTHONHOME", &home);
    assert_eq!(lines(command), [&codecs_of(&copy, "frozen"), "2", "2"]);
}

#[test]
fn codecs_that_come_from_elsewhere_are_left_alone() {
    let init = format!("init={}", text(&python()));
    let codecs = |variable: &str, value: &Path| {
        let mut command = drive(&[USE_ENVIRONMENT, &init, "create", CODECS, "main", CODECS]);
        command.env(variable, value);
        lines(command)
    };
    let (_, copy) = other_home("codecs-elsewhere");
    assert_eq!(codecs("PYTHONPATH", copy.parent().unwrap()), vec![codecs_of(&copy, "file"); 2]);
    // Who develops the standard library wants its files.
    let own = PathBuf::from(asked("__import__('encodings').__path__[0]"));
    assert_eq!(codecs("PYTHON_FROZEN_MODULES", Path::new("off")), vec![codecs_of(&own, "file"); 2]);
    assert_eq!(codecs("PYTHON_FROZEN_MODULES", Path::new("on")), vec![codecs_of(&own, "frozen"); 2]);
}

#[test]
fn a_host_keeps_its_codecs_and_its_frozen_modules() {
    let open = format!("dlopen={}", text(&libpython()));
    let (home, copy) = other_home("codecs-host");
    let home = format!("setenv=PYTHONHOME={}", text(&home));
    let life = ["initialize", "main", CODECS, "create", CODECS, "shutdown", "create", CODECS, "shutdown", "finalize"];
    let lives = [&[home.as_str(), open.as_str()], &life[..], &life[..]].concat();
    assert_eq!(lines(drive(&lives)), vec![codecs_of(&copy, "frozen"); 6]);
    let script = fs::read_to_string(root().join("tests/programs/host_table.py")).unwrap();
    assert_eq!(lines(host(&python(), &script)), ["done"]);
}

// ---- hosts that are Pythons

/// Runs a script in a Python that loads the library with ctypes.
fn host(python: &Path, script: &str) -> Command {
    let mut command = command(python);
    let source = format!("{}\n{script}", include_str!("programs/host.py"));
    command.env_remove("SUBPY_PYTHON").arg("-c").arg(source).arg(library_folder().join("libsubpy.so"));
    command
}

#[test]
fn a_python_that_is_the_host_is_adopted() {
    let script = fs::read_to_string(root().join("tests/programs/adopted.py")).unwrap();
    for loader in ["CDLL", "PyDLL"] {
        let script = |shut_down| format!("load, shut_down = ctypes.{loader}, {shut_down}\n{script}");
        assert_eq!(lines(host(&python(), &script("True"))), ["the host's exit handler runs"], "{loader}");
        // A host that ends with interpreters left ends them itself, and says so.
        let output = expect_success(host(&python(), &script("False")));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("RuntimeWarning: remaining subinterpreters") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn interpreters_that_were_there_before_the_adoption_are_known() {
    let script = fs::read_to_string(root().join("tests/programs/before.py")).unwrap();
    for (loader, first) in [("CDLL", "host"), ("PyDLL", "host"), ("CDLL", "guest")] {
        let script = format!("load, first = ctypes.{loader}, {first:?}\n{script}");
        assert_eq!(lines(host(&python(), &script)), ["done"], "{loader}, {first}");
    }
}

/// A host may start CPython again; what was known of the one before is forgotten.
#[test]
fn a_host_that_starts_cpython_again_is_adopted_again() {
    let open = format!("dlopen={}", text(&libpython()));
    let home = format!("setenv=PYTHONHOME={}", asked("os.path.realpath(sys.base_prefix)"));
    let guests = "exec=import _interpreters; made = [_interpreters.create() for _ in range(2)]";
    let count = "eval=str(len(__import__('_interpreters').list_all()))";
    let life = ["initialize", "main", guests, count, "shutdown", "finalize"];
    let lives = [&[home.as_str(), open.as_str()], &life[..], &life[..], &life[..]].concat();
    assert_eq!(lines(drive(&lives)), ["3", "3", "3"]);
}

/// What is asked of the library after its host has finalized CPython is refused, and does not crash.
#[test]
fn a_host_may_end_cpython_first() {
    let open = format!("dlopen={}", text(&libpython()));
    let home = format!("setenv=PYTHONHOME={}", asked("os.path.realpath(sys.base_prefix)"));
    let after = |steps: &[&str]| lines(drive(&[&[home.as_str(), open.as_str(), "initialize", "main"], steps].concat()));
    let works = "eval=str(__import__('json').loads('1'))";
    let gone = |step: &str| format!("{step}: SUBPY_ERROR_NOT_FOUND: unrecognized interpreter ID 0");
    assert_eq!(after(&[works, "finalize", "exec=1", works]), ["1", &gone("exec"), &gone("eval")]);
    assert_eq!(after(&["finalize", "shutdown", "shutdown"]), [""; 0]);
    assert_eq!(after(&["enter", works, "finalize", "leave", "exec=1"]), ["1", &gone("exec")]);
    // The next life is the host's again, or the library's.
    let old_handle = gone("eval");
    assert_eq!(after(&["finalize", "initialize", works, "main", works, "shutdown"]), [&old_handle, "1"]);
    assert_eq!(after(&["finalize", "create", works, "main", works, "shutdown"]), ["1", "1"]);
    assert_eq!(after(&["finalize", "create-elsewhere", works, "shutdown"]), ["1"]);
}

/// Code that runs while CPython starts cannot wait for that.
#[test]
fn a_start_is_not_waited_for_from_within() {
    let path = folder("sitecustomize");
    let code = "import ctypes\nget_main = ctypes.CDLL(None).subpy_get_main\n\
                print(get_main(ctypes.byref(ctypes.c_uint64()), None), flush=True)\n";
    fs::write(path.join("sitecustomize.py"), code).unwrap();
    let mut program = drive(&[USE_ENVIRONMENT, &format!("init={}", text(&python())), "create", "eval='x'", "shutdown"]);
    program.env("PYTHONPATH", path);
    let said = lines(program);
    assert_eq!((said[0].as_str(), said.last().unwrap().as_str()), ("-14", "x"), "{said:?}");
}

/// Ctrl-C that comes while the library runs Python code in main is the host's.
#[test]
fn an_interrupt_in_an_adoption_is_not_lost() {
    let script = "
import _thread
results = []

def hook(event, args):
    if event == 'compile' and args[1] == '<subpy>' and not results:
        results.append('compiles')
        _thread.interrupt_main()

sys.addaudithook(hook)
get_main, main = ctypes.CDLL(sys.argv[1]).subpy_get_main, ctypes.byref(ctypes.c_uint64())
try:
    get_main(main, None)
    for _ in range(1000): pass
    results.append('goes on')
except KeyboardInterrupt:
    results.append('interrupted')
results.append(get_main(main, None))
print(results)
";
    assert_eq!(lines(host(&python(), script)), ["['compiles', 'interrupted', 0]"]);
}

/// What `sitecustomize` does comes before the library's own audit hook.
#[test]
fn a_start_after_what_sitecustomize_did() {
    let start = |code: &str, steps: &[&str]| {
        let path = folder("sitecustomize-before");
        fs::write(path.join("sitecustomize.py"), code).unwrap();
        let init = format!("init={}", text(&python()));
        let mut program = drive(&[&[USE_ENVIRONMENT, init.as_str()], steps].concat());
        program.env("PYTHONPATH", path);
        lines(program)
    };
    // Interpreters that were made meanwhile are known.
    let made = "import concurrent.interpreters as i\nimport builtins\n\
                if i.get_current() == i.get_main(): builtins.made = i.create()\n";
    let count = "eval=(lambda c, t: (c.CDLL(None).subpy_list_all(None, 0, c.byref(t), None), str(t.value))[1])\
                 (__import__('ctypes'), __import__('ctypes').c_size_t())";
    assert_eq!(start(made, &["main", count, "shutdown"]), ["2"]);
    for refusal in ["RuntimeError", "ValueError"] {
        let refuses = format!(
            "import sys\ndef hook(event, args):\n  if event == 'sys.addaudithook': raise {refusal}\nsys.addaudithook(hook)\n"
        );
        assert!(start(&refuses, &[])[0].contains("another audit hook"), "{refusal}");
    }
}

/// One thread adopts the host's CPython without holding the GIL, and another begins meanwhile and holds it.
#[test]
fn a_thread_with_the_gil_waits_for_an_adoption_without_it() {
    let script = "
import threading
without, with_gil = ctypes.CDLL(sys.argv[1]).subpy_get_main, ctypes.PyDLL(sys.argv[1]).subpy_get_main
begin = threading.Lock()
begin.acquire()

def second():
    begin.acquire()
    assert with_gil(ctypes.byref(ctypes.c_uint64()), None) == 0

thread = threading.Thread(target=second)
thread.start()
main = ctypes.byref(ctypes.c_uint64())
begin.release()
assert without(main, None) == 0
thread.join()
print('done')
";
    for _ in 0..20 {
        assert_eq!(lines(host(&python(), script)), ["done"]);
    }
}

#[test]
fn an_older_python_as_host_is_refused() {
    let mut hosts: Vec<PathBuf> = older_libraries()
        .iter()
        .filter_map(|library| Some(library.parent()?.parent()?.join("bin/python3")))
        .filter(|python| python.is_file())
        .collect();
    hosts.extend(["/usr/bin/python3"].iter().map(PathBuf::from).filter(|python| python.is_file()));
    let mut refused = 0;
    for python in hosts {
        let script = "
import sys
if sys.version_info >= (3, 14) or sys.version_info < (3, 6): print('newer'); sys.exit()
for load in (ctypes.CDLL, ctypes.PyDLL):
    subpy = Subpy(load)
    status, message = subpy.attempt('subpy_create', None, ctypes.byref(ctypes.c_uint64()))
    assert status == -9, (status, message)
    assert message.startswith('CPython %d.%d.%d, which is in this process already (' % sys.version_info[:3]), message
    assert '\\n' not in message and 'uv python install 3.14' in message, message
print('refused')
";
        let printed = lines(host(&python, script));
        refused += usize::from(printed == ["refused"]);
    }
    if refused == 0 {
        eprintln!("skipped: there is no Python 3.6 to 3.13 on this machine to be a host");
    }
}
