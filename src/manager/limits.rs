//! Time limits, and the runs that can be stopped: what each thread runs with a limit, and what it runs inside of that.
//!
//! A run without a limit, on a thread that has none further out, is not known here and takes no clock. The others are
//! frames, the outermost first, of their thread's slot. When one is stopped (its time is up, its token is fired), so
//! are those inside of it. The timer hits them again until they have ended, because their code may catch the exception.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::cancel::{Stop, Token};
use super::error::{Error, Kind, Result, Stopped};
use super::gate;
use super::interpreter::{INTERPRETERS, Interpreter};
use super::interrupts::{self, FIRST_PAUSE, LONGEST_PAUSE};
use super::memory;
use super::timer::{self, NEVER, Tasks, Time};

use crate::platform::this_thread;
use crate::python::fork::forked;
use crate::python::interp::Interp;
use crate::python::interrupt::{Reason, Which};
use crate::python::lock;
use crate::python::memory::tell;

/// What is asked of one run.
#[derive(Clone, Default)]
pub struct Limits {
    /// None: the interpreter's own, if it has one.
    pub timeout: Option<Duration>,
    pub cancel: Option<Arc<Token>>,
    /// Is told when the run was stopped and does not end.
    pub abandon: Option<Arc<dyn Abandon>>,
}

/// Who waits for a run on another thread.
pub trait Abandon: Send + Sync {
    /// The run was stopped, and goes on all the same.
    fn abandoned(&self, error: Error);
}

/// What a thread may wait for inside of a run that can be stopped.
pub trait Wake: Send + Sync {
    /// It is to look whether it was stopped.
    fn wake(&self);
}

/// One run.
struct Frame {
    /// Its own in this slot, for good.
    id: u64,
    interpreter: u64,
    /// The number that it has in its interpreter; 0: it has not begun.
    run: u64,
    deadline: Time,
    limit: Duration,
    stopped: Option<Reason>,
    /// When it was stopped.
    since: Time,
    abandon: Option<Arc<dyn Abandon>>,
}

/// What one thread runs.
#[derive(Default)]
struct Frames {
    frames: Vec<Frame>,
    last_id: u64,
    /// When those that were stopped are to be hit again, and how long after the last time that is.
    again: Time,
    pause: Time,
    waits_for: Option<Arc<dyn Wake>>,
}

pub struct Slot {
    /// The thread that it is of.
    thread: usize,
    /// When the timer has to look.
    due: AtomicU64,
    frames: Mutex<Frames>,
}

/// Those of all threads.
static SLOTS: Mutex<Vec<Arc<Slot>>> = Mutex::new(Vec::new());

static TASKS: Tasks = Tasks { run: run_tasks, next: next_task };

/// How long the code of a run has to end after it was hit, before the run is given up.
const GRACE: Time = 20_000_000;

/// Who has to be told of a stop when no lock is held any more.
#[derive(Default)]
struct Tell {
    /// An interpreter at whose gate the thread may wait.
    gate: Option<u64>,
    waits_for: Option<Arc<dyn Wake>>,
    abandon: Option<(Arc<dyn Abandon>, Error)>,
}

impl Tell {
    fn now(self) {
        if let Some(interpreter) = self.gate.and_then(|handle| INTERPRETERS.get(handle)) {
            interpreter.gate.wake();
        }
        if let Some(waits_for) = self.waits_for {
            waits_for.wake();
        }
        if let Some((abandon, error)) = self.abandon {
            abandon.abandoned(error);
        }
    }
}

impl Frames {
    /// The outermost that is to end.
    fn stopped(&self) -> Option<(usize, Reason)> {
        self.frames.iter().enumerate().find_map(|(index, frame)| Some((index, frame.stopped?)))
    }

    /// The time at which something has to be done for them.
    fn due(&self) -> Time {
        let deadlines = self.frames.iter().filter(|frame| frame.stopped.is_none()).map(|frame| frame.deadline);
        let again = if self.stopped().is_some() { self.again } else { NEVER };
        deadlines.min().unwrap_or(NEVER).min(again)
    }

