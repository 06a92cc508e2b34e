//! The interpreters: `concurrent.interpreters`, operation by operation.

use std::sync::Arc;
use std::thread;

use super::error::{Error, Kind, Ran, Result};
use super::gate::{Busy, Gate, Refused, Visiting};
use super::handle::{interpreter_handle, interpreter_id};
use super::here::{Here, here};
use super::registry::Registry;
use super::runtime::{self, STACK_SIZE};
use crate::python::attach::{Outside, current_interpreter, detached};
use crate::python::hooks::{self, ForeignState, Watcher};
use crate::python::interp::{Config, Interp, Scope};
use crate::python::object::Py;
use crate::python::run::{self, Code};
use crate::python::stack::{self, Stack};
use crate::python::{Failure, loaded_api};
use crate::value::{OwnedValue, subpy_pair};

/// How an interpreter is created.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// What happens to a run while it is running.
    pub busy: Busy,
    /// What it may do.
    pub config: Config,
}

/// One interpreter of this process.
pub struct Interpreter {
    pub(super) handle: u64,
    pub(super) id: i64,
    pub(super) gate: Gate,
    /// None for one that Python code made, which is listed and never driven.
    pub(super) python: Option<Interp>,
}

pub(super) static INTERPRETERS: Registry<Interpreter> = Registry::new();

impl Watcher for Interpreter {
    fn guest_destroys(&self) {
        if self.gate.close_from_outside()
            && let Some(python) = &self.python
        {
            python.release();
        }
    }

    fn library_ends(&self) -> bool {
        self.gate.is_closing()
    }

    fn gone(&self) {
        self.gate.closed();
        INTERPRETERS.remove(self.handle);
    }
}

impl Interpreter {
    /// Makes an interpreter of ours known.
    pub(super) fn register(python: Interp, busy: Busy) -> Result<Arc<Interpreter>> {
        let id = python.id;
        let Some(handle) = interpreter_handle(runtime::generation(), id) else {
            python.end();
            return Err(Kind::Interpreter(format!("this process has used up its handles (interpreter ID {id})")).into());
        };
        let interpreter = Arc::new(Interpreter { handle, id, gate: Gate::new(busy), python: Some(python) });
        // Nobody finds it before its end is watched, and nobody who looks for it meanwhile takes it for gone.
        let watched = || id == 0 || hooks::watch(id, hooks::weak(&interpreter));
        let registered = INTERPRETERS.settle(handle, |_| watched().then(|| Arc::clone(&interpreter)));
        registered.ok_or_else(|| Kind::Interpreter("Python code destroyed the interpreter at once".into()).into())
    }

    fn refused(&self, refused: Refused) -> Error {
        let kind = match refused {
            Refused::Running => Kind::Busy("interpreter already running".into()),
            Refused::Entered => {
                Kind::Busy("a thread has entered the interpreter and not left it (subpy_enter, subpy_leave)".into())
            }
            Refused::Closing => Kind::Busy("interpreter is closing".into()),
            Refused::Closed => not_found(self.handle),
        };
        Error::from(kind).of(self.handle)
    }

    /// Finalizes it; the gate must be closing. Until that is done, everybody sees it in that state.
    pub(super) fn end(&self) {
        if let Some(python) = &self.python {
            python.end();
        }
        hooks::unwatch(self.id);
        self.gate.closed();
        INTERPRETERS.remove(self.handle);
    }

    /// What can be asked of one that Python code made.
    fn foreign(&self) -> Result<ForeignState> {
        hooks::foreign(self.id).ok_or_else(|| Error::from(not_found(self.handle)).of(self.handle))
    }

    /// Whether it is in the books still. The library's own leaves the registry when it ends.
    fn is_known(&self) -> bool {
        self.python.is_some() || hooks::is_foreign(self.id)
    }
}

