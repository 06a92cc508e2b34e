//! The other home of an interpreter: a process of its own. What is said to it, and how.
//!
//! | file | what |
//! |---|---|
//! | `wire` | values as bytes |
//! | `message` | requests, and what came of them |

mod message;
mod wire;

pub use message::Failed;
