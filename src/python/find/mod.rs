//! Finds the CPython to use.
//!
//! | file | what |
//! |---|---|
//! | `choice` | the one that the user names, or that is in this process already |
//! | `search` | where to look otherwise, in order |
//! | `inspect` | whether one candidate fits, and what belongs to it |
//! | `probe` | asks an executable about itself by running it |
//! | `elf`, `pe` | read the version out of a libpython's file; on Windows out of a python314.dll |
//! | `loaded` | looks for a CPython in this process |
//! | `names` | versions, and what files are called |
//! | `fuzzing` | the entry for a fuzzing target, which is not there in a build for use |
//!
//! Nothing is loaded here. What fits is decided before, because a wrong library cannot be unloaded, and because a
//! CPython that fails to start without its standard library never starts again in the same process.

mod choice;
mod elf;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod inspect;
pub mod loaded;
mod names;
mod pe;
mod probe;
mod search;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::{Path, PathBuf};

use choice::{choice, take_loaded};
use loaded::{Loaded, LoadedRaw};
use names::{OLDEST, dotted};

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

impl Installation {
    /// Where its executable usually is, whether there is one or not.
    pub fn usual_executable(&self) -> PathBuf {
        let (major, minor, _) = self.version;
        match cfg!(windows) {
            true => self.prefix.join("python.exe"),
            false => self.prefix.join(format!("bin/python{major}.{minor}")),
        }
    }
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
    /// The process or the machine is short of something, so nothing is known. Going on with another candidate would
    /// give a different CPython from one start to the next.
    CouldNotLook {
        /// At what.
        what: String,
        /// Short of what.
        reason: String,
    },
}

impl Display for LocateError {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { what, reason } => {
                write!(out, "{what} cannot be used: {reason}")?;
                // One that was named in a wrong way may be there.
                if reason.contains(INSTALL) || reason.starts_with(RELATIVE) {
                    return Ok(());
                }
                write!(out, "; install a suitable one with: {INSTALL}")
            }
            Self::NotFound { tried } => {
                writeln!(out, "no CPython {} or newer with a shared libpython was found", dotted(OLDEST))?;
                for Tried { what, reason } in tried {
                    writeln!(out, "  {what}: {reason}")?;
                }
                writeln!(
                    out,
                    "install one with: {INSTALL} (uv: https://docs.astral.sh/uv), or from the system's packages"
                )?;
                write!(out, "or name the folder of one that is installed: SUBPY_PYTHON=/path/to/its/folder")
            }
            Self::CouldNotLook { what, reason } => write!(out, "could not look at {what}: {reason}"),
        }
    }
}

impl std::error::Error for LocateError {}

/// Finds the CPython to use. `explicit` is an executable, the folder of a virtual environment or of an installation, or
/// a libpython; `env` reads an environment variable.
///
/// The order: `explicit`, `SUBPY_PYTHON`, a CPython in this process, and then the places of the search. A choice that
/// does not fit is an error and never skipped. As one process holds one CPython, one that is loaded already overrules
/// everything: it is used, or nothing is.
///
/// A process that `has_more_rights` than whoever started it, and has set its environment, ignores that, and folders that
/// need not be the administrator's.
///
/// Runs the executables it considers, for at most ten seconds each. A first answer can become outdated only by loading
/// a CPython, so a caller that starts one again keeps the `Installation` it has.
pub fn locate(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<OsString>,
    has_more_rights: bool,
) -> Result<Found, LocateError> {
    find(loaded::in_process(), explicit, env, has_more_rights, &mut Vec::new())
}

/// As `locate`; also the places that were looked at in vain before one that fits, or at all.
pub fn locate_and_tell(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<OsString>,
    has_more_rights: bool,
) -> (Vec<Tried>, Result<Found, LocateError>) {
    let mut tried = Vec::new();
    let found = find(loaded::in_process(), explicit, env, has_more_rights, &mut tried);
    match &found {
        Ok(_) => {}
        Err(LocateError::NotFound { tried: all }) => tried.clone_from(all),
        Err(LocateError::Unsupported { what, reason } | LocateError::CouldNotLook { what, reason }) => {
            tried.push(Tried { what: what.clone(), reason: reason.clone() });
        }
    }
    (tried, found)
}

/// `tried` gets what a search looks at in vain.
fn find(
    loaded: Option<LoadedRaw>,
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<OsString>,
    has_more_rights: bool,
    tried: &mut Vec<Tried>,
) -> Result<Found, LocateError> {
    let env = if has_more_rights { &|_: &str| None } else { env };
    match (loaded, choice(explicit, env)?) {
        (Some(raw), choice) => take_loaded(raw, choice.as_ref()).map(Found::InProcess),
        (None, Some(choice)) => choice.inspect().map(Found::OnDisk),
        (None, None) => search::search(env, &search::system_roots(has_more_rights)?, tried).map(Found::OnDisk),
    }
}

/// An empty variable counts as unset, as in shells.
fn set(env: &dyn Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    env(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Why a relative path in the environment is not followed: whoever can write to the folder that a program happens to
/// be started in could have the program run what they put there.
const RELATIVE: &str = "it is relative, so it would depend on the folder that the program is started in";

/// Why a candidate is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refused {
    /// It does not fit.
    Unfit(String),
    /// Nothing is known about it, as the process or the machine is short of something.
    Unseen(String),
}

impl Refused {
    fn about(self, what: String) -> LocateError {
        match self {
            Self::Unfit(reason) => LocateError::Unsupported { what, reason },
            Self::Unseen(reason) => LocateError::CouldNotLook { what, reason },
        }
    }
}

impl Display for Refused {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (Self::Unfit(reason) | Self::Unseen(reason)) = self;
        out.write_str(reason)
    }
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Self::Unfit(reason)
    }
}

impl From<&str> for Refused {
    fn from(reason: &str) -> Self {
        Self::Unfit(reason.to_owned())
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        if is_shortage(&error) { Self::Unseen(error.to_string()) } else { Self::Unfit(error.to_string()) }
    }
}

/// Of open files, processes or memory: it says nothing about what was to be looked at.
pub use crate::platform::is_shortage;
