//! CPython's life in this process. A thread of the library's own initialises it, parks, and finalises it: CPython wants
//! both on one thread, and no thread of the host has to be that one.

use std::cell::Cell;
use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::error::{Error, Kind, Result};
use super::gate::Busy;
use super::handle;
use super::here::here;
use super::home;
use super::interpreter::{INTERPRETERS, Interpreter, check_stack};
use super::runtime_thread::Thread;
use super::timer;
use crate::platform::has_more_rights;
use crate::python::attach::{comes_from_another, detached, is_outside};
use crate::python::find::{Found, Installation, loaded, locate};
use crate::python::hooks::Host;
use crate::python::interp::Interp;
use crate::python::start::{self, Startup};
use crate::python::{fork, hooks, loaded_api, lock};
use crate::value::enough;

/// How the runtime is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// An executable, a venv's folder or a libpython; None: search.
    pub(crate) python: Option<PathBuf>,
    /// How CPython is initialised.
    pub(crate) startup: Startup,
    /// The program that processes for interpreters begin with; None: the one that is a part of the library.
    pub(crate) worker: Option<PathBuf>,
    /// Modules that are imported once for all processes for interpreters.
    pub(crate) preload: Vec<String>,
}

enum Phase {
    Down,
    Starting,
    Up(Up),
    Stopping,
    /// The CPython of a host is not finalized yet, and already of no use.
    HostEnds,
}

pub struct Up {
    options: RuntimeOptions,
    pub(super) main: Arc<Interpreter>,
    thread: Thread,
    /// Creations and the like that go on: no shutdown meanwhile.
    pub(super) uses: usize,
}

impl Up {
    /// A host had initialised CPython.
    pub fn is_adopted(&self) -> bool {
        matches!(self.thread, Thread::Hosts)
    }

    /// A thread of the library's finalizes it, where nothing can be interrupted.
    pub fn has_own_thread(&self) -> bool {
        matches!(self.thread, Thread::Own(_))
    }
}

static PHASE: Mutex<Phase> = Mutex::new(Phase::Down);
static CHANGED: Condvar = Condvar::new();
static UP: AtomicBool = AtomicBool::new(false);

pub fn is_up() -> bool {
    UP.load(Ordering::Acquire)
}

/// How it was started; and main, when a host had initialised CPython. It is up.
pub fn options() -> Result<(RuntimeOptions, Option<u64>)> {
    match &*lock(&PHASE) {
        Phase::Up(up) => Ok((up.options.clone(), up.is_adopted().then_some(up.main.handle))),
        _ => Err(stopping()),
    }
}

/// It runs, in a CPython that a host had initialised.
pub fn is_adopted() -> bool {
    matches!(&*lock(&PHASE), Phase::Up(up) if up.is_adopted())
}

/// Keeps the runtime from being shut down. It has the number of that runtime, because a host may end its CPython all
/// the same.
pub struct Use(u32);

impl Drop for Use {
    fn drop(&mut self) {
        if let Phase::Up(up) = &mut *lock(&PHASE)
            && self.0 == handle::runtime()
        {
            up.uses -= 1;
        }
    }
}

/// Which of the host's exits it is that finalizes the CPython that it had initialised: they are counted. 0: none.
static HOST_EXITS: Mutex<u64> = Mutex::new(0);

thread_local! {
    /// The exit that is on this thread. (`thread::current()` panics in late destructors of a thread.)
    static HOST_EXITS_HERE: Cell<u64> = const { Cell::new(0) };
    /// And whether an interpreter of ours was ended in it.
    static HOST_ENDS_OTHERS: Cell<bool> = const { Cell::new(false) };
}

/// CPython's finalization takes every interpreter that it finds for a whole one that nobody else is ending. So it waits
/// here for those that are being created or closed, and from now on refuses other threads to begin with that.
fn host_exits() {
    static EXITS: AtomicU64 = AtomicU64::new(0);
    let exit = EXITS.fetch_add(1, Ordering::Relaxed) + 1;
    HOST_EXITS_HERE.set(exit);
    HOST_ENDS_OTHERS.set(false);
    *lock(&HOST_EXITS) = exit;
    let changing = || match &*lock(&PHASE) {
        Phase::Up(up) => up.uses > 0 || INTERPRETERS.all().iter().any(|interpreter| interpreter.gate.may_be_closing()),
        Phase::Starting | Phase::Stopping => true,
        Phase::Down | Phase::HostEnds => false,
    };
    while changing() {
        thread::sleep(Duration::from_millis(1));
    }
}

fn host_ends_others() {
    HOST_ENDS_OTHERS.set(true);
}

/// A host has finalized its CPython: the runtime is down, without any of what a shutdown does in it.
fn host_ended() {
    let mut phase = lock(&PHASE);
    if !matches!(*phase, Phase::Up(_)) {
        return;
    }
    // Until the host has been told: what it does then must not begin anew.
    let ended = std::mem::replace(&mut *phase, Phase::Stopping);
    if let Phase::Up(up) = &ended {
        if let Some(main) = up.main.python() {
            main.close_interrupts();
        }
        up.main.gate.closed();
        INTERPRETERS.drain();
        UP.store(false, Ordering::Release);
        handle::next_runtime();
        fork::set_started(false);
    }
    drop(phase);
    if let Phase::Up(up) = ended
        && let Some(python) = up.main.python()
    {
        python.hosts.retire();
        python.hosts.end();
    }
    let phase = if hooks::will_tell_of_finalized() { Phase::HostEnds } else { Phase::Down };
    *lock(&PHASE) = phase;
    CHANGED.notify_all();
}

