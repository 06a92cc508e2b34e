//! Runs on threads of their own: `call_in_thread()`, with a result to join for. A pool's tasks have outcomes like theirs.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Error, Kind, Result};
use super::handle::{self, Numbers};
use super::here::here;
use super::interpreter::{Interpreter, check_alive, get};
use super::limits::{Abandon, Limits, Wake};
use super::registry::Registry;
use super::run::Work;
use super::runtime;
use crate::platform::Ready;
use crate::platform::fd::RawFd;
use crate::platform::thread::{JoinHandle, spawn};
use crate::python::attach::detached;
use crate::python::fork;
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

/// What is called when the outcome is there, without any GIL.
pub type Notify = Box<dyn FnOnce() + Send>;

struct State {
    outcome: Outcome,
    notify: Vec<Notify>,
    /// Readable when the outcome is there.
    ready: Option<Ready>,
}

/// A run, as those see it who want its outcome.
pub struct Thread {
    number: u64,
    name: String,
    /// 0: it has none yet.
    interp: AtomicU64,
    state: Mutex<State>,
    /// It was stopped and did not end, and whoever waits was told. Changed with the lock of `state`.
    given_up: AtomicBool,
    /// Takes what the run prints, until whoever joins it was told that it was given up.
    output: Mutex<Option<Callback>>,
    /// Signalled when the outcome is there, and when nobody may wait for it any more.
    changed: Condvar,
    handle: Mutex<Option<JoinHandle>>,
}

thread_local! {
    /// The number of the run that this thread is in. (`thread::current()` panics in late destructors of a thread.)
    static THIS: Cell<u64> = const { Cell::new(0) };

    /// The number of the run that it was started for.
    static STARTED_FOR: Cell<u64> = const { Cell::new(0) };
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
    // The interpreter is gone if the runtime is: that is not started for it.
    let in_use = runtime::enter_if_up();
    check_alive(interp)?;
    let _use = in_use?;
    let (handle, thread) = Thread::new(work.name(), interp, how.output.take())?;
    let number = thread.number;
    if how.abandon {
        how.limits.get_or_insert_default().abandon = Some(Arc::clone(&thread) as _);
    }
    UNFINISHED.insert(handle, Arc::clone(&thread)).inspect_err(|_| drop(THREADS.remove(handle)))?;
    let its_own = Arc::clone(&thread);
    // Under the lock, so that a join that is quick finds the handle.
    let mut slot = lock(&thread.handle);
    let spawned = spawn(&format!("subpy-{number}"), STACK_SIZE, move || {
        let InThread { want_result, results, limits, .. } = how;
        STARTED_FOR.set(number);
        let result = its_own.run(|output| work.run(interp, want_result, results, limits.as_ref(), output));
        // As long as the interpreter is there for certain.
        let is_reported = its_own.is_detached();
        if is_reported {
            its_own.report(&result);
        }
        // Before anybody learns that it has ended: a shutdown may come next.
        UNFINISHED.remove(handle);
        its_own.end(result, is_reported);
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
    /// One that can be joined or freed from now on, by its handle.
    pub(super) fn new(name: &str, interp: u64, output: Option<Callback>) -> Result<(u64, Arc<Thread>)> {
        static NUMBERS: Numbers = Numbers::new(handle::THREAD);
        let (number, handle) = NUMBERS.next()?;
        let thread = Arc::new(Thread {
            number,
            name: cut(name.as_bytes(), LONGEST_NAME).ok_or(Kind::NoMemory)?,
            interp: AtomicU64::new(interp),
            state: Mutex::new(State { outcome: Outcome::Running, notify: Vec::new(), ready: None }),
            given_up: AtomicBool::new(false),
            output: Mutex::new(output),
            changed: Condvar::new(),
            handle: Mutex::new(None),
        });
        fork::mind(|| THREADS.is_unlocked() && UNFINISHED.is_unlocked());
        THREADS.insert(handle, Arc::clone(&thread))?;
        Ok((handle, thread))
    }

    /// How it is called in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// That is where it runs.
    pub(super) fn is_in(&self, interp: u64) {
        self.interp.store(interp, Ordering::Relaxed);
    }

    /// Takes from now on what it prints.
    pub(super) fn set_output(&self, output: Callback) {
        *lock(&self.output) = Some(output);
    }

    /// Runs it on this thread.
    pub(super) fn run<T>(&self, run: impl FnOnce(Option<RunOutput>) -> Result<T>) -> Result<T> {
        THIS.set(self.number);
        let mut print = |stream, text: &str| {
            if let Some(output) = &mut *lock(&self.output) {
                output(stream, text);
            }
        };
        let output = lock(&self.output).is_some().then_some(&mut print as RunOutput);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(output)));
        THIS.set(0);
        result.unwrap_or_else(|_| Err(Kind::Panic("a run panicked".into()).into()))
    }

    /// That is its outcome, unless it was given up: then nobody asks any more.
    pub(super) fn finish(&self, result: Result<OwnedValue>) {
        self.end(result, false);
    }

    /// The same; or it was reported, since nobody asks.
    fn end(&self, result: Result<OwnedValue>, is_reported: bool) {
        let (mut state, mut unwanted) = (lock(&self.state), None);
        match &state.outcome {
            Outcome::Detached => unwanted = (!is_reported).then_some(result),
            Outcome::Running => state.outcome = Outcome::Done(result),
            Outcome::Done(_) | Outcome::Taken => {}
        }
        self.is_done(state);
        if let Some(result) = unwanted {
            self.report(&result);
        }
    }

    /// Tells everybody. Whom the host has named is called without a lock.
    fn is_done(&self, mut state: MutexGuard<State>) {
        let notify = std::mem::take(&mut state.notify);
        if let Some(ready) = &mut state.ready {
            ready.signal();
        }
        self.changed.notify_all();
        drop(state);
        if !notify.is_empty() {
            detached(loaded_api(), || notify.into_iter().for_each(|notify| notify()));
        }
    }

    fn is_detached(&self) -> bool {
        matches!(lock(&self.state).outcome, Outcome::Detached)
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
        let interp = self.interp.load(Ordering::Relaxed);
        let interpreter = get(interp);
        let captured = |interpreter: &Interpreter| interpreter.output().is_ok_and(|output| output.print_error(&parts));
        let print = || interpreter.is_ok_and(|interpreter| captured(&interpreter));
        if !detached(loaded_api(), || here(|here| here.keeps.during(interp, print))) {
            print_error(&parts);
        }
    }
}

