//! What a thread remembers: one look-up of a thread-local variable for a whole run.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::error::{Error, Ran, Result};
use super::function::{Function, find_function};
use super::gate::Inside;
use super::interpreter::{INTERPRETERS, Interpreter, Limit, NoLimit, driven};
use super::last::Last;
use super::limits::{self, Limits};
use super::session::Sessions;
use crate::python::Failure;
use crate::python::attach::detached;
use crate::python::hooks::{self, Watcher};
use crate::python::interp::{Interp, Scope};
use crate::python::loaded_api;
use crate::python::object::Py;
use crate::python::stack::OwnStack;
use crate::python::thread_end::AtThreadEnd;

pub struct Here {
    /// The interpreters that the thread is in.
    pub inside: Inside,
    /// Those whose end would wait for it: it passes on what they have printed, or ends them, and the host is called.
    pub keeps: Inside,
    /// The interpreter that it ran in last, and the function that it called. To find one in the registry costs four
    /// locked instructions, a tenth of a call. What was closed or freed meanwhile says so itself.
    interpreter: Last<Arc<Interpreter>>,
    function: Last<Arc<Function>>,
    pub sessions: Sessions,
    pub limits: limits::Here,
    stack: OwnStack,
    /// Its end is going to be noticed.
    watched: Cell<bool>,
    /// It is ending.
    pub ended: Cell<bool>,
}

impl Here {
    const fn new() -> Here {
        Here {
            inside: Inside::new(),
            keeps: Inside::new(),
            interpreter: Last::new(),
            function: Last::new(),
            sessions: Sessions::new(),
            limits: limits::Here::new(),
            stack: OwnStack::new(),
            watched: Cell::new(false),
            ended: Cell::new(false),
        }
    }

    /// Does something inside of an interpreter, as a run of this thread's.
    #[inline(always)]
    pub fn run_in<R>(
        &self,
        interpreter: &Interpreter,
        limits: Option<&Limits>,
        act: impl FnOnce(Py, &Scope, &Interp) -> Result<R, Box<Failure>>,
    ) -> Result<R, Box<Error>> {
        if limits.is_some() || interpreter.timeout.is_some() || self.limits.any() {
            return self.run_limited(interpreter, limits, act);
        }
        self.run_in_with(interpreter, &NoLimit, act)
    }

    #[inline(never)]
    fn run_limited<R>(
        &self,
        interpreter: &Interpreter,
        limits: Option<&Limits>,
        act: impl FnOnce(Py, &Scope, &Interp) -> Result<R, Box<Failure>>,
    ) -> Result<R, Box<Error>> {
        let limited = self.limits.begin(interpreter, limits)?;
        let result = self.run_in_with(interpreter, &limited, act);
        limited.end(result)
    }

    #[inline(always)]
    fn run_in_with<R>(
        &self,
        interpreter: &Interpreter,
        limit: &impl Limit,
        act: impl FnOnce(Py, &Scope, &Interp) -> Result<R, Box<Failure>>,
    ) -> Result<R, Box<Error>> {
        let state = self.sessions.take_state(interpreter.handle);
        let result = interpreter.inside(&self.inside, &self.stack, state.as_deref(), limit, act);
        if let Some(state) = state {
            self.sessions.put_back(interpreter.handle, state);
        }
        result
    }

    /// Uses the interpreter with this handle, and remembers it.
    #[inline]
    pub fn with_interpreter(
        &self,
        handle: u64,
        find: impl FnOnce() -> Result<Arc<Interpreter>>,
        act: impl FnOnce(&Interpreter) -> Ran,
    ) -> Ran {
        let interpreter = self.interpreter.take(handle).map_or_else(find, Ok)?;
        let result = act(&interpreter);
        self.interpreter.put(handle, interpreter);
        result
    }

    /// The interpreter with this handle, remembered.
    pub fn interpreter(&self, handle: u64, what: &str) -> Result<Arc<Interpreter>> {
        let interpreter = self.interpreter.take(handle).map_or_else(|| driven(handle, what), Ok)?;
        self.interpreter.put(handle, Arc::clone(&interpreter));
        Ok(interpreter)
    }

    /// Uses the function with this handle, and remembers it.
    #[inline]
    pub fn with_function(&self, handle: u64, act: impl FnOnce(&Function) -> Ran) -> Ran {
        let function = self.function.take(handle).map_or_else(|| find_function(handle), Ok)?;
        let result = act(&function);
        self.function.put(handle, function);
        result
    }

    #[cold]
    fn watch(&self) {
        static END: AtThreadEnd = AtThreadEnd::new(thread_ends);
        self.watched.set(true);
        END.watch();
    }
}

thread_local! {
    /// Without a destructor, so that it is there until the very end of the thread.
    static HERE: ManuallyDrop<Here> = const { ManuallyDrop::new(Here::new()) };
}

/// Does something with what this thread remembers.
#[inline(always)]
pub fn here<R>(act: impl FnOnce(&Here) -> R) -> R {
    HERE.with(|here| {
        if !here.watched.get() {
            here.watch();
        }
        act(here)
    })
}

impl Interpreter {
    /// Finalizes it; the gate must be closing. Until that is done, everybody sees it in that state.
    pub(super) fn end(&self, interruptibly: bool) {
        let end = || match &self.python {
            Some(python) if interruptibly => python.end_interruptibly(),
            Some(python) => python.end(),
            None => {}
        };
        here(|here| here.keeps.during(self.handle, end));
        hooks::unwatch(self.id);
        self.gate.closed();
        INTERPRETERS.remove(self.handle);
    }
}

impl Watcher for Interpreter {
    fn guest_destroys(&self) {
        // What this thread itself has there would be waited for without end. A run of its own is running what only
        // seems to be the end, or is beyond help.
        if here(|here| here.inside.contains(self.handle)) {
            return;
        }
        here(|here| here.sessions.end(self.handle));
        if self.gate.close_from_outside()
            && let Some(python) = &self.python
        {
            python.release();
        }
    }

    fn library_ends(&self) -> bool {
        self.gate.is_closing()
    }

    fn cleared(&self) {
        if let Some(python) = &self.python {
            python.close_interrupts();
        }
    }

    fn stays(&self) -> bool {
        self.gate.is_open()
    }

    fn gone(&self) {
        self.gate.closed();
        INTERPRETERS.remove(self.handle);
        // It is being cleared, on this thread.
        if let Some(python) = &self.python {
            python.hosts.retire();
            detached(loaded_api(), || python.ended());
        }
    }
}

/// Comes back when something is remembered in a later destructor of the thread's.
fn thread_ends() {
    HERE.with(|here| {
        here.watched.set(false);
        here.ended.set(true);
        here.sessions.end_all();
        here.interpreter.forget();
        here.function.forget();
        here.inside.forget();
        here.keeps.forget();
        here.limits.forget();
    });
}
