//! Messages between the host and a worker, who speak in turns.
//!
//! | file | what |
//! |---|---|
//! | `ends` | sending and receiving |
//! | `memory` | the memory that both see |
//! | `wait` | waiting for the turn: spinning, sleeping, being woken by one's own process |
//! | `word` | the word that both look at, and sleep at; `model` has a model checker's in its place |
//!
//! The worker may run hostile code. What it can do to the host through a channel is to send what is wrong, which is
//! found out, and to be late.
//!
//! One thing is left: where the kernel promises no more memory than it has (vm.overcommit_memory is 2), a page that the
//! worker has given back may not be had again when there is none at all, and whoever touches it then is killed.

#[cfg(all(test, not(loom)))]
mod bench;
mod ends;
mod memory;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
mod wait;
mod word;

#[cfg(all(test, not(loom)))]
pub use ends::Bytes;
pub use ends::{Caller, Channel, Header, Stop};
