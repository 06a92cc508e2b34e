use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::choice::Choice;
use super::elf::library;
use super::probe::tests::answer;
use super::*;

fn find(
    loaded: Option<LoadedRaw>,
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<OsString>,
    has_more_rights: bool,
) -> Result<Found, LocateError> {
    super::find(loaded, explicit, env, has_more_rights, &mut Vec::new())
}

fn search(env: &dyn Fn(&str) -> Option<OsString>, roots: &[PathBuf]) -> Result<Installation, LocateError> {
    search::search(env, roots, &mut Vec::new())
}

fn inspect(path: &Path) -> Result<Installation, String> {
    inspect::inspect(path).map_err(|refused| refused.to_string())
}

/// A folder of its own for a test.
pub(super) struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("subpy-locate-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// An executable. Another process writes it: a test that forks at this moment would otherwise keep the file
    /// open for writing, and the kernel refuses to run such a file.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", "cat >\"$0\" && chmod +x \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let content = format!("#!/bin/sh\n{text}\n");
        shell.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
        path
    }

    /// What the executable of an ordinary build in `name` says.
    fn report(&self, name: &str, version: (u8, u8, u8)) -> probe::Report {
        let prefix = self.0.join(name);
        let (major, minor, _) = version;
        probe::Report {
            implementation: "cpython".to_owned(),
            version,
            executable: prefix.join(format!("bin/python{major}.{minor}")),
            prefix: prefix.clone(),
            base_prefix: prefix.clone(),
            mapped: PathBuf::new(),
            free_threaded: false,
            soname: format!("libpython{major}.{minor}.so.1.0"),
            library_folder: "/install/lib".into(),
            multiarch: "x86_64-linux-gnu".to_owned(),
        }
    }

    fn stdlib(&self, name: &str, (major, minor, _): (u8, u8, u8)) {
        self.file(&format!("{name}/python{major}.{minor}/os.py"), b"");
    }

    /// An executable that answers with `report`.
    fn python(&self, name: &str, report: &probe::Report) -> PathBuf {
        let text = self.file(&format!("{name}.answer"), &answer(report));
        self.script(name, &format!("cat '{}'", text.display()))
    }

    fn libpython(&self, name: &str, version: (u8, u8, u8)) -> PathBuf {
        self.file(name, &library("Py_Version", version))
    }

    /// All of an ordinary build, and where it is.
    fn installation(&self, name: &str, version: (u8, u8, u8)) -> Installation {
        let (major, minor, _) = version;
        self.stdlib(&format!("{name}/lib"), version);
        Installation {
            library: self.libpython(&format!("{name}/lib/libpython{major}.{minor}.so.1.0"), version),
            executable: Some(self.python(&format!("{name}/bin/python{major}.{minor}"), &self.report(name, version))),
            prefix: self.0.join(name),
            version,
        }
    }

    /// A virtual environment on top of `base`.
    fn environment(&self, name: &str, base: &Installation) -> PathBuf {
        let mut report = self.report(name, base.version);
        report.executable = self.0.join(name).join("bin/python");
        report.base_prefix = base.prefix.clone();
        self.file(&format!("{name}/pyvenv.cfg"), b"");
        self.python(&format!("{name}/bin/python"), &report)
    }

    fn link(&self, name: &str, target: &Path) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, &path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const GOOD: (u8, u8, u8) = (3, 14, 6);

fn env<'a>(variables: &'a [(&str, &Path)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
}

fn tried(error: LocateError) -> Vec<Tried> {
    match error {
        LocateError::NotFound { tried } => tried,
        other => panic!("{other}"),
    }
}

fn unsupported(error: LocateError) -> (String, String) {
    match error {
        LocateError::Unsupported { what, reason } => (what, reason),
        other => panic!("{other}"),
    }
}

// ---- one candidate

#[test]
fn an_executable_leads_to_its_library() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let link = folder.link("bin/python3", good.executable.as_ref().unwrap());
    assert_eq!(inspect(&link), Ok(good));
}

