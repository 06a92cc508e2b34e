//! Runs on threads of their own: `call_in_thread()`, with a result to join for.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::error::{Error, Kind, Result};
use super::handle::{self, Numbers};
use super::here::here;
use super::interpreter::{Interpreter, check_alive, get};
use super::limits::{Abandon, Limits, Wake};
use super::registry::Registry;
use super::run::Work;
use super::runtime;
use crate::python::attach::detached;
use crate::python::object::{LONGEST_NAME, cut};
use crate::python::output::{Callback, RunOutput, print_error, waiting};
use crate::python::run::Code;
use crate::python::stack::STACK_SIZE;
use crate::python::{loaded_api, lock};
use crate::value::{OwnedValue, Results};

enum Outcome {
    Running,
    Done(Result<OwnedValue>),
    /// Nobody will join.
    Detached,
    /// Somebody joined.
    Taken,
}

struct Thread {
    number: u64,
    name: String,
    interp: u64,
    outcome: Mutex<Outcome>,
    /// It was stopped and did not end, and whoever waits was told. Changed with the lock of `outcome`.
    given_up: AtomicBool,
    /// Takes what the run prints, until whoever joins it was told that it was given up.
    output: Mutex<Option<Callback>>,
    /// Signalled when the outcome is there, and when nobody may wait for it any more.
    changed: Condvar,
    handle: Mutex<Option<JoinHandle<()>>>,
}

thread_local! {
    /// The number of the run that this thread was started for. (`thread::current()` panics in late destructors of a
    /// thread.)
    static THIS: Cell<u64> = const { Cell::new(0) };
}

/// Those that can be joined or freed.
static THREADS: Registry<Thread> = Registry::new();

/// Those that have not ended, detached ones included.
static UNFINISHED: Registry<Thread> = Registry::new();

/// What is asked of a run on a thread of its own, beside what it runs.
#[derive(Default)]
pub struct InThread {
    /// The result is converted: somebody may ask for it.
    pub want_result: bool,
    pub results: Results,
    pub output: Option<Callback>,
    pub limits: Option<Limits>,
    /// Who waits for it is told when it was stopped and does not end.
    pub abandon: bool,
}

/// Copies a run and starts a thread for it.
pub fn run_in_thread(interp: u64, code: Code, how: InThread) -> Result<u64> {
    let work = Work::of(code)?;
    detached(loaded_api(), || start(interp, work, how))
}

