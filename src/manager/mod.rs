//! The interpreter manager: which interpreters there are, who may be in them, and when they end. Safe Rust. Each file
//! uses those above it in this list, and none below (tests/layers.rs).
//!
//! | file | what |
//! |---|---|
//! | `error` | what can go wrong |
//! | `handle`, `registry`, `last` | handles, and what they stand for |
//! | `gate` | who may be in an interpreter: running, busy policy, closing |
//! | `options` | how an interpreter is created |
//! | `attempt` | a close that goes on, as those see it who wait for it |
//! | `timer` | the thread for what is to happen at a time |
//! | `lent_queues` | queues that an interpreter's process has |
//! | `passed` | buffers that an interpreter's process has |
//! | `elsewhere` | an interpreter's process, and the channels to it |
//! | `interpreter` | one interpreter: its gate, its place in the books, its end |
//! | `function` | callables that were looked up once |
//! | `session` | threads that stay in an interpreter from run to run |
//! | `interrupts` | interpreters in which everything was interrupted |
//! | `memory` | how much memory interpreters use |
//! | `cancel`, `tokens` | cancel tokens, and their handles |
//! | `limits` | time limits, and runs that can be stopped |
//! | `conversation` | what is asked of an interpreter's process |
//! | `here` | what a thread remembers of all these |
//! | `output` | where an interpreter's output goes |
//! | `queue` | queues, as hosts use them |
//! | `run` | what a thread does in interpreters |
//! | `object` | objects that stay in Python |
//! | `host` | functions that Python code calls |
//! | `home` | a thread of the caller's on which CPython was initialised |
//! | `runtime_thread` | the thread that CPython is initialised and finalised on |
//! | `runtime` | CPython's life in this process: start, adopt, stop |
//! | `search` | which CPython would be started |
//! | `processes` | where interpreters' processes come from |
//! | `thread` | runs on threads of their own |
//! | `interpreters` | the operations of `concurrent.interpreters` |
//! | `close` | closing within a time |
//! | `pool` | interpreters that take tasks from a queue |
//! | `shutdown` | the end of everything |

mod attempt;
mod cancel;
mod close;
mod conversation;
mod elsewhere;
mod error;
mod function;
mod gate;
mod handle;
mod here;
pub mod home;
mod host;
mod interpreter;
mod interpreters;
mod interrupts;
mod last;
mod lent_queues;
mod limits;
mod memory;
mod object;
mod options;
mod output;
mod passed;
mod pool;
mod processes;
mod queue;
mod registry;
mod run;
mod runtime;
mod runtime_thread;
mod search;
mod session;
mod shutdown;
mod thread;
mod timer;
#[cfg(feature = "capi")]
mod tokens;

pub use attempt::CloseOptions;
pub use cancel::Token;
pub use close::{close_with, look};
pub use error::{Crash, Error, Kind, Ran, Result, Stopped};
#[cfg(feature = "capi")]
pub use function::Function;
pub use function::{find_function, function_free};
pub use gate::Busy;
pub use host::{
    Function as HostFunction, context_cancelled, context_interp, context_note, context_raise, context_return,
    context_tag, define,
};
#[cfg(feature = "capi")]
pub use host::{context_return_plain, outside};
pub use interpreters::{
    close, configure, create, find, get_current, get_main, id, interrupt, is_running, list_all, lock_of, memory, whence,
};
pub use limits::Limits;
pub use memory::Memory;
pub use object::{object_act, object_free, object_interp, object_iter, object_keep};
pub use options::{LockInfo, Options, ProcessOptions};
pub use output::{capture, set_output};
pub use passed::{LARGE, region_new};
pub use pool::{
    Isolation, Map, MapOptions, OutputFor, PoolOptions, PoolStats, Prepare, Submit, close as pool_close,
    new as pool_new, stats as pool_stats, submit as pool_submit,
};
#[cfg(feature = "capi")]
pub use queue::{
    QueueInfo, item_of, queue_close, queue_fd, queue_free, queue_get, queue_info, queue_keep, queue_len, queue_new,
    queue_put,
};
pub use queue::{Wait, descriptor_of, get_from, put_into, queue_make};
pub use run::{append_buffer, append_part, claim, claim_rows, function_call_specially};
#[cfg(feature = "capi")]
pub use run::{copy, copy_of, copy_rows};
pub use run::{
    enter, function_call, function_call_many, function_new, leave, make_ahead, prepare_main, run, run_with, stoppable,
};
pub use runtime::{RuntimeOptions, init, init_here, python_library, python_version};
pub use search::{FoundPython, PythonSearch, TriedPython, find_python};
pub use session::none_ahead;
pub use shutdown::{shutdown, shutdown_with};
pub use thread::{InThread, fd, join, notify, run_in_thread, thread_free, wait};
#[cfg(feature = "capi")]
pub use tokens::{cancel_find, cancel_fire, cancel_free, cancel_new};

// What those above need to speak of: they use nothing of `platform` and of `python` but this.
pub use crate::platform::fd::RawFd;
#[cfg(feature = "capi")]
pub use crate::process::region::Region;
pub use crate::python::exception::{Exception, Frame, Syntax};
pub use crate::python::fork::forked;
pub use crate::python::guest::Config;
pub use crate::python::host::{Context, HostCode, How};
pub use crate::python::objects::{Act, append_handle as append_object};
pub use crate::python::output::Callback;
#[cfg(feature = "capi")]
pub use crate::python::output::RunOutput;
pub use crate::python::queue::For;
pub use crate::python::queue::{
    Count as QueueCount, Host as HostQueues, Named as NamedQueue, Not as NotQueued, Patience as QueuePatience, Queue,
    Refused as QueueRefused, append as append_queue, append_given as append_given_queue, are_there as queues_are_there,
    find as find_queue, name as name_queue,
};
pub use crate::python::run::Code;
pub use crate::python::stack::STACK_SIZE;
pub use crate::python::start::Startup;
pub use crate::python::venv::Venv;
