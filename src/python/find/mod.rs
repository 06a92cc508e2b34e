//! Finds the CPython to use.
//!
//! The order: the explicit choice, `SUBPY_PYTHON`, a CPython in this process, `VIRTUAL_ENV`, `PATH`, and then the
//! folders of uv, of pyenv and of the system. A choice that does not fit is an error and never skipped. As one process
//! holds one CPython, one that is loaded already overrules everything: it is used, or nothing is.
//!
//! Nothing is loaded here. What fits is decided before, because a wrong library cannot be unloaded, and because a
//! CPython that fails to start without its standard library never starts again in the same process.

mod elf;
pub mod loaded;
mod probe;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::loaded::{Loaded, LoadedRaw};

/// Has `PyUnstable_ThreadState_SetStackProtection`, which 3.14.0 lacks.
const OLDEST: (u8, u8, u8) = (3, 14, 1);
/// The minor versions whose names are looked for. A later one is still found as `python3`.
const MINORS: std::ops::RangeInclusive<u8> = 14..=19;
/// How long an executable may take to tell about itself.
const PROBE_LIMIT: Duration = Duration::from_secs(10);
const INSTALL: &str = "uv python install 3.14";

/// A CPython on disk that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The libpython to `dlopen`, without symbolic links. Where the CPython is part of the main program
    /// (`Loaded::library` is `None`), that program.
    pub library: PathBuf,
    /// What to set as `executable` in CPython's configuration: the python of the virtual environment, with its
    /// symbolic links, as its site-packages are found by that path; elsewhere the real one. `None` if there is none.
    pub executable: Option<PathBuf>,
    /// The folder with the standard library: `lib/python3.X/os.py` (or `lib64/...`) exists in it.
    pub prefix: PathBuf,
    /// Major, minor, patch.
    pub version: (u8, u8, u8),
}

/// Where the CPython to use is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// To be loaded.
    OnDisk(Installation),
    /// In this process already.
    InProcess(Loaded),
}

/// A place that was looked at in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The place and who named it: `SUBPY_PYTHON=/x/python`.
    pub what: String,
    /// Why it was refused.
    pub reason: String,
}

/// Why there is no CPython to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocateError {
    /// Nothing that fits is there.
    NotFound {
        /// In the order of the search.
        tried: Vec<Tried>,
    },
    /// What was chosen, or is loaded in this process, does not fit.
    Unsupported {
        /// The choice.
        what: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
}

impl fmt::Display for LocateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { what, reason } => {
                write!(out, "{what} cannot be used: {reason}")?;
                if reason.contains(INSTALL) { Ok(()) } else { write!(out, "; install one that fits with: {INSTALL}") }
            }
            Self::NotFound { tried } => {
                // In one line, as all messages.
                write!(out, "no CPython {} or newer with a shared libpython was found; tried ", dotted(OLDEST))?;
                for Tried { what, reason } in tried {
                    write!(out, "{what}: {reason}; ")?;
                }
                write!(out, "install one with: {INSTALL} (or set SUBPY_PYTHON=/path/to/python3.14)")
            }
        }
    }
}

impl std::error::Error for LocateError {}