fn not_found(handle: u64) -> Kind {
    Kind::NotFound(match interpreter_id(handle) {
        Some(id) => format!("unrecognized interpreter ID {id}"),
        None => format!("{handle} is not the handle of an interpreter"),
    })
}

fn get(handle: u64) -> Result<Arc<Interpreter>> {
    let mut found = INTERPRETERS.get(handle);
    if found.as_ref().is_some_and(|it| it.python.is_none()) {
        found = INTERPRETERS.settle(handle, |it| it.filter(|it| it.is_known()));
    }
    found.ok_or_else(|| Error::from(not_found(handle)).of(handle))
}

/// The handle of an interpreter by CPython's id, if it is alive. One that Python code made gets its handle here.
fn by_id(id: i64) -> Option<u64> {
    let handle = interpreter_handle(runtime::generation(), id)?;
    let theirs = || Arc::new(Interpreter { handle, id, gate: Gate::new(Busy::Refuse), python: None });
    let find = |it: Option<Arc<Interpreter>>| match it {
        Some(it) => Some(it).filter(|it| it.is_known()),
        None => hooks::is_foreign(id).then(theirs),
    };
    INTERPRETERS.settle(handle, find).map(|it| it.handle)
}

/// `create()`; starts the runtime when it is not running.
pub fn create(options: &Options) -> Result<u64> {
    if options.config.no_extension_check && !options.config.shared_gil {
        return Err(Kind::InvalidArgument(
            "SUBPY_INTERP_NO_EXTENSION_CHECK needs SUBPY_GIL_SHARED: an extension module without support for a GIL of \
             its own would corrupt memory"
                .into(),
        )
        .into());
    }
    check_stack()?;
    detached(loaded_api(), || {
        let _use = runtime::enter()?;
        runtime::check_host_stays()?;
        let elsewhere = stack::is_main_thread() || !stack::is_own_stack();
        let python = if elsewhere { create_on_a_thread(options)? } else { create_here(options)? };
        Ok(Interpreter::register(python, options.busy)?.handle)
    })
}

#[inline(never)] // its frame is a large one
fn create_here(options: &Options) -> Result<Interp> {
    Ok(detached(loaded_api(), || Interp::create(&options.config))?)
}

/// On the process's main thread CPython reads /proc/self/maps for every thread state that it makes, a dozen for one
/// interpreter, each 0.1 ms in a small process and 5 ms in one with as many mappings as a JVM has. Elsewhere it does not.
/// On a stack that is not the thread's own, CPython gives these states the wrong bounds, and loses 3 MiB an interpreter.
fn create_on_a_thread(options: &Options) -> Result<Interp> {
    let work = || create_here(options);
    let created = detached(loaded_api(), || {
        thread::scope(|scope| {
            let builder = thread::Builder::new().name("subpy-create".into()).stack_size(STACK_SIZE);
            builder.spawn_scoped(scope, work).map(|thread| thread.join())
        })
    });
    match created {
        Ok(Ok(created)) => created,
        Ok(Err(_)) => Err(Kind::Panic("the creation of an interpreter panicked".into()).into()),
        // No more threads: it is only slower here.
        Err(_) => create_here(options),
    }
}

/// There must be enough left of the calling thread's stack for CPython.
#[inline]
pub(super) fn check_stack() -> Result<Stack> {
    stack::check_stack().map_err(|stack::StackTooSmall { left, size }| {
        Kind::WrongState(format!(
            "this thread has {} KiB of its stack of {} KiB left, CPython needs at least {} KiB (256 KiB or more are \
             recommended); create the thread with a larger stack, or make the call further out",
            left / 1024,
            size / 1024,
            stack::NEEDED_STACK / 1024
        ))
        .into()
    })
}