#[test]
fn the_library_may_be_in_any_of_the_usual_places() {
    for place in ["", "lib/", "lib/x86_64-linux-gnu/", "configured/", "elsewhere/lib/"] {
        let folder = Folder::new();
        let mut report = folder.report("top", GOOD);
        report.library_folder = folder.0.join("top/configured");
        report.executable = folder.python("top/elsewhere/bin/python3.14", &report);
        let python = folder.python("top/bin/python3.14", &report);
        folder.stdlib("top/lib", GOOD);
        let library = folder.libpython(&format!("top/{place}libpython3.14.so.1.0"), GOOD);
        assert_eq!(inspect(&python).map(|found| found.library), Ok(library), "{place}");
    }
}

#[test]
fn the_library_that_the_executable_uses_comes_first() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let mut report = folder.report("good", GOOD);
    report.mapped = folder.libpython("other/libpython3.14.so.1.0", GOOD);
    let python = folder.python("bin/python3", &report);
    assert_eq!(inspect(&python), Ok(Installation { library: report.mapped, ..good }));
}

#[test]
fn the_library_of_another_patch_level_is_not_taken() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let library = folder.libpython("good/lib/libpython3.14.so.1.0", (3, 14, 5));
    let reason = inspect(&good.executable.unwrap()).unwrap_err();
    assert!(reason.contains(&format!("{} is of 3.14.5", library.display())), "{reason}");
}

#[test]
fn a_build_without_a_shared_library_is_refused() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    fs::remove_file(&good.library).unwrap();
    let reason = inspect(good.executable.as_ref().unwrap()).unwrap_err();
    assert!(reason.contains("libpython3.14.so.1.0 is not there (looked in "), "{reason}");
    assert!(reason.contains(good.prefix.join("lib").to_str().unwrap()), "{reason}");

    let mut report = folder.report("good", GOOD);
    report.soname = "libpython3.14.a".to_owned();
    let python = folder.python("bin/python3", &report);
    let reason = inspect(&python).unwrap_err();
    assert!(reason.contains("--enable-shared") && reason.contains(INSTALL), "{reason}");
}

#[test]
fn a_shared_library_beside_a_static_executable_serves() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let mut report = folder.report("good", GOOD);
    report.soname = "libpython3.14.a".to_owned();
    let python = folder.python("bin/python3", &report);
    assert_eq!(inspect(&python), Ok(good));
}

#[test]
fn the_python_of_an_environment_stays_as_it_is() {
    let folder = Folder::new();
    let base = folder.installation("base", GOOD);
    let python = folder.environment("env", &base);
    let expected = Installation { executable: Some(python.clone()), ..base };
    assert_eq!(inspect(&python).as_ref(), Ok(&expected));
    assert_eq!(inspect(&folder.0.join("env")).as_ref(), Ok(&expected));
    let link = folder.link("link", &folder.0.join("env/bin/python"));
    assert_eq!(inspect(&link), Ok(expected), "the path it has for itself counts");
}

#[test]
fn a_folder_without_python_is_refused() {
    let folder = Folder::new();
    assert_eq!(inspect(&folder.0).unwrap_err(), "there is no bin/python in this folder");
}

#[test]
fn a_library_leads_to_what_is_around_it() {
    for (place, lib) in [("", "lib"), ("lib/", "lib"), ("lib/x86_64-linux-gnu/", "lib"), ("lib64/", "lib64")] {
        let folder = Folder::new();
        let library = folder.libpython(&format!("top/{place}libpython3.14.so.1.0"), GOOD);
        folder.stdlib(&format!("top/{lib}"), GOOD);
        let mut expected =
            Installation { library: library.clone(), executable: None, prefix: folder.0.join("top"), version: GOOD };
        folder.file("top/bin/python3.13", b"");
        folder.link("top/bin/python3", &folder.0.join("top/bin/python3.13"));
        assert_eq!(inspect(&library).as_ref(), Ok(&expected), "no executable of this version: {place}");
        expected.executable = Some(folder.file("top/bin/python3.14", b""));
        assert_eq!(inspect(&library), Ok(expected), "{place}");
    }
}

#[test]
fn the_short_name_of_a_library_serves() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let copy = folder.libpython("good/lib/libpython3.14.so", GOOD);
    assert_eq!(inspect(&copy), inspect(&good.library));
    assert_eq!(inspect(&copy).map(|found| found.library), Ok(good.library));
}

