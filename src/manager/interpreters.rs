//! The operations of `concurrent.interpreters`: create, close, and the questions one can ask.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use super::conversation;
use super::elsewhere::Elsewhere;
use super::error::{Error, Kind, Result};
use super::gate::Refused;
use super::here::here;
use super::interpreter::{INTERPRETERS, Interpreter, by_id, check_stack, driven, get, unrecognized};
use super::limits;
use super::memory::{self, Memory};
use super::options::{LockInfo, Options, ProcessOptions};
use super::processes;
use super::runtime;
use crate::platform::is_first_thread;
use crate::platform::thread::aside;
use crate::process::settings::Settings;
use crate::python::attach::{Outside, current_interpreter, detached};
use crate::python::guest::Config;
use crate::python::hooks;
use crate::python::interp::{Interp, Scope};
use crate::python::loaded_api;
use crate::python::object::{Py, Raised};
use crate::python::stack::{self, STACK_SIZE};
use crate::python::venv::{self, Venv};

/// `create()`; starts the runtime when it is not running.
pub fn create(options: &Options) -> Result<u64> {
    options.check_together()?;
    if let Some(process) = &options.process {
        return create_process(options, process);
    }
    check_stack()?;
    detached(loaded_api(), || {
        let _use = runtime::enter()?;
        runtime::check_host_takes_more()?;
        let options = &*with_venv(options)?;
        if options.timeout.is_some() || options.memory_limit.is_some() {
            limits::check_supported()?;
        }
        if options.counts_memory() {
            memory::check_countable()?;
        }
        let elsewhere = is_first_thread() || !stack::is_own_stack();
        let python = if elsewhere { create_on_a_thread(options)? } else { create_here(options)? };
        if let Some(limit) = options.memory_limit
            && let Err(error) = limits::limit_memory(&python, limit)
        {
            python.end();
            return Err(error);
        }
        Ok(Interpreter::register(python, options.busy, options.timeout)?.handle)
    })
}

/// An interpreter in a process of its own.
fn create_process(options: &Options, process: &ProcessOptions) -> Result<u64> {
    detached(loaded_api(), || {
        let _use = runtime::enter()?;
        runtime::check_host_takes_more()?;
        let options = &*with_venv(options)?;
        let Config { unbuffered, no_stdin, tagged_values, count_memory, ref path, ref venv, .. } = options.config;
        let settings = Settings {
            unbuffered,
            no_stdin,
            tagged_values,
            count_memory,
            locked: process.locked,
            lock_best_effort: process.lock_best_effort,
            memory_limit: options.memory_limit.unwrap_or(0),
            cpu_limit_ms: process.cpu_limit.map_or(0, |limit| limit.as_millis() as u64),
            path: path.iter().map(PathBuf::from).collect(),
            venv: venv.as_ref().map(|venv| venv.folder.clone().into()),
            venv_with_system: venv.as_ref().is_some_and(|venv| venv.with_system),
            readable: process.readable.clone(),
            writable: process.writable.clone(),
        };
        let elsewhere = Elsewhere::new(processes::create(&settings)?, process.grace, process.locked)?;
        let id = processes::next_id();
        let interpreter = Interpreter::register_elsewhere(elsewhere, id, options.busy, options.timeout)?;
        processes::serve_python_threads(&interpreter);
        processes::give_back(&interpreter);
        Ok(interpreter.handle)
    })
}

/// With what its virtual environment says of itself. The runtime has started: it is known which Python it is.
fn with_venv(options: &Options) -> Result<Cow<'_, Options>> {
    let Some(venv) = &options.config.venv else { return Ok(Cow::Borrowed(options)) };
    let with_system = venv::check(&venv.folder).map_err(Kind::InvalidArgument)?;
    let mut options = options.clone();
    options.config.venv = Some(Venv { folder: venv.folder.clone(), with_system });
    Ok(Cow::Owned(options))
}

#[inline(never)] // its frame is a large one
fn create_here(options: &Options) -> Result<Interp> {
    Ok(detached(loaded_api(), || Interp::create(&options.config, options.counts_memory()))?)
}

