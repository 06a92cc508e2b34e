//! CPython's life in this process. A thread of the library's own initialises it, parks, and finalises it: CPython wants
//! both on one thread, and no thread of the host has to be that one.

use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use super::error::{Error, Kind, Result};
use super::gate::{Busy, Refused};
use super::here::is_inside_any;
use super::interpreter::{INTERPRETERS, Interpreter, check_stack};
use super::thread as runs;
use crate::python::attach::{current_interpreter, detached};
use crate::python::find::{Found, Installation, loaded, locate};
use crate::python::interp::Interp;
use crate::python::run::Code;
use crate::python::stack::this_stack;
use crate::python::start::{self, StartError, Startup};
use crate::python::{hooks, loaded_api, lock};
use crate::value::{Args, subpy_value};

/// How the runtime is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeOptions {
    /// An executable, a venv's folder or a libpython; None: search.
    pub python: Option<PathBuf>,
    /// How CPython is initialised.
    pub startup: Startup,
}

enum Phase {
    Down,
    Starting,
    Up(Up),
    Stopping,
}

struct Up {
    options: RuntimeOptions,
    main: Arc<Interpreter>,
    /// None when a host had initialised CPython: then it is the host who finalises it.
    thread: Option<RuntimeThread>,
    /// Creations and the like that go on: no shutdown meanwhile.
    uses: usize,
}

struct RuntimeThread {
    finish: Sender<()>,
    handle: JoinHandle<()>,
}

static PHASE: Mutex<Phase> = Mutex::new(Phase::Down);
static CHANGED: Condvar = Condvar::new();
static UP: AtomicBool = AtomicBool::new(false);
/// Counts the runtimes of this process, so that no handle is ever given twice.
static GENERATION: AtomicU32 = AtomicU32::new(0);

pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

pub fn is_up() -> bool {
    UP.load(Ordering::Acquire)
}

/// Keeps the runtime from being shut down.
pub struct Use(());

impl Drop for Use {
    fn drop(&mut self) {
        if let Phase::Up(up) = &mut *lock(&PHASE) {
            up.uses -= 1;
        }
    }
}

/// The thread on which a host finalizes the CPython that it had initialised.
static HOST_EXITS_ON: Mutex<Option<ThreadId>> = Mutex::new(None);