    /// Hits those that are to end.
    fn hit(&mut self, now: Time) -> Tell {
        let Some((first, reason)) = self.stopped() else { return Tell::default() };
        let mut tell = Tell { waits_for: self.waits_for.clone(), ..Tell::default() };
        for frame in &self.frames[first..] {
            if frame.run == 0 {
                tell.gate = Some(frame.interpreter);
            } else if let Some(interpreter) = INTERPRETERS.get(frame.interpreter) {
                if let Some(python) = interpreter.python() {
                    python.interrupt(Which::Run(frame.run), reason);
                } else if let Some(elsewhere) = interpreter.elsewhere() {
                    elsewhere.poke(frame.run);
                }
            }
        }
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.again = now.saturating_add(self.pause);
        let frame = &mut self.frames[first];
        if frame.run != 0 && now.saturating_sub(frame.since) >= GRACE {
            let error = still_runs(frame, reason);
            tell.abandon = frame.abandon.take().map(|abandon| (abandon, error));
        }
        tell
    }
}

fn still_runs(frame: &Frame, reason: Reason) -> Error {
    let message = format!("{}, but the code has not ended: it still runs", what_happened(frame, reason));
    stopped(reason, message).of(frame.interpreter)
}

fn what_happened(frame: &Frame, reason: Reason) -> String {
    match reason {
        Reason::Timeout => format!("timed out after {} ms", frame.limit.as_millis()),
        Reason::Interrupted => "cancelled".into(),
    }
}

fn stopped(reason: Reason, message: String) -> Error {
    let stopped = Stopped { message, exception: None };
    Error::from(match reason {
        Reason::Timeout => Kind::Timeout(stopped),
        Reason::Interrupted => Kind::Interrupted(stopped),
    })
}

impl Stop for Slot {
    fn stop(&self, id: u64, reason: Reason) {
        let now = timer::now();
        let tell = {
            let mut frames = lock(&self.frames);
            let Some(frame) = frames.frames.iter_mut().find(|frame| frame.id == id) else { return };
            if frame.stopped.is_some() {
                return;
            }
            (frame.stopped, frame.since) = (Some(reason), now);
            frames.pause = 0;
            let tell = frames.hit(now);
            self.schedule(&frames);
            tell
        };
        tell.now();
    }
}

impl Slot {
    /// The timer looks at it when it has to. Without it they are hit once.
    fn schedule(&self, frames: &Frames) {
        let due = frames.due();
        self.due.store(due, Ordering::SeqCst);
        let _ = timer::due_at(due, &TASKS);
    }

    /// Does what is due.
    fn tick(&self, now: Time) {
        let tell = {
            let mut locked = lock(&self.frames);
            let frames = &mut *locked;
            for frame in &mut frames.frames {
                if frame.deadline <= now && frame.stopped.is_none() {
                    (frame.stopped, frame.since) = (Some(Reason::Timeout), now);
                    frames.pause = 0;
                }
            }
            let tell = frames.hit(now);
            self.due.store(frames.due(), Ordering::SeqCst);
            tell
        };
        tell.now();
    }
}

/// Whether something that runs on this thread is to end.
pub fn is_stopped(thread: usize) -> bool {
    let slot = lock(&SLOTS).iter().find(|slot| slot.thread == thread).map(Arc::clone);
    slot.is_some_and(|slot| lock(&slot.frames).stopped().is_some())
}

fn run_tasks(now: Time) -> Time {
    let due: Vec<Arc<Slot>> = {
        let slots = lock(&SLOTS);
        slots.iter().filter(|slot| slot.due.load(Ordering::SeqCst) <= now).map(Arc::clone).collect()
    };
    due.iter().for_each(|slot| slot.tick(now));
    interrupts::run(now);
    memory::run();
    next_task()
}

fn next_task() -> Time {
    let slots = lock(&SLOTS).iter().map(|slot| slot.due.load(Ordering::SeqCst)).min();
    slots.unwrap_or(NEVER).min(interrupts::next()).min(memory::next())
}

/// What a thread remembers of its slot.
pub struct Here {
    slot: RefCell<Option<Arc<Slot>>>,
    /// How many runs it has in the slot.
    depth: Cell<usize>,
}

impl Here {
    pub const fn new() -> Here {
        Here { slot: RefCell::new(None), depth: Cell::new(0) }
    }

    /// Something that can be stopped runs on this thread.
    #[inline]
    pub fn any(&self) -> bool {
        self.depth.get() > 0
    }

    /// The thread ends.
    pub fn forget(&self) {
        if let Some(slot) = self.slot.take() {
            lock(&SLOTS).retain(|other| !Arc::ptr_eq(other, &slot));
        }
    }