#[test]
fn unfit_libraries_are_refused() {
    let folder = Folder::new();
    folder.stdlib("lib", GOOD);
    for (name, version, expected) in [
        ("libpython3.14.so.1.0", (3, 14, 0), "3.14.0 lacks API"),
        ("libpython3.13.so.1.0", (3, 13, 9), "CPython 3.13 is too old"),
        ("libpython3.14t.so.1.0", GOOD, "free-threaded"),
        ("libpython3.14td.so.1.0", GOOD, "free-threaded"),
        ("libpython3.so", GOOD, "stub for the limited API"),
        ("libpython3.15.so.1.0", (3, 15, 0), "there is no lib/python3.15/os.py"),
    ] {
        let reason = inspect(&folder.libpython(&format!("lib/{name}"), version)).unwrap_err();
        assert!(reason.contains(expected), "{name}: {reason}");
    }
    let debug = folder.libpython("lib/libpython3.14d.so.1.0", GOOD);
    assert_eq!(inspect(&debug).map(|found| found.library), Ok(debug));
}

#[test]
fn unfit_executables_are_refused() {
    let folder = Folder::new();
    let good = folder.report("good", GOOD);
    let older = |version| probe::Report { version, ..good.clone() };
    for (report, expected) in [
        (older((3, 9, 2)), "CPython 3.9.2 is too old, 3.14.1 or newer"),
        (older((3, 14, 0)), "3.14.0 lacks API"),
        (probe::Report { free_threaded: true, ..good.clone() }, "free-threaded"),
        (probe::Report { implementation: "pypy".to_owned(), ..good.clone() }, "it is pypy and not CPython"),
        (good.clone(), "there is no lib/python3.14/os.py"),
    ] {
        let reason = inspect(&folder.python("bin/python3", &report)).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn an_old_name_is_not_run() {
    let folder = Folder::new();
    let ran = folder.0.join("ran");
    let old = folder.script("bin/python3.11", &format!("touch '{}'", ran.display()));
    let reason = inspect(&folder.link("bin/python3", &old)).unwrap_err();
    assert!(reason.contains("CPython 3.11 is too old") && !ran.exists(), "{reason}");
}

#[test]
fn an_executable_that_misses_its_library_may_lie_beside_it() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let text = "echo 'libpython3.14.so.1.0: cannot open shared object file' >&2; exit 127";
    let python = folder.script("good/bin/python3.14", text);
    assert_eq!(inspect(&python).as_ref(), Ok(&good));

    folder.file("env/pyvenv.cfg", b"");
    let in_environment = folder.link("env/bin/python", &python);
    let expected = Installation { executable: Some(in_environment.clone()), ..good.clone() };
    assert_eq!(inspect(&in_environment), Ok(expected));

    fs::remove_file(&good.library).unwrap();
    let reason = inspect(&python).unwrap_err();
    assert!(reason.contains("cannot open shared object file"), "{reason}");
}

// ---- the choice

#[test]
fn the_explicit_choice_comes_before_the_variable() {
    let env = |name: &str| (name == "SUBPY_PYTHON").then(|| OsString::from("/variable"));
    let explicit = choice(Some(Path::new("/explicit")), &env).unwrap().unwrap();
    assert_eq!((explicit.what.as_str(), explicit.path.as_path()), ("python=/explicit", Path::new("/explicit")));
    assert_eq!(choice(None, &env).unwrap().unwrap().what, "SUBPY_PYTHON=/variable");
    assert!(choice(None, &|_| Some(OsString::new())).unwrap().is_none(), "an empty variable is no choice");
}

#[test]
fn a_choice_is_never_skipped() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let missing = folder.0.join("missing");
    let old = folder.file("bin/python3.11", b"");
    let search = folder.0.join("good/bin");
    // As if nothing were loaded, whatever other tests of this process do.
    let find = |explicit: Option<&Path>, variable: &Path| {
        find(None, explicit, &env(&[("PATH", &search), ("SUBPY_PYTHON", variable)]), false)
    };
    for choose in [&|path: &Path| find(Some(path), Path::new("")), &|path: &Path| find(None, path)]
        as [&dyn Fn(&Path) -> Result<Found, LocateError>; 2]
    {
        let tried = tried(choose(&missing).unwrap_err());
        assert!(tried.len() == 1 && tried[0].what.ends_with(missing.to_str().unwrap()), "{tried:?}");
        let (what, reason) = unsupported(choose(&old).unwrap_err());
        assert!(what.ends_with(old.to_str().unwrap()) && reason.contains("3.11 is too old"), "{what}: {reason}");
        for path in [good.executable.as_ref().unwrap(), &good.library, &good.prefix] {
            assert_eq!(choose(path), Ok(Found::OnDisk(good.clone())));
        }
    }
    assert_eq!(find(None, Path::new("")), Ok(Found::OnDisk(good)));
}

