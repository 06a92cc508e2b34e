//! The interpreter manager: which interpreters there are, who may be in them, and when they end. Safe Rust.
//!
//! | file | what |
//! |---|---|
//! | `runtime` | CPython's life in this process: start, adopt, shut down |
//! | `interpreter` | one interpreter: create, run, close, and the questions one can ask |
//! | `gate` | who may be in an interpreter: running, busy policy, closing |
//! | `session` | threads that stay in an interpreter from run to run |
//! | `here` | what a thread remembers of all these |
//! | `function` | callables that were looked up once |
//! | `thread` | runs on threads of their own |
//! | `handle`, `registry` | handles, and what they stand for |
//! | `error` | what can go wrong |

mod error;
mod function;
mod gate;
mod handle;
mod here;
mod interpreter;
mod registry;
mod runtime;
mod session;
mod thread;

pub use error::{Error, Kind, Ran, Result};
pub use function::{Function, find_function, function_call, function_free, function_new};
pub use gate::Busy;
pub use interpreter::{
    Options, close, create, find, get_current, get_main, id, is_running, list_all, prepare_main, run, whence,
};
pub use runtime::{RuntimeOptions, init, python_library, python_version, shutdown};
pub use session::{enter, leave};
pub use thread::{Job, Work, join, run_in_thread, thread_free, wait};
