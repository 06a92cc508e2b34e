//! How an interpreter is created, and what of that does not go together.

use std::path::PathBuf;
use std::time::Duration;

use super::error::{Kind, Result};
use super::gate::Busy;
use crate::python::guest::Config;

/// How an interpreter is created.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What happens to a run while it is running.
    pub(crate) busy: Busy,
    /// What it may do.
    pub(crate) config: Config,
    /// How long a run in it may take, if it does not say so itself.
    pub(crate) timeout: Option<Duration>,
    /// How much memory it may use, in bytes.
    pub(crate) memory_limit: Option<u64>,
    /// It gets a process of its own.
    pub(crate) process: Option<ProcessOptions>,
}

/// How the process of an interpreter is, that has one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessOptions {
    /// From the exception that is to end a run until the process is killed.
    pub(crate) grace: Duration,
    /// How much time of processors it may use.
    pub(crate) cpu_limit: Option<Duration>,
    /// What it may ask of the system is little.
    pub(crate) locked: bool,
    /// As far as this Linux can.
    pub(crate) lock_best_effort: bool,
    /// Folders that it may read all the same.
    pub(crate) readable: Vec<PathBuf>,
    /// Folders that it may read and write all the same.
    pub(crate) writable: Vec<PathBuf>,
}

/// What holds a locked interpreter's process ([`ProcessOptions::locked`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockInfo {
    /// The version of Landlock that keeps it from files; 0: none does. 6 is all that is asked for.
    pub landlock: u32,
    /// Its system calls are filtered (seccomp).
    pub seccomp: bool,
}

impl ProcessOptions {
    /// The grace that is not chosen.
    pub(crate) const GRACE: Duration = Duration::from_millis(100);
}

impl Default for ProcessOptions {
    fn default() -> ProcessOptions {
        ProcessOptions {
            grace: ProcessOptions::GRACE,
            cpu_limit: None,
            locked: false,
            lock_best_effort: false,
            readable: Vec::new(),
            writable: Vec::new(),
        }
    }
}

impl Options {
    /// It counts the memory that it uses.
    pub(super) fn counts_memory(&self) -> bool {
        self.config.count_memory || self.memory_limit.is_some()
    }

    /// Refuses what does not go together.
    pub(super) fn check_together(&self) -> Result<()> {
        let Options { config, process, .. } = self;
        if let Some(process) = process {
            return process.check_together(config);
        }
        if config.no_extension_check && !config.shared_gil {
            return refuse(
                "SUBPY_INTERP_NO_EXTENSION_CHECK needs SUBPY_GIL_SHARED: an extension module without support for a GIL of \
                 its own would corrupt memory",
            );
        }
        if self.counts_memory() && config.shared_gil {
            return refuse(
                "SUBPY_INTERP_COUNT_MEMORY and memory_limit need SUBPY_GIL_OWN: with SUBPY_GIL_SHARED an interpreter's \
                 objects lie between those of main",
            );
        }
        Ok(())
    }
}

impl ProcessOptions {
    fn check_together(&self, config: &Config) -> Result<()> {
        if config.shared_gil {
            return refuse(
                "SUBPY_INTERP_PROCESS needs SUBPY_GIL_OWN: an interpreter in a process of its own shares no GIL",
            );
        }
        if config.no_extension_check {
            return refuse(
                "SUBPY_INTERP_NO_EXTENSION_CHECK is not for SUBPY_INTERP_PROCESS: an interpreter in a process of its own \
                 loads all extension modules anyway",
            );
        }
        if self.locked && (config.allow_fork || config.allow_exec) {
            return refuse(
                "SUBPY_INTERP_ALLOW_FORK and SUBPY_INTERP_ALLOW_EXEC are not for SUBPY_INTERP_LOCKED, which allows \
                 neither",
            );
        }
        if self.lock_best_effort && !self.locked {
            return refuse("SUBPY_INTERP_LOCK_BEST_EFFORT needs SUBPY_INTERP_LOCKED: without it nothing is locked");
        }
        for (folders, name) in [(&self.readable, "readable"), (&self.writable, "writable")] {
            if !folders.is_empty() && !self.locked {
                return refuse(format!(
                    "{name} folders need SUBPY_INTERP_LOCKED: without it all that the host can open is open"
                ));
            }
            if let Some((index, folder)) = folders.iter().enumerate().find(|(_, folder)| !folder.is_absolute()) {
                return refuse(format!("{name}[{index}] is {folder:?}, must be an absolute path"));
            }
        }
        Ok(())
    }
}

fn refuse(why: impl Into<String>) -> Result<()> {
    Err(Kind::InvalidArgument(why.into()).into())
}
