//! What CPython tells about interpreters that come and go, and about forks: one C audit hook and one fork handler.
//!
//! Guests can create interpreters of their own, and can destroy ours with the private `_interpreters` module. The hook
//! keeps the books on both (walking CPython's list while others create and destroy crashes), so a handle never dangles.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use super::types::{PyInterpreterState, PyMethodDef, PyMethodDefPointer, PyObject};

use super::attach::detached;
use super::object::{Py, PyResult, Raised};
use super::{api, lock};

/// Is told when a guest destroys one of our interpreters.
pub trait Watcher: Send + Sync {
    /// The interpreter is about to end and still whole: refuse new entries, and return when the last one has left.
    /// Called on the thread that destroys it, detached.
    fn guest_destroys(&self);
    /// The interpreter is going, ask no more of it.
    fn gone(&self);
}

enum Known {
    Ours(Weak<dyn Watcher>),
    /// Made by Python code. The pointer may be used under the lock of INTERPRETERS: the hook takes it before the
    /// interpreter is freed.
    Foreign(*mut PyInterpreterState),
    /// Being freed. Code that still runs in it (a `__del__`) must not make it look new.
    Gone,
}

/// How many interpreters are remembered as gone; it takes milliseconds until nothing happens in one any more.
const GONE_KEPT: usize = 256;

// SAFETY: the pointer is only handed to functions that may be called from any thread.
unsafe impl Send for Known {}

static INTERPRETERS: Mutex<BTreeMap<i64, Known>> = Mutex::new(BTreeMap::new());

/// Counts the runtimes, because CPython begins with the same ids in each.
static EPOCH: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The epoch and the interpreter of this thread's last event: most events come in rows, and need no lock.
    static LAST: std::cell::Cell<(u64, i64)> = const { std::cell::Cell::new((0, 0)) };

    /// This thread is creating one of ours: it is announced by `watch`, not by its first event.
    static CREATING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs the creation of one of our interpreters.
pub fn creating<R>(create: impl FnOnce() -> R) -> R {
    CREATING.set(true);
    let result = create();
    CREATING.set(false);
    result
}

/// Announces one of our interpreters.
pub fn watch(id: i64, watcher: Weak<dyn Watcher>) {
    lock(&INTERPRETERS).insert(id, Known::Ours(watcher));
}

/// Forgets one of our interpreters.
pub fn unwatch(id: i64) {
    lock(&INTERPRETERS).remove(&id);
}

/// Forgets all: the runtime has ended.
pub fn forget_all() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
    lock(&INTERPRETERS).clear();
}

/// The ids of the interpreters that Python code made, ascending.
pub fn foreign_ids() -> Vec<i64> {
    let known = lock(&INTERPRETERS);
    known.iter().filter(|(_, known)| matches!(known, Known::Foreign(_))).map(|(id, _)| *id).collect()
}

/// What can be asked of an interpreter that Python code made, while it lives.
pub struct ForeignState {
    pub whence: i64,
    pub running: bool,
}

/// None when there is no such interpreter, or no longer.
pub fn foreign(id: i64) -> Option<ForeignState> {
    let known = lock(&INTERPRETERS);
    let Some(Known::Foreign(state)) = known.get(&id) else { return None };
    // SAFETY: the interpreter cannot be freed while the lock is held; both functions read one field.
    unsafe {
        Some(ForeignState {
            whence: api()._PyInterpreterState_GetWhence.map_or(0, |whence| whence(*state)),
            running: api()._PyInterpreterState_IsRunningMain.is_some_and(|running| running(*state) != 0),
        })
    }
}

/// The audit hook (PEP 578). Runs in whatever interpreter the event happens, with its GIL.
///
/// # Safety
/// CPython calls it.
pub unsafe extern "C" fn audit(event: *const c_char, _: *mut PyObject, _: *mut c_void) -> c_int {
    // SAFETY: a C string; an event may be raised without a thread state, for instance while CPython starts.
    unsafe {
        let state = (api().PyThreadState_GetUnchecked)();
        if state.is_null() {
            return 0;
        }
        let interp = (api().PyThreadState_GetInterpreter)(state);
        let id = (api().PyInterpreterState_GetID)(interp);
        let event = CStr::from_ptr(event);
        if event == c"cpython.PyInterpreterState_Clear" {
            let_threads_park(id);
            cleared(id);
            return 0;
        }
        if id != 0 {
            seen(id, interp);
        }
        // Elsewhere the interpreter's own configuration decides (allow_fork).
        if id == 0 && (event == c"os.fork" || event == c"os.forkpty") && !may_fork() {
            let py = Py::attached(api());
            let message = "fork is not supported while subpy interpreters are open: the child would crash \
                           (python/cpython#139759); use subprocess without preexec_fn, or multiprocessing with \"spawn\"";
            py.raise(py.api.PyExc_RuntimeError.get(), message);
            return -1;
        }
        0
    }
}

/// Something happened in an interpreter: if it is not known, Python code made it.
fn seen(id: i64, interp: *mut PyInterpreterState) {
    let this = (EPOCH.load(Ordering::Relaxed), id);
    if !CREATING.get() && LAST.replace(this) != this {
        lock(&INTERPRETERS).entry(id).or_insert(Known::Foreign(interp));
    }
}

