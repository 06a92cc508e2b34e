//! Virtual environments of interpreters (PEP 405): what has to be true of one before an interpreter may use it. guest.py then
//! does what the site module does in a program of that environment.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path};

use super::version;
use crate::platform::open_file;

/// Of a file that has a dozen lines.
const MOST_BYTES: u64 = 64 << 10;

/// An environment that an interpreter has for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Venv {
    pub folder: String,
    /// It has the packages of the Python that it was made with, too. `check` says so.
    pub with_system: bool,
}

impl Venv {
    /// The folder as it is called from now on: where an interpreter is created later, another one may be the working directory.
    pub fn new(folder: String) -> Venv {
        let absolute = std::path::absolute(&folder).and_then(|path| {
            let leads_up = path.components().any(|part| part == Component::ParentDir);
            if leads_up { fs::canonicalize(path) } else { Ok(path) }
        });
        let absolute = absolute.ok().and_then(|path| path.into_os_string().into_string().ok());
        Venv { folder: absolute.unwrap_or(folder), with_system: false }
    }
}

/// Refuses what is no virtual environment of this Python, with what to do. Says whether it has the system's packages.
pub fn check(folder: &str) -> Result<bool, String> {
    let path = Path::new(folder);
    let (major, minor, _) = version();
    let make = format!("make one with: python{major}.{minor} -m venv {folder}");
    let refused = |what: &str| Err(format!("the virtual environment {folder:?} {what}"));
    if !path.is_dir() {
        return refused(&format!("is no folder; {make}"));
    }
    let config = match read(&path.join("pyvenv.cfg")) {
        Ok(config) => config,
        Err(error) => return refused(&format!("is none: its pyvenv.cfg cannot be read ({error}); {make}")),
    };
    // `version` of the venv module, `version_info` of virtualenv and uv.
    let made_with = ["version", "version_info"].into_iter().find_map(|key| value(&config, key));
    if let Some(made_with) = made_with.filter(|text| !is_of(text, major, minor)) {
        return refused(&format!(
            "is of Python {made_with}, and this process has Python {major}.{minor}: there is one Python in a process; {make}"
        ));
    }
    let packages = if cfg!(windows) {
        r"Lib\site-packages".to_owned()
    } else {
        format!("lib/python{major}.{minor}/site-packages")
    };
    if !path.join(&packages).is_dir() {
        return refused(&format!("has no {packages}; {make}"));
    }
    // As site reads it: without the line it has.
    Ok(value(&config, "include-system-site-packages").is_none_or(|value| value.eq_ignore_ascii_case("true")))
}

fn read(path: &Path) -> io::Result<String> {
    // Not what is no file: it may not come to an end, or not begin.
    let file = open_file(path)?;
    let is = file.metadata()?;
    if !is.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if is.len() > MOST_BYTES {
        return Err(io::Error::other("it is too large"));
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Of a line `key = value`, as the site module reads it.
fn value<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    let pairs = config.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim())).find_map(|(name, value)| {
        let found = name.eq_ignore_ascii_case(key);
        found.then_some(value)
    })
}

/// Whether "3.14.6", or "3.14.6.final.0", is of this version.
fn is_of(text: &str, major: u8, minor: u8) -> bool {
    let mut numbers = text.split('.').map(|number| number.parse::<u8>().ok());
    [major, minor].into_iter().all(|number| numbers.next().flatten() == Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_versions_are_read_as_site_reads_them() {
        let config = "home = /usr/bin\nVersion_Info=3.14.6.final.0\nbroken\ncommand = a = b\n";
        assert_eq!(value(config, "version_info"), Some("3.14.6.final.0"));
        assert_eq!(value(config, "command"), Some("a = b"));
        assert_eq!(value(config, "version"), None);
        for text in ["3.14", "3.14.6", "3.14.6.final.0"] {
            assert!(is_of(text, 3, 14), "{text}");
        }
        for text in ["", "3", "3.1", "3.140.0", "3.270", "4.14", "x.14", "3.14rc1"] {
            assert!(!is_of(text, 3, 14), "{text}");
        }
    }
}