// ---- the search

#[test]
fn the_virtual_environment_comes_before_the_path() {
    let folder = Folder::new();
    let base = folder.installation("base", GOOD);
    let python = folder.environment("env", &base);
    let (on_path, active) = (folder.0.join("base/bin"), folder.0.join("env"));
    let found = search(&env(&[("VIRTUAL_ENV", &active), ("PATH", &on_path)]), &[]).unwrap();
    assert_eq!(found.executable, Some(python));

    fs::remove_dir_all(&active).unwrap();
    let found = search(&env(&[("VIRTUAL_ENV", &active), ("PATH", &on_path)]), &[]).unwrap();
    assert_eq!(found, base, "an environment that is gone does not matter");
    let tried = tried(search(&env(&[("VIRTUAL_ENV", &active)]), &[]).unwrap_err());
    assert_eq!(tried[0].what, format!("VIRTUAL_ENV: {}", active.display()));
}

#[test]
fn what_was_tried_before_one_that_fits_is_told_too() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let (gone, on_path) = (folder.0.join("gone"), folder.0.join("good/bin"));
    let mut tried = Vec::new();
    let found = search::search(&env(&[("VIRTUAL_ENV", &gone), ("PATH", &on_path)]), &[], &mut tried);
    assert_eq!(found, Ok(good));
    let what: Vec<&str> = tried.iter().map(|tried| tried.what.as_str()).collect();
    assert_eq!(what, [format!("VIRTUAL_ENV: {}", gone.display())]);
}

#[test]
fn the_path_is_searched_by_name_and_then_by_folder() {
    let folder = Folder::new();
    let (first, second) = (folder.installation("first", (3, 15, 0)), folder.installation("second", GOOD));
    let names = ["first/bin", "second/bin"].map(|name| folder.0.join(name));
    let path = PathBuf::from(std::env::join_paths(&names).unwrap());
    let find = || search(&env(&[("PATH", &path)]), &[]);
    assert_eq!(find(), Ok(second.clone()));
    fs::remove_file(second.executable.unwrap()).unwrap();
    assert_eq!(find(), Ok(first.clone()));
    let name = folder.0.join("second/bin/python");
    fs::rename(first.executable.as_ref().unwrap(), &name).unwrap();
    assert_eq!(find().map(|found| found.library), Ok(first.library), "plain python is the last resort");
}

#[test]
fn names_of_one_file_are_tried_once() {
    let folder = Folder::new();
    let old = folder.python("bin/python", &folder.report("old", (3, 9, 0)));
    folder.link("bin/python3", &old);
    folder.link("bin/python3.14", &old);
    let tried = tried(search(&env(&[("PATH", &folder.0.join("bin"))]), &[]).unwrap_err());
    let on_path: Vec<_> = tried.iter().filter(|tried| tried.what.starts_with("PATH")).collect();
    assert_eq!(on_path.len(), 1, "{tried:?}");
}

#[test]
fn shims_that_link_to_one_tool_are_tried_each() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let text = format!("case $0 in *python3) '{}' ;; *) exit 1 ;; esac", good.executable.as_ref().unwrap().display());
    let tool = folder.script("shims/tool", &text);
    folder.link("shims/python3.14", &tool);
    folder.link("shims/python3", &tool);
    assert_eq!(search(&env(&[("PATH", &folder.0.join("shims"))]), &[]), Ok(good));
}

