//! One task, from its submission to its outcome.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::cancel::Stop;
use super::super::error::{Error, Kind, Result, Stopped};
use super::super::here::here;
use super::super::limits::{Abandon, Limits};
use super::super::run::Work;
use super::super::thread::{Thread, thread_free};
use super::super::timer::{Time, now};
use super::map::Rows;
use super::{Pool, State, get};
use crate::python::attach::detached;
use crate::python::interrupt::Reason;
use crate::python::loaded_api;
use crate::python::lock;
use crate::python::output::{Callback, RunOutput, waiting};
use crate::python::run::Code;
use crate::value::{OwnedValue, Results};

/// What takes the output of a task, once it is known in which interpreter it runs.
pub type OutputFor = Arc<dyn Fn(u64) -> Callback + Send + Sync>;

/// What is asked of a task, beside what it runs.
#[derive(Default)]
pub struct Submit {
    /// Submitters take turns.
    pub submitter: u64,
    /// The result is converted: somebody may ask for it.
    pub want_result: bool,
    pub results: Results,
    pub output: Option<OutputFor>,
    pub limits: Option<Limits>,
    /// It is given up when it was stopped and does not end.
    pub abandon: bool,
}

/// What a task does.
pub enum Job {
    Run(Work),
    Rows(Arc<Rows>),
}

/// One task.
pub struct Task {
    pool: Arc<Pool>,
    pub how: Submit,
    /// What becomes of it.
    pub thread: Arc<Thread>,
    /// Until it is taken.
    pub job: Mutex<Option<Job>>,
    pub submitted: Time,
    /// Changed with the lock of the pool's state.
    cancelled: AtomicBool,
}

/// Copies a run, and has the pool do it.
pub fn submit(pool: u64, code: Code, how: Submit) -> Result<u64> {
    let pool = get(pool)?;
    let work = Work::of(code)?;
    let name = work.name().to_owned();
    let refuse = pool.refuse;
    pool.submit(&name, Job::Run(work), how, refuse)
}

pub fn cancelled(why: &str) -> Error {
    Kind::Interrupted(Stopped { message: format!("cancelled before it started{why}"), exception: None }).into()
}

impl Pool {
    /// A task that waits from now on. `refuse`: it does not wait for room.
    pub(super) fn submit(self: &Arc<Self>, name: &str, job: Job, how: Submit, refuse: bool) -> Result<u64> {
        let (handle, thread) = Thread::new(name, 0, None)?;
        let task = Arc::new(Task {
            pool: Arc::clone(self),
            how,
            thread,
            job: Mutex::new(Some(job)),
            submitted: now(),
            cancelled: AtomicBool::new(false),
        });
        let submitted = task.attach().and_then(|fired| if fired { Ok(true) } else { self.push(&task, refuse) });
        match submitted {
            Ok(false) => {}
            Ok(true) => {
                {
                    let counts = &mut self.state().counts;
                    (counts.submitted, counts.done) = (counts.submitted + 1, counts.done + 1);
                    (counts.failed, counts.cancelled) = (counts.failed + 1, counts.cancelled + 1);
                }
                task.thread.finish(Err(cancelled("")));
            }
            Err(error) => {
                task.detach();
                thread_free(handle);
                return Err(error);
            }
        }
        Ok(handle)
    }

    /// False: it was pushed. Fails when there is no room, and it does not wait for it or is to wait no longer.
    fn push(self: &Arc<Self>, task: &Arc<Task>, refuse: bool) -> Result<bool> {
        let push = |stopped: &dyn Fn() -> Option<Error>| {
            let mut state = self.state();
            loop {
                let error = if state.ended {
                    Some(Kind::WrongState("the pool was closed".into()).into())
                } else if state.draining > 0 {
                    Some(Kind::Busy("the pool is closing".into()).into())
                } else if task.cancelled.load(Ordering::Relaxed) {
                    Some(cancelled(": it waited for room in the pool"))
                } else if state.asking == 0 && state.turns.len() < self.backlog {
                    return self.push_now(&mut state, task);
                } else if refuse && state.asking == 0 {
                    let message = format!("{} tasks wait in the pool, there is no room for more", state.turns.len());
                    Some(Kind::Busy(message).into())
                } else {
                    stopped()
                };
                if let Some(error) = error {
                    // It may have been told of room that another can use now.
                    self.room.notify_one();
                    return Err(error);
                }
                state.submitting += 1;
                state = self.wait(state, &self.room, None);
                state.submitting -= 1;
            }
        };
        let what = format_args!("room in a pool");
        here(|here| here.limits.waiting(self, what, |stopped| detached(loaded_api(), || waiting(|| push(stopped)))))
    }

