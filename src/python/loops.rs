//! Runs what can be awaited to its end, on event loops of asyncio that an interpreter keeps.
//!
//! A loop is one run's at a time; a thread that has entered the interpreter keeps the one that it had.

use std::ffi::CStr;
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock};

use super::attach::is_pinned;
use super::c_function::{InCapsule, Static, capsule, definition, function, in_capsule};
use super::fork::forked;
use super::interp::Scope;
use super::interrupt::{Interrupts, OnWake, Run, Then, Waker};
use super::kept::{Hold, KeptObjects};
use super::object::{Obj, Py, PyResult, Raised, own_source};
use super::output::raise_errno;
use super::own::Own;
use super::types::{METH_NOARGS, PyMethodDef, PyObject, PyThreadState};
use super::{api, lock};

const SOURCE: &CStr = own_source(concat!(include_str!("loops.py"), "\0"));

/// What is left on a loop that is thrown away has so many milliseconds to end; on one of an interpreter that others end,
/// so many.
const SHORT: i64 = 100;
const LONG: i64 = 1000;

const RUNNING: &str = "an event loop is running on this thread already, so nothing else can be awaited with SUBPY_RUN_ASYNC \
                       until it is left: await it there, or run it on another thread (asyncio.to_thread)";

/// The loops that an interpreter keeps.
#[derive(Default)]
pub struct Loops {
    /// loops.py's class.
    class: OnceLock<Hold>,
    idle: Mutex<Vec<Loop>>,
    /// Those of threads that have entered the interpreter, by the address of their state in it.
    entered: Mutex<Vec<(usize, Loop)>>,
}

struct Loop {
    /// An object of loops.py's class.
    object: Hold,
    waker: Arc<Waker>,
}

/// What loops.py's `on_wake` has.
struct Waking {
    waker: Arc<Waker>,
    interrupts: Arc<Interrupts>,
}

// SAFETY: the name is its own; nothing of it is a thread's.
unsafe impl InCapsule for Waking {
    const NAME: &CStr = c"subpy.loop";
}

static ON_WAKE: Static<PyMethodDef> = Static(definition(c"on_wake", on_wake, METH_NOARGS));

/// What an awaitable comes to; other objects as they are.
#[cold]
#[inline(never)]
pub fn finish<'py>(py: Py<'py>, scope: &Scope<'py>, object: Obj<'py>) -> PyResult<Obj<'py>> {
    if !is_awaitable(py, &object)? {
        return Ok(object);
    }
    let loops = &scope.own().loops;
    let state = scope.run.state();
    // The first time asyncio is imported, which is not to be interrupted.
    let taken = scope.run.own(|| loops.take(py, scope, state))?;
    let begun = scope.run.own(|| taken.begin(py, scope.kept(), &object));
    drop(object);
    let (result, is_good) = match begun {
        Ok(task) => taken.run(py, scope, task),
        Err(Raised) => (Err(Raised), true),
    };
    if is_good {
        loops.put(taken, state);
        return result;
    }
    let exception = if result.is_err() { py.take_exception() } else { None };
    taken.throw_away(py, scope);
    exception.map_or(result, |exception| Err(py.set_exception(exception)))
}

/// Whether it is a coroutine, or of a type with `__await__`. (A generator of types.coroutine() is not.)
fn is_awaitable(py: Py, object: &Obj) -> PyResult<bool> {
    let kind = object.type_ptr();
    if kind == py.api.PyCoro_Type.0 {
        return Ok(true);
    }
    // SAFETY: attached; the type of a live object; 1, 0, or -1 with an exception.
    let found = unsafe { (py.api.PyObject_HasAttrStringWithError)(kind.cast(), c"__await__".as_ptr()) };
    py.check(found).map(|()| found == 1)
}

impl Loop {
    /// What is raised there cannot be told to anybody.
    fn throw_away(&self, py: Py, scope: &Scope) {
        if let Ok(object) = self.object(py, scope.kept()) {
            let wind_up = || object.attr(c"wind_up")?.call(&[&py.int(SHORT)?]);
            let _ = scope.interrupts().on_loop(scope.run, &self.waker, Then::GoOn, wind_up);
            py.clear();
            let _ = scope.run.own(|| object.attr(c"close")?.call(&[]));
        }
        py.clear();
    }

    fn object<'py>(&self, py: Py<'py>, kept: &KeptObjects) -> PyResult<Obj<'py>> {
        // SAFETY: attached to the interpreter that it is of, which has not given back what it keeps.
        unsafe { kept.get(py, self.object.kept()) }.unwrap_or(Err(Raised))
    }

    fn begin<'py>(&self, py: Py<'py>, kept: &KeptObjects, awaitable: &Obj<'py>) -> PyResult<Obj<'py>> {
        let task = self.object(py, kept)?.attr(c"begin")?.call(&[awaitable])?;
        if task.is_none() {
            return Err(py.raise(py.api.PyExc_RuntimeError.get(), RUNNING));
        }
        Ok(task)
    }

    /// Runs the task to its end: what it comes to, and whether the loop is as good as before.
    fn run<'py>(&self, py: Py<'py>, scope: &Scope<'py>, task: Obj<'py>) -> (PyResult<Obj<'py>>, bool) {
        let object = match self.object(py, scope.kept()) {
            Ok(object) => object,
            Err(raised) => return (Err(raised), false),
        };
        let run = || object.attr(c"run")?.call(&[]);
        let ran = scope
            .interrupts()
            .on_loop(scope.run, &self.waker, Then::Cancel, run)
            .unwrap_or_else(|_| Err(py.no_memory()));
        scope.run.own(|| {
            let exception = if ran.is_err() { py.take_exception() } else { None };
            let is_done = task.attr(c"done").and_then(|done| done.call(&[]));
            let is_done = is_done.is_ok_and(|done| done.as_ptr() == py.api._Py_TrueStruct.0);
            py.clear();
            let result = match exception {
                _ if is_done => task.attr(c"result").and_then(|result| result.call(&[])),
                Some(exception) => Err(py.set_exception(exception)),
                None => Err(unfinished(py, scope, &object)),
            };
            // An exception that came from outside may have left the loop in the middle of anything.
            (result, is_done && !scope.run.was_hit())
        })
    }
}

