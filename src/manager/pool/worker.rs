//! The threads that run tasks, each in an interpreter of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::error::{Error, Kind, Result};
use super::super::interpreter::check_alive;
use super::super::interpreters::has_crashed;
use super::super::limits::Limits;
use super::super::timer::{Time, now};
use super::supply::{Made, close_old, no_thread};
use super::task::{GiveUp, Job, Task};
use super::{HERE, Pool, Seat, State};
use crate::platform::thread::spawn;
use crate::python::stack::STACK_SIZE;
use crate::value::OwnedValue;

/// A worker that could not get an interpreter tries again after so long, while others do the work.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How often a task whose interpreter was closed under it is begun anew.
const TRIES: u32 = 3;

/// What a worker is to do.
enum Next {
    Task(Arc<Task>),
    /// Try to get an interpreter.
    Supply,
    /// The same, instead of the one that it has.
    Move,
    End,
}

/// What one attempt at a task came to.
struct Attempt {
    result: Result<OwnedValue>,
    took: Time,
    /// The interpreter is not used any more.
    replace: bool,
}

impl Pool {
    pub(super) fn add_worker(self: &Arc<Self>, state: &mut State) -> Result<()> {
        state.last_seat += 1;
        let (seat, pool) = (state.last_seat, Arc::clone(self));
        let spawned = spawn(&format!("subpy-pool-{}", self.number), STACK_SIZE, move || {
            HERE.set(pool.number);
            Worker {
                pool: &pool,
                seat,
                interp: Err(Kind::NoMemory.into()),
                in_process: false,
                runs: 0,
                pause: FIRST_PAUSE,
            }
            .work();
        });
        let thread = Some(spawned.map_err(no_thread)?);
        state.seats.insert(seat, Seat { thread, ..Seat::default() });
        Ok(())
    }

    /// The task of that worker is given up, and another worker takes its place: true, unless it has ended.
    pub(super) fn lose(self: &Arc<Self>, seat: u64, task: &Arc<Task>, cancelled: bool) -> bool {
        let mut state = self.state();
        let its = state.seats.get(&seat).and_then(|seat| seat.task.as_ref());
        if !its.is_some_and(|its| Arc::ptr_eq(its, task)) {
            return false;
        }
        // Without another thread, this one goes on when it can.
        if self.add_worker(&mut state).is_ok() {
            state.seats.remove(&seat);
            state.counts.replaced += 1;
        } else if let Some(seat) = state.seats.get_mut(&seat) {
            seat.task = None;
        }
        self.count(&mut state, true, cancelled);
        true
    }

    /// A task does not run any more.
    fn count(&self, state: &mut State, failed: bool, cancelled: bool) {
        state.running -= 1;
        state.counts.done += 1;
        state.counts.failed += u64::from(failed);
        state.counts.cancelled += u64::from(cancelled);
        if state.is_at_rest() {
            self.changed.notify_all();
        }
    }
}

/// One worker, on its thread.
struct Worker<'a> {
    pool: &'a Arc<Pool>,
    seat: u64,
    /// Or why it has none.
    interp: Result<u64>,
    /// It has a process of its own.
    in_process: bool,
    /// How many runs there were in it.
    runs: u64,
    /// How long it waits until it tries again to get one.
    pause: Duration,
}

