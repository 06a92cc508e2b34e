//! The interpreters of a pool: made, kept ready, and closed, each on a thread where nobody waits for it but those who
//! want one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::super::attempt::CloseOptions;
use super::super::close::close_with;
use super::super::error::{Error, Kind, Result};
use super::super::handle;
use super::super::interpreters::create;
use super::super::limits::{self, Limits};
use super::super::run::run_with;
use super::super::runtime;
use super::{HERE, Pool, State};
use crate::platform::thread::spawn;
use crate::python::lock;
use crate::python::run::Code;
use crate::python::stack::STACK_SIZE;
use crate::value::Wanted;

/// How long threads that Python code has left in one that was replaced have to end by themselves, and then when they are
/// interrupted; and how long it is until that is tried again.
const PATIENCE: Duration = Duration::from_millis(100);
const INTERRUPTING: Duration = Duration::from_secs(1);
const UNTIL_AGAIN: Duration = Duration::from_secs(5);

/// An interpreter is being made, or closed: counted until dropped.
struct Counted<'a>(&'a Pool, fn(&mut State) -> &mut usize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        *(self.1)(&mut self.0.state()) -= 1;
        self.0.changed.notify_all();
    }
}

/// An interpreter, set up.
#[derive(Clone, Copy)]
pub struct Made {
    pub interp: u64,
    /// It has a process of its own.
    pub in_process: bool,
}

impl Pool {
    /// An interpreter for a worker: one that is ready, or a new one.
    pub(super) fn supply(&self) -> Result<Made> {
        {
            let mut state = self.state();
            // Or they would come together faster than they are closed.
            while state.retired.len() > 2 * self.workers && state.is_open() {
                state = self.wait(state, &self.changed, None);
            }
            if let Some(spare) = state.spares.pop() {
                state.no_spares = false;
                self.supply.notify_all();
                return Ok(Made { interp: spare, in_process: state.in_processes });
            }
        }
        let made = self.make()?;
        self.state().no_spares = false;
        self.supply.notify_all();
        Ok(made)
    }

    /// A new interpreter, set up.
    fn make(&self) -> Result<Made> {
        loop {
            let in_process = self.state().in_processes;
            let made = self.make_one(in_process);
            let moved = match &made {
                Ok(_) => self.state().in_processes != in_process,
                Err(error) => !in_process && self.moves(error),
            };
            match made {
                Ok(interp) if moved => self.retire(interp),
                Err(_) if moved => {}
                made => return made.map(|interp| Made { interp, in_process }),
            }
        }
    }

    fn make_one(&self, in_process: bool) -> Result<u64> {
        let stop = {
            let mut state = self.state();
            // Tasks that are there go on meanwhile, and some need another one.
            if state.ended || state.stop.is_fired() {
                return Err(Kind::Busy("the pool is closing".into()).into());
            }
            state.making += 1;
            Arc::clone(&state.stop)
        };
        let _making = Counted(self, |state| &mut state.making);
        let interp = {
            // What comes after the end of its runtime is none of this pool's.
            let in_use = runtime::enter_if_up()?;
            if in_use.is_none() || handle::runtime() != self.runtime {
                return Err(Kind::WrongState("the runtime in which the pool was made has ended".into()).into());
            }
            create(self.ways.options(in_process))?
        };
        let set_up = || -> Result<()> {
            let prepare = lock(&self.prepare).clone();
            if let Some(prepare) = prepare {
                prepare(interp);
            }
            let Some(source) = &self.setup else { return Ok(()) };
            let limits = limits::check_supported().is_ok().then(|| Limits { cancel: Some(stop), ..Limits::default() });
            let code = Code::Exec { source, filename: Some("<setup>"), keep_indent: false };
            run_with(interp, code, Wanted::value(None), limits.as_ref(), None).map_err(|error| *error)
        };
        let panicked = |_| Err(Kind::Panic("the setup of a pool's interpreter panicked".into()).into());
        if let Err(error) = catch_unwind(AssertUnwindSafe(set_up)).unwrap_or_else(panicked) {
            self.retire(interp);
            return Err(error);
        }
        Ok(interp)
    }

    /// It is to be closed, by the thread that does that.
    pub(super) fn retire(&self, interp: u64) {
        self.state().retired.push(interp);
        self.supply.notify_all();
    }

    pub(super) fn add_helpers(self: &Arc<Self>, state: &mut State) -> Result<()> {
        if self.spares > 0 {
            self.add_helper(state, "subpy-spares", Pool::make_spares)?;
        }
        self.add_helper(state, "subpy-retired", Pool::close_retired)
    }

    fn add_helper(self: &Arc<Self>, state: &mut State, name: &str, does: fn(&Pool)) -> Result<()> {
        let pool = Arc::clone(self);
        let spawned = spawn(name, STACK_SIZE, move || {
            HERE.set(pool.number);
            does(&pool);
        });
        state.helpers.push(spawned.map_err(no_thread)?);
        Ok(())
    }

    fn make_spares(&self) {
        loop {
            let mut state = self.state();
            loop {
                if state.ended {
                    return;
                }
                // The workers come first.
                let wanted = state.begun >= self.workers && state.spares.len() < self.spares && !state.no_spares;
                if wanted && state.is_open() {
                    break;
                }
                state = self.wait(state, &self.supply, None);
            }
            drop(state);
            let made = self.make();
            let mut state = self.state();
            match made {
                Ok(made) if made.in_process == state.in_processes => state.spares.push(made.interp),
                // The pool has moved meanwhile.
                Ok(made) => state.retired.push(made.interp),
                // Whoever needs one will say so. What stops when the pool does is tried again when that was taken back.
                Err(_) => state.no_spares = true,
            }
        }
    }

    fn close_retired(&self) {
        loop {
            let mut state = self.state();
            let interp = loop {
                if state.ended {
                    return;
                }
                if state.is_open() && !state.retired.is_empty() {
                    break state.retired.remove(0);
                }
                let pause = (state.is_open() && !state.left.is_empty()).then_some(UNTIL_AGAIN);
                state = self.wait(state, &self.supply, pause);
                if pause.is_some() && state.is_open() && state.retired.is_empty() && !state.left.is_empty() {
                    break state.left.remove(0);
                }
            };
            state.closing += 1;
            drop(state);
            let _closing = Counted(self, |state| &mut state.closing);
            if !close_old(interp) {
                self.state().left.push(interp);
            }
        }
    }
}

/// Closes one that was replaced; false: something is in the way.
pub fn close_old(interp: u64) -> bool {
    let close = |timeout, interrupt| {
        let closed = close_with(interp, CloseOptions { timeout: Some(timeout), drain: false, interrupt });
        matches!(closed, Ok(()) | Err(Error { kind: Kind::NotFound(_), .. }))
    };
    close(PATIENCE, false) || (limits::check_supported().is_ok() && close(INTERRUPTING, true))
}

pub fn no_thread(error: std::io::Error) -> Error {
    Kind::Interpreter(format!("can't start new thread: {error}")).into()
}
