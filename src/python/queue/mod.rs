//! Queues between the host and interpreters, and between interpreters.
//!
//! | file | what |
//! |---|---|
//! | `core` | a queue, without Python |
//! | `spin` | looking out for a change before one sleeps |
//! | `sync`, `model` | locks and sleep, and a model checker's in their place |
//! | `handles` | queues by their handles and by their ids |
//! | `there`, `place` | a queue that another process has; a queue wherever it is |
//! | `waits` | the queues that code of an interpreter waits at |
//! | `guest` | what an interpreter has for them, and how its code waits |
//! | `object`, `methods` | the type that is the base of Queue, its methods, and the functions that queues.py needs |
//! | `asked` | the methods of a queue that is there |
//! | `module`, `queues.py` | the module `subpy_queues`, made when it is imported |

mod asked;
mod core;
mod guest;
mod handles;
mod methods;
#[cfg(all(test, loom))]
mod model;
mod module;
mod object;
mod place;
mod spin;
mod sync;
mod there;
mod waits;

pub use core::{For, Not, Queue, Waited};
pub use guest::Queues;
#[cfg(feature = "capi")]
pub use handles::free;
#[cfg(feature = "capi")]
pub use handles::new_handle;
pub use handles::{KIND, append, append_given, append_place, are_unlocked, by_id, find, keep, name, place_of};
pub use module::{add_finder, finder};
pub use object::{gone, queue_of, to_python};
pub use place::Place;
pub use there::{Count, Host, Named, Patience, Refused, are_there};
pub use waits::{Waiting, Waits};