fn start(interp: u64, work: Work, mut how: InThread) -> Result<u64> {
    static NUMBERS: Numbers = Numbers::new(handle::THREAD);
    // The interpreter is gone if the runtime is: that is not started for it.
    let in_use = runtime::enter_if_up();
    check_alive(interp)?;
    let _use = in_use?;
    let (number, handle) = NUMBERS.next()?;
    let name = cut(work.name().as_bytes(), LONGEST_NAME).ok_or(Kind::NoMemory)?;
    let thread = Arc::new(Thread {
        number,
        name,
        interp,
        outcome: Mutex::new(Outcome::Running),
        given_up: AtomicBool::new(false),
        output: Mutex::new(how.output.take()),
        changed: Condvar::new(),
        handle: Mutex::new(None),
    });
    if how.abandon {
        how.limits.get_or_insert_default().abandon = Some(Arc::clone(&thread) as _);
    }
    THREADS.insert(handle, Arc::clone(&thread));
    UNFINISHED.insert(handle, Arc::clone(&thread));
    let its_own = Arc::clone(&thread);
    // Under the lock, so that a join that is quick finds the handle.
    let mut slot = lock(&thread.handle);
    let spawned = thread::Builder::new().name(format!("subpy-{number}")).stack_size(STACK_SIZE).spawn(move || {
        THIS.set(number);
        let InThread { want_result, results, limits, .. } = how;
        let mut print = |stream, text: &str| {
            if let Some(output) = &mut *lock(&its_own.output) {
                output(stream, text);
            }
        };
        let output = lock(&its_own.output).is_some().then_some(&mut print as RunOutput);
        let run = || work.run(interp, want_result, results, limits.as_ref(), output);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        its_own.finish(handle, result.unwrap_or_else(|_| Err(Kind::Panic("a run panicked".into()).into())));
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
    fn finish(&self, handle: u64, result: Result<OwnedValue>) {
        let mut outcome = lock(&self.outcome);
        // Before anybody learns that it has ended: a shutdown may come next.
        UNFINISHED.remove(handle);
        match &*outcome {
            Outcome::Detached => {
                // Not under the lock: it may call the host.
                drop(outcome);
                self.report(&result);
                return;
            }
            Outcome::Running => *outcome = Outcome::Done(result),
            // It was given up: nobody asks any more what becomes of it.
            Outcome::Done(_) | Outcome::Taken => {}
        }
        self.changed.notify_all();
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
        let head = format!("Exception in thread subpy-{} ({}):\n", self.number, self.name);
        let text = error.to_string();
        let text = error.exception().map_or(&*text, |exception| &*exception.display);
        let parts = [&*head, text, "\n"];
        let interpreter = get(self.interp);
        let captured = |interpreter: &Interpreter| interpreter.output().is_ok_and(|output| output.print_error(&parts));
        let print = || interpreter.is_ok_and(|interpreter| captured(&interpreter));
        if !detached(loaded_api(), || here(|here| here.keeps.during(self.interp, print))) {
            print_error(&parts);
        }
    }
}

fn not_found(handle: u64) -> Error {
    Kind::NotFound(format!("{handle} is not the handle of a thread, or it was joined or freed")).into()
}

impl Abandon for Thread {
    fn abandoned(&self, error: Error) {
        let mut outcome = lock(&self.outcome);
        if let Outcome::Running = &*outcome {
            self.given_up.store(true, Ordering::Relaxed);
            *outcome = Outcome::Done(Err(error));
            self.changed.notify_all();
        }
    }
}

impl Wake for Thread {
    fn wake(&self) {
        let _outcome = lock(&self.outcome);
        self.changed.notify_all();
    }
}

/// Waits for the end of a run and returns its outcome; once. A result that is not wanted need not be shareable.
pub fn join(handle: u64, want_result: bool) -> Result<OwnedValue> {
    let thread = THREADS.get(handle).ok_or_else(|| not_found(handle))?;
    if thread.is_this() {
        return Err(Kind::WrongState("a thread cannot join itself".into()).into());
    }
    // Whoever removes it has it.
    THREADS.remove(handle).ok_or_else(|| not_found(handle))?;
    if let Err(stopped) = thread.wait(None) {
        THREADS.insert(handle, thread);
        return Err(stopped);
    }
    let join = lock(&thread.handle).take();
    if let Some(join) = join
        && !thread.given_up.load(Ordering::Relaxed)
    {
        let _ = detached(loaded_api(), || waiting(|| join.join()));
    }
    detached(loaded_api(), || drop(lock(&thread.output).take()));
    match std::mem::replace(&mut *lock(&thread.outcome), Outcome::Taken) {
        Outcome::Done(Err(Error { kind: Kind::NotShareable(_), .. })) if !want_result => Ok(OwnedValue::none()),
        Outcome::Done(result) => result,
        Outcome::Running | Outcome::Detached | Outcome::Taken => {
            Err(Kind::Panic("a thread ended without an outcome".into()).into())
        }
    }
}

/// Waits until a run has ended, or the time is up; says whether it has. Takes nothing: it can still be joined for.
/// None: for ever.
pub fn wait(handle: u64, limit: Option<Duration>) -> Result<bool> {
    let thread = THREADS.get(handle).ok_or_else(|| not_found(handle))?;
    if thread.is_this() {
        return Err(Kind::WrongState("a thread cannot wait for itself".into()).into());
    }
    thread.wait(limit)?.ok_or_else(|| not_found(handle))
}

impl Thread {
    /// Whether it has ended when it has, or the time is up; None when nobody may ask any more. Fails when the run that
    /// this thread waits in is to end.
    fn wait(self: &Arc<Self>, limit: Option<Duration>) -> Result<Option<bool>> {
        // A limit beyond what the clock can tell is none.
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let until_ended = |stopped: &dyn Fn() -> Option<Error>| {
            let mut outcome = lock(&self.outcome);
            loop {
                match &*outcome {
                    Outcome::Done(_) => return Ok(Some(true)),
                    Outcome::Detached | Outcome::Taken => return Ok(None),
                    Outcome::Running => {}
                }
                if let Some(error) = stopped() {
                    return Err(error);
                }
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                outcome = match left {
                    None => self.changed.wait(outcome).unwrap_or_else(PoisonError::into_inner),
                    Some(Duration::ZERO) => return Ok(Some(false)),
                    Some(left) => self.changed.wait_timeout(outcome, left).unwrap_or_else(PoisonError::into_inner).0,
                };
            }
        };
        let what = format_args!("thread subpy-{}", self.number);
        here(|here| {
            here.limits.waiting(self, what, |stopped| detached(loaded_api(), || waiting(|| until_ended(stopped))))
        })
    }
}

/// Forgets a run. If it fails, or has failed, that is printed.
pub fn thread_free(handle: u64) {
    if let Some(thread) = THREADS.remove(handle) {
        thread.detach();
    }
}

impl Thread {
    /// The calling thread is the one that runs it.
    fn is_this(&self) -> bool {
        THIS.get() == self.number
    }

    fn detach(&self) {
        let outcome = std::mem::replace(&mut *lock(&self.outcome), Outcome::Detached);
        self.changed.notify_all();
        if let Outcome::Done(result) = outcome {
            self.report(&result);
        }
    }
}

/// Fails when a thread has not ended.
pub(super) fn check_idle() -> Result<()> {
    match UNFINISHED.all().first() {
        Some(thread) => {
            let given_up =
                if thread.given_up.load(Ordering::Relaxed) { ": it was given up, and has not ended" } else { "" };
            Err(Kind::Busy(format!("thread subpy-{} is running {}{given_up}", thread.number, thread.name)).into())
        }
        None => Ok(()),
    }
}

/// The runtime ends: outcomes that nobody joined for are as if freed.
pub(super) fn forget_all() {
    THREADS.drain().iter().for_each(|thread| thread.detach());
}
