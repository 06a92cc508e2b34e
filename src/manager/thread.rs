//! Runs on threads of their own: `call_in_thread()`, with a result to join for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::error::{Error, Kind, Result};
use super::interpreter;
use super::registry::{Registry, thread_handle};
use super::runtime::{self, STACK_SIZE};
use crate::python::kept::Kept;
use crate::python::output::print_error;
use crate::python::run::Code;
use crate::python::tstate::detached;
use crate::python::value::{Args, OwnedValue};
use crate::python::{loaded_api, lock};

/// A run with everything it needs in its own memory.
pub struct Job {
    /// The interpreter's handle.
    pub interp: u64,
    /// What to do.
    pub work: Work,
    /// Somebody may ask for the result; otherwise it is not converted.
    pub want_result: bool,
}

/// Owned code and arguments.
pub enum Work {
    /// exec
    Exec {
        /// The source.
        source: String,
        /// For tracebacks.
        filename: Option<String>,
        /// Do not dedent.
        keep_indent: bool,
    },
    /// eval
    Eval {
        /// The expression.
        expression: String,
        /// For tracebacks.
        filename: Option<String>,
    },
    /// call
    Call {
        /// `name` or `module:attr.attr`
        callable: String,
        /// A TUPLE.
        args: OwnedValue,
        /// A DICT.
        kwargs: OwnedValue,
    },
    /// a prepared function
    Function {
        /// What it holds.
        kept: Arc<Kept>,
        /// A TUPLE.
        args: OwnedValue,
        /// A DICT.
        kwargs: OwnedValue,
    },
}

impl Job {
    fn run(&self) -> Result<OwnedValue> {
        let code = match &self.work {
            Work::Exec { source, filename, keep_indent } => {
                Code::Exec { source, filename: filename.as_deref(), keep_indent: *keep_indent }
            }
            Work::Eval { expression, filename } => Code::Eval { expression, filename: filename.as_deref() },
            Work::Call { callable, args, kwargs } => Code::Call { callable, args: Args::of(args, kwargs) },
            Work::Function { kept, args, kwargs } => Code::Function { kept, args: Args::of(args, kwargs) },
        };
        let mut result = OwnedValue::none();
        interpreter::run(self.interp, code, self.want_result.then_some(&mut result)).map_err(|error| *error)?;
        Ok(result)
    }

    /// How a traceback calls it.
    fn name(&self) -> &str {
        match &self.work {
            Work::Exec { .. } => "exec",
            Work::Eval { .. } => "eval",
            Work::Call { callable, .. } => callable,
            Work::Function { .. } => "function",
        }
    }
}

enum Outcome {
    Running,
    Done(Result<OwnedValue>),
    /// Nobody will join.
    Detached,
}

struct Thread {
    number: u64,
    name: String,
    outcome: Mutex<Outcome>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

/// Those that can be joined or freed.
static THREADS: Registry<Thread> = Registry::new();

/// Those that have not ended, detached ones included.
static UNFINISHED: Registry<Thread> = Registry::new();

/// Starts a thread that does the job.
pub fn run_in_thread(job: Job) -> Result<u64> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    interpreter::check_alive(job.interp)?;
    let _use = runtime::enter()?;
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let handle = thread_handle(number);
    let (outcome, name) = (Mutex::new(Outcome::Running), job.name().to_owned());
    let thread = Arc::new(Thread { number, name, outcome, handle: Mutex::new(None) });
    THREADS.insert(handle, Arc::clone(&thread));
    UNFINISHED.insert(handle, Arc::clone(&thread));
    let its_own = Arc::clone(&thread);
    // Under the lock, so that a join that is quick finds the handle.
    let mut slot = lock(&thread.handle);
    let spawned = thread::Builder::new().name(format!("subpy-{number}")).stack_size(STACK_SIZE).spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run()));
        its_own.finish(result.unwrap_or_else(|_| Err(Kind::Panic("a run panicked".into()).into())));
        UNFINISHED.remove(handle);
    });
    match spawned {
        Ok(join) => {
            *slot = Some(join);
            Ok(handle)
        }
        Err(error) => {
            THREADS.remove(handle);
            UNFINISHED.remove(handle);
            Err(Kind::Interpreter(format!("can't start new thread: {error}")).into())
        }
    }
}

impl Thread {
    fn finish(&self, result: Result<OwnedValue>) {
        let mut outcome = lock(&self.outcome);
        match &*outcome {
            Outcome::Detached => self.report(&result),
            _ => *outcome = Outcome::Done(result),
        }
    }

    /// What `threading.excepthook` prints; SystemExit is silent there too.
    fn report(&self, result: &Result<OwnedValue>) {
        let Err(error) = result else { return };
        // The run itself succeeded: a result that nobody asks for need not be one that can be shared.
        if matches!(error.kind, Kind::NotShareable(_)) {
            return;
        }
        if error.exception().is_some_and(|exception| exception.exit_status.is_some()) {
            return;
        }
        let text = error.exception().map_or_else(|| error.to_string(), |exception| exception.display.clone());
        print_error(&format!("Exception in thread subpy-{} ({}):\n{text}\n", self.number, self.name));
    }
}

fn not_found(handle: u64) -> Error {
    Kind::NotFound(format!("{handle} is not the handle of a thread, or it was joined or freed")).into()
}

/// Waits for the end of a run and returns its outcome; once. A result that is not wanted need not be shareable.
pub fn join(handle: u64, want_result: bool) -> Result<OwnedValue> {
    let thread = THREADS.get(handle).ok_or_else(|| not_found(handle))?;
    let is_me = lock(&thread.handle).as_ref().is_some_and(|it| it.thread().id() == thread::current().id());
    if is_me {
        return Err(Kind::WrongState("a thread cannot join itself".into()).into());
    }
    // Whoever removes it has it.
    THREADS.remove(handle).ok_or_else(|| not_found(handle))?;
    let join = lock(&thread.handle).take();
    if let Some(join) = join {
        let _ = detached(loaded_api(), || join.join());
    }
    match std::mem::replace(&mut *lock(&thread.outcome), Outcome::Running) {
        Outcome::Done(Err(Error { kind: Kind::NotShareable(_), .. })) if !want_result => Ok(OwnedValue::none()),
        Outcome::Done(result) => result,
        Outcome::Running | Outcome::Detached => Err(Kind::Panic("a thread ended without an outcome".into()).into()),
    }
}

/// Forgets a run. If it fails, or has failed, that is printed.
pub fn thread_free(handle: u64) {
    if let Some(thread) = THREADS.remove(handle) {
        thread.detach();
    }
}

impl Thread {
    fn detach(&self) {
        let outcome = std::mem::replace(&mut *lock(&self.outcome), Outcome::Detached);
        if let Outcome::Done(result) = outcome {
            self.report(&result);
        }
    }
}

/// Fails when a thread has not ended.
pub(super) fn check_idle() -> Result<()> {
    match UNFINISHED.all().first() {
        Some(thread) => Err(Kind::Busy(format!("thread subpy-{} is running {}", thread.number, thread.name)).into()),
        None => Ok(()),
    }
}

/// The runtime ends: outcomes that nobody joined for are as if freed.
pub(super) fn forget_all() {
    THREADS.drain().iter().for_each(|thread| thread.detach());
}
