//! A close that goes on, as those see it who wait for it: whether it can still be taken back, and what keeps it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Error, Kind, Result, Stopped};
use crate::python::lock;

/// How an interpreter is closed, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseOptions {
    /// None: as long as it takes.
    pub(crate) timeout: Option<Duration>,
    /// Runs that are in, or wait for their turn, may finish.
    pub(crate) drain: bool,
    /// Runs that are in are interrupted, and Python's own threads.
    pub(crate) interrupt: bool,
}

/// To ask what is in an interpreter, and to end one that has nothing to do, takes milliseconds. Both get so long, however
/// short the time is.
pub const GRACE: Duration = Duration::from_secs(1);
/// What runs while an interpreter ends has so long before it is interrupted: on a busy machine CPython's own part takes a
/// tenth of a second, and what is hit there is printed.
const UNTIL_INTERRUPT: Duration = Duration::from_millis(250);
/// The pauses between interrupts, and between looks at what is in the way.
pub const FIRST_PAUSE: Duration = Duration::from_millis(1);
pub const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl CloseOptions {
    /// As long as it takes, and only if nothing runs.
    pub(super) const PLAIN: CloseOptions = CloseOptions { timeout: None, drain: false, interrupt: false };
}

/// When a close has to be done, and by what means.
#[derive(Clone, Copy)]
pub struct Plan {
    pub options: CloseOptions,
    begun: Instant,
    /// None: never, as below.
    deadline: Option<Instant>,
    interrupt_from: Option<Instant>,
}

impl Plan {
    pub fn new(options: CloseOptions) -> Plan {
        let begun = Instant::now();
        // A limit beyond what the clock can tell is none.
        let deadline = options.timeout.and_then(|timeout| begun.checked_add(timeout));
        // With both, runs have half of the time to finish by themselves.
        let patience = match deadline {
            Some(deadline) if options.drain => deadline.duration_since(begun) / 2,
            _ => Duration::ZERO,
        };
        let interrupt_from = options.interrupt.then(|| begun + patience);
        Plan { options, begun, deadline, interrupt_from }
    }

    /// It waits for runs, or has them end.
    pub fn lets_runs_end(&self) -> bool {
        self.options.drain || self.options.interrupt
    }

    pub fn interrupts_now(&self) -> bool {
        self.interrupt_from.is_some_and(|from| Instant::now() >= from)
    }

    pub fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// How long it may still take. None: as long as it takes.
    pub fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The same for what has a moment at least: it may have to be asked for.
    pub fn left_to_decide(&self) -> Option<Duration> {
        self.until_decided().map(|until| until.saturating_duration_since(Instant::now()))
    }

    fn until_decided(&self) -> Option<Instant> {
        self.deadline.map(|deadline| deadline.max(self.begun + GRACE))
    }

    fn within(&self) -> String {
        match self.options.timeout {
            Some(Duration::ZERO) | None => String::new(),
            Some(timeout) => format!(" within {} ms", timeout.as_millis()),
        }
    }
}

/// How far it is.
pub enum Stage {
    /// It looks whether something is in the way.
    Asking,
    /// Nothing is.
    Ready,
    /// A process was asked, and decides by itself; true: when that says no, it is taken back.
    Deciding(bool),
    /// It is taken back.
    GivenUp,
    /// Decided, and since when.
    Ending(Instant),
    Done(Result<()>),
}

struct Progress {
    stage: Stage,
    /// What is in the way, once it was looked.
    found: Option<Vec<String>>,
}

