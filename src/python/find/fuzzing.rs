//! Entry for the fuzzing target (`fuzz/`) of the search. No file that is made up here is executable, so nothing of it runs.

use std::ffi::{CString, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::names::OLDEST;
use super::search::search;
use super::{Found, Installation, Refused, elf, find, inspect, pe, probe};

/// What files and folders are called.
const NAMES: [&str; 32] = [
    "bin",
    "lib",
    "lib64",
    "x86_64-linux-gnu",
    "python3.14",
    "python3.15",
    "python3.9",
    "python3",
    "python",
    "python3.14t",
    "libpython3.14.so.1.0",
    "libpython3.14.so",
    "libpython3.15.so.1.0",
    "libpython3.14t.so.1.0",
    "libpython3.so",
    "os.py",
    "pyvenv.cfg",
    "uv",
    ".local",
    "share",
    "cpython-3.14.6-linux",
    "cpython-3.15.0",
    "cpython-3.99999999999",
    ".pyenv",
    "versions",
    "3.14.6",
    "3.15-dev",
    ".cache",
    "subpy",
    "embed-3.14.6",
    "gcc-3.14.3",
    "usr",
];

const VARIABLES: [&str; 9] = [
    "VIRTUAL_ENV",
    "PATH",
    "UV_PYTHON_INSTALL_DIR",
    "XDG_DATA_HOME",
    "HOME",
    "PYENV_ROOT",
    "SUBPY_CACHE",
    "XDG_CACHE_HOME",
    "SUBPY_PYTHON",
];

/// A folder of its own, which is gone when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let thread = format!("{:?}", std::thread::current().id());
        let path = std::env::temp_dir().join(format!("subpy-fuzz-{}-{thread}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path.canonicalize().expect("a folder"))
    }

    /// Where it is, unless something else is there already.
    fn place(&self, name: &Path) -> Option<PathBuf> {
        let path = self.0.join(name);
        let parent = path.parent().expect("it is in the folder");
        // A file may be where a folder would be, and a link must not lead out.
        let inside =
            fs::create_dir_all(parent).is_ok() && parent.canonicalize().is_ok_and(|it| it.starts_with(&self.0));
        (inside && path.symlink_metadata().is_err()).then_some(path)
    }

    fn file(&self, name: &Path, content: &[u8]) {
        if let Some(path) = self.place(name) {
            fs::write(path, content).expect("a file");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The file of a libpython, what an executable answers, or a tree of files and the environment of a search.
pub fn locator(data: &[u8]) {
    let Some((what, rest)) = data.split_first() else { return };
    let folder = Folder::new();
    match what % 3 {
        0 => library(&folder, rest),
        1 => answer(&folder, rest),
        _ => tree(&folder, rest),
    }
}

fn told(refused: &Refused) {
    assert!(!refused.to_string().is_empty());
}

fn library(folder: &Folder, content: &[u8]) {
    let path = folder.0.join("library");
    fs::write(&path, content).expect("a file");
    for python_version in [elf::python_version, pe::python_version] {
        let version = python_version(&path);
        assert_eq!(version, python_version(&path));
        if let Err(refused) = &version {
            told(refused);
        }
    }
}

/// A path of the folder instead of one that may be anywhere.
fn below(folder: &Folder, path: &Path) -> PathBuf {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_)));
    folder.0.join(parts.collect::<PathBuf>())
}

fn answer(folder: &Folder, output: &[u8]) {
    let Some(mut report) = probe::parse(output) else { return };
    let (major, minor, _) = report.version;
    folder.file(Path::new(&format!("lib/python{major}.{minor}/os.py")), b"");
    folder.file(Path::new("bin/python3.14"), b"");
    folder.file(Path::new("lib/libpython3.14.so.1.0"), &elf::library("Py_Version", report.version));
    let paths = [&mut report.executable, &mut report.prefix, &mut report.base_prefix, &mut report.mapped];
    for path in paths.into_iter().chain([&mut report.library_folder]) {
        *path = below(folder, path);
    }
    match inspect::from_report(&report) {
        Ok(found) => fits(folder, &found),
        Err(refused) => told(&refused),
    }
}

/// What is found is there, and new enough.
fn fits(folder: &Folder, found: &Installation) {
    let Installation { library, executable, prefix, version: (major, minor, patch) } = found;
    assert!(library.is_file() && library.starts_with(&folder.0), "{library:?}");
    assert!(executable.as_ref().is_none_or(|python| python.is_file()), "{executable:?}");
    assert!((*major, *minor, *patch) >= OLDEST);
    let landmark = |lib| prefix.join(format!("{lib}/python{major}.{minor}/os.py")).is_file();
    assert!(landmark("lib") || landmark("lib64"));
}

fn tree(folder: &Folder, mut input: &[u8]) {
    let mut byte = || {
        let (first, rest) = input.split_first()?;
        input = rest;
        Some(usize::from(*first))
    };
    let values: Vec<usize> = VARIABLES.iter().map(|_| byte().unwrap_or(0)).collect();
    let mut paths = vec![folder.0.clone()];
    while let (Some(what), true) = (byte(), paths.len() < 24) {
        let mut name = PathBuf::new();
        for _ in 0..1 + what / 16 % 6 {
            name.push(NAMES[byte().unwrap_or(0) % NAMES.len()]);
        }
        let some = byte().unwrap_or(0);
        match what % 6 {
            0 => drop(fs::create_dir_all(folder.0.join(&name))),
            1 => folder.file(&name, &[b'x'; 100][..some % 100]),
            2 => folder.file(&name, &elf::library("Py_Version", (3, 14, some as u8))),
            3 => folder.file(&name, &elf::library("Py_Version", (3, some as u8, 2))),
            4 => {
                if let Some(path) = folder.place(&name) {
                    std::os::unix::fs::symlink(&paths[some % paths.len()], path).expect("a link");
                }
            }
            _ => {
                if let Some(path) = folder.place(&name) {
                    let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
                    // SAFETY: a text. Whether there is one then does not matter.
                    unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
                }
            }
        }
        paths.push(folder.0.join(name));
    }
    let value = |at: usize| match values[at] % 32 {
        0..5 => None,
        5 => Some(OsString::new()),
        6 => Some("bin".into()),
        7 => Some(std::env::join_paths(&paths).expect("no colon in a name")),
        path => Some(paths[path % paths.len()].clone().into_os_string()),
    };
    let env = |name: &str| value(VARIABLES.iter().position(|known| *known == name)?);
    // Without a choice, what the machine has would be looked at.
    let chosen = value(8).is_some_and(|path| !path.is_empty());
    let look = || match chosen {
        true => find(None, None, &env, false, &mut Vec::new()),
        false => search(&env, &paths[..1], &mut Vec::new()).map(Found::OnDisk),
    };
    let found = look();
    // As often as one looks, the same comes of it.
    assert_eq!(found, look());
    match found {
        Ok(Found::OnDisk(found)) => fits(folder, &found),
        Ok(Found::InProcess(_)) => panic!("none is in this process"),
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}
