//! The home of a CPython that the library has initialised on the caller's thread, and not on one of its own, because the
//! process is going to be forked: that thread, which finalises it when another one asks for that.

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::error::{Error, Kind, Result};
use crate::platform::fd::BorrowedFd;
use crate::platform::thread::aside;
use crate::python::find::Installation;
use crate::python::stack::STACK_SIZE;
use crate::python::start::{self, MainState, StartError, Startup};
use crate::python::{lock, signals, zygote};

thread_local! {
    /// The site module runs users' code on this thread, for which the starter waits.
    static IS_INITIALIZING: Cell<bool> = const { Cell::new(false) };

    /// Is told before CPython is finalised on this thread.
    static BEFORE_END: RefCell<Option<Tell>> = const { RefCell::new(None) };

    /// Of this thread, if it is the home.
    static STATE: RefCell<Option<MainState>> = const { RefCell::new(None) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Runs,
    /// Somebody waits until it is finalised.
    Ends,
    Ended,
}

/// And whether what was to be done on another thread (`elsewhere`) has been done.
static STAGE: Mutex<(Stage, bool)> = Mutex::new((Stage::Runs, false));
static CHANGED: Condvar = Condvar::new();
static IS_FINALIZING: AtomicBool = AtomicBool::new(false);

type Wake = Box<dyn Fn() + Send>;
type Tell = Box<dyn Fn()>;
static WAKE: Mutex<Option<Wake>> = Mutex::new(None);

/// CPython is being initialised on the calling thread.
pub(super) fn is_initializing() -> bool {
    IS_INITIALIZING.get()
}

/// Initialises it.
pub(super) fn initialize(installation: &Installation, startup: Startup) -> Result<MainState, StartError> {
    IS_INITIALIZING.set(true);
    let initialized = start::initialize(installation, startup);
    IS_INITIALIZING.set(false);
    initialized
}

/// The calling thread is the home.
pub(super) fn keep(state: MainState) {
    state.unbind();
    STATE.set(Some(state));
}

fn with_state<R>(act: impl FnOnce(&MainState) -> R) -> Result<R> {
    let away = || Kind::WrongState("CPython was not initialised on this thread".into()).into();
    STATE.with_borrow(|state| state.as_ref().map(act)).ok_or_else(away)
}

/// Makes ready what all forks need. On the home, as below.
pub fn prepare_forks() -> Result<()> {
    with_state(zygote::prepare)?.map_err(|why| Kind::Interpreter(why).into())
}

/// Forks this process, which must have no other thread. Its fork can use Python as this one does.
pub fn fork() -> io::Result<Option<i32>> {
    with_state(zygote::fork).map_err(io::Error::other)?
}

/// From now on a crash of this process writes where its threads were.
pub fn trace_to(descriptor: BorrowedFd) -> Result<()> {
    with_state(|state| zygote::trace_to(state, descriptor))?.map_err(|why| Kind::Interpreter(why).into())
}

/// What wakes the home where it waits, so that it finalises CPython if it is asked to.
pub fn wakes_by(wake: impl Fn() + Send + 'static) {
    *lock(&WAKE) = Some(Box::new(wake));
}

/// Is told before CPython is finalised. On the home.
pub fn before_end(tell: impl Fn() + 'static) {
    BEFORE_END.set(Some(Box::new(tell)));
}

/// Finalises CPython if somebody waits for that and this is the home, outside of Python. True: it is done.
pub fn finalize_if_asked() -> bool {
    if lock(&STAGE).0 != Stage::Ends {
        return false;
    }
    let Some(state) = STATE.take() else { return false };
    if let Some(tell) = BEFORE_END.take() {
        tell();
    }
    signals::end();
    zygote::thaw(&state);
    IS_FINALIZING.store(true, Ordering::SeqCst);
    start::finalize(state);
    IS_FINALIZING.store(false, Ordering::SeqCst);
    lock(&STAGE).0 = Stage::Ended;
    CHANGED.notify_all();
    true
}

/// Interrupts what runs while CPython is finalised. False: it is not.
pub fn interrupt_end() -> bool {
    let is_finalizing = IS_FINALIZING.load(Ordering::SeqCst);
    if is_finalizing {
        zygote::interrupt_end();
    }
    is_finalizing
}

/// Has CPython finalised, and waits for it.
pub(super) fn finish() {
    lock(&STAGE).0 = Stage::Ends;
    CHANGED.notify_all();
    if finalize_if_asked() {
        return;
    }
    lock(&WAKE).iter().for_each(|wake| wake());
    let mut stage = lock(&STAGE);
    while stage.0 != Stage::Ended {
        stage = CHANGED.wait(stage).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Does something on another thread, which may have CPython finalised: this one, the home, sees to that meanwhile.
pub fn elsewhere<R: Send>(act: impl FnOnce() -> R + Send) -> Result<R> {
    lock(&STAGE).1 = false;
    let act = || {
        let result = catch_unwind(AssertUnwindSafe(act));
        lock(&STAGE).1 = true;
        CHANGED.notify_all();
        result
    };
    let result = aside("subpy-end", STACK_SIZE, act, || {
        let mut stage = lock(&STAGE);
        while !stage.1 {
            if stage.0 == Stage::Ends {
                drop(stage);
                finalize_if_asked();
                stage = lock(&STAGE);
            } else {
                stage = CHANGED.wait(stage).unwrap_or_else(PoisonError::into_inner);
            }
        }
    });
    let panicked = |_| Error::from(Kind::Panic("ending the interpreter panicked".into()));
    let cannot = |error: io::Error| Error::from(Kind::Interpreter(format!("can't start new thread: {error}")));
    result.map_err(cannot)?.map_err(panicked)?.map_err(panicked)
}
