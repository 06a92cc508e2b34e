//! Pools: interpreters with a thread each, which take tasks from one queue. An interpreter that cannot be trusted any
//! more, or has done its share, is replaced.
//!
//! | file | what |
//! |---|---|
//! | `turns` | the tasks that wait |
//! | `histogram` | how long things took |
//! | `isolation` | where its interpreters live |
//! | `task` | one task, from its submission to its outcome |
//! | `supply` | interpreters: made, kept ready, closed |
//! | `worker` | the threads that run tasks |
//! | `end` | closing a pool, and what a shutdown does with pools |
//! | `map` | one call for many rows |
//!
//! A pool has one lock. Nothing is called with it that may wait: outcomes are told, interpreters made and closed, and
//! the host called without it.

mod end;
mod histogram;
mod isolation;
mod map;
mod supply;
mod task;
mod turns;
mod worker;

pub use end::{close, pause_all};
pub use isolation::Isolation;
pub use map::{Map, MapOptions};
pub use task::{OutputFor, Submit, submit};

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cancel::Token;
use super::error::{Error, Kind, Result};
use super::handle::{self, Numbers};
use super::here::here;
use super::limits::Wake;
use super::options::Options;
use super::registry::Registry;
use super::runtime;
use crate::platform::thread::JoinHandle;
use crate::python::attach::detached;
use crate::python::fork;
use crate::python::loaded_api;
use crate::python::lock;
use crate::python::output::waiting;
use histogram::Histogram;
use isolation::Ways;
use task::Task;
use turns::Turns;

/// Is called with each new interpreter, before its setup.
pub type Prepare = Box<dyn Fn(u64) + Send + Sync>;

/// More is a mistake, a negative number for example. Only when the system has no more threads would it end otherwise.
const MOST_INTERPRETERS: usize = 10_000;

/// How a pool is made.
#[derive(Default)]
pub struct PoolOptions {
    /// 0: one a core.
    pub workers: usize,
    /// How many tasks may wait; 0: 16 a worker.
    pub backlog: usize,
    /// How many interpreters are ready to take another's place.
    pub spares: usize,
    /// A task for which there is no room is refused, and does not wait.
    pub refuse: bool,
    /// How its interpreters are created.
    pub interp: Options,
    /// Is run in each of them.
    pub setup: Option<String>,
    pub prepare: Option<Prepare>,
    /// How many runs there are in one interpreter; 0: any number.
    pub runs_per_worker: u64,
    /// Where they live.
    pub isolation: Isolation,
}

/// What a pool has done, and has to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Interpreters that run tasks.
    pub workers: u64,
    /// Interpreters that are ready to take the place of one of those.
    pub spares: u64,
    /// Tasks that wait.
    pub queued: u64,
    /// Tasks that run.
    pub running: u64,
    /// Tasks that were accepted: those that wait, that run and that are done.
    pub submitted: u64,
    /// Tasks that have ended, whatever their outcome.
    pub done: u64,
    /// Those of them that ended with an error.
    pub failed: u64,
    /// Those of them that were cancelled or interrupted.
    pub cancelled: u64,
    /// Interpreters that were replaced.
    pub replaced: u64,
    /// How many microseconds tasks waited before they began, half of them at most.
    pub wait_p50_us: u64,
    /// The same for nine of ten.
    pub wait_p90_us: u64,
    /// The same for 99 of 100.
    pub wait_p99_us: u64,
    /// How many microseconds tasks ran, half of them at most.
    pub run_p50_us: u64,
    /// The same for nine of ten.
    pub run_p90_us: u64,
    /// The same for 99 of 100.
    pub run_p99_us: u64,
    /// Interpreters that were replaced and cannot be closed, because of threads that Python code has left in them.
    pub left: u64,
    /// Interpreters whose process has crashed, or was killed because a run did not end in time.
    pub crashed: u64,
    /// Where its interpreters live now: [`Isolation::OwnGil`] or [`Isolation::Process`].
    pub isolation: Isolation,
    /// With [`Isolation::Auto`], what was said by the extension module that needed a process; empty before.
    pub reason: String,
}