#[test]
fn the_folders_of_uv_are_searched() {
    let folder = Folder::new();
    let name = |version: &str| format!(".local/share/uv/python/cpython-{version}-linux-x86_64-gnu");
    folder.installation(&name("3.13.9"), (3, 13, 9));
    let newer = folder.installation(&name("3.15.0"), (3, 15, 0));
    let good = folder.installation(&name("3.14.10"), (3, 14, 10));
    folder.installation(&name("3.14.9"), (3, 14, 9));
    assert_eq!(search(&env(&[("HOME", &folder.0)]), &[]), Ok(good.clone()), "the newest 3.14");
    fs::remove_dir_all(folder.0.join(name("3.14.9"))).unwrap();
    fs::remove_dir_all(good.prefix).unwrap();
    assert_eq!(search(&env(&[("HOME", &folder.0)]), &[]), Ok(newer.clone()));
    let named = folder.0.join(".local/share/uv/python");
    assert_eq!(search(&env(&[("UV_PYTHON_INSTALL_DIR", &named)]), &[]), Ok(newer.clone()));
    let data = folder.0.join(".local/share");
    assert_eq!(search(&env(&[("XDG_DATA_HOME", &data)]), &[]), Ok(newer));
}

#[test]
fn the_versions_of_pyenv_are_searched() {
    let folder = Folder::new();
    folder.installation(".pyenv/versions/3.12.1", (3, 12, 1));
    let good = folder.installation(".pyenv/versions/3.14.6", GOOD);
    assert_eq!(search(&env(&[("HOME", &folder.0)]), &[]), Ok(good.clone()));
    let root = folder.0.join(".pyenv");
    assert_eq!(search(&env(&[("PYENV_ROOT", &root)]), &[]), Ok(good));
}

#[test]
fn the_folders_of_the_system_are_searched() {
    let folder = Folder::new();
    let (first, second) = (folder.0.join("usr"), folder.0.join("usr/local"));
    let good = folder.installation("usr/local", GOOD);
    let find = || search(&env(&[]), &[first.clone(), second.clone()]);
    assert_eq!(find(), Ok(good.clone()));

    fs::remove_file(good.executable.as_ref().unwrap()).unwrap();
    let only_library = Installation { executable: None, ..good };
    assert_eq!(find(), Ok(only_library), "a libpython without its executable");
}

#[test]
fn a_search_in_vain_tells_all_it_tried() {
    let folder = Folder::new();
    let old = folder.python("bin/python3", &folder.report("old", (3, 9, 0)));
    let error = search(&env(&[("PATH", &folder.0.join("bin")), ("HOME", &folder.0)]), &[]).unwrap_err();
    let home = folder.0.display();
    let expected = [
        "no CPython 3.14.1 or newer with a shared libpython was found".to_owned(),
        format!("  PATH: {}: CPython 3.9.0 is too old, 3.14.1 or newer is needed", old.display()),
        format!("  uv ({home}/.local/share/uv/python): there is no cpython-3.14 or newer in it"),
        format!("  pyenv ({home}/.pyenv/versions): there is no 3.14 or newer in it"),
        "  system folders: there is no python3.14 or newer".to_owned(),
        format!("  tools/get-python ({home}/.cache/subpy): it has not downloaded one"),
        "install one with: uv python install 3.14 (uv: https://docs.astral.sh/uv), or from the system's packages"
            .to_owned(),
        "or name the folder of one that is installed: SUBPY_PYTHON=/path/to/its/folder".to_owned(),
    ];
    assert_eq!(error.to_string(), expected.join("\n"));
}

#[test]
fn what_get_python_downloaded_is_the_last_resort() {
    let folder = Folder::new();
    let good = folder.installation(".cache/subpy/gcc-3.14.6-1.5.13-Linux-x86_64", GOOD);
    assert_eq!(search(&env(&[("HOME", &folder.0)]), &[]), Ok(good.clone()));
    assert_eq!(search(&env(&[("XDG_CACHE_HOME", &folder.0.join(".cache"))]), &[]), Ok(good.clone()));
    assert_eq!(search(&env(&[("SUBPY_CACHE", &folder.0.join(".cache/subpy"))]), &[]), Ok(good));
    let first = folder.installation(".cache/subpy/embed-3.14.6-20260610-1-Linux-x86_64", GOOD);
    assert_eq!(search(&env(&[("HOME", &folder.0)]), &[]), Ok(first));
    let installed = folder.installation("usr", GOOD);
    assert_eq!(search(&env(&[("HOME", &folder.0)]), &[folder.0.join("usr")]), Ok(installed));
}

