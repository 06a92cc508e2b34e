//! Where interpreters' processes come from: forks of one process that is started when the first one is wanted.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::error::{Error, Kind, Result};
use super::here::here;
use super::interpreter::Interpreter;
use super::run;
use super::runtime::{self, RuntimeOptions};
use crate::platform::has_more_rights;
use crate::platform::thread::spawn;
use crate::process::child::Child;
use crate::process::settings::Settings;
use crate::process::spawn::{self, SpawnError, Spawner};
use crate::python::run::Code;
use crate::python::stack::STACK_SIZE;
use crate::python::{lock, start};
use crate::value::{OwnedValue, ValueRef, View, Wanted};

/// The ids of these interpreters begin here: CPython gives none that is as high.
const FIRST_ID: i64 = 1 << 31;

/// A machine that is busy takes its time; one that takes longer has other troubles.
const PATIENCE: Duration = Duration::from_secs(30);

static SPAWNER: Mutex<Option<Arc<Spawner>>> = Mutex::new(None);

/// The next interpreter's.
pub fn next_id() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    FIRST_ID + LAST.fetch_add(1, Ordering::Relaxed) % FIRST_ID
}

/// A new process. The runtime is up.
pub fn create(settings: &Settings) -> Result<Child> {
    let spawner = spawner()?;
    spawner.create(settings, PATIENCE).map_err(|error| match error {
        SpawnError::Crashed(death) => Error::from(&*death),
        SpawnError::Forked => Kind::Forked.into(),
        error => Kind::Interpreter(format!("no process for an interpreter could be started: {error}")).into(),
    })
}

fn spawner() -> Result<Arc<Spawner>> {
    if let Some(spawner) = &*lock(&SPAWNER) {
        return Ok(Arc::clone(spawner));
    }
    // One thread alone asks the host's Python: the others would find it running.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = lock(&MAKING);
    if let Some(spawner) = &*lock(&SPAWNER) {
        return Ok(Arc::clone(spawner));
    }
    let (options, main) = runtime::options()?;
    let (python, path) = match main {
        Some(main) => host_python(main)?,
        // A process that is started has no more rights, and would search in another way than this one.
        None if has_more_rights() => (options.python.or_else(|| start::library()?.path.clone()), Vec::new()),
        None => (options.python, Vec::new()),
    };
    let RuntimeOptions { startup, worker, preload, .. } = options;
    let startup = startup.without_environment(has_more_rights());
    let options = spawn::Options { program: worker, library: None, python, flags: startup.flags(), path, preload };
    let new = Spawner::new(options)
        .map_err(|error| Kind::Interpreter(format!("the thread that watches processes was not started: {error}")))?;
    Ok(Arc::clone(lock(&SPAWNER).insert(Arc::new(new))))
}

/// The executable of a host that is Python, with which its virtual environment is found, too, and its `sys.path`, as far as
/// both can be said in UTF-8.
const HOST_PYTHON: &str = "[text if type(text) is str and text.encode(errors='ignore').decode() == text else None \
                           for sys in [__import__('sys')] for text in [sys.executable, *sys.path]]";

fn host_python(main: u64) -> Result<(Option<PathBuf>, Vec<PathBuf>)> {
    let mut result = OwnedValue::none();
    let code = Code::Eval { expression: HOST_PYTHON, filename: None };
    run::run_with(main, code, Wanted::value(Some(&mut result)), None, None).map_err(|error| *error)?;
    let text = |text: ValueRef| match text.view() {
        View::Str(text) => Some(PathBuf::from(text)),
        _ => None,
    };
    let mut texts = (0..).map_while(|index| result.as_ref().element(index));
    let executable = texts.next().and_then(text).filter(|path| !path.as_os_str().is_empty());
    Ok((executable, texts.filter_map(text).collect()))
}

/// The runtime ends. All processes that are left end, and are waited for.
pub fn end() {
    let spawner = lock(&SPAWNER).take();
    drop(spawner);
}

/// Threads of Python's may ask the host something from now on.
pub fn serve_python_threads(interpreter: &Arc<Interpreter>) {
    let Some(elsewhere) = interpreter.elsewhere() else { return };
    let interpreter = Arc::downgrade(interpreter);
    elsewhere.on_wanted(Arc::new(move || {
        let Some(interpreter) = interpreter.upgrade() else { return };
        let theirs = Arc::clone(&interpreter);
        let serve = move || {
            if let Some(elsewhere) = theirs.elsewhere() {
                here(|here| here.serve_python(&theirs, elsewhere));
                elsewhere.serves_one_less();
            }
        };
        let Some(elsewhere) = interpreter.elsewhere() else { return };
        if !elsewhere.serves_one_more() {
            elsewhere.refuse();
            return;
        }
        let spawned = spawn("subpy-python", STACK_SIZE, serve);
        if spawned.is_err() {
            elsewhere.serves_one_less();
            elsewhere.refuse();
        }
    }));
}

/// What it has no more is given back also while nothing runs in it.
pub fn give_back(interpreter: &Arc<Interpreter>) {
    let Some(elsewhere) = interpreter.elsewhere() else { return };
    let interpreter = Arc::downgrade(interpreter);
    elsewhere.on_released(Arc::new(move |number| {
        let Some(interpreter) = interpreter.upgrade() else { return };
        let has =
            |interpreter: &Interpreter| interpreter.elsewhere().is_some_and(|elsewhere| elsewhere.passed.has(number));
        if !has(&interpreter) {
            return;
        }
        // Whoever passed it is told on a thread where he may do anything.
        let release = move || {
            if let Some(elsewhere) = interpreter.elsewhere() {
                elsewhere.release(number);
            }
        };
        // Without a thread for it, it is given back at the end of the process.
        let _ = spawn("subpy-release", STACK_SIZE, release);
    }));
}
