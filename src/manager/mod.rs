//! The interpreter manager: which interpreters there are, who may be in them, and when they end. Safe Rust. Each file
//! uses those above it in this list, and none below (tests/layers.rs).
//!
//! | file | what |
//! |---|---|
//! | `error` | what can go wrong |
//! | `handle`, `registry`, `last` | handles, and what they stand for |
//! | `gate` | who may be in an interpreter: running, busy policy, closing |
//! | `interpreter` | one interpreter: its gate, its place in the books, its end |
//! | `output` | where an interpreter's output goes |
//! | `function` | callables that were looked up once |
//! | `session` | threads that stay in an interpreter from run to run |
//! | `here` | what a thread remembers of all these |
//! | `run` | what a thread does in interpreters |
//! | `host` | functions that Python code calls |
//! | `runtime` | CPython's life in this process: start, adopt, stop |
//! | `thread` | runs on threads of their own |
//! | `interpreters` | the operations of `concurrent.interpreters` |
//! | `shutdown` | the end of everything |

mod error;
mod function;
mod gate;
mod handle;
mod here;
mod host;
mod interpreter;
mod interpreters;
mod last;
mod output;
mod registry;
mod run;
mod runtime;
mod session;
mod shutdown;
mod thread;

pub use error::{Error, Kind, Ran, Result};
#[cfg(feature = "capi")]
pub use function::Function;
pub use function::{find_function, function_free};
pub use gate::Busy;
pub use host::{
    Function as HostFunction, context_interp, context_note, context_raise, context_return, context_return_plain,
    context_tag, define, outside,
};
pub use interpreters::{
    Options, close, create, find, get_current, get_main, id, interrupt, is_running, list_all, whence,
};
#[cfg(feature = "capi")]
pub use run::copy;
pub use output::set_output;
pub use run::{enter, function_call, function_call_many, function_new, leave, prepare_main, run, run_to};
pub use runtime::{RuntimeOptions, init, python_library, python_version};
pub use shutdown::shutdown;
pub use thread::{join, run_in_thread, thread_free, wait};

// What those above need to speak of: they use nothing of `python` but this.
pub use crate::python::exception::{Exception, Frame, Syntax};
pub use crate::python::hooks::forked;
pub use crate::python::host::{Context, HostCode, How};
pub use crate::python::interp::Config;
pub use crate::python::output::Callback;
pub use crate::python::run::Code;
pub use crate::python::start::Startup;
