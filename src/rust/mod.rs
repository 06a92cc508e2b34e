//! The Rust surface of the manager, a file a noun, as `ffi` is its C surface. Safe Rust.
//!
//! | file | what |
//! |---|---|
//! | `runtime` | init, shutdown, versions |
//! | `interpreter` | an interpreter, owned or not: create, run, close, and the questions one can ask |
//! | `thread` | runs on threads of their own |
//! | `value` | values, from and to Rust's types |
//! | `block` | values in the form that `python` reads and writes |

mod block;
mod interpreter;
mod runtime;
mod thread;
mod value;

pub use interpreter::{Interpreter, InterpreterRef, find, get_current, get_main, list_all};
pub use runtime::{init, python_library, python_version, shutdown, version};
pub use thread::Thread;
pub use value::{Args, FromValue, Value, WrongType};

use crate::manager::{Kind, Result};
use crate::python::hooks;

/// What everything that can fail goes through: a fork of a process that runs Python can do nothing here.
fn unless_forked<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    if hooks::forked() { Err(Kind::Forked.into()) } else { body() }
}
