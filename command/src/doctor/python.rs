//! The CPythons that were tried, the one in use, and its virtual environment.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Check, Refused, quoted};
use crate::probe::{Found, Search, Tried};
use crate::{Result, child};

/// What the search says, and what it would say if nobody had named one.
pub struct Seen {
    pub found: Result<Found, String>,
    tried: Vec<Tried>,
    /// Another one, when the one that was named does not fit.
    other: Option<Found>,
    /// `python=` or `SUBPY_PYTHON=`, when one was named.
    named: Option<Named>,
}

struct Named {
    /// What takes the name away.
    unset: &'static str,
    path: PathBuf,
}

/// How long all executables together may take to tell about themselves: ten seconds each at most.
const LIMIT: Duration = Duration::from_secs(120);

pub fn look(python: Option<&Path>) -> Seen {
    let variable = env::var_os("SUBPY_PYTHON").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = match (python, variable) {
        (Some(path), _) => Some(Named { unset: "leave out --python", path: path.to_owned() }),
        (None, Some(path)) => Some(Named { unset: "unset SUBPY_PYTHON", path }),
        (None, None) => None,
    };
    let Search { tried, found } = crate::probe::search(python);
    let other = match &found {
        Err(_) if named.is_some() => search_freely(),
        _ => None,
    };
    Seen { found, tried, other, named }
}

fn search_freely() -> Option<Found> {
    let mut command = child::own(&["probe", "search"]).ok()?;
    let ended = child::run(command.env_remove("SUBPY_PYTHON"), LIMIT).ok()?;
    serde_json::from_str::<Search>(&ended.stdout).ok()?.found.ok()
}

impl Seen {
    pub fn check(&self) -> Check {
        const NAME: &str = "CPython";
        match (&self.found, self.tried.last()) {
            (Ok(found), _) => {
                let library = found.library.as_deref().unwrap_or(Path::new("in this program"));
                Check::ok(NAME, format!("{}, {}", found.version, library.display()))
            }
            (Err(_), Some(last)) if self.named.is_some() || is_shortage(&last.reason) => {
                Check::error(NAME, format!("{}: {}", last.what, last.reason), self.mend(last))
            }
            (Err(why), _) => {
                let first = why.lines().next().unwrap_or_default();
                Check::error(NAME, format!("{first}; what was tried is listed below"), install())
            }
        }
    }

    pub fn refused(&self) -> Vec<Refused> {
        let refused = self.tried.iter().map(|tried| {
            let Tried { what, reason } = tried.clone();
            Refused { what, reason, remedy: self.mend(tried) }
        });
        refused.collect()
    }

    /// One line that makes this candidate fit, or takes another one.
    fn mend(&self, tried: &Tried) -> String {
        let Tried { what, reason } = tried;
        if let Some(mended) = shortage(reason) {
            return mended.to_owned();
        }
        if reason.contains("it is relative") {
            let whole = reason.split_once("give the whole path: ").map(|(_, whole)| format!("export {whole}"));
            let name = what.split(['=', ':']).next().unwrap_or_default();
            return whole.unwrap_or_else(|| format!("give {name} absolute paths alone"));
        }
        let path = match &self.named {
            Some(named) => named.path.clone(),
            None => PathBuf::from(what.split_once(": ").map_or(what.as_str(), |(_, path)| path)),
        };
        if reason.contains("is it executable") {
            return format!("chmod +x {}", quoted(&path));
        }
        if let Some(environment) = environment_of(&path)
            && gone_base(&environment).is_some()
        {
            return format!("{} --clear {}", self.venv(), quoted(&environment));
        }
        match &self.named {
            Some(named) => self.take_another(named),
            None if what.starts_with("VIRTUAL_ENV") => {
                format!("unset VIRTUAL_ENV  # or make it again: {} {}", self.venv(), quoted(&path))
            }
            None => install(),
        }
    }

    fn take_another(&self, named: &Named) -> String {
        match &self.other {
            Some(other) => format!("{}  # the search then finds {}", named.unset, place(other).display()),
            None => format!("subpy python install && {}", named.unset),
        }
    }

    /// What makes virtual environments, for a shell.
    fn venv(&self) -> String {
        match self.found.as_ref().ok().or(self.other.as_ref()) {
            Some(found) => venv(place(found), found.prefix.as_deref().unwrap_or(Path::new("/usr"))),
            None => "\"$(subpy python install)\" -m venv --without-pip".to_owned(),
        }
    }

