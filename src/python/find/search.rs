//! Where to look for a CPython when nobody has named one.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::inspect::{inspect, python_in};
use super::names::{MINORS, OLDEST, file_name, leading_version, names};
use super::{Installation, LocateError, RELATIVE, Refused, Tried, is_shortage, set};
use crate::platform::real_path;

/// One kind of place, and the candidates in it.
struct Step {
    name: String,
    paths: Vec<PathBuf>,
    /// Told when there is no candidate.
    empty: &'static str,
}

struct Search<'a> {
    env: &'a dyn Fn(&str) -> Option<OsString>,
    roots: &'a [PathBuf],
    tried: &'a mut Vec<Tried>,
    seen: HashSet<PathBuf>,
}

/// In this order: `VIRTUAL_ENV`, `PATH`, the folders of uv, of pyenv, of the system (below `roots`), and what
/// tools/get-python has downloaded. `tried` gets what was looked at in vain.
pub(super) fn search(
    env: &dyn Fn(&str) -> Option<OsString>,
    roots: &[PathBuf],
    tried: &mut Vec<Tried>,
) -> Result<Installation, LocateError> {
    let mut search = Search { env, roots, tried, seen: HashSet::new() };
    let steps = [Search::virtual_env, Search::path, Search::uv, Search::pyenv, Search::system, Search::downloaded];
    for step in steps {
        if let Some(step) = step(&mut search)?
            && let Some(found) = search.look(step)?
        {
            return Ok(found);
        }
    }
    Err(LocateError::NotFound { tried: tried.clone() })
}

