//! The C surface: one file a noun, in the order of the header. No Python here and no policy.

// The comments become the header's: there they are the contract of each function, Safety included.
#![allow(clippy::missing_safety_doc)]

mod boundary;
mod buffer;
mod cancel;
mod error;
mod error_texts;
mod function;
mod host;
mod interpreter;
#[cfg(test)]
mod layout;
mod lock;
mod memory;
mod object;
mod output;
mod pool;
mod pool_map;
mod queue;
mod run;
mod runtime;
mod session;
mod status;
mod thread;
mod value;
#[cfg(target_os = "linux")]
mod worker;

pub use buffer::*;
pub use cancel::*;
pub use error::*;
pub use function::*;
pub use host::*;
pub use interpreter::*;
pub use lock::*;
pub use memory::*;
pub use object::*;
pub use output::*;
pub use pool::*;
pub use pool_map::*;
pub use queue::*;
pub use run::*;
pub use runtime::*;
pub use session::*;
pub use status::*;
pub use thread::*;
pub use value::*;
#[cfg(target_os = "linux")]
pub use worker::*;

pub use crate::value::{subpy_pair, subpy_value, subpy_value_data};
