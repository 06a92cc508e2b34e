//! What the library loads, and what it writes: nothing from the current folder, nothing that the environment of a program
//! with more rights names, no files. docs/security.md says so.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{build, command, compiler, expect_success, have, python, root, skipped};

/// The user that has no rights.
const NOBODY: u32 = 65534;

/// A folder of things that tell when they are run, in their names and at places where something may look for them.
struct Evil {
    folder: PathBuf,
    /// Is there when one was.
    mark: PathBuf,
}

impl Drop for Evil {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(&self.mark);
    }
}

impl Evil {
    /// Everybody may use it.
    fn new(name: &str) -> Evil {
        let name = format!("subpy-evil-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        let evil = Evil { mark: folder.with_extension("mark"), folder };
        for folder in ["", "bin", "lib/python3.14", "lib/python3.15", "encodings", "json"] {
            fs::create_dir_all(evil.folder.join(folder)).expect("a folder");
        }
        let mark = evil.mark.display();
        // Before there is open().
        let module =
            format!("import posix\nposix.close(posix.open({:?}, posix.O_CREAT | posix.O_WRONLY))\n", evil.mark);
        for name in [
            "sitecustomize",
            "usercustomize",
            "encodings/__init__",
            "json/__init__",
            "os",
            "site",
            "threading",
            "traceback",
            "linecache",
            "decimal",
            "subpy_queues",
            "lib/python3.14/os",
            "lib/python3.15/os",
        ] {
            evil.file(&format!("{name}.py"), &module, 0o644);
        }
        for name in ["python", "python3", "python3.14", "python3.15", "bin/python", "bin/python3", "bin/python3.14"] {
            evil.file(name, &format!("#!/bin/sh\n: >{mark}\nexit 1\n"), 0o755);
        }
        evil.file("pyvenv.cfg", &format!("home = {}\n", evil.folder.join("bin").display()), 0o644);
        evil.file("python314._pth", &format!("{}\n", evil.folder.display()), 0o644);
        let source = evil.folder.join("library.c");
        let code = format!(
            "#include <fcntl.h>\n__attribute__((constructor)) static void mark(void) {{ open(\"{mark}\", O_CREAT | O_WRONLY, 0666); }}\n\
             const unsigned long Py_Version = 0x030e06f0;\n"
        );
        fs::write(&source, code).expect("a file");
        let library = evil.folder.join("libsubpy.so");
        let mut command = compiler(false);
        command.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        expect_success(command);
        for name in
            ["libsubpy.so.0", "libpython3.14.so.1.0", "libpython3.so", "lib/libpython3.14.so.1.0", "libgcc_s.so.1"]
        {
            fs::copy(&library, evil.folder.join(name)).expect("a copy");
        }
        // So that somebody else can leave it.
        evil.forget();
        evil
    }

    fn file(&self, name: &str, text: &str, mode: u32) {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
    }

    /// Whether something of it was run since it was forgotten.
    fn was_run(&self) -> bool {
        self.mark.exists()
    }

    fn forget(&self) {
        let _ = fs::remove_file(&self.mark);
    }

    /// Its files.
    fn files(&self) -> BTreeSet<PathBuf> {
        let (mut found, mut folders) = (BTreeSet::new(), vec![self.folder.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() {
                    folders.push(entry.clone());
                }
                found.insert(entry);
            }
        }
        found
    }

    /// Another user can make the mark.
    fn for_everybody(&self) {
        fs::set_permissions(&self.folder, Permissions::from_mode(0o755)).expect("its mode");
        self.forget();
    }

    /// Whatever could name it does.
    fn in_environment_of(&self, command: &mut Command) {
        for name in ["VIRTUAL_ENV", "UV_PYTHON_INSTALL_DIR", "PYENV_ROOT", "SUBPY_CACHE", "HOME", "PATH"] {
            command.env(name, &self.folder);
        }
        for name in ["XDG_DATA_HOME", "XDG_CACHE_HOME", "PYTHONPATH", "PYTHONUSERBASE", "LD_LIBRARY_PATH"] {
            command.env(name, &self.folder);
        }
    }
}

fn text(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn is_done(output: &Output) -> bool {
    output.status.success() && output.stdout.ends_with(b"done\n")
}

#[test]
fn nothing_comes_from_the_current_folder() {
    let evil = Evil::new("folder");
    let program = build(&root().join("tests/programs/careful.c"));
    // It would tell.
    let told = |command: &mut Command, what: &str| {
        command.output().expect("it runs");
        assert!(evil.was_run(), "{what}");
        evil.forget();
    };
    told(Command::new(python()).args(["-B", "-c", "import json"]).env("PYTHONPATH", &evil.folder), "a module");
    told(Command::new("/bin/true").env("LD_PRELOAD", evil.folder.join("libsubpy.so")), "a library");
    told(&mut Command::new(evil.folder.join("python3")), "an executable");

    let before = evil.files();
    let here = |command: &mut Command| {
        let output = command.current_dir(&evil.folder).output().expect("it runs");
        assert!(!evil.was_run(), "{command:?}: {}", text(&output));
        assert_eq!(evil.files(), before, "{command:?}");
        output
    };
    let output = here(command(&program).arg(""));
    assert!(is_done(&output), "{}", text(&output));
    let output = here(command(&program).arg(python()).env_remove("SUBPY_PYTHON"));
    assert!(is_done(&output), "{}", text(&output));
    // A search that is told of the folder in all the ways that depend on where the program is started.
    let folder = python().parent().expect("a folder").display().to_string();
    let path = format!(":.:./bin:..:{folder}");
    let relative =
        ["VIRTUAL_ENV", "UV_PYTHON_INSTALL_DIR", "PYENV_ROOT", "SUBPY_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME"];
    let mut search = command(&program);
    search.arg("").env_remove("SUBPY_PYTHON").env("PATH", path).env("HOME", ".").envs(relative.map(|name| (name, ".")));
    let output = here(&mut search);
    assert!(is_done(&output), "{}", text(&output));
    let output = here(command(&program).arg("").env("SUBPY_PYTHON", "./python3"));
    assert!(text(&output).contains("ERROR_PYTHON_UNSUPPORTED"), "{}", text(&output));
    fs::remove_file(program).expect("the program can be removed");
}

/// Opens a file so that it may be written or made, or changes what is in a folder.
fn writes(line: &str) -> bool {
    let calls = ["mkdir", "rename", "unlink", "symlink", "link(", "linkat(", "creat(", "mknod", "rmdir", "truncate("];
    let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
    calls.iter().any(|name| call.starts_with(name))
        || ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TMPFILE"].iter().any(|flag| line.contains(flag))
}

#[test]
fn no_files_are_written() {
    if !have("strace", "that the library writes no files", "install the package strace") {
        return;
    }
    let program = build(&root().join("tests/programs/careful.c"));
    let log = program.with_extension("strace");
    let mut traced = Command::new("strace");
    traced.arg("-f").args(["-e", "trace=%file,ftruncate", "-e", "signal=none", "-o"]).arg(&log).arg(&program).arg("");
    traced.env("SUBPY_PYTHON", python()).env_remove("VIRTUAL_ENV");
    let output = traced.output().expect("strace runs");
    if !output.status.success() && text(&output).contains("PTRACE") {
        skipped("that the library writes no files", "strace may not trace here");
        return;
    }
    assert!(is_done(&output), "{}", text(&output));
    let calls = String::from_utf8_lossy(&fs::read(&log).expect("the log")).into_owned();
    let opened = calls.lines().filter(|line| line.contains("openat(")).count();
    assert!(opened > 100, "strace has seen {opened}");
    // CPython's own caches of modules, and what is no file.
    let are_fine = ["__pycache__", "\"/dev/null\"", "\"/proc/self/", "\"/dev/tty\""];
    let written: Vec<&str> =
        calls.lines().filter(|line| writes(line) && !are_fine.iter().any(|fine| line.contains(fine))).collect();
    assert!(written.is_empty(), "{}", written.join("\n"));
    fs::remove_file(log).expect("the log can be removed");
    fs::remove_file(program).expect("the program can be removed");
}

#[test]
fn writes_are_seen() {
    assert!(writes(r#"12 openat(AT_FDCWD, "/tmp/x", O_RDWR|O_CREAT, 0600) = 3"#));
    assert!(writes(r#"12 mkdir("/tmp/x", 0777) = 0"#));
    assert!(!writes(r#"12 openat(AT_FDCWD, "/tmp/x", O_RDONLY|O_CLOEXEC) = 3"#));
}

/// A copy of the program where everybody may run it, which is root's, or has a capability.
struct Privileged(PathBuf);

impl Drop for Privileged {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Privileged {
    fn new(program: &Path, mode: u32) -> Privileged {
        let copy = std::env::temp_dir().join(format!("subpy-rights-{mode:o}-{}", std::process::id()));
        fs::copy(program, &copy).expect("a copy");
        fs::set_permissions(&copy, Permissions::from_mode(mode)).expect("its mode");
        Privileged(copy)
    }

    /// As somebody without rights, who sets the environment as he likes.
    fn run(&self, python: &str, evil: &Evil) -> Output {
        let mut command = Command::new(&self.0);
        command.arg(python).uid(NOBODY).gid(NOBODY).current_dir("/");
        evil.in_environment_of(&mut command);
        command.env("SUBPY_PYTHON", evil.folder.join("python3"));
        command.output().expect("it runs")
    }
}

/// The attribute of a file that has CAP_NET_RAW (struct vfs_cap_data), set by Python, which has a function for it.
fn give_capability(path: &Path) -> bool {
    let code = "import os, struct, sys\n\
                os.setxattr(sys.argv[1], 'security.capability', struct.pack('<5I', 0x02000001, 1 << 13, 0, 0, 0))";
    Command::new(python()).args(["-I", "-c", code]).arg(path).output().expect("Python runs").status.success()
}

#[test]
fn a_program_with_more_rights_ignores_its_environment() {
    let what = "programs with more rights than whoever starts them";
    // The folder of this process's own entry is its user's.
    if fs::metadata("/proc/self").expect("/proc").uid() != 0 {
        return skipped(what, "this needs root");
    }
    let evil = Evil::new("rights");
    evil.for_everybody();
    let program = build(&root().join("tests/programs/careful.c"));

    // Without more rights the same environment is heeded. Whoever runs it may not be allowed to load the library from here.
    let mut heeds = command(&program);
    heeds.arg("").env("SUBPY_PYTHON", evil.folder.join("python3")).output().expect("it runs");
    assert!(evil.was_run(), "the environment is heeded elsewhere");
    evil.forget();

    let owned = Privileged::new(&program, 0o4755);
    let output = owned.run("", &evil);
    if text(&output).contains("AT_SECURE 0") {
        return skipped(what, "set-user-ID has no effect in the folder for temporary files");
    }
    let told = text(&output);
    assert!(told.contains("AT_SECURE 1") && !evil.was_run(), "{told}");
    assert!(!told.contains("evil"), "{told}");
    // By the system's own folders, if there is one.
    assert!(is_done(&output) || told.contains("ERROR_PYTHON_NOT_FOUND"), "{told}");
    // One that the program names itself is used, in processes too, and its environment is not.
    let output = owned.run(&python().display().to_string(), &evil);
    assert!(is_done(&output) && !evil.was_run(), "{}", text(&output));

    let capable = Privileged::new(&program, 0o755);
    if !give_capability(&capable.0) {
        return skipped("programs with file capabilities", "they cannot be given here");
    }
    let told = text(&capable.run("", &evil));
    // Where nobody may read the library, the program does not begin.
    if told.contains("libsubpy.so") {
        return skipped("programs with file capabilities", "users without rights cannot read the library here");
    }
    assert!(told.contains("AT_SECURE 1") && !evil.was_run() && !told.contains("evil"), "{told}");
    fs::remove_file(program).expect("the program can be removed");
}
