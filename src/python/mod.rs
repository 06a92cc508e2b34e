//! The only part that touches CPython. From the outside in:
//!
//! | file | what |
//! |---|---|
//! | `find` | find a CPython, on disk or in this process |
//! | `start` | load it, initialise it, finalise it |
//! | `api`, `types` | the symbol table, and CPython's types in it |
//! | `object` | references that count themselves, the proof of being attached |
//! | `attach` | thread states: entering and leaving an interpreter |
//! | `stack`, `chunks`, `state_blocks` | what makes that cheap: the bounds of stacks, memory for frames and states |
//! | `arenas` | memory for objects, from one interpreter to the next |
//! | `memory`, `counted` | how much memory interpreters use, and their limits; the allocators that count it |
//! | `interp` | one interpreter: create, set up, run in, end |
//! | `closing`, `closing.py` | what is in the way of an end |
//! | `interrupt` | KeyboardInterrupt in runs that are to end |
//! | `quiet` | less noise from them |
//! | `frozen` | modules that new interpreters do not have to read from files |
//! | `run`, `dedent` | exec, eval, call, prepare_main |
//! | `many` | many calls in one run |
//! | `loops`, `loops.py` | what is awaited, and asyncio's event loops for it |
//! | `sources` | the source of what was run, for tracebacks |
//! | `names` | names as Python strings |
//! | `kept` | objects that outlive the run that found them |
//! | `objects`, `by_handle` | their handles, and what hosts do with them; tables of things by handles |
//! | `pins` | objects whose memory results share |
//! | `buffers` | the host's memory in Python |
//! | `own` | all of these that conversions need |
//! | `host` | Python objects that call the host |
//! | `c_function` | functions of C that Python calls, and what they are about |
//! | `convert` | values from and to Python objects |
//! | `exception` | an uncaught exception as text |
//! | `queue` | queues between interpreters |
//! | `output` | sys.stdout and sys.stderr of an interpreter |
//! | `guest` | what is set up in each interpreter |
//! | `model` | locks and sleep under a model checker |
//! | `environ` | changes of the environment, while others read it |
//! | `tracing` | what traces, and does not go together with several interpreters |
//! | `hooks` | what CPython tells: interpreters that come and go |
//! | `fork` | whether this is the child of a fork |
//! | `signals` | signals that Python code handles, in such a fork |
//! | `zygote` | forks that go on with Python |

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

pub mod api;
mod arenas;
pub mod attach;
pub mod buffers;
pub mod by_handle;
mod c_function;
mod chunks;
pub mod closing;
mod convert;
pub mod counted;
mod dedent;
#[cfg(unix)]
mod environ;
pub mod exception;
pub mod find;
pub mod fork;
mod frozen;
pub mod guest;
pub mod hooks;
pub mod host;
pub mod interp;
pub mod interrupt;
pub mod kept;
mod loops;
pub mod many;
pub mod memory;
#[cfg(all(test, loom))]
pub mod model;
mod names;
pub mod object;
pub mod objects;
pub mod output;
mod own;
mod pins;
pub mod queue;
mod quiet;
pub mod run;
pub mod signals;
pub mod sources;
pub mod stack;
pub mod start;
mod state_blocks;
mod tracing;
mod types;
pub mod venv;
pub mod zygote;

use api::Api;
pub use convert::keep;
use exception::Exception;
use interrupt::Reason;

static API: OnceLock<Api> = OnceLock::new();

/// The symbol table. Called only by what runs after a CPython was loaded.
#[inline]
fn api() -> &'static Api {
    API.get().expect("a CPython was loaded")
}

/// The symbol table, once a CPython was loaded.
pub fn loaded_api() -> Option<&'static Api> {
    API.get()
}

/// The version of the CPython that was loaded; (0, 0, 0) before.
pub fn version() -> (u8, u8, u8) {
    start::library().map_or((0, 0, 0), |library| library.version)
}

/// Locks even when a thread panicked while it held the lock: the data are counters and lists that stay consistent.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that is read and changed only with the GIL of its interpreter, so no locked instruction is needed.
#[derive(Default)]
pub struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn up(&self) {
        self.0.store(self.get() + 1, Ordering::Relaxed);
    }

    fn down(&self) {
        self.0.store(self.get() - 1, Ordering::Relaxed);
    }
}

/// Why something inside an interpreter did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// An uncaught exception.
    Exception(Box<Exception>),
    /// The source does not compile; nothing ran.
    Syntax(Box<Exception>),
    /// The run was to end, and ended with this exception.
    Stopped(Reason, Box<Exception>),
    /// A Python object has no value; the text names the path to it.
    NotShareable(String),
    /// Nothing ran: an object of another interpreter was passed; the text names the path to it.
    Elsewhere(String),
    /// Nothing ran: a handle of nothing was passed; the text names the path to it.
    NotFound(String),
    /// CPython did not create the interpreter.
    NotCreated(String),
    /// Nothing was created: tracemalloc runs.
    Traced,
    /// A guest is running something in it, past the library.
    Running,
    /// So many views are left of what was lent for the run.
    Lent(usize),
    /// A prepared function, or an object, that was freed.
    Freed(&'static str),
    NoMemory,
    /// What became of one of many calls.
    InRow(usize, Box<Failure>),
}

impl Failure {
    /// The exception that is set, taken apart.
    pub fn exception(py: object::Py) -> Failure {
        Failure::Exception(Exception::take(py))
    }

    /// For `ok_or_else`: with `ok_or` every success has to drop a failure.
    #[cold]
    fn no_memory() -> Failure {
        Failure::NoMemory
    }

    #[cold]
    fn running() -> Failure {
        Failure::Running
    }
}
