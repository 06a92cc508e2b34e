//! What differs from one system to the next, by the same names on each. No Python and no policy here; everybody stands on
//! it.
//!
//! | file | what |
//! |---|---|
//! | `linux` | Linux, with glibc or musl |
//! | `macos` | macOS |
//! | `unix` | what these have in common |
//! | `windows` | Windows, with mingw |
//! | `thread` | threads of the library's own, which need no more memory than what can be refused |
//!
//! What another system has to bring is what `linux` and `macos` have:
//!
//! | name | what |
//! |---|---|
//! | `this_thread`, `is_first_thread`, `name_thread`, `time_of` | which thread this is, its name, its time |
//! | `thread_stack`, `mapping`, `is_readable` | where stacks lie |
//! | `objects`, `is_stub` | what is loaded in this process |
//! | `usable_size`, `USABLE_SIZE`, `stack_for_variables` | how much memory something has |
//! | `Event` | a descriptor that is readable or not |
//! | `environment`, `set_errno`, `has_more_rights` | the process |
//!
//! One that is not like these brings what `unix` has, too, as `windows` does.
//!
//! Processes for interpreters are Linux's and have a room of their own (`process`).

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as system;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as common;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;
#[cfg(windows)]
use windows as common;

pub mod thread;

use std::sync::atomic::Ordering;

pub use common::{
    AtThreadEnd, EVERYWHERE, NO_MEMORY, NoSignals, Object, PIPE_BUF, Ready, fd, file_at, if_loaded,
    ignore_broken_pipes, is_file, is_same_file, is_shortage, is_terminal, next_symbol, now, open_file, open_library,
    path_of, read_at, real_path, set_signal_handler, signal_handler, symbol, wait_readable, wait_writable, watch_forks,
    write,
};
#[cfg(unix)]
pub use system::environment;
pub use system::{
    Event, USABLE_SIZE, has_more_rights, is_first_thread, is_readable, is_stub, mapping, objects, set_errno,
    this_thread, thread_stack, time_of, usable_size,
};
#[cfg(target_os = "linux")]
pub use unix::file_of;
#[cfg(unix)]
pub use unix::fork;

impl Event {
    /// By one thread at a time.
    pub fn set(&self, readable: bool) {
        if self.readable.load(Ordering::Relaxed) == readable {
            return;
        }
        self.readable.store(readable, Ordering::Relaxed);
        if readable {
            self.raise();
        } else {
            self.clear();
        }
    }
}
