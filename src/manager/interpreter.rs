//! One interpreter: what is known of it, who is let in, and its end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::attempt::Attempt;
use super::elsewhere::Elsewhere;
use super::error::{Error, Kind, Result};
use super::gate::{Busy, Gate, Refused};
use super::handle::{self, interpreter_handle, interpreter_id};
use super::registry::Registry;
use crate::python::Failure;
use crate::python::fork;
use crate::python::hooks::{self, ForeignState};
use crate::python::interp::Interp;
use crate::python::stack::{self, Stack, StackTooSmall};

/// Where an interpreter lives.
pub(super) enum Home {
    /// In this process.
    Here(Interp),
    /// In a process of its own.
    Elsewhere(Box<Elsewhere>),
    /// In this process, made by Python code: it is listed and never driven.
    Theirs,
}

/// One interpreter.
pub struct Interpreter {
    pub(super) handle: u64,
    pub(super) id: i64,
    pub(super) gate: Gate,
    /// How long a run in it may take, if it does not say so itself.
    pub(super) timeout: Option<Duration>,
    home: Home,
    /// It is ending within a time, which may be over.
    pub(super) ending: Mutex<Option<Arc<Attempt>>>,
}

pub(super) static INTERPRETERS: Registry<Interpreter> = Registry::new();

impl Interpreter {
    fn new(handle: u64, id: i64, busy: Busy, timeout: Option<Duration>, home: Home) -> Interpreter {
        fork::mind(|| INTERPRETERS.is_unlocked());
        Interpreter { handle, id, gate: Gate::new(busy), timeout, home, ending: Mutex::new(None) }
    }

    /// It, if it lives in this process and is driven.
    #[inline(always)]
    pub(super) fn python(&self) -> Option<&Interp> {
        match &self.home {
            Home::Here(python) => Some(python),
            Home::Elsewhere(_) | Home::Theirs => None,
        }
    }

    /// It, if it lives in a process of its own.
    #[inline]
    pub(super) fn elsewhere(&self) -> Option<&Elsewhere> {
        match &self.home {
            Home::Elsewhere(elsewhere) => Some(elsewhere),
            Home::Here(_) | Home::Theirs => None,
        }
    }

    /// Python code made it.
    pub(super) fn is_theirs(&self) -> bool {
        matches!(self.home, Home::Theirs)
    }

    /// Makes an interpreter of ours known.
    pub(super) fn register(python: Interp, busy: Busy, timeout: Option<Duration>) -> Result<Arc<Interpreter>> {
        let id = python.id;
        let Some(handle) = interpreter_handle(handle::runtime(), id) else {
            python.end();
            return Err(Kind::Interpreter(format!("this process has used up its handles (interpreter ID {id})")).into());
        };
        python.own.kept.belong_to(handle);
        let interpreter = Arc::new(Interpreter::new(handle, id, busy, timeout, Home::Here(python)));
        // Nobody finds it before its end is watched, and nobody who looks for it meanwhile takes it for gone.
        let watched = || id == 0 || hooks::watch(id, hooks::weak(&interpreter));
        match INTERPRETERS.register(handle, &interpreter, watched) {
            true => Ok(interpreter),
            false => Err(Kind::Interpreter("Python code destroyed the interpreter at once".into()).into()),
        }
    }

    /// Makes one in a process of its own known.
    pub(super) fn register_elsewhere(
        elsewhere: Elsewhere,
        id: i64,
        busy: Busy,
        timeout: Option<Duration>,
    ) -> Result<Arc<Interpreter>> {
        let handle = interpreter_handle(handle::runtime(), id)
            .ok_or_else(|| Kind::Interpreter(format!("this process has used up its handles (interpreter ID {id})")))?;
        elsewhere.kept.belong_to(handle);
        let interpreter = Arc::new(Interpreter::new(handle, id, busy, timeout, Home::Elsewhere(Box::new(elsewhere))));
        INTERPRETERS.insert(handle, Arc::clone(&interpreter))?;
        Ok(interpreter)
    }