    fn slot(&self) -> Result<Arc<Slot>> {
        let mut slot = self.slot.borrow_mut();
        if let Some(slot) = &*slot {
            return Ok(Arc::clone(slot));
        }
        let made = Arc::new(Slot { thread: this_thread(), due: AtomicU64::new(NEVER), frames: Mutex::default() });
        let mut slots = lock(&SLOTS);
        slots.try_reserve(1).map_err(|_| Kind::NoMemory)?;
        slots.push(Arc::clone(&made));
        Ok(Arc::clone(slot.insert(made)))
    }

    /// A run of this thread's, from before it waits for its turn until it has ended. Fails when it is to end already.
    #[inline]
    pub fn begin(&self, interpreter: &Interpreter, limits: Option<&Limits>) -> Result<Limited<'_>> {
        let timeout = limits.and_then(|limits| limits.timeout).or(interpreter.timeout);
        let cancel = limits.and_then(|limits| limits.cancel.as_ref());
        if timeout.is_some() || cancel.is_some() {
            check_supported().map_err(|error| error.of(interpreter.handle))?;
        }
        let slot = self.slot()?;
        let deadline = timeout.map_or(NEVER, |timeout| timer::now().saturating_add(timer::nanoseconds(timeout)));
        let mut frames = lock(&slot.frames);
        frames.frames.try_reserve(1).map_err(|_| Kind::NoMemory)?;
        frames.last_id += 1;
        let id = frames.last_id;
        frames.frames.push(Frame {
            id,
            interpreter: interpreter.handle,
            run: 0,
            deadline,
            limit: timeout.unwrap_or_default(),
            stopped: None,
            since: 0,
            abandon: limits.and_then(|limits| limits.abandon.clone()),
        });
        if deadline < slot.due.load(Ordering::Relaxed) {
            slot.due.store(deadline, Ordering::SeqCst);
        }
        let outer = frames.stopped().is_some();
        drop(frames);
        self.depth.set(self.depth.get() + 1);
        let mut limited = Limited { here: self, slot, id, cancel: None, interpreter: interpreter.handle };
        timer::due_at(deadline, &TASKS)?;
        let fired = match cancel {
            Some(token) => token.attach(Arc::clone(&limited.slot) as _, id)?,
            None => false,
        };
        limited.cancel = cancel.cloned();
        if fired {
            limited.slot.stop(id, Reason::Interrupted);
        }
        if fired || outer {
            return Err(limited.before_it_started(&lock(&limited.slot.frames)));
        }
        Ok(limited)
    }

    /// Waits for something that is woken when this thread's run is to end; then the error that says so, and what was
    /// waited for.
    pub fn waiting<R>(
        &self,
        wake: &Arc<impl Wake + 'static>,
        what: fmt::Arguments,
        wait: impl FnOnce(&dyn Fn() -> Option<Error>) -> R,
    ) -> R {
        let slot = if self.any() { self.slot.borrow().clone() } else { None };
        let Some(slot) = slot else { return wait(&|| None) };
        let before = lock(&slot.frames).waits_for.replace(Arc::clone(wake) as _);
        let result = wait(&|| {
            let frames = lock(&slot.frames);
            let (index, reason) = frames.stopped()?;
            Some(stopped(
                reason,
                format!("{} while it waited for {what}", what_happened(&frames.frames[index], reason)),
            ))
        });
        lock(&slot.frames).waits_for = before;
        result
    }
}

/// A run in the slot of its thread; out of it when dropped.
pub struct Limited<'a> {
    pub here: &'a Here,
    slot: Arc<Slot>,
    id: u64,
    cancel: Option<Arc<Token>>,
    interpreter: u64,
}

impl gate::Stop for Limited<'_> {
    fn is_stopped(&self) -> bool {
        Limited::is_stopped(self)
    }
}

impl Limited<'_> {
    /// The error of a run that is to end before it has begun.
    #[cold]
    fn before_it_started(&self, frames: &Frames) -> Error {
        let Some((index, reason)) = frames.stopped() else { return Kind::Panic("nothing was stopped".into()).into() };
        let frame = &frames.frames[index];
        let outer = if frame.id == self.id { "" } else { ", with the run around it," };
        stopped(reason, format!("{}{outer} before it started", what_happened(frame, reason))).of(self.interpreter)
    }

    /// What the error of the run is to say.
    pub fn explain(&self, mut error: Box<Error>) -> Box<Error> {
        let frames = lock(&self.slot.frames);
        if let Some((index, reason)) = frames.stopped() {
            match (&mut error.kind, reason) {
                (Kind::Timeout(stopped), Reason::Timeout) | (Kind::Interrupted(stopped), Reason::Interrupted)
                    if stopped.exception.is_some() =>
                {
                    stopped.message = what_happened(&frames.frames[index], reason);
                }
                _ => {}
            }
        }
        error
    }
}