/// Another CPython may be started.
fn host_finalized() {
    let mut phase = lock(&PHASE);
    if matches!(*phase, Phase::HostEnds) {
        *phase = Phase::Down;
    }
}

/// Fails when a host is finalizing its CPython on another thread. To be asked when what it forbids has begun.
pub fn check_host_stays() -> Result<()> {
    let exit = *lock(&HOST_EXITS);
    if exit == 0 || exit == HOST_EXITS_HERE.get() {
        return Ok(());
    }
    Err(host_is_being_finalized())
}

fn host_is_being_finalized() -> Error {
    Kind::WrongState("the host's Python is being finalized".into()).into()
}

/// Fails also on the thread that finalizes it, once CPython ends the interpreters: it would miss a new one, and abort.
pub fn check_host_takes_more() -> Result<()> {
    check_host_stays()?;
    let is_exiting = HOST_EXITS_HERE.get() != 0 && HOST_EXITS_HERE.get() == *lock(&HOST_EXITS);
    let in_another = || loaded_api().is_some_and(comes_from_another);
    if is_exiting && (HOST_ENDS_OTHERS.get() || in_another()) { Err(host_is_being_finalized()) } else { Ok(()) }
}

/// Starts the runtime with the default options when it is not running, and keeps it running for the caller's while. To
/// be called detached: a thread that went back to an interpreter which has ended meanwhile would be parked with what it
/// has here.
pub fn enter() -> Result<Use> {
    loop {
        start_with(None, false)?;
        // Another thread may have shut it down again in between.
        if let Some(in_use) = enter_if_up()? {
            return Ok(in_use);
        }
    }
}

/// As `enter`, but starts nothing.
pub fn enter_if_up() -> Result<Option<Use>> {
    match &mut *lock(&PHASE) {
        Phase::Up(up) => {
            up.uses += 1;
            Ok(Some(Use(handle::runtime())))
        }
        Phase::Stopping => Err(stopping()),
        Phase::HostEnds => Err(host_is_being_finalized()),
        Phase::Down | Phase::Starting => Ok(None),
    }
}

/// Starts the runtime when there is a CPython that a host has started. To be called detached.
pub fn adopt_if_hosted() -> Result<()> {
    let hosted = loaded::in_process().is_some_and(|loaded| loaded.initialized);
    // The one that is being stopped is the library's own, or the library has done with it.
    if !hosted || matches!(*lock(&PHASE), Phase::Stopping) { Ok(()) } else { start_with(None, false) }
}

/// Starts the runtime; fine when it runs with the same options.
pub fn init(options: &RuntimeOptions) -> Result<()> {
    detached(loaded_api(), || start_with(Some(options), false))
}

/// Starts the runtime with CPython on the calling thread, in a process that is going to be forked. Runs share main: who
/// may run in a fork is decided elsewhere.
pub fn init_here(options: &RuntimeOptions) -> Result<()> {
    if is_up() || loaded::in_process().is_some_and(|loaded| loaded.initialized) {
        return Err(Kind::WrongState("CPython is initialised in this process already".into()).into());
    }
    start_with(Some(options), true)
}

fn stopping() -> Error {
    Kind::WrongState("subpy is being shut down on another thread; init works again when that is done".into()).into()
}

/// The phase, when no other thread is starting CPython (any more). That one may need the GIL that this thread holds,
/// which it cannot give away before a CPython was loaded: so it is told of that, and asks again.
fn lock_phase() -> Result<MutexGuard<'static, Phase>> {
    loop {
        let phase = lock(&PHASE);
        if !matches!(*phase, Phase::Starting) {
            return Ok(phase);
        }
        if home::is_initializing() {
            let message =
                "CPython is being started, and runs the code that calls subpy (a sitecustomize or .pth file?)";
            return Err(Kind::WrongState(message.into()).into());
        }
        drop(phase);
        let api = loaded_api();
        detached(api, || {
            let mut phase = lock(&PHASE);
            while matches!(*phase, Phase::Starting) && loaded_api().is_some() == api.is_some() {
                phase = CHANGED.wait(phase).unwrap_or_else(PoisonError::into_inner);
            }
        });
    }
}

