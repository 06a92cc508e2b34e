//! What the process may have.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::geteuid;

use super::Check;

/// Below the first number it does not work, below the second perhaps not for long.
struct Limit {
    name: &'static str,
    resource: Resource,
    unit: (&'static str, u64),
    least: u64,
    enough: u64,
    /// For a shell.
    remedy: &'static str,
    /// What is short of it.
    why: &'static str,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A process for an interpreter takes some descriptors of the program's, and a run in one more; a start maps some 200 MiB, and each
/// interpreter more.
const LIMITS: [Limit; 4] = [
    Limit {
        name: "stack",
        resource: Resource::RLIMIT_STACK,
        unit: ("KiB", KIB),
        least: 256 * KIB,
        enough: MIB,
        remedy: "ulimit -s 8192",
        why: "Python's calls and its parser take from it",
    },
    Limit {
        name: "open files",
        resource: Resource::RLIMIT_NOFILE,
        unit: ("", 1),
        least: 32,
        enough: 256,
        remedy: "ulimit -n 1024",
        why: "imports and interpreters in processes take some",
    },
    Limit {
        name: "processes",
        resource: Resource::RLIMIT_NPROC,
        unit: ("", 1),
        least: 16,
        enough: 256,
        remedy: "ulimit -u 4096",
        why: "threads count, and all that the same user runs",
    },
    Limit {
        name: "address space",
        resource: Resource::RLIMIT_AS,
        unit: ("MiB", MIB),
        least: 256 * MIB,
        enough: 2048 * MIB,
        remedy: "ulimit -v unlimited",
        why: "a CPython and the stacks of threads take address space that they do not use",
    },
];

pub fn checks() -> Vec<Check> {
    LIMITS.iter().map(Limit::check).collect()
}

/// What lifts a limit that is so low that it may be behind an end without a word.
pub fn tight() -> Option<String> {
    LIMITS.iter().find(|limit| limit.now().is_some_and(|(soft, _)| soft < limit.enough)).map(Limit::lift)
}

impl Limit {
    /// The soft one and the hard one, if they hold for this user.
    fn now(&self) -> Option<(u64, u64)> {
        if self.resource == Resource::RLIMIT_NPROC && geteuid().is_root() {
            return None;
        }
        getrlimit(self.resource).ok()
    }

    fn shown(&self, value: u64) -> String {
        let (name, size) = self.unit;
        if value == RLIM_INFINITY {
            "no limit".to_owned()
        } else {
            format!("{} {name}", value / size).trim().to_owned()
        }
    }

    fn check(&self) -> Check {
        let Some((soft, _)) = self.now() else {
            return Check::ok(self.name, "no limit that holds for this user");
        };
        let short = || format!("{}: {}", self.shown(soft), self.why);
        match soft {
            soft if soft < self.least => Check::error(self.name, short(), self.lift()),
            soft if soft < self.enough => Check::warning(self.name, short(), self.lift()),
            soft => Check::ok(self.name, self.shown(soft)),
        }
    }

    /// The soft limit can be raised to the hard one by anybody.
    fn lift(&self) -> String {
        match self.now() {
            Some((_, hard)) if hard < self.enough => {
                format!(
                    "{}  # where the hard limit, {}, is set: limits.conf, systemd, the container",
                    self.remedy,
                    self.shown(hard)
                )
            }
            _ => self.remedy.to_owned(),
        }
    }
}
