//! The CPython that nobody has to search for: the one that the user names, and the one in this process.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::inspect::{around, inspect, python_in};
use super::loaded::{Loaded, LoadedRaw};
use super::names::{check_version, dotted};
use super::{INSTALL, Installation, LocateError, RELATIVE, Refused, Tried, set};
use crate::platform::is_same_file;

pub(super) struct Choice {
    pub what: String,
    pub path: PathBuf,
}

/// The program may name a relative path, as it knows where it is. The environment may not.
pub(super) fn choice(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Choice>, LocateError> {
    let named = |name: &str, path: PathBuf| Choice { what: format!("{name}={}", path.display()), path };
    if let Some(path) = explicit {
        return Ok(Some(named("python", path.to_owned())));
    }
    let Some(path) = set(env, "SUBPY_PYTHON") else {
        return Ok(None);
    };
    let choice = named("SUBPY_PYTHON", path);
    if choice.path.is_relative() {
        let reason = format!("{RELATIVE}; give the whole path: SUBPY_PYTHON={}", whole(&choice.path));
        return Err(choice.refused(reason.into()));
    }
    Ok(Some(choice))
}

/// What was meant by a relative path, as one would write it in a shell.
fn whole(path: &Path) -> String {
    match std::path::absolute(path) {
        Ok(whole) if whole.exists() => whole.display().to_string(),
        // A command, it seems.
        _ if path.components().count() == 1 => format!("$(command -v {})", path.display()),
        _ => "/path/to/python3.14".to_owned(),
    }
}

impl Choice {
    pub fn inspect(&self) -> Result<Installation, LocateError> {
        if let Err(error) = fs::metadata(&self.path) {
            return Err(match Refused::from(error) {
                Refused::Unfit(reason) => {
                    LocateError::NotFound { tried: vec![Tried { what: self.what.clone(), reason }] }
                }
                unseen => self.refused(unseen),
            });
        }
        inspect(&self.path).map_err(|refused| self.refused(refused))
    }

    fn refused(&self, refused: Refused) -> LocateError {
        refused.about(self.what.clone())
    }
}

// ---- a CPython in this process

pub(super) fn take_loaded(raw: LoadedRaw, choice: Option<&Choice>) -> Result<Loaded, LocateError> {
    let refuse = |reason: String| LocateError::Unsupported { what: describe(&raw), reason };
    check_version(raw.version, raw.free_threaded).map_err(|reason| {
        refuse(format!(
            "{reason}. One process can hold only one CPython: its symbols would be mixed with those of the one subpy \
             needs. Run this program with, or link it to, a suitable one ({INSTALL}), or in a process of its own"
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
    pub fn in_process(&self, raw: &LoadedRaw, running: &Path) -> Result<Option<Installation>, LocateError> {
        if is_same_file(&self.path, running) {
            return Ok(None);
        }
        // A static python that runs already needs no libpython, so it must not be asked for one.
        if raw.initialized && python_in(&self.path).is_some_and(|python| is_same_file(&python, running)) {
            return Ok(None);
        }
        let chosen = self.inspect()?;
        let is_the_same = match &raw.library {
            Some(library) => is_same_file(&chosen.library, library),
            // Its files differ, so the installation counts; `python` and `python3` can be copies of each other, too.
            None => around(running, raw.version)
                .is_ok_and(|own| own.prefix == chosen.prefix && own.version == chosen.version),
        };
        if is_the_same {
            return Ok(Some(Installation { library: running.to_owned(), ..chosen }));
        }
        Err(self.refused(Refused::Unfit(format!(
            "it is another one ({}) than {} and a process can hold only one; name that one or none",
            chosen.library.display(),
            describe(raw)
        ))))
    }
}
