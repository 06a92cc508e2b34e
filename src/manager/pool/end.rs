//! The end of a pool: by itself, and with the runtime.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::attempt::{CloseOptions, FIRST_PAUSE, GRACE, LONGEST_PAUSE, Plan, in_the_way};
use super::super::close::close_with;
use super::super::error::{Error, Kind, Result};
use super::super::interpreter::check_stack;
use super::super::interpreters::{interrupt, kill};
use super::super::limits;
use super::task::{Task, cancelled};
use super::{HERE, POOLS, Pool, State, get};
use crate::platform::thread::JoinHandle;
use crate::python::attach::detached;
use crate::python::loaded_api;
use crate::python::lock;

/// Closes a pool, and its interpreters.
pub fn close(handle: u64, options: CloseOptions) -> Result<()> {
    let pool = get(handle)?;
    if pool.is_here() {
        let message = "a task of the pool, or what it calls, cannot close the pool: it would wait for itself";
        return Err(Kind::WrongState(message.into()).into());
    }
    if options.interrupt {
        limits::check_supported()?;
    }
    // To close an interpreter takes as much: without it the pool would have ended, and its interpreters not.
    check_stack()?;
    detached(loaded_api(), || {
        let plan = Plan::new(options);
        let resting = pool.rest(&plan)?;
        pool.quiet(&plan)?;
        pool.end();
        drop(resting);
        pool.close_interpreters(&plan)
    })
}

/// A pool that could not be made.
pub fn abort(pool: &Arc<Pool>) {
    let plan = Plan::new(CloseOptions { timeout: Some(Duration::ZERO), drain: false, interrupt: true });
    let resting = pool.rest(&plan);
    let _ = pool.quiet(&plan);
    pool.end();
    drop(resting);
    let _ = pool.close_interpreters(&plan);
    POOLS.remove(pool.handle);
}

/// Nothing new comes in; as before when dropped.
struct Resting {
    pool: Arc<Pool>,
    drains: bool,
}

impl Drop for Resting {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        *count(&mut state, self.drains) -= 1;
        if state.is_open() {
            state.stop = Arc::default();
            state.no_spares = false;
        }
        self.pool.tell_all();
    }
}

fn count(state: &mut State, drains: bool) -> &mut usize {
    if drains { &mut state.draining } else { &mut state.asking }
}

impl State {
    /// Ends the processes in which tasks run. True: there was one.
    fn kill_tasks(&self) -> bool {
        let busy = self.seats.values().filter(|seat| seat.task.is_some());
        busy.filter(|seat| kill(seat.interp)).count() > 0
    }

    fn in_words(&self) -> String {
        let running = self.seats.values().filter_map(|seat| Some(seat.task.as_ref()?.in_words(seat.interp)));
        let queued = self.turns.len();
        let queued = (queued > 0).then(|| format!("{queued} tasks wait"));
        running.chain(queued).collect::<Vec<_>>().join(", ")
    }
}

