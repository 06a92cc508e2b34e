//! What a worker is to be, told by its host before it begins: in a file in memory that comes with a note. And how all of them
//! are started.

use std::path::PathBuf;

#[cfg(target_os = "linux")]
mod file {
    pub use std::ffi::OsString;
    pub use std::fs::File;
    pub use std::io::{self, Read, Seek, Write};
    pub use std::os::fd::{FromRawFd, OwnedFd};
    pub use std::os::unix::ffi::{OsStrExt, OsStringExt};

    pub use super::super::system::check;
}
#[cfg(target_os = "linux")]
use file::*;

/// How an interpreter in a process of its own is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// What it prints is passed on at once.
    pub unbuffered: bool,
    /// Its sys.stdin is at its end.
    pub no_stdin: bool,
    /// What has no kind of its own comes out as a tagged value.
    pub tagged_values: bool,
    /// It says how much memory it uses.
    pub count_memory: bool,
    /// It may ask the system for little.
    pub locked: bool,
    /// As far as this Linux can.
    pub lock_best_effort: bool,
    /// Its virtual environment has the system's packages, too.
    pub venv_with_system: bool,
    /// How much memory it may use beyond what it begins with, in bytes; 0: no limit.
    pub memory_limit: u64,
    /// How much time of processors, in milliseconds; 0: no limit.
    pub cpu_limit_ms: u64,
    /// Put in front of sys.path.
    pub path: Vec<PathBuf>,
    /// The virtual environment whose packages it has.
    pub venv: Option<PathBuf>,
    /// Folders that it may read, or write, all the same.
    pub readable: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
}

/// How zygotes are started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The program that they begin with; None: the one in this library.
    pub program: Option<PathBuf>,
    /// The libsubpy.so that it loads; None: the file that this code is in, if that is a library.
    pub library: Option<PathBuf>,
    /// The CPython: an executable, a venv's folder or a libpython; None: search.
    pub python: Option<PathBuf>,
    /// SUBPY_RUNTIME_*
    pub flags: u64,
    /// What `sys.path` is to be; empty: as CPython makes it.
    pub path: Vec<PathBuf>,
    /// Modules that are imported once, for all workers.
    pub preload: Vec<String>,
}

#[cfg(target_os = "linux")]
impl Settings {
    /// A file in memory that has them.
    pub fn to_file(&self) -> io::Result<OwnedFd> {
        // SAFETY: a C string; a new descriptor.
        let mut file = unsafe {
            let number = check(libc::memfd_create(c"subpy-settings".as_ptr(), libc::MFD_CLOEXEC))?;
            File::from_raw_fd(number)
        };
        file.write_all(&self.to_bytes())?;
        file.rewind()?;
        Ok(file.into())
    }

    /// From such a file.
    pub fn of_file(file: OwnedFd) -> io::Result<Settings> {
        let mut bytes = Vec::new();
        File::from(file).read_to_end(&mut bytes)?;
        Settings::of_bytes(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn flags(&self) -> [bool; 7] {
        let Settings { unbuffered, no_stdin, tagged_values, count_memory, locked, lock_best_effort, .. } = *self;
        [unbuffered, no_stdin, tagged_values, count_memory, locked, lock_best_effort, self.venv_with_system]
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.flags().map(u8::from).to_vec();
        bytes.extend([self.memory_limit, self.cpu_limit_ms].map(u64::to_le_bytes).as_flattened());
        let venv: Vec<PathBuf> = self.venv.iter().cloned().collect();
        for list in [&self.path, &venv, &self.readable, &self.writable] {
            bytes.extend((list.len() as u64).to_le_bytes());
            for path in list {
                let path = path.as_os_str().as_bytes();
                bytes.extend((path.len() as u64).to_le_bytes());
                bytes.extend(path);
            }
        }
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Option<Settings> {
        let (&flags, rest) = bytes.split_first_chunk::<7>()?;
        let [unbuffered, no_stdin, tagged_values, count_memory, locked, lock_best_effort, venv_with_system] =
            flags.map(|flag| flag != 0);
        let mut rest = Rest(rest);
        let (memory_limit, cpu_limit_ms) = (rest.number()?, rest.number()?);
        let (path, venv, readable, writable) = (rest.paths()?, rest.paths()?.pop(), rest.paths()?, rest.paths()?);
        rest.0.is_empty().then_some(Settings {
            unbuffered,
            no_stdin,
            tagged_values,
            count_memory,
            locked,
            lock_best_effort,
            venv_with_system,
            memory_limit,
            cpu_limit_ms,
            path,
            venv,
            readable,
            writable,
        })
    }
}

#[cfg(target_os = "linux")]
struct Rest<'a>(&'a [u8]);

#[cfg(target_os = "linux")]
impl Rest<'_> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn paths(&mut self) -> Option<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for _ in 0..self.number()? {
            let len = usize::try_from(self.number()?).ok()?;
            let (path, rest) = self.0.split_at_checked(len)?;
            paths.push(OsString::from_vec(path.to_vec()).into());
            self.0 = rest;
        }
        Some(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_as_they_were_told() {
        let some = Settings {
            no_stdin: true,
            locked: true,
            lock_best_effort: true,
            venv_with_system: true,
            memory_limit: 1 << 40,
            cpu_limit_ms: 7,
            path: vec!["a".into(), OsString::from_vec(vec![0xff, b'/']).into()],
            venv: Some("/venv".into()),
            writable: vec!["".into()],
            ..Settings::default()
        };
        for settings in [Settings::default(), some] {
            assert_eq!(Settings::of_file(settings.to_file().unwrap()).unwrap(), settings);
            let bytes = settings.to_bytes();
            assert_eq!(Settings::of_bytes(&bytes[..bytes.len() - 1]), None);
            assert_eq!(Settings::of_bytes(&[&bytes[..], &[0]].concat()), None);
        }
    }
}