/// Finds the CPython to use. `explicit` is an executable, the folder of a virtual environment or of an installation, or
/// a libpython; `env` reads an environment variable.
///
/// Runs the executables it considers, for at most ten seconds each. A first answer can become outdated only by loading
/// a CPython, so a caller that starts one again keeps the `Installation` it has.
pub fn locate(explicit: Option<&Path>, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Found, LocateError> {
    find(loaded::in_process(), explicit, env)
}

fn find(
    loaded: Option<LoadedRaw>,
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Found, LocateError> {
    match (loaded, choice(explicit, env)) {
        (Some(raw), choice) => take_loaded(raw, choice.as_ref()).map(Found::InProcess),
        (None, Some(choice)) => choice.inspect().map(Found::OnDisk),
        (None, None) => search(env, &system_roots()).map(Found::OnDisk),
    }
}

// ---- the choice of the user

struct Choice {
    what: String,
    path: PathBuf,
}

fn choice(explicit: Option<&Path>, env: &dyn Fn(&str) -> Option<OsString>) -> Option<Choice> {
    let named = |name: &str, path: PathBuf| Choice { what: format!("{name}={}", path.display()), path };
    explicit
        .map(|path| named("python", path.to_owned()))
        .or_else(|| set(env, "SUBPY_PYTHON").map(|path| named("SUBPY_PYTHON", path)))
}

/// An empty variable counts as unset, as in shells.
fn set(env: &dyn Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    env(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

impl Choice {
    fn inspect(&self) -> Result<Installation, LocateError> {
        if let Err(error) = fs::metadata(&self.path) {
            let tried = Tried { what: self.what.clone(), reason: error.to_string() };
            return Err(LocateError::NotFound { tried: vec![tried] });
        }
        inspect(&self.path).map_err(|reason| self.unsupported(reason))
    }

    fn unsupported(&self, reason: String) -> LocateError {
        LocateError::Unsupported { what: self.what.clone(), reason }
    }
}

// ---- a CPython in this process

fn take_loaded(raw: LoadedRaw, choice: Option<&Choice>) -> Result<Loaded, LocateError> {
    let refuse = |reason: String| LocateError::Unsupported { what: describe(&raw), reason };
    check_version(raw.version, raw.free_threaded).map_err(|reason| {
        refuse(format!(
            "{reason}. One process can hold only one CPython: its symbols would be mixed with those of the one subpy \
             needs. Run this program with, or link it to, one that fits ({INSTALL}), or in a process of its own"
        ))
    })?;
    let running = match &raw.library {
        Some(library) => library.clone(),
        None => std::env::current_exe().map_err(|error| refuse(format!("the program's path is unknown: {error}")))?,
    };
    let chosen = match choice {
        Some(choice) => choice.in_process(&raw, &running)?,
        None => None,
    };
    let installation = match (raw.initialized, chosen) {
        (true, _) => None,
        (false, Some(chosen)) => Some(chosen),
        (false, None) => Some(around(&running, raw.version).map_err(refuse)?),
    };
    Ok(Loaded { library: raw.library, initialized: raw.initialized, version: raw.version, installation })
}

fn describe(raw: &LoadedRaw) -> String {
    let place = match &raw.library {
        Some(library) => library.display().to_string(),
        None => "part of the main program".to_owned(),
    };
    format!("CPython {}, which is in this process already ({place}),", dotted(raw.version))
}

impl Choice {
    /// Refuses a choice that is not the CPython in this process, whose file is `running`. The result says more than
    /// that file does when the choice is an environment on top of it.
    fn in_process(&self, raw: &LoadedRaw, running: &Path) -> Result<Option<Installation>, LocateError> {
        if same_file(&self.path, running) {
            return Ok(None);
        }
        // A static python that runs already needs no libpython, so it must not be asked for one.
        if raw.initialized && python_in(&self.path).is_some_and(|python| same_file(&python, running)) {
            return Ok(None);
        }
        let chosen = self.inspect()?;
        let is_the_same = match &raw.library {
            Some(library) => same_file(&chosen.library, library),
            // Its files differ, so the installation counts; `python` and `python3` can be copies of each other, too.
            None => around(running, raw.version)
                .is_ok_and(|own| own.prefix == chosen.prefix && own.version == chosen.version),
        };
        if is_the_same {
            return Ok(Some(Installation { library: running.to_owned(), ..chosen }));
        }
        Err(self.unsupported(format!(
            "it is another one ({}) than {} and a process can hold only one; name that one or none",
            chosen.library.display(),
            describe(raw)
        )))
    }
}

/// By device and inode, so that links and mounts do not matter.
fn same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|data| (data.dev(), data.ino())).ok();
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

// ---- the search

/// One kind of place, and the candidates in it.
struct Step {
    name: String,
    paths: Vec<PathBuf>,
    /// Told when there is no candidate.
    empty: &'static str,
}

fn search(env: &dyn Fn(&str) -> Option<OsString>, roots: &[PathBuf]) -> Result<Installation, LocateError> {
    let mut tried = Vec::new();
    let mut seen = HashSet::new();
    let steps = [virtual_env(env), search_path(env), uv(env), pyenv(env), system(roots)];
    for step in steps.into_iter().flatten() {
        if step.paths.is_empty() {
            tried.push(Tried { what: step.name.clone(), reason: step.empty.to_owned() });
        }
        for path in step.paths {
            let path = python_in(&path).unwrap_or(path);
            if !seen.insert(identity(&path)) {
                continue;
            }
            match inspect(&path) {
                Ok(found) => return Ok(found),
                Err(reason) => tried.push(Tried { what: format!("{}: {}", step.name, path.display()), reason }),
            }
        }
    }
    Err(LocateError::NotFound { tried })
}

/// Links to one Python are one candidate. Links to something else are not: the tool behind such shims looks at the name
/// it is called by.
fn identity(path: &Path) -> PathBuf {
    match path.canonicalize() {
        Ok(real) if file_name(&real).contains("python") => real,
        _ => path.to_owned(),
    }
}

fn virtual_env(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Step> {
    let folder = set(env, "VIRTUAL_ENV")?;
    Some(Step { name: "VIRTUAL_ENV".to_owned(), paths: vec![folder], empty: "" })
}

/// By name first, as `python3.14` anywhere on the path is a better guess than the first `python3`.
fn search_path(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Step> {
    let path = env("PATH").unwrap_or_default();
    // A relative folder is a different one for each place a program is started in.
    let folders: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let paths = names().into_iter().flat_map(|name| folders.iter().map(move |folder| folder.join(&name)));
    let empty = "there is no python3.14 or newer, python3 or python on it";
    Some(Step { name: "PATH".to_owned(), paths: paths.filter(|path| path.is_file()).collect(), empty })
}

fn uv(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Step> {
    let data = || set(env, "XDG_DATA_HOME").or_else(|| Some(set(env, "HOME")?.join(".local/share")));
    let folder = set(env, "UV_PYTHON_INSTALL_DIR").or_else(|| Some(data()?.join("uv/python")))?;
    let name = format!("uv ({})", folder.display());
    Some(Step { name, paths: versions_in(&folder, "cpython-"), empty: "there is no cpython-3.14 or newer in it" })
}

fn pyenv(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Step> {
    let root = set(env, "PYENV_ROOT").or_else(|| Some(set(env, "HOME")?.join(".pyenv")))?;
    let folder = root.join("versions");
    let name = format!("pyenv ({})", folder.display());
    Some(Step { name, paths: versions_in(&folder, ""), empty: "there is no 3.14 or newer in it" })
}

/// The folders named after `prefix` and a version that can fit: 3.14 before 3.15, of each the newest patch first.
fn versions_in(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        let version = file_name(&path).strip_prefix(prefix).and_then(leading_version);
        if let Some((3, minor, patch)) = version
            && minor >= OLDEST.1
            && path.is_dir()
        {
            found.push((minor, std::cmp::Reverse(patch), path));
        }
    }
    found.sort();
    found.into_iter().map(|(_, _, path)| path).collect()
}

fn system_roots() -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from("/usr"), PathBuf::from("/usr/local")];
    roots.extend(entries(Path::new("/opt")));
    roots.push(PathBuf::from("/home/linuxbrew/.linuxbrew"));
    roots.extend(entries(Path::new("/Library/Frameworks/Python.framework/Versions")));
    roots
}

fn system(roots: &[PathBuf]) -> Option<Step> {
    let mut paths = Vec::new();
    for root in roots {
        paths.extend(MINORS.map(|minor| root.join(format!("bin/python3.{minor}"))));
    }
    // A libpython can be there without its executable: the package of an embedding program brings only that.
    let multiarch = format!("lib/{}-linux-gnu", std::env::consts::ARCH);
    for folder in roots.iter().flat_map(|root| ["lib", "lib64", &multiarch].map(|folder| root.join(folder))) {
        paths.extend(MINORS.map(|minor| folder.join(format!("libpython3.{minor}.so.1.0"))));
    }
    paths.retain(|path| path.is_file());
    let empty = "there is no python3.14 or newer";
    Some(Step { name: "system folders".to_owned(), paths, empty })
}

// ---- one candidate

/// What the executable, folder or libpython at `path` offers, or why it does not fit.
fn inspect(path: &Path) -> Result<Installation, String> {
    // The folder of the process may change before it is used, and CPython makes wrong prefixes of relative ones.
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    if let Err(error) = fs::metadata(&path) {
        return Err(error.to_string());
    }
    match python_in(&path) {
        None => Err("there is no bin/python in this folder".to_owned()),
        Some(path) if is_library(&path) => inspect_library(&path),
        Some(path) => inspect_executable(&path),
    }
}

/// The python in a folder; a file itself.
fn python_in(path: &Path) -> Option<PathBuf> {
    if !path.is_dir() {
        return Some(path.to_owned());
    }
    names().iter().map(|name| path.join("bin").join(name)).find(|python| python.is_file())
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = MINORS.map(|minor| format!("python3.{minor}")).collect();
    names.extend(["python3".to_owned(), "python".to_owned()]);
    names
}

fn is_library(path: &Path) -> bool {
    let name = file_name(path);
    name.starts_with("libpython") || name.ends_with(".so") || name.contains(".so.")
}

fn inspect_executable(python: &Path) -> Result<Installation, String> {
    let real = python.canonicalize().map_err(|error| error.to_string())?;
    check_name(&real)?;
    match probe::run(python, PROBE_LIMIT) {
        Ok(report) => from_report(&report),
        // Its libpython is where its linker does not look, but is perhaps where we do.
        Err(reason) if reason.contains("libpython") => beside(python, &real).ok_or(reason),
        Err(reason) => Err(reason),
    }
}

fn from_report(report: &probe::Report) -> Result<Installation, String> {
    if report.implementation != "cpython" {
        return Err(format!("it is {} and not CPython", report.implementation));
    }
    check_version(report.version, report.free_threaded)?;
    let prefix = report.base_prefix.canonicalize().unwrap_or_else(|_| report.base_prefix.clone());
    if !has_stdlib(&prefix, report.version) {
        return Err(no_stdlib(&prefix, report.version));
    }
    let real = report.executable.canonicalize().ok();
    let library = library_of(report, &prefix, real.as_deref())?;
    let in_environment = report.prefix != report.base_prefix && real.is_some();
    Ok(Installation {
        library,
        executable: if in_environment { Some(report.executable.clone()) } else { real },
        prefix,
        version: report.version,
    })
}

/// The libpython that belongs to an executable. What is found is compared by version, because the folder that a build
/// was configured for can be one of another machine, or hold the library of another build.
fn library_of(report: &probe::Report, prefix: &Path, executable: Option<&Path>) -> Result<PathBuf, String> {
    let (major, minor, _) = report.version;
    let is_shared = report.soname.contains(".so");
    let usual = format!("libpython{major}.{minor}.so.1.0");
    let name = if is_shared { file_name(Path::new(&report.soname)) } else { usual };
    let folders = library_folders(report, prefix, executable);
    let in_folders = folders.iter().map(|folder| folder.join(&name));
    let mut unfit = Vec::new();
    for library in std::iter::once(report.mapped.clone()).chain(in_folders).filter(|library| library.is_file()) {
        let library = real_library(&library)?;
        match elf::python_version(&library) {
            Ok(version) if version == report.version => return Ok(library),
            Ok(version) => unfit.push(format!("{} is of {}", library.display(), dotted(version))),
            Err(reason) => unfit.push(format!("{}: {reason}", library.display())),
        }
    }
    if !unfit.is_empty() {
        return Err(format!("it has no libpython of its version {}: {}", dotted(report.version), unfit.join("; ")));
    }
    if is_shared {
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        return Err(format!(
            "its {name} is not there (looked in {}); install it (Debian, Ubuntu: libpython{major}.{minor}), or: {INSTALL}",
            folders.join(", ")
        ));
    }
    Err(format!("it was built without a shared libpython; rebuild with --enable-shared, or: {INSTALL}"))
}

/// Where builds put it; some at the top.
fn library_folders(report: &probe::Report, prefix: &Path, executable: Option<&Path>) -> Vec<PathBuf> {
    let mut folders = vec![prefix.join("lib"), prefix.to_owned()];
    if !report.multiarch.is_empty() {
        folders.push(prefix.join("lib").join(&report.multiarch));
    }
    folders.push(report.library_folder.clone());
    folders.extend(executable.and_then(|python| Some(python.parent()?.parent()?.join("lib"))));
    folders.retain(|folder| folder.is_absolute());
    folders.dedup();
    folders
}

/// For an executable that cannot be run: what is in the folder above it.
fn beside(python: &Path, real: &Path) -> Option<Installation> {
    let top = real.parent()?.parent()?;
    let folders = [top.join("lib"), top.to_owned()];
    let names = MINORS.map(|minor| format!("libpython3.{minor}.so.1.0"));
    let candidates = names.flat_map(|name| folders.iter().map(move |folder| folder.join(&name)).collect::<Vec<_>>());
    let mut found = candidates.filter(|path| path.is_file()).find_map(|path| inspect_library(&path).ok())?;
    let environment = python.parent()?.parent()?.join("pyvenv.cfg");
    found.executable = Some(if environment.is_file() { python.to_owned() } else { real.to_owned() });
    Some(found)
}

fn inspect_library(path: &Path) -> Result<Installation, String> {
    let library = real_library(path)?;
    let name = file_name(&library);
    if name.starts_with("libpython3.so") {
        return Err("it is only the stub for the limited API; name the libpython3.14.so.1.0 beside it".to_owned());
    }
    check_name(&library)?;
    let version = elf::python_version(&library)?;
    check_version(version, is_named_free_threaded(&name))?;
    around(&library, version)
}

/// What the folders above the file of a CPython offer.
fn around(file: &Path, version: (u8, u8, u8)) -> Result<Installation, String> {
    let folder = file.parent().unwrap_or(file);
    let prefix = folder.ancestors().find(|folder| has_stdlib(folder, version));
    let prefix = prefix.ok_or_else(|| no_stdlib(folder, version))?;
    let (library, executable) = (file.to_owned(), executable_in(prefix, version));
    Ok(Installation { library, executable, prefix: prefix.to_owned(), version })
}

/// Not run, and not checked to be runnable: without any, CPython would take the first `python3` on `PATH` for its own.
fn executable_in(prefix: &Path, (major, minor, _): (u8, u8, u8)) -> Option<PathBuf> {
    let candidates = [format!("bin/python{major}.{minor}"), format!("bin/python{major}")];
    let mut candidates = candidates.iter().filter_map(|name| prefix.join(name).canonicalize().ok());
    candidates.find(|real| real.is_file() && named_version(real).is_none_or(|named| named == (major, minor)))
}

/// Without links, and with the full name where there is the short one for linkers beside it.
fn real_library(path: &Path) -> Result<PathBuf, String> {
    let real = path.canonicalize().map_err(|error| error.to_string())?;
    let full = real.with_file_name(format!("{}.1.0", file_name(&real)));
    Ok(if file_name(&real).ends_with(".so") && full.is_file() { full } else { real })
}

// ---- versions and names

fn check_version(version: (u8, u8, u8), free_threaded: bool) -> Result<(), String> {
    if free_threaded {
        return Err("it is a free-threaded build (Py_GIL_DISABLED); subpy needs one with the GIL".to_owned());
    }
    match version {
        (3, 14, 0) => Err(format!("CPython 3.14.0 lacks API that came with {}, the oldest that works", dotted(OLDEST))),
        version if version < OLDEST => Err(too_old(&dotted(version))),
        _ => Ok(()),
    }
}

/// Most Pythons on a machine are too old by their names, which saves running them.
fn check_name(file: &Path) -> Result<(), String> {
    match named_version(file) {
        Some((major, minor)) if (major, minor) < (OLDEST.0, OLDEST.1) => Err(too_old(&format!("{major}.{minor}"))),
        _ => Ok(()),
    }
}

fn too_old(version: &str) -> String {
    format!("CPython {version} is too old, {} or newer is needed", dotted(OLDEST))
}

fn dotted((major, minor, patch): (u8, u8, u8)) -> String {
    format!("{major}.{minor}.{patch}")
}

/// The landmark by which CPython finds its standard library. Fedora and openSUSE keep it in `lib64`.
fn has_stdlib(prefix: &Path, (major, minor, _): (u8, u8, u8)) -> bool {
    ["lib", "lib64"].iter().any(|lib| prefix.join(format!("{lib}/python{major}.{minor}/os.py")).is_file())
}

fn no_stdlib(folder: &Path, (major, minor, _): (u8, u8, u8)) -> String {
    let place = folder.display();
    format!("its standard library is missing: there is no lib/python{major}.{minor}/os.py in or above {place}")
}

/// 3.14 from `python3.14`, `libpython3.14d.so.1.0`.
fn named_version(path: &Path) -> Option<(u8, u8)> {
    let name = file_name(path);
    let name = name.strip_prefix("lib").unwrap_or(&name);
    let (major, minor, _) = leading_version(name.strip_prefix("python")?)?;
    Some((major, minor))
}

/// `libpython3.14t.so.1.0`, `libpython3.14td.so.1.0`
fn is_named_free_threaded(library: &str) -> bool {
    let rest = library
        .trim_start_matches("libpython")
        .trim_start_matches(|letter: char| letter == '.' || letter.is_ascii_digit());
    rest.starts_with('t')
}

/// 3.14.6 from `3.14.6-linux`, and 3.14.0 from `3.14-dev`.
fn leading_version(text: &str) -> Option<(u8, u8, u8)> {
    let end = text.find(|letter: char| letter != '.' && !letter.is_ascii_digit()).unwrap_or(text.len());
    let mut numbers = text[..end].split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned()
}

/// Sorted; nothing if it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::elf::tests::library;
    use super::probe::tests::answer;
    use super::*;

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
                executable: Some(
                    self.python(&format!("{name}/bin/python{major}.{minor}"), &self.report(name, version)),
                ),
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
            LocateError::Unsupported { .. } => panic!("{error}"),
        }
    }

    fn unsupported(error: LocateError) -> (String, String) {
        match error {
            LocateError::Unsupported { what, reason } => (what, reason),
            LocateError::NotFound { .. } => panic!("{error}"),
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
            let mut expected = Installation {
                library: library.clone(),
                executable: None,
                prefix: folder.0.join("top"),
                version: GOOD,
            };
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
        let explicit = choice(Some(Path::new("/explicit")), &env).unwrap();
        assert_eq!((explicit.what.as_str(), explicit.path.as_path()), ("python=/explicit", Path::new("/explicit")));
        assert_eq!(choice(None, &env).unwrap().what, "SUBPY_PYTHON=/variable");
        assert!(choice(None, &|_| Some(OsString::new())).is_none(), "an empty variable is no choice");
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
            find(None, explicit, &env(&[("PATH", &search), ("SUBPY_PYTHON", variable)]))
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
        let text =
            format!("case $0 in *python3) '{}' ;; *) exit 1 ;; esac", good.executable.as_ref().unwrap().display());
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
            format!("tried PATH: {}: CPython 3.9.0 is too old, 3.14.1 or newer is needed", old.display()),
            format!("uv ({home}/.local/share/uv/python): there is no cpython-3.14 or newer in it"),
            format!("pyenv ({home}/.pyenv/versions): there is no 3.14 or newer in it"),
            "system folders: there is no python3.14 or newer".to_owned(),
            format!("install one with: {INSTALL} (or set SUBPY_PYTHON=/path/to/python3.14)"),
        ];
        assert_eq!(error.to_string(), expected.join("; "));
    }

    // ---- a CPython in this process

    fn raw(library: &Path, initialized: bool) -> LoadedRaw {
        LoadedRaw { library: Some(library.to_owned()), initialized, version: GOOD, free_threaded: false }
    }

    fn chosen(path: &Path) -> Choice {
        choice(Some(path), &|_| None).unwrap()
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
        let venv =
            Command::new(&python).args(["-I", "-m", "venv", "--without-pip"]).arg(&environment).status().unwrap();
        assert!(venv.success());
        let executable = environment.join("bin/python");
        let expected = Installation { executable: Some(executable.clone()), ..base.clone() };
        assert_eq!(inspect(&executable), Ok(expected));
        let found = inspect(&base.library).unwrap();
        assert_eq!((found.prefix, found.version), (base.prefix, base.version), "the library alone leads there, too");
    }
}