impl Pool {
    /// Waits until no task waits or runs, and has them end if that is the plan. Newcomers are refused meanwhile, or
    /// wait if that takes no time.
    fn rest(self: &Arc<Self>, plan: &Plan) -> Result<Resting> {
        let drains = plan.lets_runs_end();
        *count(&mut self.state(), drains) += 1;
        let resting = Resting { pool: Arc::clone(self), drains };
        if drains {
            self.room.notify_all();
        }
        let (mut pause, mut killed) = (FIRST_PAUSE, None);
        loop {
            let state = self.state();
            if state.ended || state.is_at_rest() {
                return Ok(resting);
            }
            if !drains || plan.is_over() {
                // What cannot be interrupted ends with its process, if it has one.
                let kills = drains && plan.options.interrupt && killed.is_none_or(|killed| Instant::now() < killed);
                if !kills || !state.kill_tasks() {
                    return Err(in_the_way(plan, &state.in_words()).into());
                }
                killed.get_or_insert_with(|| Instant::now() + GRACE);
            }
            if plan.interrupts_now() {
                drop(state);
                self.stop_tasks();
            } else {
                drop(state);
            }
            let state = self.state();
            if !state.is_at_rest() {
                drop(self.wait(state, &self.changed, Some(pause)));
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Those that wait are cancelled, those that run are interrupted.
    fn stop_tasks(&self) {
        let (tasks, interps) = {
            let mut state = self.state();
            let tasks: Vec<Arc<Task>> = state.turns.drain();
            let all = tasks.len() as u64;
            state.counts.done += all;
            state.counts.failed += all;
            state.counts.cancelled += all;
            let busy = state.seats.values().filter(|seat| seat.task.is_some());
            let interps: Vec<u64> = busy.map(|seat| seat.interp).collect();
            // One that is set up for a task is not to be.
            state.stop.fire();
            (tasks, interps)
        };
        for task in tasks {
            task.detach();
            task.end(Err(cancelled(": the pool was closed")));
        }
        for interp in interps {
            // One that is not there any more has nothing to interrupt.
            let _ = interrupt(interp);
        }
    }

    /// Waits until no interpreter is being made or closed.
    fn quiet(&self, plan: &Plan) -> Result<()> {
        let grace = Instant::now() + GRACE;
        let stop = Arc::clone(&self.state().stop);
        stop.fire();
        let mut state = self.state();
        while (state.making > 0 || state.closing > 0) && !state.ended {
            if plan.is_over() && Instant::now() >= grace {
                return Err(in_the_way(plan, "an interpreter of the pool is being set up, or closed").into());
            }
            state = self.wait(state, &self.changed, Some(LONGEST_PAUSE));
        }
        Ok(())
    }

    /// There is nothing to do any more: its threads end.
    fn end(&self) {
        let threads: Vec<JoinHandle> = {
            let mut state = self.state();
            state.ended = true;
            let state = &mut *state;
            let seats = state.seats.drain().map(|(_, seat)| seat);
            let mut threads = std::mem::take(&mut state.helpers);
            for seat in seats {
                threads.extend(seat.thread);
                if seat.interp != 0 {
                    state.retired.push(seat.interp);
                }
            }
            self.tell_all();
            threads
        };
        for thread in threads {
            thread.join();
        }
        {
            // Only now: the threads have put there what they had just made.
            let mut state = self.state();
            let state = &mut *state;
            state.retired.append(&mut state.spares);
            state.retired.append(&mut state.left);
        }
        // What the host has given along is finalized here.
        drop(lock(&self.prepare).take());
    }

    /// Closes what is left of them. The pool is known until that is done.
    fn close_interpreters(&self, plan: &Plan) -> Result<()> {
        let interps = std::mem::take(&mut self.state().retired);
        let (mut first, mut open) = (None, Vec::new());
        for interp in interps {
            let options = CloseOptions { timeout: plan.left(), drain: false, interrupt: plan.options.interrupt };
            match close_with(interp, options) {
                Ok(()) | Err(Error { kind: Kind::NotFound(_), .. }) => {}
                Err(error) => {
                    open.push(interp);
                    first.get_or_insert(error);
                }
            }
        }
        if let Some(error) = first {
            self.state().retired.append(&mut open);
            return Err(error);
        }
        POOLS.remove(self.handle);
        Ok(())
    }
}

/// All pools, at rest while the runtime is stopped; as before when dropped.
pub struct Paused(Vec<Resting>);

/// Fails when a task waits or runs. With a plan that lets them end they may.
pub fn pause_all(plan: &Plan) -> Result<Paused> {
    let pools = POOLS.all();
    if !pools.is_empty() && HERE.get() != 0 {
        return Err(Kind::Busy("cannot shut down from a task of a pool, or from what it calls".into()).into());
    }
    let mut paused = Paused(Vec::new());
    for pool in pools {
        let named = |error: Error| match error.kind {
            Kind::Busy(message) => Kind::Busy(format!("pool {}: {message}", pool.number)).into(),
            _ => error,
        };
        paused.0.push(pool.rest(plan).map_err(named)?);
        pool.quiet(plan).map_err(named)?;
    }
    Ok(paused)
}

impl Paused {
    /// That may take long, or cannot be taken back: newcomers wait no more, but are refused. The end may be waiting for
    /// one of them, a thread of Python's that calls the host.
    pub fn refuse(&mut self) {
        for resting in &mut self.0 {
            let mut state = resting.pool.state();
            *count(&mut state, resting.drains) -= 1;
            *count(&mut state, true) += 1;
            resting.drains = true;
            resting.pool.room.notify_all();
        }
    }

    /// The runtime has ended, and the interpreters with it.
    pub fn end(self) {
        for resting in &self.0 {
            resting.pool.end();
            POOLS.remove(resting.pool.handle);
        }
    }
}