    /// Its process has ended: nobody is let in any more.
    pub(super) fn is_gone(&self) {
        self.gate.closed();
        INTERPRETERS.remove(self.handle);
        if let Some(elsewhere) = self.elsewhere() {
            elsewhere.ended();
        }
    }

    pub(super) fn refused(&self, refused: Refused) -> Error {
        let kind = match refused {
            Refused::Running => Kind::Busy("interpreter already running".into()),
            Refused::Entered => {
                Kind::Busy("a thread has entered the interpreter and not left it (subpy_enter, subpy_leave)".into())
            }
            Refused::Closing => Kind::Busy("interpreter is closing".into()),
            Refused::Closed => not_found(self.handle),
            Refused::Stopped => Kind::Panic("a run without a limit was stopped".into()),
        };
        Error::from(kind).of(self.handle)
    }

    /// The error of a run.
    #[cold]
    pub(super) fn failed(&self, failure: Failure) -> Box<Error> {
        Error::from(failure).of(self.handle).into()
    }

    /// What can be asked of one that Python code made.
    pub(super) fn foreign(&self) -> Result<ForeignState> {
        hooks::foreign(self.id).ok_or_else(|| Error::from(not_found(self.handle)).of(self.handle))
    }

    /// Whether it is in the books still. The library's own leaves the registry when it ends.
    fn is_known(&self) -> bool {
        !self.is_theirs() || hooks::is_foreign(self.id)
    }
}

fn not_found(handle: u64) -> Kind {
    Kind::NotFound(match interpreter_id(handle) {
        Some(id) => format!("unrecognized interpreter ID {id}"),
        None => format!("{handle} is not the handle of an interpreter"),
    })
}

/// The interpreter with this handle, whoever made it.
pub(super) fn get(handle: u64) -> Result<Arc<Interpreter>> {
    let mut found = INTERPRETERS.get(handle);
    if found.as_ref().is_some_and(|it| it.is_theirs()) {
        found = INTERPRETERS.find(handle, Interpreter::is_known, || None);
    }
    found.ok_or_else(|| Error::from(not_found(handle)).of(handle))
}

/// The handle of an interpreter by CPython's id, if it is alive. One that Python code made gets its handle here.
pub(super) fn by_id(id: i64) -> Option<u64> {
    let handle = interpreter_handle(handle::runtime(), id)?;
    let theirs = || Arc::new(Interpreter::new(handle, id, Busy::Refuse, None, Home::Theirs));
    INTERPRETERS.find(handle, Interpreter::is_known, || hooks::is_foreign(id).then(theirs)).map(|it| it.handle)
}

/// There must be enough left of the calling thread's stack for CPython.
#[inline]
pub(super) fn check_stack() -> Result<Stack> {
    stack::check_stack().map_err(too_small)
}

#[cold]
pub(super) fn too_small(StackTooSmall { left, size }: StackTooSmall) -> Error {
    let message = format!(
        "this thread has {} KiB of its stack of {} KiB left, CPython needs at least {} KiB (256 KiB or more are \
         recommended); create the thread with a larger stack, or make the call further out",
        left / 1024,
        size / 1024,
        stack::NEEDED_STACK / 1024
    );
    Kind::WrongState(message).into()
}

/// The interpreter, to do something in it: not one that Python code made.
pub(super) fn driven(handle: u64, what: &str) -> Result<Arc<Interpreter>> {
    let interpreter = get(handle)?;
    if interpreter.is_theirs() { Err(unrecognized(what, &interpreter)) } else { Ok(interpreter) }
}

pub(super) fn unrecognized(what: &str, interpreter: &Interpreter) -> Error {
    Error::from(Kind::Interpreter(format!("cannot {what} unrecognized interpreter {}", interpreter.id)))
        .of(interpreter.handle)
}

/// Fails when there is no such interpreter, and when it cannot take a run at all.
pub(super) fn check_alive(handle: u64) -> Result<()> {
    let interpreter = get(handle)?;
    interpreter.gate.is_running().map(drop).map_err(|refused| interpreter.refused(refused))
}