/// On the process's main thread CPython reads /proc/self/maps for every thread state that it makes, a dozen for one
/// interpreter, each 0.1 ms in a small process and 5 ms in one with as many mappings as a JVM has. Elsewhere it does
/// not. On a stack that is not the thread's own, CPython gives these states the wrong bounds, and loses 3 MiB an
/// interpreter.
fn create_on_a_thread(options: &Options) -> Result<Interp> {
    let work = || create_here(options);
    let created = detached(loaded_api(), || aside("subpy-create", STACK_SIZE, work, || ()));
    match created {
        Ok(Ok(created)) => created,
        Ok(Err(_)) => Err(Kind::Panic("the creation of an interpreter panicked".into()).into()),
        // No more threads: it is only slower here.
        Err(_) => create_here(options),
    }
}

/// The interpreter, if this thread may close it.
pub(super) fn closable(handle: u64) -> Result<Arc<Interpreter>> {
    let interpreter = get(handle)?;
    if interpreter.is_theirs() {
        return Err(unrecognized("destroy", &interpreter));
    }
    let fail = |kind: Kind| Err(Error::from(kind).of(handle));
    if interpreter.id == 0 {
        return fail(Kind::Interpreter("cannot destroy the main interpreter, subpy_shutdown() ends it".into()));
    }
    let is_current = match conversation::caller() {
        0 => loaded_api().and_then(current_interpreter) == Some(interpreter.id),
        caller => caller == handle,
    };
    if is_current {
        return fail(Kind::Interpreter("cannot destroy the current interpreter".into()));
    }
    // A thread that Python code started there has no run of ours in it, and would be waited for.
    let comes_from_it = || {
        loaded_api()
            .and_then(Outside::step_out)
            .is_some_and(|outside| interpreter.python().is_some_and(|python| python.is_left(&outside)))
    };
    if !here(|here| here.inside.contains(handle)) && comes_from_it() {
        return fail(Kind::Interpreter(
            "cannot destroy the interpreter: this thread is running something in it".into(),
        ));
    }
    if here(|here| here.keeps.contains(handle)) {
        let what = "a function of the host's that takes what the interpreter prints, or is told of its end, is running on \
                    this thread";
        return fail(Kind::Busy(what.into()));
    }
    check_stack()?;
    Ok(interpreter)
}

/// `close()`
pub fn close(handle: u64) -> Result<()> {
    let interpreter = closable(handle)?;
    detached(loaded_api(), || {
        interpreter.gate.begin_close().map_err(|refused| match refused {
            Refused::Running => Error::from(Kind::Busy("interpreter running".into())).of(handle),
            refused => interpreter.refused(refused),
        })?;
        let runs = interpreter.python().is_some_and(Interp::is_running_otherwise);
        let busy = runs.then(|| Kind::Busy("interpreter running".into()).into());
        if let Some(refused) = busy.or_else(|| runtime::check_host_stays().err()) {
            interpreter.gate.reopen();
            return Err(refused.of(handle));
        }
        interpreter.gate.close();
        interpreter.end(false);
        Ok(())
    })
}

/// Sets up main, which has begun without this.
pub fn configure(main: u64, config: &Config) -> Result<()> {
    let interpreter = get(main)?;
    let configure = |py: Py, scope: &Scope, python: &Interp| {
        python.configure(py, config).map_err(|Raised| scope.failure(py).into())
    };
    here(|here| here.run_in(&interpreter, None, configure)).map_err(|error| *error)
}

/// `is_running()`
pub fn is_running(handle: u64) -> Result<bool> {
    let interpreter = get(handle)?;
    if interpreter.is_theirs() {
        return interpreter.foreign().map(|state| state.running);
    }
    interpreter.gate.is_running().map_err(|refused| interpreter.refused(refused))
}

/// Stops what runs in it now, all of it.
pub fn interrupt(handle: u64) -> Result<()> {
    let interpreter = get(handle)?;
    if interpreter.is_theirs() {
        return Err(unrecognized("interrupt", &interpreter));
    }
    // Without a GIL: whoever has that may wait for what is locked meanwhile.
    detached(loaded_api(), || limits::interrupt_all(&interpreter)).map_err(|error| error.of(handle))
}

/// It had a process of its own, which has ended by itself.
pub(super) fn has_crashed(handle: u64) -> bool {
    let Ok(interpreter) = get(handle) else { return false };
    let has_ended = interpreter.elsewhere().is_some_and(Elsewhere::has_ended);
    if has_ended {
        interpreter.is_gone();
    }
    has_ended
}

/// Ends the process of an interpreter that has one of its own; true: it has.
pub(super) fn kill(handle: u64) -> bool {
    let Ok(interpreter) = get(handle) else { return false };
    interpreter.elsewhere().map(Elsewhere::kill).is_some()
}