/// `exec()`, `eval()` or `call()`. The result is converted when it is wanted.
#[inline]
pub fn run(handle: u64, code: Code, wanted: Option<&mut OwnedValue>) -> Ran {
    let what = || match code {
        Code::Exec { .. } | Code::Eval { .. } => "exec code for",
        Code::Call { .. } | Code::Function { .. } => "make a call in",
    };
    here(|here| {
        let find = || driven(handle, what());
        here.interpreter.with(handle, find, |interpreter| interpreter.run(here, code, wanted))
    })
}

/// The interpreter, to do something in it: not one that Python code made.
pub(super) fn driven(handle: u64, what: &str) -> Result<Arc<Interpreter>> {
    let interpreter = get(handle)?;
    if interpreter.python.is_none() { Err(unrecognized(what, &interpreter)) } else { Ok(interpreter) }
}

impl Interpreter {
    #[inline]
    pub(super) fn run(&self, here: &Here, code: Code, wanted: Option<&mut OwnedValue>) -> Ran {
        self.inside(here, |py, scope, _| run::run(py, scope, code, wanted))
    }

    /// Does something inside: as a run, when the gate lets it in.
    #[inline]
    pub(super) fn inside<R>(
        &self,
        here: &Here,
        act: impl FnOnce(Py, &Scope, &Interp) -> Result<R, Box<Failure>>,
    ) -> Result<R, Box<Error>> {
        let Some(python) = &self.python else { return Err(unrecognized("exec code for", self).into()) };
        let stack = check_stack()?;
        let pinned = here.sessions.state_of(self.handle);
        let outside = loaded_api().and_then(|api| Outside::step_out_to(api, pinned.as_deref()));
        let running = self.gate.enter(self.handle, &here.inside).map_err(|refused| self.refused(refused))?;
        let result = python.run(pinned, stack, |py, scope| act(py, scope, python));
        drop(running);
        drop(outside);
        result.map_err(|failure| Box::new(Error::from(*failure).of(self.handle)))
    }

    /// Does something that is no run, for a moment, whatever runs. It must not run code of users.
    pub(super) fn visit<R>(&self, act: impl FnOnce(&Interp, &Visiting) -> Result<R>) -> Result<R> {
        let Some(python) = &self.python else { return Err(unrecognized("exec code for", self)) };
        let visiting = self.gate.visit().map_err(|refused| self.refused(refused))?;
        act(python, &visiting)
    }
}

fn unrecognized(what: &str, interpreter: &Interpreter) -> Error {
    Error::from(Kind::Interpreter(format!("cannot {what} unrecognized interpreter {}", interpreter.id)))
        .of(interpreter.handle)
}

/// `prepare_main()`
pub fn prepare_main(handle: u64, names: &[subpy_pair]) -> Result<()> {
    let interpreter = driven(handle, "update __main__ for")?;
    let prepare = |py: Py, scope: &Scope, _: &Interp| run::prepare_main(py, scope, names);
    here(|here| interpreter.inside(here, prepare)).map_err(|error| *error)
}

/// Fails when there is no such interpreter, and when it cannot take a run at all.
pub(super) fn check_alive(handle: u64) -> Result<()> {
    let interpreter = get(handle)?;
    interpreter.gate.is_running().map(drop).map_err(|refused| interpreter.refused(refused))
}

/// `close()`
pub fn close(handle: u64) -> Result<()> {
    let interpreter = get(handle)?;
    let Some(python) = &interpreter.python else {
        return Err(unrecognized("destroy", &interpreter));
    };
    let fail = |kind: Kind| Err(Error::from(kind).of(handle));
    if interpreter.id == 0 {
        return fail(Kind::Interpreter("cannot destroy the main interpreter, subpy_shutdown() ends it".into()));
    }
    if loaded_api().and_then(current_interpreter) == Some(interpreter.id) {
        return fail(Kind::Interpreter("cannot destroy the current interpreter".into()));
    }
    check_stack()?;
    detached(loaded_api(), || {
        interpreter.gate.begin_close().map_err(|refused| match refused {
            Refused::Running => Error::from(Kind::Busy("interpreter running".into())).of(handle),
            refused => interpreter.refused(refused),
        })?;
        let busy = python.is_running_otherwise().then(|| Kind::Busy("interpreter running".into()).into());
        if let Some(refused) = busy.or_else(|| runtime::check_host_stays().err()) {
            interpreter.gate.reopen();
            return Err(refused.of(handle));
        }
        interpreter.gate.close();
        interpreter.end();
        Ok(())
    })
}

