//! What one interpreter has for its queues, and how its code waits at one.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::{Duration, Instant};

use super::super::attach::detached;
use super::super::interrupt::Interrupts;
use super::super::object::{Obj, Py, PyResult, Raised};
use super::super::output::waiting;
use super::super::own::Own;
use super::super::types::PyObject;
use super::core::{For, Queue, Waited};
use super::handles;
use super::place::Place;
use super::there;
use crate::platform::is_first_thread;

/// What queues.py has given to the library.
#[derive(Clone, Copy)]
pub enum Kept {
    Base,
    Class,
    Empty,
    Full,
    Closed,
    NotFound,
    /// A Python function that does nothing: when it is called CPython does what it does between instructions.
    Step,
}

/// How many of them there are.
const KEPT: usize = 7;

/// In main, signals are looked for so often: CPython tells nobody when one has come.
const SIGNALS: Duration = Duration::from_millis(50);

pub struct Queues {
    interrupts: Arc<Interrupts>,
    pub(super) own: Arc<Own>,
    /// Strong references; NULL before the module is imported.
    kept: [AtomicPtr<PyObject>; KEPT],
    is_main: bool,
    /// The interpreter has ended: its threads do not come back to it.
    ended: AtomicBool,
    imported: AtomicBool,
}

impl Queues {
    pub fn new(interrupts: &Arc<Interrupts>, own: &Arc<Own>, is_main: bool) -> Arc<Queues> {
        Arc::new(Queues {
            interrupts: Arc::clone(interrupts),
            own: Arc::clone(own),
            kept: [const { AtomicPtr::new(ptr::null_mut()) }; KEPT],
            is_main,
            ended: AtomicBool::new(false),
            imported: AtomicBool::new(false),
        })
    }

    /// Keeps an object until the interpreter ends. Attached to the interpreter.
    pub(super) fn keep(&self, py: Py, what: Kept, object: Obj) {
        self.imported.store(true, Ordering::Relaxed);
        let before = self.kept[what as usize].swap(object.into_ptr(), Ordering::Relaxed);
        // SAFETY: the reference that was kept; Py_DecRef ignores NULL.
        unsafe { (py.api.Py_DecRef)(before) }
    }

    /// What is kept. Attached to the interpreter.
    pub(super) fn kept<'py>(&self, py: Py<'py>, what: Kept) -> PyResult<Obj<'py>> {
        // SAFETY: alive as long as it is kept, or NULL.
        unsafe { py.borrowed(self.kept[what as usize].load(Ordering::Relaxed)) }.map_err(|Raised| {
            let message = "subpy_queues does not work here: the host has shut subpy down, or the import has failed";
            py.raise(py.api.PyExc_RuntimeError.get(), message)
        })
    }

    /// Raises one of the module's exceptions.
    pub(super) fn raise(&self, py: Py, what: Kept, text: &str) -> Raised {
        match self.kept(py, what) {
            Ok(class) => py.raise(class.as_ptr(), text),
            Err(raised) => raised,
        }
    }

    /// Waits without the GIL until there may be what is wanted. False: the time is up. Fails with what is to be raised
    /// here, such as the KeyboardInterrupt of a run that is to end.
    #[cold]
    pub(super) fn wait(&self, py: Py, queue: &Arc<Queue>, wanted: For, until: Option<Instant>) -> PyResult<bool> {
        self.wait_by(py, Place::Here(Arc::clone(queue)), until, |next, stop, has_ended| {
            let waited = queue.wait(wanted, next, stop);
            if has_ended() {
                // This thread does not come back.
                queue.pass_on(wanted);
            }
            waited
        })
    }

    /// The same, by whatever waits until it is to stop. It is told by what it asks when the interpreter has ended.
    #[cold]
    pub(super) fn wait_by(
        &self,
        py: Py,
        place: Place,
        until: Option<Instant>,
        mut wait: impl FnMut(Option<Instant>, &dyn Fn() -> bool, &dyn Fn() -> bool) -> Waited,
    ) -> PyResult<bool> {
        // Signals are for the thread that the process began with.
        let signals = self.is_main && (matches!(place, Place::Here(_)) || is_first_thread());
        let _registered = self.interrupts.waits.at(place).map_err(|_| py.no_memory())?;
        // What was wished before has to be looked for once.
        let mut asked = self.interrupts.asked();
        if self.interrupts.is_interrupting() {
            self.interrupts.check(py)?;
        }
        // A host's main goes on when the library has done with it.
        let lasts = self.ended.load(Ordering::Acquire);
        let has_ended = || !lasts && self.ended.load(Ordering::Acquire);
        loop {
            let slice = signals.then(|| Instant::now() + SIGNALS);
            let next = slice.into_iter().chain(until).min();
            let stop = || asked != self.interrupts.asked() || has_ended();
            match detached(Some(py.api), || waiting(|| wait(next, &stop, &has_ended))) {
                Waited::Look => return Ok(true),
                Waited::Late if next == until => return Ok(false),
                Waited::Late | Waited::Stopped => {}
            }
            asked = self.interrupts.asked();
            self.interrupts.check(py)?;
            self.kept(py, Kept::Step)?.call(&[])?;
            if signals {
                // CPython sees them by itself in the thread state that it began with, and this is another one.
                // SAFETY: attached.
                py.check(unsafe { (py.api.PyErr_CheckSignals)() })?;
            }
        }
    }

    /// Gives the references back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        for kept in &self.kept {
            // SAFETY: the reference that was kept; Py_DecRef ignores NULL.
            unsafe { (py.api.Py_DecRef)(kept.swap(ptr::null_mut(), Ordering::Relaxed)) }
        }
    }

    /// The interpreter has ended. What its threads were woken for is for others, and those that sleep are gone.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
        if self.imported.load(Ordering::Relaxed) {
            handles::all().iter().for_each(|queue| queue.wake_all());
            there::look();
            self.interrupts.waits.forget();
        }
    }
}