/// A worker, as others see it.
#[derive(Default)]
struct Seat {
    /// 0: it has none.
    interp: u64,
    task: Option<Arc<Task>>,
    thread: Option<JoinHandle>,
}

#[derive(Default)]
struct Counts {
    submitted: u64,
    done: u64,
    failed: u64,
    cancelled: u64,
    replaced: u64,
    crashed: u64,
}

struct State {
    turns: Turns<Task>,
    /// By numbers that are given once. One whose task was given up has lost its seat to another.
    seats: HashMap<u64, Seat>,
    last_seat: u64,
    /// Workers that wait for a task.
    idle: usize,
    running: usize,
    /// Threads that wait for room for a task.
    submitting: usize,
    /// Interpreters that are being made, or closed, at this moment.
    making: usize,
    closing: usize,
    /// Workers that have had an interpreter once, or have failed to get one.
    begun: usize,
    first_error: Option<Error>,
    /// New interpreters get processes of their own, and others are replaced. And why, if that was not so at first.
    in_processes: bool,
    why_in_processes: String,
    spares: Vec<u64>,
    /// No spare could be made: it is not tried again before one is wanted.
    no_spares: bool,
    /// Interpreters to be closed.
    retired: Vec<u64>,
    /// Those that could not be.
    left: Vec<u64>,
    /// What is to end lets nothing in; and those who only ask whether it can end let newcomers wait.
    draining: usize,
    asking: usize,
    ended: bool,
    /// Is fired when no interpreter is to be made any more.
    stop: Arc<Token>,
    helpers: Vec<JoinHandle>,
    counts: Counts,
    waits: Histogram,
    runs: Histogram,
}

impl State {
    fn is_open(&self) -> bool {
        self.draining == 0 && self.asking == 0 && !self.ended
    }

    /// Workers that have an interpreter.
    fn workers(&self) -> usize {
        self.seats.values().filter(|seat| seat.interp != 0).count()
    }

    fn is_at_rest(&self) -> bool {
        self.turns.len() == 0 && self.running == 0
    }
}

/// One pool.
pub struct Pool {
    number: u64,
    handle: u64,
    /// The runtime that its interpreters are of.
    runtime: u32,
    workers: usize,
    backlog: usize,
    refuse: bool,
    spares: usize,
    ways: Ways,
    /// How long a run in them may take, if it does not say so itself.
    timeout: Option<Duration>,
    setup: Option<String>,
    /// Until the pool has ended.
    prepare: Mutex<Option<Arc<Prepare>>>,
    runs_per_worker: u64,
    state: Mutex<State>,
    /// Signalled when there is a task.
    work: Condvar,
    /// Signalled when there is room for a task.
    room: Condvar,
    /// Signalled when an interpreter is to be made, or closed.
    supply: Condvar,
    /// Signalled when anything else is different.
    changed: Condvar,
}

static POOLS: Registry<Pool> = Registry::new();