/// `is_running()`
pub fn is_running(handle: u64) -> Result<bool> {
    let interpreter = get(handle)?;
    match &interpreter.python {
        None => interpreter.foreign().map(|state| state.running),
        Some(_) => interpreter.gate.is_running().map_err(|refused| interpreter.refused(refused)),
    }
}

/// CPython's id
pub fn id(handle: u64) -> Result<i64> {
    Ok(get(handle)?.id)
}

/// Where it came from, in CPython's words (Include/internal/pycore_interp.h: _PyInterpreterState_WHENCE_*).
pub fn whence(handle: u64) -> Result<&'static std::ffi::CStr> {
    let interpreter = get(handle)?;
    let whence = match &interpreter.python {
        Some(python) => python.whence,
        None => interpreter.foreign()?.whence,
    };
    Ok(match whence {
        1 => c"runtime init",
        2 => c"legacy C-API",
        3 => c"C-API",
        4 => c"cross-interpreter C-API",
        5 => c"_interpreters module",
        _ => c"unknown",
    })
}

/// `list_all()`: by ascending id, those that Python code made included.
pub fn list_all() -> Result<Vec<u64>> {
    let _use = runtime::enter()?;
    let mut ids: Vec<i64> = INTERPRETERS.all().iter().filter(|it| it.python.is_some()).map(|it| it.id).collect();
    ids.extend(hooks::foreign_ids());
    ids.sort_unstable();
    ids.dedup();
    Ok(ids.into_iter().filter_map(by_id).collect())
}

/// `get_current()`; like every first use, it adopts the CPython of a host. It starts none.
pub fn get_current() -> Result<u64> {
    let _use = if runtime::is_up() { None } else { runtime::enter_if_hosted()? };
    let current = if runtime::is_up() { loaded_api().and_then(current_interpreter) } else { None };
    current.and_then(by_id).ok_or_else(|| Kind::NotFound("this thread is in no interpreter".into()).into())
}

/// `get_main()`
pub fn get_main() -> Result<u64> {
    let _use = runtime::enter()?;
    by_id(0).ok_or_else(|| Kind::WrongState("the main interpreter is gone".into()).into())
}

/// `Interpreter(id)`
pub fn find(id: i64) -> Result<u64> {
    if id < 0 {
        return Err(Kind::InvalidArgument(format!("interpreter ID must be a non-negative int, got {id}")).into());
    }
    let _use = runtime::enter()?;
    by_id(id).ok_or_else(|| Kind::NotFound(format!("unrecognized interpreter ID {id}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::RuntimeOptions;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_panic_inside_leaves_nothing_running() {
        let python = std::env::var_os("SUBPY_TEST_PYTHON").expect("the CPython to test with");
        runtime::init(&RuntimeOptions { python: Some(python.into()), ..RuntimeOptions::default() }).unwrap();
        let handle = create(&Options::default()).unwrap();
        let interpreter = driven(handle, "test").unwrap();
        let act = |_: Py, _: &Scope, _: &Interp| -> std::result::Result<(), Box<Failure>> { panic!("on purpose") };
        let panicked = here(|here| catch_unwind(AssertUnwindSafe(|| interpreter.inside(here, act))));
        assert!(panicked.is_err());
        assert!(!is_running(handle).unwrap());
        assert_eq!(loaded_api().and_then(current_interpreter), None);
        // CPython's own mark is gone too: a close asks for it.
        close(handle).unwrap();
        runtime::shutdown().unwrap();
    }
}
