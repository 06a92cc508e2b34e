//! The Rust surface of the manager, a file a noun, as `ffi` is its C surface. Safe Rust.
//!
//! | file | what |
//! |---|---|
//! | `runtime` | init, shutdown, versions |
//! | `interpreter` | an interpreter: create, run, close, and the questions one can ask |
//! | `function` | callables that were looked up once |
//! | `host` | functions of Rust's that Python code calls |
//! | `many` | many calls of one |
//! | `output` | where what Python prints goes |
//! | `session` | threads that stay in an interpreter from run to run |
//! | `thread` | runs on threads of their own |
//! | `pool`, `outcome`, `pool_map` | interpreters that take tasks from a queue, and what becomes of these |
//! | `object` | objects that stay in Python |
//! | `buffer` | memory that is shared with Python |
//! | `queue` | queues between the program and interpreters |
//! | `limits` | time limits and cancelling |
//! | `options` | how interpreters and CPython are started |
//! | `value` | values |
//! | `from_rust`, `to_rust` | values from and to Rust's types |
//! | `args` | tuples: as values, and as the arguments of a call |
//! | `serde` | values from and to what serde knows |
//! | `call` | what all runs share |
//! | `block` | values in the form that `python` reads and writes |

mod args;
mod block;
mod buffer;
mod call;
mod from_rust;
mod function;
mod host;
mod interpreter;
mod limits;
mod many;
mod object;
mod options;
mod outcome;
mod output;
mod pool;
mod pool_map;
mod queue;
mod runtime;
#[cfg(feature = "serde")]
mod serde;
mod session;
mod thread;
mod to_rust;
mod value;

pub use args::{Arg, Args};
pub use buffer::{Array, Buffer};
pub use from_rust::ListItem;
pub use function::Function;
pub use host::{DefineOptions, HostCall, HostFn, Raise};
pub use interpreter::{Interpreter, find, get_current, get_main, list_all};
pub use limits::{Cancel, Limited, Limits};
pub use object::{Object, ObjectIter};
pub use outcome::Outcome;
pub use output::Stream;
pub use pool::{Pool, PoolOptions, TaskOptions, Tasks};
pub use pool_map::PoolMap;
pub use queue::Queue;
pub use runtime::{find_python, init, python_library, python_version, shutdown, shutdown_with, version};
#[cfg(feature = "serde")]
pub use serde::{Serde, from_value, to_value};
pub use session::Session;
pub use thread::Thread;
pub use to_rust::{Awaited, Buffers, FromValue, Objects, WrongType};
pub use value::{Tag, Value};

use crate::manager::{Kind, Result, forked};
pub use crate::value::Element;

/// What everything that can fail goes through: a fork of a process that runs Python can do nothing here.
fn unless_forked<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    if forked() { Err(Kind::Forked.into()) } else { body() }
}