impl Worker<'_> {
    fn work(&mut self) {
        self.supply();
        self.has_begun();
        loop {
            match self.next() {
                Next::End => return,
                Next::Supply => self.supply(),
                Next::Move => self.replace(),
                Next::Task(task) => {
                    task.detach();
                    if !self.run(&task) {
                        return;
                    }
                }
            }
        }
    }

    fn supply(&mut self) {
        let made = self.pool.supply();
        (self.in_process, self.runs) = (made.as_ref().is_ok_and(|made| made.in_process), 0);
        self.interp = made.map(|Made { interp, .. }| interp);
        let interp = *self.interp.as_ref().unwrap_or(&0);
        self.pause = if interp != 0 { FIRST_PAUSE } else { LONGEST_PAUSE.min(self.pause * 2) };
        let mut state = self.pool.state();
        match state.seats.get_mut(&self.seat) {
            Some(seat) => seat.interp = interp,
            // It has lost its place, or the pool has ended.
            None if interp != 0 => {
                drop(state);
                close_old(interp);
            }
            None => {}
        }
    }

    /// Whoever makes the pool waits for this.
    fn has_begun(&self) {
        let mut state = self.pool.state();
        state.begun += 1;
        if let Err(error) = &self.interp
            && state.begun <= self.pool.workers
        {
            state.first_error.get_or_insert_with(|| error.clone());
        }
        self.pool.changed.notify_all();
        self.pool.supply.notify_all();
    }

    /// What there is to do; waits for it.
    fn next(&self) -> Next {
        let mut state = self.pool.state();
        let again = Instant::now() + self.pause;
        loop {
            if state.ended || !state.seats.contains_key(&self.seat) {
                return Next::End;
            }
            if self.interp.is_ok() && self.in_process != state.in_processes {
                return Next::Move;
            }
            // Tasks go to those who can run them. When nobody can, they are told why.
            let takes = self.interp.is_ok() || state.workers() == 0;
            if takes && let Some(task) = state.turns.pop() {
                state.running += 1;
                state.waits.add(now().saturating_sub(task.submitted) / 1000);
                if let Some(seat) = state.seats.get_mut(&self.seat) {
                    seat.task = Some(Arc::clone(&task));
                }
                self.pool.has_room(&state);
                return Next::Task(task);
            }
            if self.interp.is_ok() {
                state.idle += 1;
                state = self.pool.wait(state, &self.pool.work, None);
                state.idle -= 1;
            } else {
                let left = again.saturating_duration_since(Instant::now());
                if left.is_zero() && state.is_open() {
                    return Next::Supply;
                }
                let left = if left.is_zero() { LONGEST_PAUSE } else { left };
                state = self.pool.wait(state, &self.pool.changed, Some(left));
            }
        }
    }

    /// False: it has lost its place to another.
    fn run(&mut self, task: &Arc<Task>) -> bool {
        let Some(job) = task.take_job() else { return true };
        let limits = task.how.limits.clone().map(|mut limits| {
            let give_up = || Arc::new(GiveUp { task: Arc::clone(task), seat: self.seat }) as _;
            limits.abandon = task.how.abandon.then(give_up);
            limits
        });
        let mut tries = 0;
        let (result, took, replace) = loop {
            if self.interp.is_err() {
                self.supply();
            }
            let interp = match &self.interp {
                Ok(interp) => *interp,
                Err(error) => break (Err(error.clone()), 0, false),
            };
            tries += 1;
            // It has died when nothing ran in it. The last attempt says so.
            if self.in_process && tries < TRIES && has_crashed(interp) {
                self.pool.state().counts.crashed += 1;
                self.replace();
                continue;
            }
            let Attempt { result, took, replace } = self.attempt(task, &job, interp, limits.as_ref());
            // Nothing of it has run: somebody has closed the interpreter.
            let is_gone = matches!(&result, Err(Error { kind: Kind::NotFound(_) | Kind::Busy(_), .. }))
                && check_alive(interp).is_err();
            // It begins anew in a process.
            let moves = !self.in_process && matches!(&result, Err(error) if self.pool.moves(error));
            let again = is_gone && tries < TRIES || moves;
            let goes_on = match &job {
                Job::Run(_) => again,
                Job::Rows(rows) => (again || result.is_ok()) && !rows.are_done(),
            };
            if !goes_on {
                break (result, took, replace || is_gone);
            }
            self.replace();
        };
        self.done(task, result, took, replace)
    }

    fn attempt(&mut self, task: &Task, job: &Job, interp: u64, limits: Option<&Limits>) -> Attempt {
        let start = now();
        let result = task.run(job, interp, limits, &|error| !self.in_process && self.pool.moves(error));
        let took = now().saturating_sub(start);
        let (runs, hit) = match job {
            Job::Run(_) => (1, task.was_hit(Duration::from_nanos(took)) || is_suspect(&result)),
            Job::Rows(rows) => rows.take_progress(),
        };
        self.runs += runs;
        // Closed by somebody, it is there no more either, but nothing has run in it.
        let began = !matches!(&result, Err(Error { kind: Kind::NotFound(_) | Kind::Busy(_), .. }));
        let died = self.in_process && (hit || result.is_err()) && began && is_dead(interp);
        if died {
            self.pool.state().counts.crashed += 1;
        }
        let has_done_its_share = self.pool.runs_per_worker > 0 && self.runs >= self.pool.runs_per_worker;
        Attempt { result, took, replace: hit || died || has_done_its_share }
    }

    fn done(&mut self, task: &Task, result: Result<OwnedValue>, took: Time, replace: bool) -> bool {
        let stays = {
            let mut state = self.pool.state();
            state.runs.add(took / 1000);
            match state.seats.get_mut(&self.seat) {
                None => false,
                Some(seat) => {
                    let counts = seat.task.take().is_some();
                    if replace {
                        seat.interp = 0;
                    }
                    // Whoever takes the outcome finds it counted.
                    if replace && self.interp.is_ok() {
                        state.counts.replaced += 1;
                    }
                    // If not, it was given up.
                    if counts {
                        let cancelled = matches!(&result, Err(Error { kind: Kind::Interrupted(_), .. }));
                        self.pool.count(&mut state, result.is_err(), cancelled);
                    }
                    true
                }
            }
        };
        if !stays {
            if let Ok(interp) = self.interp {
                close_old(interp);
            }
            task.end(result);
            return false;
        }
        task.end(result);
        if replace && let Ok(interp) = self.interp {
            self.retire(interp);
            self.supply();
        }
        true
    }

    /// Another interpreter instead of the one that it has.
    fn replace(&mut self) {
        if let Ok(interp) = self.interp {
            self.pool.state().counts.replaced += 1;
            self.retire(interp);
        }
        self.supply();
    }

    /// Its interpreter is not used any more.
    fn retire(&mut self, interp: u64) {
        self.interp = Err(Kind::WrongState("the interpreter was replaced".into()).into());
        self.pool.retire(interp);
    }
}

/// The process of an interpreter has ended.
fn is_dead(interp: u64) -> bool {
    has_crashed(interp) || check_alive(interp).is_err()
}

/// An interpreter in which that has come out of a run may have anything in a state in which nobody expects it: a lock
/// that is held, or no memory.
pub fn is_suspect<T>(result: &Result<T>) -> bool {
    let Err(error) = result else { return false };
    match &error.kind {
        Kind::Timeout(stopped) | Kind::Interrupted(stopped) => stopped.exception.is_some(),
        Kind::ExecutionFailed(exception) => exception.type_qualname == "MemoryError",
        Kind::Crashed(_) => true,
        _ => false,
    }
}
