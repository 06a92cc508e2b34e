//! What differs from one system to the next, by the same names on each. No Python and no policy here; everybody stands on
//! it.
//!
//! | file | what |
//! |---|---|
//! | `linux` | Linux, with glibc or musl |
//! | `macos` | macOS |
//! | `unix` | what these have in common |
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
//! Processes for interpreters are Linux's and have a room of their own (`process`).

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as system;

pub mod thread;
mod unix;

pub use system::{
    Event, USABLE_SIZE, environment, has_more_rights, is_first_thread, is_readable, is_stub, mapping, objects,
    set_errno, this_thread, thread_stack, time_of, usable_size,
};
pub use unix::{
    AtThreadEnd, EVERYWHERE, NoSignals, Object, PIPE_BUF, file_of, fork, if_loaded, ignore_broken_pipes, is_file,
    is_terminal, next_symbol, now, open_library, set_signal_handler, signal_handler, symbol, wait_readable,
    wait_writable, watch_forks, write,
};