/// CPython's finalization takes every interpreter that it finds for a whole one that nobody else is ending. So it waits here
/// for those that are being created or closed, and from now on refuses other threads to begin with that.
fn host_exits() {
    *lock(&HOST_EXITS_ON) = Some(thread::current().id());
    let changing = || match &*lock(&PHASE) {
        Phase::Up(up) => up.uses > 0 || INTERPRETERS.all().iter().any(|interpreter| interpreter.gate.may_be_closing()),
        Phase::Starting | Phase::Stopping => true,
        Phase::Down => false,
    };
    while changing() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Fails when a host is finalizing its CPython on another thread. To be asked when what it forbids has begun.
pub fn check_host_stays() -> Result<()> {
    match *lock(&HOST_EXITS_ON) {
        Some(thread) if thread != thread::current().id() => {
            Err(Kind::WrongState("the host's Python is being finalized".into()).into())
        }
        _ => Ok(()),
    }
}

/// Starts the runtime with the default options when it is not running, and keeps it running for the caller's while.
pub fn enter() -> Result<Use> {
    detached(loaded_api(), || {
        loop {
            start_with(None)?;
            // Another thread may have shut it down again in between.
            if let Phase::Up(up) = &mut *lock(&PHASE) {
                up.uses += 1;
                return Ok(Use(()));
            }
        }
    })
}

/// As `enter`, but only when there is a CPython that a host has started.
pub fn enter_if_hosted() -> Result<Option<Use>> {
    let hosted = loaded::in_process().is_some_and(|loaded| loaded.initialized);
    if hosted { enter().map(Some) } else { Ok(None) }
}

/// Starts the runtime; fine when it runs with the same options.
pub fn init(options: &RuntimeOptions) -> Result<()> {
    detached(loaded_api(), || start_with(Some(options)))
}

fn stopping() -> Error {
    Kind::WrongState("subpy is being shut down on another thread; init works again when that is done".into()).into()
}

/// None: whatever options it runs with are fine.
fn start_with(options: Option<&RuntimeOptions>) -> Result<()> {
    let mut phase = lock(&PHASE);
    while matches!(*phase, Phase::Starting) {
        phase = CHANGED.wait(phase).unwrap_or_else(PoisonError::into_inner);
    }
    match &*phase {
        Phase::Up(up) => {
            return match options {
                Some(options) if *options != up.options => Err(Kind::WrongState(
                    "subpy runs already, with other options; call subpy_init() before the first use, or \
                     subpy_shutdown() first"
                        .into(),
                )
                .into()),
                _ => Ok(()),
            };
        }
        Phase::Stopping => return Err(stopping()),
        // Some of it happens on this thread.
        Phase::Down | Phase::Starting => {
            check_stack()?;
            *phase = Phase::Starting;
        }
    }
    // From here until the runtime is down again, the child of a fork would wait for threads that it does not have.
    hooks::watch_forks();
    hooks::set_started(true);
    drop(phase);
    let options = options.cloned().unwrap_or_default();
    let result = std::panic::catch_unwind(|| start(options))
        .unwrap_or_else(|_| Err(Kind::Panic("starting the runtime panicked".into()).into()));
    let mut phase = lock(&PHASE);
    let result = match result {
        Ok(up) => {
            *phase = Phase::Up(up);
            UP.store(true, Ordering::Release);
            Ok(())
        }
        Err(error) => {
            *phase = Phase::Down;
            hooks::set_started(false);
            Err(error)
        }
    };
    CHANGED.notify_all();
    result
}

fn start(options: RuntimeOptions) -> Result<Up> {
    let found = locate(options.python.as_deref(), &|name| std::env::var_os(name))?;
    let adopted = start::load(&found)?;
    let thread = if adopted {
        start::adopt()?;
        *lock(&HOST_EXITS_ON) = None;
        None
    } else {
        Some(start_thread(installation(found, &options)?, options.startup)?)
    };
    // The first time it is only now known that this thread comes from Python code.
    let ready = detached(loaded_api(), || Interp::main(!adopted, host_exits))
        .map_err(Error::from)
        .and_then(|main| Interpreter::register(main, Busy::Refuse));
    match ready {
        Ok(main) => Ok(Up { options, main, thread, uses: 0 }),
        Err(error) => {
            finish(thread);
            Err(error)
        }
    }
}

/// What to start, and for the next start with the same choice of a CPython remembered: by then the library is loaded, and
/// says nothing of the virtual environment that led to it.
fn installation(found: Found, options: &RuntimeOptions) -> Result<Installation> {
    static FIRST: Mutex<Option<(Option<PathBuf>, Installation)>> = Mutex::new(None);
    let mut first = lock(&FIRST);
    let installation = match (found, &*first) {
        (Found::InProcess(_), Some((python, installation))) if *python == options.python => installation.clone(),
        (Found::OnDisk(installation), _) => installation,
        (Found::InProcess(loaded), _) => loaded.installation.ok_or_else(|| {
            let path = loaded.library.unwrap_or_default();
            Kind::PythonUnsupported(format!(
                "{} is loaded and not initialised, but its standard library was not found beside it",
                path.display()
            ))
        })?,
    };
    *first = Some((options.python.clone(), installation.clone()));
    Ok(installation)
}

/// What CPython's own main thread usually has.
pub(super) const STACK_SIZE: usize = 8 << 20;

fn start_thread(installation: Installation, startup: Startup) -> Result<RuntimeThread> {
    let (started, result) = channel();
    let (finish, finished) = channel();
    let handle = thread::Builder::new()
        .name("subpy-runtime".into())
        .stack_size(STACK_SIZE)
        .spawn(move || runtime_thread(&installation, startup, &started, &finished))
        .map_err(|error| Kind::Interpreter(format!("the runtime's thread was not created: {error}")))?;
    match result.recv() {
        Ok(Ok(())) => Ok(RuntimeThread { finish, handle }),
        Ok(Err(error)) => {
            let _ = handle.join();
            Err(error.into())
        }
        Err(_) => Err(Kind::Panic("the runtime's thread panicked".into()).into()),
    }
}

fn runtime_thread(
    installation: &Installation,
    startup: Startup,
    started: &Sender<Result<(), StartError>>,
    finish: &Receiver<()>,
) {
    match start::initialize(installation, startup) {
        Err(error) => drop(started.send(Err(error))),
        Ok(state) => {
            let _ = started.send(Ok(()));
            // An error means that the sender is gone without a word, which only a panic does: leave CPython alone then.
            if finish.recv().is_ok() {
                start::finalize(state);
            }
        }
    }
}

fn finish(thread: Option<RuntimeThread>) {
    if let Some(RuntimeThread { finish, handle }) = thread {
        let _ = finish.send(());
        let _ = handle.join();
    }
}

/// Closes every interpreter and finalises CPython, unless something runs. Fine when it does not run.
pub fn shutdown() -> Result<()> {
    let current = if is_up() { loaded_api().and_then(current_interpreter) } else { None };
    detached(loaded_api(), || {
        let mut phase = lock(&PHASE);
        while matches!(*phase, Phase::Starting) {
            phase = CHANGED.wait(phase).unwrap_or_else(PoisonError::into_inner);
        }
        let up = match std::mem::replace(&mut *phase, Phase::Stopping) {
            Phase::Up(up) => up,
            Phase::Stopping => return Err(stopping()),
            Phase::Down | Phase::Starting => {
                *phase = Phase::Down;
                return Ok(());
            }
        };
        // A thread that Python code started is in no run of ours, and would be waited for all the same. Main alone may
        // be where a host's own Python calls from.
        let inside = is_inside_any() || current.is_some_and(|id| id != 0 || up.thread.is_some());
        let gates = if inside {
            Err(Kind::Busy("cannot shut down from inside an interpreter".into()).into())
        } else {
            check_stack().and_then(|_| check_host_stays()).and_then(|()| close_all_gates(&up))
        };
        let ours = match gates {
            Ok(ours) => ours,
            Err(error) => {
                *phase = Phase::Up(up);
                return Err(error);
            }
        };
        UP.store(false, Ordering::Release);
        drop(phase);
        stop(up, ours);
        let mut phase = lock(&PHASE);
        *phase = Phase::Down;
        hooks::set_started(false);
        drop(phase);
        CHANGED.notify_all();
        Ok(())
    })
}

/// Lets nobody into any interpreter any more; all or none.
fn close_all_gates(up: &Up) -> Result<Vec<Arc<Interpreter>>> {
    if up.uses > 0 {
        return Err(Kind::Busy("an interpreter is being created".into()).into());
    }
    runs::check_idle()?;
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

fn stop(up: Up, ours: Vec<Arc<Interpreter>>) {
    runs::forget_all();
    for interpreter in ours.iter().filter(|interpreter| interpreter.id != 0) {
        interpreter.end();
    }
    if let Some(main) = &up.main.python {
        // CPython's own finalization can crash on interpreters that are left (python/cpython, finalize_subinterpreters).
        for id in hooks::foreign_ids().into_iter().rev() {
            let args = [subpy_value::int(id)];
            let args = Args { items: &args, kwargs: &[] };
            let destroy = Code::Call { callable: "_interpreters:destroy", args };
            // One that is gone by now (its creator held it) is no harm.
            let _: Result<(), _> =
                main.run(None, this_stack(), |py, scope| crate::python::run::run(py, scope, destroy, None));
        }
        main.release();
    }
    up.main.gate.closed();
    INTERPRETERS.drain();
    let adopted = up.thread.is_none();
    finish(up.thread);
    // An adopted CPython goes on, with its ids and with whatever a thread of the host is ending at this moment.
    if !adopted {
        hooks::forget_all();
    }
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// The version of CPython, `3.14.6`; None before the first init.
pub fn python_version() -> Option<&'static CStr> {
    start::library().map(|library| library.version_text.as_c_str())
}

/// The path of the libpython in use; None before the first init.
pub fn python_library() -> Option<&'static CStr> {
    start::library().map(|library| library.path_text.as_c_str())
}