impl Limited<'_> {
    /// The error of a run in another process, which does not know why it was stopped.
    pub fn settle(&self, mut error: Error) -> Error {
        let frames = lock(&self.slot.frames);
        error.kind = match (error.kind, frames.stopped()) {
            (Kind::Interrupted(it), Some(_)) if it.exception.is_none() => self.before_it_started(&frames).kind,
            (Kind::Interrupted(it), Some((_, Reason::Timeout))) => Kind::Timeout(it),
            (kind, _) => kind,
        };
        drop(frames);
        *self.explain(error.into())
    }

    /// The error of a run in another process, which did not end.
    pub fn killed(&self, grace: Duration) -> Error {
        let frames = lock(&self.slot.frames);
        let (what, reason) = match frames.stopped() {
            Some((index, reason)) => (what_happened(&frames.frames[index], reason), reason),
            None => ("cancelled".into(), Reason::Interrupted),
        };
        let grace = grace.as_millis();
        let message = format!("{what}, and the code did not end within {grace} ms more: its process was killed");
        stopped(reason, message).of(self.interpreter)
    }

    /// It is to end, or one that it runs inside of.
    pub fn is_stopped(&self) -> bool {
        lock(&self.slot.frames).stopped().is_some()
    }

    /// The error of a run that was stopped when it waited for its turn.
    pub fn waited(&self) -> Error {
        let frames = lock(&self.slot.frames);
        let (message, reason) = match frames.stopped() {
            Some((index, reason)) => (what_happened(&frames.frames[index], reason), reason),
            None => ("cancelled".into(), Reason::Interrupted),
        };
        stopped(reason, format!("{message}, and did not start: it waited for its turn")).of(self.interpreter)
    }

    /// The run begins, with this number in its interpreter: the error if it is not to begin.
    pub fn begins(&self, run: u64) -> Option<Box<Error>> {
        let mut frames = lock(&self.slot.frames);
        if let Some(frame) = frames.frames.last_mut() {
            frame.run = run;
        }
        frames.stopped()?;
        Some(self.before_it_started(&frames).into())
    }
}

impl Drop for Limited<'_> {
    fn drop(&mut self) {
        if let Some(token) = &self.cancel {
            token.detach(&*self.slot, self.id);
        }
        self.here.depth.set(self.here.depth.get() - 1);
        let mut frames = lock(&self.slot.frames);
        frames.frames.pop();
        if frames.stopped().is_none() {
            frames.pause = 0;
        }
        let due = frames.due();
        if due != self.slot.due.load(Ordering::Relaxed) {
            self.slot.due.store(due, Ordering::SeqCst);
        }
    }
}

/// Fails when this CPython cannot be interrupted.
pub fn check_supported() -> Result<()> {
    if crate::python::interrupt::is_supported() {
        return Ok(());
    }
    Err(Kind::WrongState("this CPython cannot be interrupted: it lacks _PyEval_AddPendingCall".into()).into())
}

/// Stops what runs in an interpreter, whoever runs it, until it has ended.
pub fn interrupt_all(interpreter: &Interpreter) -> Result<()> {
    if let Some(elsewhere) = interpreter.elsewhere() {
        elsewhere.interrupt();
        return Ok(());
    }
    let Some(python) = interpreter.python() else { return Ok(()) };
    check_supported()?;
    python.interrupt(Which::All, Reason::Interrupted);
    interrupts::repeat(interpreter.handle, &TASKS)
}

/// From now on an interpreter may use so much memory.
pub fn limit_memory(python: &Interp, limit: u64) -> Result<()> {
    let used = python.memory().map_or(0, |memory| memory.used);
    if limit <= used {
        let message = format!(
            "memory_limit is {limit}, and a new interpreter uses {used} bytes itself: {} MiB or more make sense",
            used.saturating_mul(2).div_ceil(1 << 20)
        );
        return Err(Kind::InvalidArgument(message).into());
    }
    // The thread that an allocator tells: it cannot start one.
    tell(|| {
        if !forked() {
            let _ = timer::due_at(0, &TASKS);
        }
    });
    timer::due_at(0, &TASKS)?;
    python.limit_memory(limit);
    Ok(())
}
