//! Interpreters in which everything was interrupted: their code may catch the exception, so it is hit again.

use std::sync::Mutex;

use super::error::{Kind, Result};
use super::interpreter::INTERPRETERS;
use super::timer::{self, NEVER, Tasks, Time};
use crate::python::interp::Interp;
use crate::python::interrupt::{Reason, Which};
use crate::python::lock;

/// How long it is until code is hit again, the first time and later.
pub const FIRST_PAUSE: Time = 1_000_000;
pub const LONGEST_PAUSE: Time = 50_000_000;

struct Interrupted {
    interpreter: u64,
    next: Time,
    pause: Time,
}

static ALL: Mutex<Vec<Interrupted>> = Mutex::new(Vec::new());

/// What was interrupted in it is hit again until it has ended.
pub fn repeat(interpreter: u64, tasks: &'static Tasks) -> Result<()> {
    let next = timer::now().saturating_add(FIRST_PAUSE);
    {
        let mut all = lock(&ALL);
        all.retain(|it| it.interpreter != interpreter);
        all.try_reserve(1).map_err(|_| Kind::NoMemory)?;
        all.push(Interrupted { interpreter, next, pause: FIRST_PAUSE });
    }
    timer::due_at(next, tasks)
}

/// When something is due next.
pub fn next() -> Time {
    lock(&ALL).iter().map(|it| it.next).min().unwrap_or(NEVER)
}

/// Does what is due.
pub fn run(now: Time) {
    lock(&ALL).retain_mut(|it| {
        if it.next > now {
            return true;
        }
        let interpreter = INTERPRETERS.get(it.interpreter);
        let python = interpreter.as_ref().and_then(|it| it.python());
        let again = |python: &Interp| python.is_interrupting() && python.interrupt(Which::Again, Reason::Interrupted);
        it.pause = (it.pause * 2).min(LONGEST_PAUSE);
        it.next = now.saturating_add(it.pause);
        python.is_some_and(again)
    });
}
