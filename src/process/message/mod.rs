//! What is said between a host and a worker: requests, both ways, and what came of them. Each message is a header and
//! values (`wire`).

mod buffer;
mod failed;
mod queue;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use buffer::{Memory, Shared, SharedBuffer};
pub use failed::Failed;
pub use queue::{Outcome, Patience, QueueAct};
pub use reply::{Done, Raised, Reply};
pub use request::{Act, Request, Run, ToRun};

pub use super::channel::Header;
