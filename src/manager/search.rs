//! Which CPython would be started, without starting it.

use std::path::PathBuf;

use super::error::{Error, Result};
use super::runtime::RuntimeOptions;
use crate::platform::has_more_rights;
use crate::python::find::{Found, Tried, locate_and_tell};

/// What the search for a CPython comes to: [`find_python`](crate::find_python).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PythonSearch {
    /// What was looked at in vain, in the order of the search, which ends with the first that fits.
    pub tried: Vec<TriedPython>,
    /// The one to use.
    pub found: Result<FoundPython>,
}

/// A place that has no CPython to use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TriedPython {
    /// The place and who named it: `SUBPY_PYTHON=/x/python`, `PATH: /usr/bin/python3`.
    pub what: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A CPython that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundPython {
    /// Its libpython; None when it is a part of the program itself.
    pub library: Option<PathBuf>,
    /// Its python, in a virtual environment that of the environment. None when there is none, or a host has started it
    /// already.
    pub executable: Option<PathBuf>,
    /// The folder that has its standard library; None when a host has started it already.
    pub prefix: Option<PathBuf>,
    /// Major, minor, patch.
    pub version: (u8, u8, u8),
}

pub fn find_python(options: &RuntimeOptions) -> PythonSearch {
    let env = |name: &str| std::env::var_os(name);
    let (tried, found) = locate_and_tell(options.python.as_deref(), &env, has_more_rights());
    let tried = tried.into_iter().map(|Tried { what, reason }| TriedPython { what, reason }).collect();
    PythonSearch { tried, found: found.map(FoundPython::from).map_err(Error::from) }
}

impl From<Found> for FoundPython {
    fn from(found: Found) -> FoundPython {
        let (library, version, installation) = match found {
            Found::OnDisk(found) => (Some(found.library.clone()), found.version, Some(found)),
            Found::InProcess(loaded) => (loaded.library, loaded.version, loaded.installation),
        };
        let (executable, prefix) = installation.map_or((None, None), |it| (it.executable, Some(it.prefix)));
        FoundPython { library, executable, prefix, version }
    }
}
