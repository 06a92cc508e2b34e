//! Interpreters in processes of their own. No Python here, and no handles: what a process says to another, and how.
//!
//! | file | what |
//! |---|---|
//! | `channel` | messages between two processes that speak in turns |
//! | `memory` | the memory that both see |
//! | `wait` | waiting for the turn: spinning, sleeping, being woken by one's own process |
//! | `word` | the word that both look at, and sleep at; `model` has a model checker's in its place |
//!
//! The other process may be one that runs hostile code. What it can do to this one is to send what is wrong, which is
//! found out, and to be late.

#[cfg(all(test, not(loom)))]
mod bench;
#[cfg(not(all(test, loom)))]
mod channel;
#[cfg(not(all(test, loom)))]
mod memory;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
mod wait;
mod word;