fn not_found(handle: u64) -> Error {
    Kind::NotFound(format!("{handle} is not the handle of a thread, or it was joined or freed")).into()
}

impl Abandon for Thread {
    fn abandoned(&self, error: Error) {
        let mut state = lock(&self.state);
        if let Outcome::Running = &state.outcome {
            self.given_up.store(true, Ordering::Relaxed);
            state.outcome = Outcome::Done(Err(error));
            self.is_done(state);
        }
    }
}

impl Wake for Thread {
    fn wake(&self) {
        let _state = lock(&self.state);
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
        THREADS.put_back(handle, thread);
        return Err(stopped);
    }
    let join = lock(&thread.handle).take();
    // What is told of the end may join, on the thread itself.
    if let Some(join) = join
        && !thread.given_up.load(Ordering::Relaxed)
        && thread.number != STARTED_FOR.get()
    {
        detached(loaded_api(), || waiting(|| join.join()));
    }
    detached(loaded_api(), || drop(lock(&thread.output).take()));
    match thread.take(Outcome::Taken) {
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
            let mut state = lock(&self.state);
            loop {
                match &state.outcome {
                    Outcome::Done(_) => return Ok(Some(true)),
                    Outcome::Detached | Outcome::Taken => return Ok(None),
                    Outcome::Running => {}
                }
                if let Some(error) = stopped() {
                    return Err(error);
                }
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                state = match left {
                    None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                    Some(Duration::ZERO) => return Ok(Some(false)),
                    Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                };
            }
        };
        let what = format_args!("thread subpy-{}", self.number);
        here(|here| {
            here.limits.waiting(self, what, |stopped| detached(loaded_api(), || waiting(|| until_ended(stopped))))
        })
    }
}

/// Has something called when a run has ended: at once, if it has.
pub fn notify(handle: u64, notify: Notify) -> Result<()> {
    let thread = THREADS.get(handle).ok_or_else(|| not_found(handle))?;
    {
        let mut state = lock(&thread.state);
        match &state.outcome {
            Outcome::Running => {
                state.notify.try_reserve(1).map_err(|_| Kind::NoMemory)?;
                state.notify.push(notify);
                return Ok(());
            }
            Outcome::Done(_) => {}
            Outcome::Detached | Outcome::Taken => return Err(not_found(handle)),
        }
    }
    detached(loaded_api(), notify);
    Ok(())
}

/// A descriptor that is readable when a run has ended, until the thread is joined or freed.
pub fn fd(handle: u64) -> Result<RawFd> {
    let thread = THREADS.get(handle).ok_or_else(|| not_found(handle))?;
    let mut state = lock(&thread.state);
    if matches!(state.outcome, Outcome::Detached | Outcome::Taken) {
        return Err(not_found(handle));
    }
    if let Some(ready) = &state.ready {
        return Ok(ready.descriptor());
    }
    let ready = Ready::new();
    let mut ready = ready.map_err(|error| Kind::Interpreter(format!("no descriptor could be made: {error}")))?;
    if matches!(state.outcome, Outcome::Done(_)) {
        ready.signal();
    }
    Ok(state.ready.insert(ready).descriptor())
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

    /// Takes the outcome; its descriptor goes with it.
    fn take(&self, then: Outcome) -> Outcome {
        let mut state = lock(&self.state);
        state.ready = None;
        self.changed.notify_all();
        std::mem::replace(&mut state.outcome, then)
    }

    fn detach(&self) {
        if let Outcome::Done(result) = self.take(Outcome::Detached) {
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