/// None: whatever options it runs with are fine.
fn start_with(options: Option<&RuntimeOptions>, here: bool) -> Result<()> {
    if !enough() {
        return Err(Kind::NoMemory.into());
    }
    let mut phase = lock_phase()?;
    match &*phase {
        Phase::Up(up) => {
            return match options {
                Some(options) if *options != up.options => Err(Kind::WrongState(
                    "subpy is running already, with other options; call subpy_init() before the first use, or \
                     subpy_shutdown() first"
                        .into(),
                )
                .into()),
                _ => Ok(()),
            };
        }
        Phase::Stopping => return Err(stopping()),
        Phase::HostEnds => return Err(host_is_being_finalized()),
        // Some of it happens on this thread.
        Phase::Down | Phase::Starting => {
            check_stack()?;
            *phase = Phase::Starting;
        }
    }
    // From here until the runtime is down again, the child of a fork would wait for threads that it does not have.
    fork::mind(|| fork::is_unlocked(&PHASE));
    fork::set_started(true);
    drop(phase);
    let options = options.cloned().unwrap_or_default();
    let result = std::panic::catch_unwind(|| start(options, here))
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
            fork::set_started(false);
            Err(error)
        }
    };
    CHANGED.notify_all();
    result
}

fn start(options: RuntimeOptions, here: bool) -> Result<Up> {
    let found = locate(options.python.as_deref(), &|name| std::env::var_os(name), has_more_rights())?;
    let startup = options.startup.without_environment(has_more_rights());
    let adopted = start::load(&found)?;
    // Those who wait may hold the GIL that is needed next (`lock_phase`). Locked, so that none of them misses it.
    drop(lock(&PHASE));
    CHANGED.notify_all();
    let thread = if adopted {
        start::adopt()?;
        Thread::Hosts
    } else {
        check_goes_back_nowhere()?;
        let installation = installation(found, &options)?;
        match here {
            true => {
                home::keep(home::initialize(&installation, startup)?);
                Thread::Home
            }
            false => Thread::start(installation, startup)?,
        }
    };
    // Whatever host there was before has finished.
    *lock(&HOST_EXITS) = 0;
    // The first time it is only now known that this thread comes from Python code.
    let host = adopted.then_some(Host {
        exits: host_exits,
        ends_others: host_ends_others,
        ended: host_ended,
        finalized: host_finalized,
    });
    let ready = detached(loaded_api(), || Interp::main(host))
        .map_err(Error::from)
        .and_then(|main| Interpreter::register(main, if here { Busy::Share } else { Busy::Refuse }, None));
    match ready {
        Ok(main) => Ok(Up { options, main, thread, uses: 0 }),
        Err(error) => {
            thread.finish();
            Err(error)
        }
    }
}

/// A thread that Python code of a host is calling from could not go back to it: that Python was finalized meanwhile, and
/// what is started now would let the thread in with a state that is freed.
fn check_goes_back_nowhere() -> Result<()> {
    // Of what CPython does after it has told of its end nothing tells. It takes microseconds, and a thread that does not
    // finalize it itself has not seen it return.
    if check_host_stays().is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    if is_outside() { Err(host_is_being_finalized()) } else { Ok(()) }
}

/// What to start, and for the next start with the same choice of a CPython remembered: by then the library is loaded,
/// and says nothing of the virtual environment that led to it.
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

/// Stops the runtime, if it runs and `prepare` agrees; `end` does what has to be done while CPython is still there.
pub(super) fn stop<T>(prepare: impl FnOnce(&Up) -> Result<T>, end: impl FnOnce(&Up, T)) -> Result<()> {
    let mut phase = lock_phase()?;
    let mut up = match std::mem::replace(&mut *phase, Phase::Stopping) {
        Phase::Up(up) => up,
        Phase::Stopping => return Err(stopping()),
        nothing @ (Phase::Down | Phase::Starting | Phase::HostEnds) => {
            *phase = nothing;
            return Ok(());
        }
    };
    // Under the lock: if it does not agree, nobody has seen that it was to stop.
    let prepared = match prepare(&up) {
        Ok(prepared) => prepared,
        Err(error) => {
            *phase = Phase::Up(up);
            return Err(error);
        }
    };
    UP.store(false, Ordering::Release);
    drop(phase);
    let (adopted, main) = (up.is_adopted(), up.main.handle);
    let end = || {
        end(&up, prepared);
        timer::stop();
        std::mem::replace(&mut up.thread, Thread::Hosts).finish();
        if let Some(main) = up.main.python() {
            main.ended();
        }
    };
    here(|here| here.keeps.during(main, end));
    // An adopted CPython goes on, with its ids and with whatever a thread of the host is ending at this moment.
    if !adopted {
        hooks::forget_all();
    }
    handle::next_runtime();
    let mut phase = lock(&PHASE);
    *phase = Phase::Down;
    fork::set_started(false);
    drop(phase);
    CHANGED.notify_all();
    Ok(())
}

/// The version of CPython, `3.14.6`; None before the first init.
pub fn python_version() -> Option<&'static CStr> {
    start::library().map(|library| library.version_text.as_c_str())
}

/// The path of the libpython in use; None before the first init.
pub fn python_library() -> Option<&'static CStr> {
    start::library().map(|library| library.path_text.as_c_str())
}

/// The runtime for one test at a time.
#[cfg(test)]
pub(super) fn for_tests() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = lock(&ONE);
    let python = std::env::var_os("SUBPY_TEST_PYTHON").expect("the CPython to test with");
    init(&RuntimeOptions { python: Some(python.into()), ..RuntimeOptions::default() }).expect("it starts");
    one
}