#[test]
fn relative_folders_are_not_followed() {
    let mut variables = vec![("PATH", Path::new("/nonexistent::.:bin")), ("VIRTUAL_ENV", Path::new("env"))];
    variables
        .extend(["HOME", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR", "PYENV_ROOT"].map(|name| (name, Path::new("."))));
    variables.extend(["XDG_CACHE_HOME", "SUBPY_CACHE"].map(|name| (name, Path::new("cache"))));
    let tried = tried(search(&env(&variables), &[]).unwrap_err());
    let ignored = tried.iter().filter(|tried| tried.reason == format!("ignored: {RELATIVE}"));
    let ignored: Vec<&str> = ignored.map(|tried| tried.what.as_str()).collect();
    let expected = [
        "VIRTUAL_ENV=env",
        "PATH: \"\"",
        "PATH: \".\"",
        "PATH: \"bin\"",
        "UV_PYTHON_INSTALL_DIR=.",
        "XDG_DATA_HOME=.",
        "HOME=.",
        "PYENV_ROOT=.",
        "SUBPY_CACHE=cache",
        "XDG_CACHE_HOME=cache",
    ];
    assert_eq!(ignored, expected);
}

#[test]
fn a_relative_choice_is_refused_with_what_was_meant() {
    let folder = std::env::current_dir().unwrap();
    let there = folder.join("src/lib.rs").display().to_string();
    let cases = [
        ("src/lib.rs", there.as_str()),
        ("python3.99", "$(command -v python3.99)"),
        ("env/bin/python", "/path/to/python3.14"),
        ("~/python/bin/python3", "/path/to/python3.14"),
    ];
    for (path, meant) in cases {
        let error = find(None, None, &env(&[("SUBPY_PYTHON", Path::new(path))]), false).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(&format!("SUBPY_PYTHON={path} cannot be used: {RELATIVE}")), "{message}");
        assert!(message.ends_with(&format!("; give the whole path: SUBPY_PYTHON={meant}")), "{message}");
    }
}

// ---- a CPython in this process

fn raw(library: &Path, initialized: bool) -> LoadedRaw {
    LoadedRaw { library: Some(library.to_owned()), initialized, version: GOOD, free_threaded: false }
}

fn chosen(path: &Path) -> Choice {
    choice(Some(path), &|_| None).unwrap().unwrap()
}

#[test]
fn an_initialized_one_is_adopted() {
    let raw = raw(Path::new("/gone/libpython3.14.so.1.0"), true);
    let expected = Loaded { library: raw.library.clone(), initialized: true, version: GOOD, installation: None };
    assert_eq!(take_loaded(raw, None), Ok(expected));
}

#[test]
fn one_that_is_not_initialized_gets_what_is_around_it() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let found = take_loaded(raw(&good.library, false), None).unwrap();
    assert_eq!((found.initialized, found.installation), (false, Some(good.clone())));

    let lonely = folder.libpython("lonely/libpython3.14.so.1.0", GOOD);
    let (what, reason) = unsupported(take_loaded(raw(&lonely, false), None).unwrap_err());
    assert!(what.contains(lonely.to_str().unwrap()) && reason.contains("os.py"), "{what} {reason}");
}

#[test]
fn an_unfit_one_is_an_error_whatever_is_chosen() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let choice = chosen(&good.library);
    for (version, free_threaded, expected) in
        [((3, 11, 2), false, "CPython 3.11.2"), ((3, 14, 0), false, "3.14.0 lacks"), (GOOD, true, "free-threaded")]
    {
        for choice in [None, Some(&choice)] {
            let unfit = LoadedRaw { version, free_threaded, ..raw(Path::new("/usr/lib/libpython3.so.1"), true) };
            let error = take_loaded(unfit, choice).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("in this process already (/usr/lib/libpython3.so.1)"), "{text}");
            assert!(text.contains(expected) && text.contains("symbols would be mixed"), "{text}");
        }
    }
}

#[test]
fn the_choice_may_name_the_one_that_is_loaded() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let link = folder.link("link/libpython3.14.so.1.0", &good.library);
    for path in [&good.library, &link, good.executable.as_ref().unwrap(), &good.prefix] {
        for initialized in [false, true] {
            let found = take_loaded(raw(&good.library, initialized), Some(&chosen(path))).unwrap();
            assert_eq!(found.installation, (!initialized).then(|| good.clone()));
        }
    }
    let python = folder.environment("env", &good);
    let found = take_loaded(raw(&good.library, false), Some(&chosen(&folder.0.join("env")))).unwrap();
    assert_eq!(found.installation.unwrap().executable, Some(python), "the chosen environment is kept");
}