thread_local! {
    /// The number of the pool that this thread belongs to.
    static HERE: Cell<u64> = const { Cell::new(0) };
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// This thread is one of its own.
    fn is_here(&self) -> bool {
        HERE.get() == self.number
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, what: &Condvar, time: Option<Duration>) -> MutexGuard<'a, State> {
        match time {
            None => what.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(time) => what.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    /// Everybody looks again.
    fn tell_all(&self) {
        for changed in [&self.work, &self.room, &self.supply, &self.changed] {
            changed.notify_all();
        }
    }
}

impl Wake for Pool {
    fn wake(&self) {
        let _state = self.state();
        self.tell_all();
    }
}

fn not_found(handle: u64) -> Error {
    Kind::NotFound(format!("{handle} is not the handle of a pool, or it was closed")).into()
}

fn get(handle: u64) -> Result<Arc<Pool>> {
    POOLS.get(handle).ok_or_else(|| not_found(handle))
}

/// Makes a pool, and waits until all of its workers are ready. Starts the runtime when it is not running.
pub fn new(options: PoolOptions) -> Result<u64> {
    static NUMBERS: Numbers = Numbers::new(handle::POOL);
    for (name, wanted) in [("workers", options.workers), ("spares", options.spares)] {
        if wanted > MOST_INTERPRETERS {
            let why = format!("{name} is {wanted}, must be {MOST_INTERPRETERS} or less");
            return Err(Kind::InvalidArgument(why).into());
        }
    }
    let timeout = options.interp.timeout;
    let ways = Ways::new(options.interp, options.isolation)?;
    detached(loaded_api(), || {
        let (number, handle) = NUMBERS.next()?;
        let in_use = runtime::enter()?;
        let workers = match options.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let in_processes = ways.begins_in_processes();
        let pool = Arc::new(Pool {
            number,
            handle,
            runtime: handle::runtime(),
            workers,
            backlog: if options.backlog == 0 { workers.saturating_mul(16) } else { options.backlog },
            refuse: options.refuse,
            spares: options.spares,
            ways,
            timeout,
            setup: options.setup,
            prepare: Mutex::new(options.prepare.map(Arc::new)),
            runs_per_worker: options.runs_per_worker,
            state: Mutex::new(State {
                turns: Turns::new(),
                seats: HashMap::new(),
                last_seat: 0,
                idle: 0,
                running: 0,
                submitting: 0,
                making: 0,
                closing: 0,
                begun: 0,
                first_error: None,
                in_processes,
                why_in_processes: String::new(),
                spares: Vec::new(),
                no_spares: false,
                retired: Vec::new(),
                left: Vec::new(),
                draining: 0,
                asking: 0,
                ended: false,
                stop: Arc::default(),
                helpers: Vec::new(),
                counts: Counts::default(),
                waits: Histogram::new(),
                runs: Histogram::new(),
            }),
            work: Condvar::new(),
            room: Condvar::new(),
            supply: Condvar::new(),
            changed: Condvar::new(),
        });
        fork::mind(|| POOLS.is_unlocked());
        POOLS.insert(handle, Arc::clone(&pool))?;
        let begun = pool.begin();
        drop(in_use);
        let ready = begun.and_then(|()| pool.wait_until_ready());
        if let Err(error) = ready {
            end::abort(&pool);
            return Err(error);
        }
        Ok(handle)
    })
}

impl Pool {
    /// Starts its threads.
    fn begin(self: &Arc<Self>) -> Result<()> {
        let mut state = self.state();
        for _ in 0..self.workers {
            self.add_worker(&mut state)?;
        }
        self.add_helpers(&mut state)
    }

    fn wait_until_ready(self: &Arc<Self>) -> Result<()> {
        let until_ready = |stopped: &dyn Fn() -> Option<Error>| {
            let mut state = self.state();
            loop {
                if let Some(error) = state.first_error.take().or_else(stopped) {
                    return Err(error);
                }
                if state.ended {
                    return Err(not_found(self.handle));
                }
                if state.begun >= self.workers {
                    return Ok(());
                }
                state = self.wait(state, &self.changed, None);
            }
        };
        let what = format_args!("the interpreters of a pool");
        here(|here| here.limits.waiting(self, what, |stopped| waiting(|| until_ready(stopped))))
    }
}

/// What a pool has done, and has to do.
pub fn stats(handle: u64) -> Result<PoolStats> {
    let pool = get(handle)?;
    let state = pool.state();
    let times = |histogram: &Histogram| [50, 90, 99].map(|percent| histogram.percentile(percent));
    let ([wait_p50_us, wait_p90_us, wait_p99_us], [run_p50_us, run_p90_us, run_p99_us]) =
        (times(&state.waits), times(&state.runs));
    Ok(PoolStats {
        workers: state.workers() as u64,
        spares: state.spares.len() as u64,
        queued: state.turns.len() as u64,
        running: state.running as u64,
        submitted: state.counts.submitted,
        done: state.counts.done,
        failed: state.counts.failed,
        cancelled: state.counts.cancelled,
        replaced: state.counts.replaced,
        wait_p50_us,
        wait_p90_us,
        wait_p99_us,
        run_p50_us,
        run_p90_us,
        run_p99_us,
        left: state.left.len() as u64,
        crashed: state.counts.crashed,
        isolation: state.isolation(),
        reason: state.why_in_processes.clone(),
    })
}
