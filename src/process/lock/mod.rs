//! Locking a process, so that code in it which is not trusted can do nothing but compute, and talk to the host.
//!
//! | file | what |
//! |---|---|
//! | `limits` | how much memory, time, and files |
//! | `usage` | how much memory is used |
//! | `rights` | privileges, descriptors, the environment |
//! | `landlock` | which files |
//! | `filter`, `calls` | which system calls |
//! | `prepare.py` | what is done in Python before |
//!
//! Landlock and the filter are of one thread, and of those that it starts. So it is done when a worker has one, with
//! CPython initialised, and before anything else is run in it. docs/security.md says what it holds against.

mod calls;
mod filter;
mod landlock;
pub mod limits;
mod rights;
#[cfg(all(test, not(loom)))]
mod tests;
pub mod usage;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// An expression for a worker's main interpreter, in Python: it forgets the environment, and is a list of what this
/// Python reads. It leaves nothing in the namespace.
pub fn prepare() -> String {
    const CODE: &str = include_str!("prepare.py");
    // Rust's literal is one of Python's, as the text is ASCII.
    format!("(lambda space: (exec({CODE:?}, space), space['readable'])[1])({{}})")
}

/// What a locked process keeps.
#[derive(Default)]
pub struct Lock<'a> {
    /// What Python reads (`prepare`). What is not there is left out.
    pub python: Vec<PathBuf>,
    /// Folders and files that can be read. They must be there.
    pub readable: Vec<PathBuf>,
    /// And those that can be written, with what is in them. They must be there.
    pub writable: Vec<PathBuf>,
    /// Open files. Those of the numbers 0, 1 and 2 that are not among them become /dev/null.
    pub descriptors: Vec<BorrowedFd<'a>>,
    /// A kernel that has less is no error.
    pub accept_less: bool,
}

/// What a process has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Got {
    /// The version of Landlock; 0: none, so it can read what its user can, and write nothing. Before 6 it does without
    /// what the filter holds alone then: TCP (4), devices (5), signals (6).
    pub landlock: u32,
    /// A filter of system calls. Without it there is little.
    pub filter: bool,
}

impl Got {
    /// Nothing is missing.
    pub fn is_all(&self) -> bool {
        self.landlock >= landlock::WANTED && self.filter
    }

    /// What this kernel has.
    fn can() -> Got {
        let version = landlock::version();
        Got { landlock: if version < landlock::OLDEST { 0 } else { version }, filter: filter::is_there() }
    }

    /// What is missing, by name.
    fn missing(&self) -> Option<String> {
        let landlock = match self.landlock {
            0 => format!("this Linux has no Landlock of version {} or newer, or it is switched off", landlock::OLDEST),
            version => {
                format!("this Linux has Landlock of version {version}, and {} is needed (Linux 6.12)", landlock::WANTED)
            }
        };
        let landlock = (self.landlock < landlock::WANTED).then_some(landlock);
        let filter = (!self.filter).then(|| "this Linux has no seccomp filters".to_owned());
        let missing: Vec<String> = landlock.into_iter().chain(filter).collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }
}

/// What programs on this system read beside their own: shared libraries and where they are, time zones, kinds of files,
/// processors. No secrets.
const SYSTEM: [&str; 19] = [
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/usr/share/locale",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/ssl/openssl.cnf",
    "/dev/urandom",
    "/dev/random",
    "/sys/devices/system/cpu",
    "/proc/cpuinfo",
    "/proc/meminfo",
    // The C library looks there for the stack of the first thread.
    "/proc/self/maps",
];

const NOTHING: &str = "/dev/null";

/// Locks this process, for good. When it fails, the process may be locked in part: it must end.
pub fn lock(lock: &Lock) -> Result<Got, String> {
    let got = Got::can();
    if let Some(missing) = got.missing().filter(|_| !lock.accept_less) {
        return Err(format!("an interpreter cannot be locked here: {missing}"));
    }
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let threads = std::fs::read_dir("/proc/self/task").map_err(failed("threads cannot be counted"))?.count();
    if threads != 1 {
        return Err("a process that has other threads cannot be locked".into());
    }
    rights::forget_environment().map_err(failed("the environment was not forgotten"))?;
    rights::close_others(&lock.descriptors).map_err(failed("open files were not closed"))?;
    rights::drop_privileges().map_err(failed("privileges were not dropped"))?;
    if got.landlock > 0 {
        restrict(lock, got.landlock)?;
    }
    if got.filter {
        // Without Landlock nothing says which files.
        let writes = got.landlock > 0 && !lock.writable.is_empty();
        filter::begin(writes).map_err(failed("system calls were not filtered"))?;
    }
    Ok(got)
}

fn restrict(lock: &Lock, version: u32) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let rules = landlock::Rules::new(version).map_err(|error| format!("Landlock: {error}"))?;
    let system = SYSTEM.iter().chain([&NOTHING]).map(Path::new);
    for path in system.chain(lock.python.iter().map(PathBuf::as_path)) {
        match rules.read(path) {
            Err(error) if !is_absent(&error) => return Err(failed(path, error)),
            _ => {}
        }
    }
    for path in &lock.readable {
        rules.read(path).map_err(|error| failed(path, error))?;
    }
    if !lock.writable.is_empty() {
        rules.write(Path::new(NOTHING)).map_err(|error| failed(Path::new(NOTHING), error))?;
    }
    for path in &lock.writable {
        rules.write(path).map_err(|error| failed(path, error))?;
    }
    rules.begin().map_err(|error| format!("Landlock: {error}"))
}

/// It is not there, or it cannot be looked at.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}