#[test]
fn the_choice_may_not_name_another_one() {
    let folder = Folder::new();
    let (one, other) = (folder.installation("one", GOOD), folder.installation("other", GOOD));
    for initialized in [false, true] {
        let error = take_loaded(raw(&one.library, initialized), Some(&chosen(&other.prefix))).unwrap_err();
        let (what, reason) = unsupported(error);
        assert_eq!(what, format!("python={}", other.prefix.display()));
        for path in [&one.library, &other.library] {
            assert!(reason.contains(path.to_str().unwrap()), "{reason}");
        }
    }
    let error = take_loaded(raw(&one.library, true), Some(&chosen(Path::new("/missing/python")))).unwrap_err();
    assert_eq!(tried(error)[0].what, "python=/missing/python");
}

#[test]
fn a_python_program_without_a_library_is_adopted() {
    let folder = Folder::new();
    let program = std::env::current_exe().unwrap();
    let inside = LoadedRaw { library: None, ..raw(&program, true) };
    let expected = Loaded { library: None, initialized: true, version: GOOD, installation: None };
    let link = folder.link("env/bin/python3", &program);
    let environment = folder.0.join("env");
    let choices = [program.as_path(), &link, &environment].map(chosen);
    for choice in choices.iter().map(Some).chain([None]) {
        assert_eq!(take_loaded(inside.clone(), choice).as_ref(), Ok(&expected));
    }
    let other = folder.installation("other", GOOD);
    let (_, reason) = unsupported(take_loaded(inside.clone(), Some(&chosen(&other.prefix))).unwrap_err());
    assert!(reason.contains("part of the main program"), "{reason}");
}

#[test]
fn a_python_program_is_the_one_of_its_installation() {
    let folder = Folder::new();
    let good = folder.installation("good", GOOD);
    let program = folder.file("good/bin/python3", b"a copy");
    let inside = LoadedRaw { library: None, ..raw(&program, false) };
    let expected = Installation { library: program.clone(), ..good.clone() };
    for path in [&good.library, good.executable.as_ref().unwrap(), &good.prefix] {
        let found = chosen(path).in_process(&inside, &program);
        assert_eq!(found, Ok(Some(expected.clone())), "{}", path.display());
    }
    let other = LoadedRaw { version: (3, 14, 5), ..inside };
    assert!(chosen(&good.prefix).in_process(&other, &program).is_err(), "another version at the same place");
}

// ---- a real one

#[test]
fn a_real_environment_leads_to_its_base() {
    let python = std::env::var_os("SUBPY_TEST_PYTHON")
        .expect("set SUBPY_TEST_PYTHON to the executable of a CPython 3.14.1 or newer with a shared libpython");
    let base = inspect(Path::new(&python)).unwrap();
    let folder = Folder::new();
    let environment = folder.0.join("env");
    let venv = Command::new(&python).args(["-I", "-m", "venv", "--without-pip"]).arg(&environment).status().unwrap();
    assert!(venv.success());
    let executable = environment.join("bin/python");
    let expected = Installation { executable: Some(executable.clone()), ..base.clone() };
    assert_eq!(inspect(&executable), Ok(expected));
    let found = inspect(&base.library).unwrap();
    assert_eq!((found.prefix, found.version), (base.prefix, base.version), "the library alone leads there, too");
}

#[test]
fn with_more_rights_the_environment_is_not_looked_at() {
    let looked = std::cell::RefCell::new(Vec::new());
    let env = |name: &str| {
        looked.borrow_mut().push(name.to_owned());
        Some(OsString::from("/nowhere"))
    };
    let found = find(None, None, &env, true);
    assert_eq!(*looked.borrow(), [""; 0], "{found:?}");
    if let Err(error) = found {
        assert!(!error.to_string().contains("nowhere"), "{error}");
    }
    // And is otherwise.
    assert!(find(None, None, &env, false).is_err());
    assert!(looked.borrow().contains(&"SUBPY_PYTHON".to_owned()));
}