fn cleared(id: i64) {
    let known = {
        let mut interpreters = lock(&INTERPRETERS);
        let known = interpreters.insert(id, Known::Gone);
        let mut gone = interpreters.iter().filter(|(_, known)| matches!(known, Known::Gone));
        let first = gone.next().map(|(id, _)| *id);
        if gone.count() >= GONE_KEPT {
            first.and_then(|first| interpreters.remove(&first));
        }
        known
    };
    if let Some(Known::Ours(watcher)) = known
        && let Some(watcher) = watcher.upgrade()
    {
        watcher.gone();
    }
}

/// With an interpreter beside main alive, the child of a fork crashes in CPython.
fn may_fork() -> bool {
    lock(&INTERPRETERS).values().all(|known| matches!(known, Known::Gone))
}

// ---- the warning before a guest's destroy, and before the end of a host's Python ----

/// What is to be done when a host finalizes the CPython that it had initialised.
static HOST_EXITS: OnceLock<fn()> = OnceLock::new();

/// Has this called, detached, when the host's CPython begins to end. Attached to main.
pub fn watch_host(py: Py, exits: fn()) -> PyResult<()> {
    HOST_EXITS.get_or_init(|| exits);
    register_at_exit(py, 0)
}

struct Definition(PyMethodDef);

// SAFETY: constant data.
unsafe impl Sync for Definition {}

static AT_EXIT: Definition = Definition(PyMethodDef {
    ml_name: c"subpy_interpreter_ends".as_ptr(),
    ml_meth: PyMethodDefPointer { PyCFunction: at_exit },
    ml_flags: super::types::METH_NOARGS,
    ml_doc: std::ptr::null(),
});

/// Registers the interpreter's first atexit callback, which runs last: Python is still whole then, and threads that
/// wait for the GIL to enter still get it.
pub fn register_at_exit(py: Py, id: i64) -> PyResult<()> {
    let atexit = py.import(&py.str("atexit")?)?;
    let id = py.int(id)?;
    // SAFETY: the definition is static; the function owns a reference to the int.
    let callback = unsafe {
        let definition = std::ptr::from_ref(&AT_EXIT.0).cast_mut();
        let (null, no_class) = (std::ptr::null_mut(), std::ptr::null_mut());
        py.owned((py.api.PyCMethod_New)(definition, id.as_ptr(), null, no_class))?
    };
    atexit.attr(c"register")?.call(&[&callback])?;
    Ok(())
}

unsafe extern "C" fn at_exit(id: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL, with the int that it was made with.
    unsafe {
        let py = Py::attached(api());
        let id = py.borrowed(id).ok().and_then(|id| id.to_i64()).unwrap_or(-1);
        if id == 0 {
            detached(Some(py.api), || HOST_EXITS.get().inspect(|exits| exits()));
        } else {
            let watcher = match lock(&INTERPRETERS).get(&id) {
                Some(Known::Ours(watcher)) => watcher.upgrade(),
                _ => None,
            };
            if let Some(watcher) = watcher {
                detached(Some(py.api), || watcher.guest_destroys());
            }
            LEFT.set(threads_left(py).ok().flatten().map(|interval| (id, interval)));
            py.clear();
        }
        (py.api.Py_IncRef)(py.none());
        py.none()
    }
}

// ---- threads that nobody waits for ----

thread_local! {
    /// The interpreter that this thread ends, if threads are left in it, and how long they wait for its GIL at a time.
    static LEFT: std::cell::Cell<Option<(i64, Duration)>> = const { std::cell::Cell::new(None) };
}

/// How long a thread may take to come round to parking itself, beyond its waiting for the GIL.
const PARKING: Duration = Duration::from_millis(100);

/// The switch interval, if daemons and `_thread` threads are left (those of `threading` were waited for).
fn threads_left(py: Py) -> PyResult<Option<Duration>> {
    let count = py.import(&py.str("_thread")?)?.attr(c"_count")?.call(&[])?;
    if count.to_i64() == Some(0) {
        return Ok(None);
    }
    let interval = py.sys(c"getswitchinterval").ok_or(Raised)?.call(&[])?;
    // SAFETY: a live object; -1 for what is no float.
    let seconds = unsafe { (py.api.PyFloat_AsDouble)(interval.as_ptr()) };
    // A guest can make it anything, also no number at all.
    Ok(Some(Duration::try_from_secs_f64(seconds.clamp(0.0, 1.0)).unwrap_or_default()))
}

/// CPython has told the interpreter's other threads to stop, which they notice when they have waited for its GIL in vain
/// for the switch interval. Then it frees the interpreter, GIL and all, without looking whether somebody still waits.
fn let_threads_park(id: i64) {
    if let Some((ending, interval)) = LEFT.take() {
        if ending == id {
            std::thread::sleep(interval + PARKING);
        } else {
            LEFT.set(Some((ending, interval)));
        }
    }
}

// ---- fork ----

static STARTED: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

/// Says whether CPython runs, starts or stops, thus whether a fork from now on makes a child without a working Python.
pub fn set_started(started: bool) {
    STARTED.store(started, Ordering::Relaxed);
}

/// True in a child process that was forked while CPython was running.
pub fn forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Marks children that are forked from now on. The handler only copies a flag, which is safe at any moment.
pub fn watch_forks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    extern "C" fn in_child() {
        FORKED.store(STARTED.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    ONCE.call_once(|| {
        // SAFETY: a function that may be called at any time in a child; it is never unloaded (libsubpy is nodelete).
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// The weak reference that `watch` takes.
pub fn weak<W: Watcher + 'static>(watcher: &Arc<W>) -> Weak<dyn Watcher> {
    let strong: Arc<dyn Watcher> = Arc::clone(watcher) as _;
    Arc::downgrade(&strong)
}