/// The exception of a task that has not ended when its loop was left.
#[cold]
fn unfinished(py: Py, scope: &Scope, object: &Obj) -> Raised {
    let is_to_end = i64::from(scope.why().is_some());
    let exception = py.int(is_to_end).and_then(|is_to_end| object.attr(c"unfinished")?.call(&[&is_to_end]));
    exception.map_or_else(|raised| raised, |exception| py.set_exception(exception))
}

/// Without memory it goes.
fn push<T>(list: &mut Vec<T>, kept: T) {
    if list.try_reserve(1).is_ok() {
        list.push(kept);
    }
}

impl Loops {
    /// One that nobody uses: the one of the thread's session, if it has one.
    fn take(&self, py: Py, scope: &Scope, state: *mut PyThreadState) -> PyResult<Loop> {
        if is_pinned(state)
            && let Some(entered) = self.take_entered(state)
        {
            return Ok(entered);
        }
        let idle = lock(&self.idle).pop();
        idle.map_or_else(|| self.make(py, scope), Ok)
    }

    fn put(&self, taken: Loop, state: *mut PyThreadState) {
        if is_pinned(state) {
            push(&mut lock(&self.entered), (state as usize, taken));
        } else {
            push(&mut lock(&self.idle), taken);
        }
    }

    /// A thread leaves the interpreter: its loop is for others. Attached.
    #[inline]
    pub fn session_ends(&self, state: *mut PyThreadState) {
        if self.class.get().is_some() {
            self.give_away(state);
        }
    }

    #[cold]
    fn give_away(&self, state: *mut PyThreadState) {
        if let Some(entered) = self.take_entered(state) {
            push(&mut lock(&self.idle), entered);
        }
    }

    fn take_entered(&self, state: *mut PyThreadState) -> Option<Loop> {
        let mut entered = lock(&self.entered);
        let place = entered.iter().position(|(of, _)| *of == state as usize)?;
        Some(entered.swap_remove(place).1)
    }

    fn make(&self, py: Py, scope: &Scope) -> PyResult<Loop> {
        let kept = scope.kept();
        let class = match self.class.get() {
            Some(class) => class,
            None => {
                let class = py.run_own(SOURCE, "Loop")?;
                let class = kept.keep(class).ok_or_else(|| py.no_memory())?;
                // When another thread was faster, this one's is given back.
                self.class.get_or_init(|| class)
            }
        };
        // SAFETY: attached to the interpreter that it is of, which has not given back what it keeps.
        let class = unsafe { kept.get(py, class.kept()) }.unwrap_or(Err(Raised))?;
        let waker = Waker::new().map(Arc::new).map_err(|errno| raise_errno(py, errno))?;
        let waking = Waking { waker: Arc::clone(&waker), interrupts: Arc::clone(scope.interrupts()) };
        let descriptor = py.int(i64::from(waker.descriptor()))?;
        let object = class.call(&[&descriptor, &function_of(py, waking)?])?;
        Ok(Loop { object: kept.keep(object).ok_or_else(|| py.no_memory())?, waker })
    }

    /// Ends all of them, as asyncio.Runner does. Attached to the interpreter, which is about to end, for the run in which it
    /// does, if that can be interrupted. What their code raises cannot be told to anybody.
    pub fn end<'py>(&self, py: Py<'py>, own: &Own, run: Option<(&Run, &Interrupts)>) {
        let mut all = std::mem::take(&mut *lock(&self.idle));
        all.extend(std::mem::take(&mut *lock(&self.entered)).into_iter().map(|(_, entered)| entered));
        for kept in all {
            let Ok(object) = kept.object(py, &own.kept) else { continue };
            let wind_up = |within: PyResult<Obj<'py>>| object.attr(c"wind_up")?.call(&[&within?]);
            // SAFETY: None is immortal.
            let whenever = || unsafe { py.borrowed(py.none()) };
            let _ = match run {
                Some((run, interrupts)) => {
                    interrupts.on_loop(run, &kept.waker, Then::Leave, || wind_up(whenever())).ok()
                }
                None => Some(wind_up(py.int(LONG))),
            };
            py.clear();
            let close = || object.attr(c"close")?.call(&[]);
            let _ = match run {
                Some((run, _)) => run.own(close),
                None => close(),
            };
            py.clear();
        }
    }
}

/// loops.py's `on_wake`.
fn function_of(py: Py, waking: Waking) -> PyResult<Obj> {
    // SAFETY: the function looks for it in the capsule.
    unsafe { function(py, &ON_WAKE.0, Some(&capsule(py, waking)?)) }
}

unsafe extern "C" fn on_wake(capsule: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL and the capsule that the function owns, which keeps the box.
    unsafe {
        let py = Py::attached(api());
        let todo = match in_capsule::<Waking>(py.api, capsule) {
            None => return ptr::null_mut(),
            // A lock may be held by a thread that does not exist here.
            Some(_) if forked() => OnWake::GoOn,
            Some(waking) => waking.interrupts.on_wake(&waking.waker),
        };
        py.int(todo as i64).map_or(ptr::null_mut(), Obj::into_ptr)
    }
}
