//! Closing within a time: runs are waited for or interrupted, Python's own threads too. When the time is over the
//! interpreter is as it was before, or is ending and says so.
//!
//! Whoever asks for it sleeps. A thread of the library's own does the rest, because that may wait for a GIL which nobody
//! gives away, and for code that runs while the interpreter ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::attempt::{Attempt, CloseOptions, FIRST_PAUSE, LONGEST_PAUSE, Plan, Stage, in_the_way};
use super::error::{Error, Kind, Result};
use super::gate::Refused;
use super::interpreter::{Interpreter, no_interrupts};
use super::interpreters::{close, closable};
use super::runtime;
use crate::python::attach::detached;
use crate::python::closing::{Closing, Look};
use crate::python::interp::Interp;
use crate::python::interrupt::{Reason, Which};
use crate::python::stack::STACK_SIZE;
use crate::python::{loaded_api, lock};

/// `close()`, within a time.
pub fn close_with(handle: u64, options: CloseOptions) -> Result<()> {
    if options == CloseOptions::without_limit() {
        return close(handle);
    }
    let plan = Plan::new(options);
    let interpreter = closable(handle, plan.lets_runs_end())?;
    detached(loaded_api(), || {
        let ending = lock(&interpreter.ending).clone();
        let attempt = match ending {
            Some(ending) => ending,
            None => begin(&interpreter, &plan)?,
        };
        if !attempt.wait_while_asking(&plan) {
            attempt.give_up(|| interpreter.gate.end_drain());
        }
        if attempt.is_given_up() {
            let found = attempt.in_the_way().unwrap_or_else(|| "it is about to be".into());
            return Err(Error::from(in_the_way(&plan, &found)).of(handle));
        }
        let interrupt = || drop(interpreter.python.as_ref().map(interrupt_all));
        attempt.wait_for_end(&plan, "the interpreter", interrupt).map_err(|error| error.of(handle))
    })
}

pub fn interrupt_all(python: &Interp) -> bool {
    python.interrupt(Which::All, Reason::Interrupted)
}

/// Nobody else comes in from now on, and a thread does the rest.
fn begin(interpreter: &Arc<Interpreter>, plan: &Plan) -> Result<Arc<Attempt>> {
    begin_drain(interpreter, plan)?;
    let (attempt, plan, its_own) = (Attempt::new(), *plan, Arc::clone(interpreter));
    start(&attempt, interpreter, "subpy-close", move |attempt| {
        while prepare(&its_own, &plan, attempt)? {
            if decide(&its_own, attempt)? {
                its_own.end(true);
                break;
            }
            attempt.pause(FIRST_PAUSE);
        }
        Ok(())
    })?;
    Ok(attempt)
}

pub fn begin_drain(interpreter: &Interpreter, plan: &Plan) -> Result<()> {
    let begun = interpreter.gate.begin_drain(!plan.lets_runs_end());
    begun.map_err(|refused| match refused {
        Refused::Running => Error::from(Kind::Busy("interpreter running".into())).of(interpreter.handle),
        refused => interpreter.refused(refused),
    })
}

/// Does the work of a close on a thread of the library's own.
pub fn start(
    attempt: &Arc<Attempt>,
    interpreter: &Arc<Interpreter>,
    name: &str,
    work: impl FnOnce(&Attempt) -> Result<()> + Send + 'static,
) -> Result<()> {
    let (its_own, drained) = (Arc::clone(attempt), Arc::clone(interpreter));
    let spawned = thread::Builder::new().name(name.into()).stack_size(STACK_SIZE).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| work(&its_own)));
        let result = result.unwrap_or_else(|_| Err(Kind::Panic("a close panicked".into()).into()));
        if let Err(error) = result {
            let mut progress = its_own.progress();
            if matches!(progress.stage, Stage::Asking | Stage::Ready) {
                drained.gate.end_drain();
            }
            drop(progress);
            its_own.set(Stage::Done(Err(error)));
        }
    });
    spawned.map(drop).map_err(|error| {
        interpreter.gate.end_drain();
        Kind::Interpreter(format!("can't start new thread: {error}")).into()
    })
}