    fn push_now(&self, state: &mut State, task: &Arc<Task>) -> Result<bool> {
        state.turns.push(task.how.submitter, Arc::clone(task))?;
        state.counts.submitted += 1;
        if state.idle > 0 {
            self.work.notify_one();
        } else if state.workers() == 0 {
            // They take it to say what is wrong.
            self.changed.notify_all();
        }
        Ok(false)
    }

    /// A task was taken out of the queue.
    pub(super) fn has_room(&self, state: &State) {
        if state.submitting > 0 {
            self.room.notify_one();
        }
        if state.is_at_rest() {
            self.changed.notify_all();
        }
    }
}

impl Task {
    /// From now on it is cancelled when its token is fired. True: it was fired.
    fn attach(self: &Arc<Self>) -> Result<bool> {
        match self.token() {
            Some(token) => token.attach(Arc::clone(self) as _, 0),
            None => Ok(false),
        }
    }

    /// It waits no more.
    pub fn detach(&self) {
        if let Some(token) = self.token() {
            token.detach(self, 0);
        }
    }

    pub fn token(&self) -> Option<&Arc<super::super::cancel::Token>> {
        self.how.limits.as_ref()?.cancel.as_ref()
    }

    /// Its time was up, or it was cancelled, whatever it has made of that.
    pub fn was_hit(&self, took: Duration) -> bool {
        let timeout = self.how.limits.as_ref().and_then(|limits| limits.timeout).or(self.pool.timeout);
        timeout.is_some_and(|timeout| took >= timeout) || self.token().is_some_and(|token| token.is_fired())
    }

    /// What it is in messages.
    pub fn in_words(&self, interp: u64) -> String {
        let id = super::super::handle::interpreter_id(interp).unwrap_or_default();
        format!("subpy-{} is running {} in interpreter {id}", self.thread.number(), self.thread.name())
    }

    pub fn end(&self, result: Result<OwnedValue>) {
        self.thread.finish(result);
    }

    /// Does a part of it: all of it, but for rows that are left when the interpreter was hit, and what `moves`.
    pub fn run(
        &self,
        job: &Job,
        interp: u64,
        limits: Option<&Limits>,
        moves: &dyn Fn(&Error) -> bool,
    ) -> Result<OwnedValue> {
        self.thread.is_in(interp);
        if let Some(output) = &self.how.output {
            self.thread.set_output(output(interp));
        }
        self.thread.run(|output: Option<RunOutput>| match job {
            Job::Run(work) => work.run(interp, self.how.want_result, self.how.results, limits, output),
            Job::Rows(rows) => rows.run(interp, limits, output, moves).map(|()| OwnedValue::none()),
        })
    }

    pub fn take_job(&self) -> Option<Job> {
        lock(&self.job).take()
    }
}

/// The token was fired while it waited.
impl Stop for Task {
    fn stop(&self, _: u64, _: Reason) {
        let waited = {
            let mut state = self.pool.state();
            let waited = state.turns.remove(self.how.submitter, self);
            if waited {
                state.counts.done += 1;
                state.counts.failed += 1;
                state.counts.cancelled += 1;
                self.pool.has_room(&state);
            } else {
                self.cancelled.store(true, Ordering::Relaxed);
                self.pool.room.notify_all();
            }
            waited
        };
        if waited {
            self.end(Err(cancelled("")));
        }
    }
}

/// The one who waits for a task is told that it was given up, and its worker is replaced.
pub struct GiveUp {
    pub task: Arc<Task>,
    pub seat: u64,
}

impl Abandon for GiveUp {
    fn abandoned(&self, error: Error) {
        let cancelled = matches!(error.kind, Kind::Interrupted(_));
        if self.task.pool.lose(self.seat, &self.task, cancelled) {
            self.task.thread.abandoned(error);
        }
    }
}
