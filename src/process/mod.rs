//! Processes for interpreters. The host starts one, the zygote, in which a CPython is initialised; each worker is a
//! fork of it. The parts, from below:
//!
//! | file | what |
//! |---|---|
//! | `system` | system calls, with descriptors that close themselves |
//! | `alone` | what threads hand on to each other |
//! | `channel` | messages between the host and a worker, who speak in turns |
//! | `wire` | values as bytes |
//! | `message` | requests, and what came of them |
//! | `talk` | saying them on a channel |
//! | `mapping` | files of memory, and where they are mapped |
//! | `region`, `mapped` | memory that the host shares, and what a worker sees of it |
//! | `control` | what host, zygote and workers say to each other while they begin and end |
//! | `executable` | the file that the library is in, which may be the program |
//! | `launch` | a program in a process that is no child of the host |
//! | `settings` | what a worker is to be |
//! | `zygote` | in the zygote: forks workers, and tells of their ends |
//! | `child` | in the host: one worker |
//! | `reaper` | in the host: a thread that notices deaths |
//! | `spawn` | in the host: where workers come from |
//! | `lock` | in a worker: what it can do from then on, and how much of it |
//! | `fuzzing` | entries for the fuzzing targets, which are not there in a build for use |
//! | `nowhere` | what the manager needs of all this on systems without such processes: on all but Linux |
//!
//! Each of the three may die at any moment. A worker's death is seen by the zygote, whose child it is, and by the host,
//! which has a descriptor of it (pidfd); the zygote tells the host how it ended. The zygote's death ends no worker: the
//! next one comes from a new zygote. The host's death is seen by the zygote, which kills its workers; and the kernel
//! kills each worker when the pipe for its traceback has no reader any more.

pub mod alone;
#[cfg(target_os = "linux")]
pub mod channel;
#[cfg(target_os = "linux")]
pub mod child;
#[cfg(target_os = "linux")]
pub mod control;
#[cfg(target_os = "linux")]
pub mod executable;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
pub mod lock;
#[cfg(target_os = "linux")]
pub mod mapped;
#[cfg(target_os = "linux")]
mod mapping;
pub mod message;
#[cfg(not(target_os = "linux"))]
mod nowhere;
#[cfg(target_os = "linux")]
mod reaper;
#[cfg(target_os = "linux")]
pub mod region;
pub mod settings;
#[cfg(target_os = "linux")]
pub mod spawn;
#[cfg(target_os = "linux")]
mod system;
#[cfg(target_os = "linux")]
pub mod talk;
#[cfg(test)]
mod tests;
pub mod wire;
#[cfg(target_os = "linux")]
pub mod zygote;

#[cfg(not(target_os = "linux"))]
pub use nowhere::{channel, child, region, spawn, talk};
