//! The end of everything: every interpreter is closed, all or none, and CPython finalised.

use std::sync::Arc;

use super::error::{Error, Kind, Result};
use super::gate::Refused;
use super::here::here;
use super::interpreter::{INTERPRETERS, Interpreter, check_stack};
use super::runtime::{self, Up};
use super::thread;
use crate::python::attach::{current_interpreter, detached};
use crate::python::interp::Interp;
use crate::python::run::{self, Code};
use crate::python::stack::this_stack;
use crate::python::{hooks, loaded_api};
use crate::value::{Args, subpy_value};

/// Closes every interpreter and finalises CPython, unless something runs. Fine when it does not run.
pub fn shutdown() -> Result<()> {
    let current = if runtime::is_up() { loaded_api().and_then(current_interpreter) } else { None };
    let prepare = |up: &Up| {
        // A thread that Python code started is in no run of ours, and would be waited for all the same. Main alone may
        // be where a host's own Python calls from.
        if here(|here| here.inside.any()) || current.is_some_and(|id| id != 0 || !up.is_adopted()) {
            return Err(Kind::Busy("cannot shut down from inside an interpreter".into()).into());
        }
        check_stack()?;
        runtime::check_host_stays()?;
        close_all_gates(up)
    };
    detached(loaded_api(), || runtime::stop(prepare, end_all))
}

/// Lets nobody into any interpreter any more; all or none.
fn close_all_gates(up: &Up) -> Result<Vec<Arc<Interpreter>>> {
    if up.uses > 0 {
        return Err(Kind::Busy("an interpreter is being created".into()).into());
    }
    thread::check_idle()?;
    for id in hooks::foreign_ids() {
        if hooks::foreign(id).is_some_and(|state| state.running) {
            return Err(Kind::Busy(format!("interpreter {id} is running (Python code created it)")).into());
        }
    }
    let mut ours: Vec<_> = INTERPRETERS.all().into_iter().filter(|it| it.python.is_some()).collect();
    // The newest first, main last: main is needed to end what Python code made.
    ours.sort_unstable_by_key(|interpreter| std::cmp::Reverse(interpreter.id));
    for (index, interpreter) in ours.iter().enumerate() {
        let begun = interpreter.gate.begin_close();
        // Only now does it stay alive while it is asked.
        let otherwise = || interpreter.id != 0 && interpreter.python.as_ref().is_some_and(Interp::is_running_otherwise);
        let what = match begun {
            Ok(()) if !otherwise() => continue,
            // By the library, or by a guest that destroys it.
            Err(Refused::Closing | Refused::Closed) => "being closed",
            Err(Refused::Entered) => "entered by a thread that has not left it (subpy_enter, subpy_leave)",
            _ => "running",
        };
        let begun_so_far = index + usize::from(begun.is_ok());
        ours[..begun_so_far].iter().for_each(|interpreter| interpreter.gate.reopen());
        return Err(Error::from(Kind::Busy(format!("interpreter {} is {what}", interpreter.id))).of(interpreter.handle));
    }
    ours.iter().for_each(|interpreter| interpreter.gate.close());
    Ok(ours)
}

/// Ends the interpreters, the newest first, then those that Python code made.
fn end_all(up: &Up, ours: Vec<Arc<Interpreter>>) {
    thread::forget_all();
    for interpreter in ours.iter().filter(|interpreter| interpreter.id != 0) {
        interpreter.end();
    }
    if let Some(main) = &up.main.python {
        // CPython's own finalization can crash on interpreters that are left (python/cpython,
        // finalize_subinterpreters).
        for id in hooks::foreign_ids().into_iter().rev() {
            let args = [subpy_value::int(id)];
            let args = Args { items: &args, kwargs: &[] };
            let destroy = Code::Call { callable: "_interpreters:destroy", args };
            // One that is gone by now (its creator held it) is no harm.
            let _: Result<(), _> = main.run(None, None, this_stack(), |py, scope| run::run(py, scope, destroy, None));
        }
        main.release();
        if up.is_adopted() {
            main.retire();
        }
    }
    up.main.gate.closed();
    INTERPRETERS.drain();
}