/// One close.
pub struct Attempt {
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Attempt {
    pub fn new() -> Arc<Attempt> {
        let progress = Mutex::new(Progress { stage: Stage::Asking, found: None });
        Arc::new(Attempt { progress, changed: Condvar::new() })
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    pub fn set(&self, stage: Stage) {
        self.progress().stage = stage;
        self.changed.notify_all();
    }

    /// Nothing is in the way; unless it was given up.
    pub fn ready(&self) {
        let mut progress = self.progress();
        if matches!(progress.stage, Stage::Asking) {
            progress.stage = Stage::Ready;
            self.changed.notify_all();
        }
    }

    pub fn is_asking(&self) -> bool {
        matches!(self.progress().stage, Stage::Asking)
    }

    /// That is what is in the way.
    pub fn found(&self, found: Vec<String>) {
        self.progress().found = Some(found);
        self.changed.notify_all();
    }

    pub fn is_given_up(&self) -> bool {
        matches!(self.progress().stage, Stage::GivenUp)
    }

    /// What is in the way, in words.
    pub fn in_the_way(&self) -> Option<String> {
        match &self.progress().found {
            None => Some("something has its GIL and does not let go of it".into()),
            Some(found) => (!found.is_empty()).then(|| found.join(", ")),
        }
    }

    /// Sleeps for a while, or until it goes on.
    pub fn pause(&self, pause: Duration) {
        drop(self.sleep(self.progress(), Some(Instant::now() + pause)));
    }

    fn sleep<'a>(&'a self, progress: MutexGuard<'a, Progress>, until: Option<Instant>) -> MutexGuard<'a, Progress> {
        match until {
            None => self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let time = until.saturating_duration_since(Instant::now());
                self.changed.wait_timeout(progress, time).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// Waits until it is not asking any more, or has to be given up, which is false.
    pub fn wait_while_asking(&self, plan: &Plan) -> bool {
        let mut progress = self.progress();
        loop {
            let until = match &progress.stage {
                Stage::Asking if progress.found.is_some() => plan.deadline,
                Stage::Asking | Stage::Deciding(_) => plan.until_decided(),
                _ => return true,
            };
            if until.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
            progress = self.sleep(progress, until);
        }
    }

    /// It is taken back, unless it is decided. What that means is done before anybody can go on.
    pub fn give_up(&self, take_back: impl FnOnce()) {
        self.leave(take_back, || ());
    }

    /// The same, with something to do when a process is about to decide it, so that others may wait for that.
    pub fn leave(&self, take_back: impl FnOnce(), later: impl FnOnce()) {
        let mut progress = self.progress();
        if matches!(progress.stage, Stage::Asking | Stage::Ready) {
            progress.stage = Stage::GivenUp;
            take_back();
            self.changed.notify_all();
        } else if let Stage::Deciding(given_up) = &mut progress.stage {
            *given_up = true;
            later();
        }
    }

    /// A process is asked from now on whether it ends, if it `may` be. None: it was given up.
    pub fn ask<E>(&self, may: impl FnOnce() -> Result<(), E>) -> Option<Result<(), E>> {
        let mut progress = self.progress();
        if matches!(progress.stage, Stage::GivenUp) {
            return None;
        }
        let result = may();
        if result.is_ok() {
            progress.stage = Stage::Deciding(false);
        }
        Some(result)
    }

    /// It has said no, and why: it is asked again later, or taken back if it was given up meanwhile.
    pub fn refused(&self, found: Vec<String>, take_back: impl FnOnce()) {
        let mut progress = self.progress();
        progress.found = Some(found);
        if let Stage::Deciding(given_up) = progress.stage {
            progress.stage = if given_up { Stage::GivenUp } else { Stage::Asking };
            if given_up {
                take_back();
            }
        }
        self.changed.notify_all();
    }

    /// Does something, unless it was given up: nobody gives it up meanwhile.
    pub fn unless_given_up<R>(&self, act: impl FnOnce() -> R) -> Option<R> {
        let progress = self.progress();
        let result = (!matches!(progress.stage, Stage::GivenUp)).then(act);
        drop(progress);
        result
    }

    /// It takes place, if `may` agrees and it was not given up. True: `may` agreed.
    pub fn decide(&self, may: impl FnOnce() -> Result<bool>) -> Result<bool> {
        let mut progress = self.progress();
        if matches!(progress.stage, Stage::GivenUp) || !may()? {
            return Ok(false);
        }
        progress.stage = Stage::Ending(Instant::now());
        self.changed.notify_all();
        Ok(true)
    }

    /// It fails. What that means is done before anybody can go on, unless it was given up or decided before.
    pub fn fail(&self, error: Error, take_back: impl FnOnce()) {
        let mut progress = self.progress();
        if matches!(progress.stage, Stage::Asking | Stage::Ready | Stage::Deciding(_)) {
            take_back();
        }
        progress.stage = Stage::Done(Err(error));
        self.changed.notify_all();
    }

    /// What became of it, if it is over.
    pub fn outcome(&self) -> Option<Result<()>> {
        match &self.progress().stage {
            Stage::Done(result) => Some(result.clone()),
            _ => None,
        }
    }

    /// Waits for what is decided. `interrupt` is called again and again when the plan says so.
    pub fn wait_for_end(&self, plan: &Plan, what: &str, interrupt: impl Fn()) -> Result<()> {
        let mut progress = self.progress();
        let mut pause = FIRST_PAUSE;
        let mut interrupt_at = plan.options.interrupt.then(|| Instant::now() + UNTIL_INTERRUPT);
        loop {
            let end = match &progress.stage {
                Stage::Done(result) => return result.clone(),
                Stage::Ending(began) => plan.deadline.map(|deadline| deadline.max(*began + GRACE)),
                Stage::GivenUp => return Err(self.not_closed(plan)),
                Stage::Asking | Stage::Ready | Stage::Deciding(_) => plan.deadline,
            };
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                return Err(self.not_ended(plan, what));
            }
            if interrupt_at.is_some_and(|at| now >= at) {
                interrupt();
                interrupt_at = Some(now + pause);
                pause = LONGEST_PAUSE.min(pause * 2);
            }
            progress = self.sleep(progress, end.into_iter().chain(interrupt_at).min());
        }
    }

    fn not_closed(&self, plan: &Plan) -> Error {
        let found = self.in_the_way().unwrap_or_else(|| "it is about to be".into());
        in_the_way(plan, &found).into()
    }

    fn not_ended(&self, plan: &Plan, what: &str) -> Error {
        let message = format!(
            "{what} is ending, and has not ended{}: it waits for code that runs at the end (atexit handlers, __del__), or \
             for a thread of Python's that came late; closing it again waits on",
            plan.within()
        );
        Kind::Timeout(Stopped { message, exception: None }).into()
    }
}

/// What is in the way of a close that was given up.
pub fn in_the_way(plan: &Plan, found: &str) -> Kind {
    Kind::Busy(format!("not closed{}: {found}", plan.within()))
}