    pub fn virtual_env(&self) -> Check {
        const NAME: &str = "venv";
        let Some(folder) = env::var_os("VIRTUAL_ENV").filter(|value| !value.is_empty()).map(PathBuf::from) else {
            let used = self.found.as_ref().ok().and_then(|found| environment_of(found.executable.as_deref()?));
            return Check::ok(NAME, used.map_or("none".to_owned(), |used| used.display().to_string()));
        };
        let named = format!("VIRTUAL_ENV={}", folder.display());
        if folder.is_relative() {
            let whole = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone());
            let remedy = format!("export VIRTUAL_ENV={}", quoted(&whole));
            return Check::error(NAME, format!("{named} is relative, and so is not followed"), remedy);
        }
        let make = |how: &str| format!("{} {how}{}", self.venv(), quoted(&folder));
        if !folder.is_dir() {
            let remedy = format!("unset VIRTUAL_ENV  # or make it again: {}", make(""));
            return Check::error(NAME, format!("{named} is not there"), remedy);
        }
        if !folder.join("pyvenv.cfg").is_file() {
            return Check::error(
                NAME,
                format!("{named} is no virtual environment: it has no pyvenv.cfg"),
                "unset VIRTUAL_ENV",
            );
        }
        if let Some(base) = gone_base(&folder) {
            return Check::error(NAME, format!("{named}: its base {} is gone", base.display()), make("--clear "));
        }
        let is_used = |found: &Found| found.executable.as_deref().is_some_and(|python| python.starts_with(&folder));
        if self.found.as_ref().is_ok_and(is_used) {
            return Check::ok(NAME, named);
        }
        match &self.named {
            Some(named_other) if !named_other.path.starts_with(&folder) => {
                let found = format!("{named} is not used: {} comes before it", named_other.path.display());
                Check::warning(NAME, found, format!("{}  # or: unset VIRTUAL_ENV", named_other.unset))
            }
            _ => {
                let why = self.tried.iter().find(|tried| tried.what.contains(&folder.display().to_string()));
                let why = why.map_or("another CPython is", |tried| tried.reason.as_str());
                Check::error(NAME, format!("{named} is not used: {why}"), make("--clear "))
            }
        }
    }
}

/// Its python, or else its library.
fn place(found: &Found) -> &Path {
    found.executable.as_deref().or(found.library.as_deref()).unwrap_or(Path::new("python3.14"))
}

/// What makes virtual environments with this python, whose standard library is below `prefix`. Some CPythons come without what puts
/// pip into them, and without being told so they make none.
pub fn venv(python: &Path, prefix: &Path) -> String {
    let pip = if has_in_stdlib(prefix, "ensurepip") { "" } else { " --without-pip" };
    format!("{} -m venv{pip}", quoted(python))
}

fn install() -> String {
    match crate::cache::folder() {
        Ok(_) => "subpy python install".to_owned(),
        Err(_) => "export SUBPY_CACHE=/a/folder && subpy python install".to_owned(),
    }
}

/// The virtual environment that a path leads into: its folder, or its python.
fn environment_of(path: &Path) -> Option<PathBuf> {
    let folders = [Some(path), path.parent().and_then(Path::parent)];
    folders.into_iter().flatten().find(|folder| folder.join("pyvenv.cfg").is_file()).map(Path::to_owned)
}

/// The folder of the python that a virtual environment was made with, if that is no more.
fn gone_base(environment: &Path) -> Option<PathBuf> {
    let config = fs::read_to_string(environment.join("pyvenv.cfg")).ok()?;
    let home = config.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| name.trim() == "home")?.1;
    let home = PathBuf::from(home.trim());
    (!home.is_dir()).then_some(home)
}

fn is_shortage(reason: &str) -> bool {
    shortage(reason).is_some()
}

/// What allows more of what a reason says there is too little of.
pub fn shortage(reason: &str) -> Option<&'static str> {
    const REMEDIES: [(&str, &str); 4] = [
        ("Too many open files", "ulimit -n 1024"),
        ("Resource temporarily unavailable", "ulimit -u 4096"),
        ("Cannot allocate memory", "ulimit -v unlimited"),
        ("out of memory", "ulimit -v unlimited"),
    ];
    REMEDIES.iter().find(|(text, _)| reason.contains(text)).map(|(_, remedy)| *remedy)
}

/// The variables that change what other Pythons do, and what a program may ask subpy to heed.
pub fn environment() -> Check {
    const NAME: &str = "environment";
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(home) = set("PYTHONHOME") {
        let named = format!("PYTHONHOME={}", home.display());
        let is_one = env::split_paths(&home).next().is_some_and(|home| has_in_stdlib(&home, "os.py"));
        return match is_one {
            true => Check::warning(
                NAME,
                format!("{named} is ignored, but each python that is started obeys it"),
                "unset PYTHONHOME",
            ),
            false => Check::error(
                NAME,
                format!("{named} has no standard library: no python starts with it"),
                "unset PYTHONHOME",
            ),
        };
    }
    match set("PYTHONPATH") {
        Some(path) => Check::warning(
            NAME,
            format!("PYTHONPATH={} is ignored", path.display()),
            "unset PYTHONPATH  # or have the program ask for it: SUBPY_RUNTIME_USE_ENVIRONMENT",
        ),
        None => Check::ok(NAME, "neither PYTHONHOME nor PYTHONPATH is set"),
    }
}

/// Whether there is a standard library in this folder that has it.
fn has_in_stdlib(home: &Path, name: &str) -> bool {
    let folders = ["lib", "lib64"].iter().filter_map(|lib| fs::read_dir(home.join(lib)).ok()).flatten().flatten();
    folders
        .into_iter()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("python3") && entry.path().join(name).exists())
}