/// What holds a locked interpreter's process.
pub fn lock_of(handle: u64) -> Result<LockInfo> {
    let interpreter = driven(handle, "ask for the lock of")?;
    let Some(elsewhere) = interpreter.elsewhere().filter(|elsewhere| elsewhere.is_locked) else {
        let kind = Kind::WrongState("the interpreter is not locked: that takes SUBPY_INTERP_LOCKED".into());
        return Err(Error::from(kind).of(handle));
    };
    here(|here| here.visit_elsewhere(&interpreter, elsewhere, |asked| asked.lock_info()))
}

/// How much memory an interpreter uses.
pub fn memory(handle: u64) -> Result<Memory> {
    let interpreter = driven(handle, "count the memory of")?;
    if let Some(elsewhere) = interpreter.elsewhere() {
        return here(|here| here.visit_elsewhere(&interpreter, elsewhere, |asked| asked.memory()));
    }
    let memory = interpreter.python().and_then(Interp::memory);
    memory.ok_or_else(|| {
        let kind = Kind::WrongState(
            "the interpreter's memory is not counted: that takes SUBPY_INTERP_COUNT_MEMORY or a memory_limit".into(),
        );
        Error::from(kind).of(handle)
    })
}

/// CPython's id
pub fn id(handle: u64) -> Result<i64> {
    Ok(get(handle)?.id)
}

/// Where it came from, in CPython's words (Include/internal/pycore_interp.h: _PyInterpreterState_WHENCE_*).
pub fn whence(handle: u64) -> Result<&'static std::ffi::CStr> {
    let interpreter = get(handle)?;
    let whence = match interpreter.python() {
        Some(python) => python.whence,
        None if interpreter.elsewhere().is_some() => return Ok(c"process"),
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
    detached(loaded_api(), || {
        let _use = runtime::enter()?;
        let mut ids: Vec<i64> = INTERPRETERS.all().iter().filter(|it| !it.is_theirs()).map(|it| it.id).collect();
        ids.extend(hooks::foreign_ids());
        ids.sort_unstable();
        ids.dedup();
        Ok(ids.into_iter().filter_map(by_id).collect())
    })
}

/// `get_current()`; like every first use, it adopts the CPython of a host. It starts none.
pub fn get_current() -> Result<u64> {
    if !runtime::is_up() {
        detached(loaded_api(), runtime::adopt_if_hosted)?;
    }
    let current = || if runtime::is_up() { loaded_api().and_then(current_interpreter).and_then(by_id) } else { None };
    let caller = Some(conversation::caller()).filter(|caller| *caller != 0);
    caller.or_else(current).ok_or_else(|| Kind::NotFound("this thread is in no interpreter".into()).into())
}

/// `get_main()`
pub fn get_main() -> Result<u64> {
    detached(loaded_api(), || {
        let _use = runtime::enter()?;
        by_id(0).ok_or_else(|| Kind::WrongState("the main interpreter is gone".into()).into())
    })
}

/// `Interpreter(id)`
pub fn find(id: i64) -> Result<u64> {
    if id < 0 {
        return Err(Kind::InvalidArgument(format!("interpreter ID must be a non-negative int, got {id}")).into());
    }
    detached(loaded_api(), || {
        let _use = runtime::enter()?;
        by_id(id).ok_or_else(|| Kind::NotFound(format!("unrecognized interpreter ID {id}")).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::here::here;
    use crate::manager::interpreter::driven;
    use crate::manager::shutdown::shutdown;
    use crate::python::Failure;
    use crate::python::interp::Scope;
    use crate::python::object::Py;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_panic_inside_leaves_nothing_running() {
        let _runtime = runtime::for_tests();
        let handle = create(&Options::default()).unwrap();
        let interpreter = driven(handle, "test").unwrap();
        let act = |_: Py, _: &Scope, _: &Interp| -> std::result::Result<(), Box<Failure>> { panic!("on purpose") };
        let panicked = here(|here| catch_unwind(AssertUnwindSafe(|| here.run_in(&interpreter, None, act))));
        assert!(panicked.is_err());
        assert!(!is_running(handle).unwrap());
        assert_eq!(loaded_api().and_then(current_interpreter), None);
        // CPython's own mark is gone too: a close asks for it.
        close(handle).unwrap();
        shutdown().unwrap();
    }
}