impl Search<'_> {
    fn look(&mut self, step: Step) -> Result<Option<Installation>, LocateError> {
        if step.paths.is_empty() {
            self.refuse(step.name.clone(), step.empty.to_owned());
        }
        for path in step.paths {
            let path = python_in(&path).unwrap_or(path);
            if !self.seen.insert(identity(&path)) {
                continue;
            }
            match inspect(&path) {
                Ok(found) => return Ok(Some(found)),
                Err(Refused::Unfit(reason)) => self.refuse(format!("{}: {}", step.name, path.display()), reason),
                Err(unseen) => return Err(unseen.about(path.display().to_string())),
            }
        }
        Ok(None)
    }

    fn refuse(&mut self, what: String, reason: String) {
        let tried = Tried { what, reason };
        // Several places may be derived from one variable.
        if !self.tried.contains(&tried) {
            self.tried.push(tried);
        }
    }

    /// The path in a variable, unless it is relative.
    fn folder(&mut self, name: &str) -> Option<PathBuf> {
        let path = set(self.env, name)?;
        if path.is_absolute() {
            return Some(path);
        }
        self.refuse(format!("{name}={}", path.display()), format!("ignored: {RELATIVE}"));
        None
    }

    /// A folder that the first of these variables names, or `below` the home folder.
    fn folder_or(&mut self, name: &str, below: &str) -> Option<PathBuf> {
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        self.folder(name).or_else(|| Some(self.folder(home)?.join(below)))
    }

    /// Where programs keep what is the user's.
    fn data(&mut self) -> Option<PathBuf> {
        if cfg!(windows) { self.folder("APPDATA") } else { self.folder_or("XDG_DATA_HOME", ".local/share") }
    }

    fn virtual_env(&mut self) -> Result<Option<Step>, LocateError> {
        let folder = self.folder("VIRTUAL_ENV");
        Ok(folder.map(|folder| Step { name: "VIRTUAL_ENV".to_owned(), paths: vec![folder], empty: "" }))
    }

    /// By name first, as `python3.14` anywhere on the path is a better guess than the first `python3`.
    fn path(&mut self) -> Result<Option<Step>, LocateError> {
        let path = set(self.env, "PATH").unwrap_or_default().into_os_string();
        let (folders, relative): (Vec<_>, Vec<_>) =
            std::env::split_paths(&path).partition(|folder| folder.is_absolute());
        // An empty one means the current folder, except where the whole is empty.
        for folder in relative.iter().filter(|_| !path.is_empty()) {
            self.refuse(format!("PATH: \"{}\"", folder.display()), format!("ignored: {RELATIVE}"));
        }
        let paths = names().into_iter().flat_map(|name| folders.iter().map(move |folder| folder.join(&name)));
        let empty = "there is no python3.14 or newer, python3 or python on it";
        Ok(Some(Step { name: "PATH".to_owned(), paths: paths.filter(|path| path.is_file()).collect(), empty }))
    }

    fn uv(&mut self) -> Result<Option<Step>, LocateError> {
        let named = self.folder("UV_PYTHON_INSTALL_DIR");
        let folder = named.or_else(|| Some(self.data()?.join("uv").join("python")));
        let Some(folder) = folder else { return Ok(None) };
        let paths = versions_in(&folder, "cpython-")?;
        let empty = "there is no cpython-3.14 or newer in it";
        Ok(Some(Step { name: format!("uv ({})", folder.display()), paths, empty }))
    }

    fn pyenv(&mut self) -> Result<Option<Step>, LocateError> {
        let Some(folder) = self.folder_or("PYENV_ROOT", ".pyenv").map(|root| root.join("versions")) else {
            return Ok(None);
        };
        let paths = versions_in(&folder, "")?;
        Ok(Some(Step {
            name: format!("pyenv ({})", folder.display()),
            paths,
            empty: "there is no 3.14 or newer in it",
        }))
    }

    fn system(&mut self) -> Result<Option<Step>, LocateError> {
        let mut paths = Vec::new();
        if cfg!(windows) {
            // Where the installer puts one for the user, and one for all.
            let folders =
                [self.folder("LOCALAPPDATA").map(|it| it.join(r"Programs\Python")), self.folder("ProgramFiles")];
            for folder in folders.into_iter().flatten() {
                paths.extend(MINORS.map(|minor| folder.join(format!(r"Python3{minor}\python.exe"))));
            }
        }
        for root in self.roots {
            paths.extend(MINORS.map(|minor| root.join(format!("bin/python3.{minor}"))));
        }
        // A libpython can be there without its executable: the package of an embedding program brings only that.
        let multiarch = format!("lib/{}-linux-gnu", std::env::consts::ARCH);
        let folders = self.roots.iter().flat_map(|root| ["lib", "lib64", &multiarch].map(|folder| root.join(folder)));
        for folder in folders {
            paths.extend(MINORS.map(|minor| folder.join(format!("libpython3.{minor}.so.1.0"))));
        }
        paths.retain(|path| path.is_file());
        let empty = "there is no python3.14 or newer";
        Ok(Some(Step { name: "system folders".to_owned(), paths, empty }))
    }

    /// Last, as tools/get-python itself downloads only when there is no other.
    fn downloaded(&mut self) -> Result<Option<Step>, LocateError> {
        let named = self.folder("SUBPY_CACHE");
        let folder = named.or_else(|| Some(self.folder_or("XDG_CACHE_HOME", ".cache")?.join("subpy")));
        let Some(folder) = folder else { return Ok(None) };
        let mut paths = versions_in(&folder, "embed-")?;
        paths.extend(versions_in(&folder, "gcc-")?);
        let name = format!("tools/get-python ({})", folder.display());
        Ok(Some(Step { name, paths, empty: "it has not downloaded one" }))
    }
}

/// Links to one Python are one candidate. Links to something else are not: the tool behind such shims looks at the name
/// it is called by.
fn identity(path: &Path) -> PathBuf {
    match real_path(path) {
        Ok(real) if file_name(&real).contains("python") => real,
        _ => path.to_owned(),
    }
}

/// The folders named after `prefix` and a version that can fit: 3.14 before 3.15, of each the newest patch first.
fn versions_in(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, LocateError> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        let version = file_name(&path).strip_prefix(prefix).and_then(leading_version);
        if let Some((3, minor, patch)) = version
            && minor >= OLDEST.1
            && path.is_dir()
        {
            found.push((minor, Reverse(patch), path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, _, path)| path).collect())
}

pub(super) fn system_roots(has_more_rights: bool) -> Result<Vec<PathBuf>, LocateError> {
    let mut roots = vec![PathBuf::from("/usr"), PathBuf::from("/usr/local")];
    roots.extend(entries(Path::new("/opt"))?);
    if has_more_rights {
        return Ok(roots);
    }
    roots.push(PathBuf::from("/home/linuxbrew/.linuxbrew"));
    roots.extend(entries(Path::new("/Library/Frameworks/Python.framework/Versions"))?);
    Ok(roots)
}

/// Sorted; none in a folder that is not there or closed to us.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, LocateError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_shortage(&error) => return Err(Refused::from(error).about(folder.display().to_string())),
        Err(_) => return Ok(Vec::new()),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}
