//! What CPython tells about interpreters that come and go: one C audit hook, and callbacks of atexit.
//!
//! Guests can create interpreters of their own, and can destroy ours with the private `_interpreters` module. The hook
//! keeps the books on both (walking CPython's list while others create and destroy crashes), so a handle never dangles.

mod parked;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::c_function::{Static, definition, function};
use super::types::{METH_NOARGS, PyInterpreterState, PyMethodDef, PyObject};

use super::api::long;
use super::attach::detached;
use super::fork::forked;
use super::object::{Py, PyResult};
use super::{api, frozen, lock, tracing};

/// Is told when a guest destroys one of our interpreters.
pub trait Watcher: Send + Sync {
    /// The interpreter is about to end and still whole: refuse new entries, and return when the last one has left.
    /// Called on the thread that destroys it, detached.
    fn guest_destroys(&self);
    /// It is the library that ends the interpreter. Then it does the books itself, when that is over.
    fn library_ends(&self) -> bool;
    /// Nothing in it can be used any more.
    fn cleared(&self);
    /// Nobody is ending the interpreter.
    fn stays(&self) -> bool;
    /// Somebody else has ended it: ask no more of it.
    fn gone(&self);
}

enum Known {
    Ours(Weak<dyn Watcher>),
    /// One of ours that nobody watches yet.
    New,
    /// Made by Python code. The pointer may be used with the books locked: before the interpreter is freed the hook
    /// locks them too, to take it out.
    Foreign(*mut PyInterpreterState),
    /// Being ended, or freed. Code that still runs in it (a `__del__`) must not make it look new.
    Gone,
}

/// How many interpreters are remembered as gone; it takes milliseconds until nothing happens in one any more.
const GONE_KEPT: usize = 64;

// SAFETY: the pointer is only handed to functions that may be called from any thread.
unsafe impl Send for Known {}

/// What is known of the interpreters of this process.
struct Books {
    known: BTreeMap<i64, Known>,
    /// Those that are gone, in the order in which they went.
    gone: VecDeque<i64>,
}

static BOOKS: Mutex<Books> = Mutex::new(Books { known: BTreeMap::new(), gone: VecDeque::new() });

impl Books {
    /// Says that it is gone. Returns what was known before.
    fn goes(&mut self, id: i64) -> Option<Known> {
        let before = self.known.insert(id, Known::Gone);
        if !matches!(before, Some(Known::Gone)) {
            self.gone.push_back(id);
        }
        if self.gone.len() > GONE_KEPT
            && let Some(first) = self.gone.pop_front()
        {
            self.known.remove(&first);
        }
        before
    }

    fn foreign(&self) -> impl Iterator<Item = i64> {
        self.known.iter().filter(|(_, known)| matches!(known, Known::Foreign(_))).map(|(id, _)| *id)
    }
}

/// Counts the runtimes, because CPython begins with the same ids in each.
static EPOCH: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The epoch and the interpreter of this thread's last event: most events come in rows, and need no lock.
    static LAST: std::cell::Cell<(u64, i64)> = const { std::cell::Cell::new((0, 0)) };

    /// The hook was told of something.
    static HEARD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };

    /// This thread is creating one of ours: it is announced by `watch`, not by its first event.
    static CREATING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// How many threads are creating one: from `created` on, it is in the books.
static BEING_CREATED: AtomicUsize = AtomicUsize::new(0);

/// Runs the creation of one of our interpreters.
pub fn creating<R>(create: impl FnOnce() -> R) -> R {
    struct Created;
    impl Drop for Created {
        fn drop(&mut self) {
            CREATING.set(false);
            BEING_CREATED.fetch_sub(1, Ordering::Relaxed);
        }
    }
    BEING_CREATED.fetch_add(1, Ordering::Relaxed);
    CREATING.set(true);
    let _created = Created;
    create()
}

/// It is there, although `watch` has not announced it.
pub fn created(id: i64) {
    lock(&BOOKS).known.insert(id, Known::New);
}

/// Announces one of our interpreters. False when somebody has ended it already.
pub fn watch(id: i64, watcher: Weak<dyn Watcher>) -> bool {
    let mut books = lock(&BOOKS);
    let alive = !matches!(books.known.get(&id), Some(Known::Gone));
    if alive {
        books.known.insert(id, Known::Ours(watcher));
    }
    alive
}

/// Forgets one of our interpreters.
pub fn unwatch(id: i64) {
    let mut books = lock(&BOOKS);
    if let Some(Known::Ours(_)) = books.known.get(&id) {
        books.known.remove(&id);
    }
}

/// Forgets all: the runtime has ended.
pub fn forget_all() {
    EPOCH.fetch_add(1, Ordering::Relaxed);
    let mut books = lock(&BOOKS);
    books.known.clear();
    books.gone.clear();
}

/// The ids of the interpreters that Python code made, ascending.
pub fn foreign_ids() -> Vec<i64> {
    lock(&BOOKS).foreign().collect()
}

/// There is such an interpreter, and Python code made it.
pub fn is_foreign(id: i64) -> bool {
    matches!(lock(&BOOKS).known.get(&id), Some(Known::Foreign(_)))
}

/// What can be asked of an interpreter that Python code made, while it lives.
pub struct ForeignState {
    pub whence: i64,
    pub running: bool,
}

/// None when there is no such interpreter, or no longer.
pub fn foreign(id: i64) -> Option<ForeignState> {
    let books = lock(&BOOKS);
    let Some(Known::Foreign(state)) = books.known.get(&id) else { return None };
    // SAFETY: it is in the books, so the hook has not been told of its end, and it is freed after that. The hook would
    // wait for the lock that is held here. Both functions read one field.
    unsafe {
        Some(ForeignState {
            whence: api()._PyInterpreterState_GetWhence.map_or(0, |whence| long(whence(*state))),
            running: api()._PyInterpreterState_IsRunningMain.is_some_and(|running| running(*state) != 0),
        })
    }
}

/// Enters the interpreters that were there before the hook was. Attached to main, with the hook in place.
pub fn seed(py: Py) {
    let mut books = lock(&BOOKS);
    // SAFETY: the list's head and its links are pointers, and a new interpreter is put in front. One that is in the
    // list is not freed while the books are locked, because its end is announced to the hook, which waits for them.
    // This does not hold for one that another thread had begun to clear before the hook was there; CPython has no lock
    // that would help (its own list_all() walks like this), so those that say that they are ending are left out, and a
    // host must not begin to use the library while it destroys an interpreter on another thread.
    unsafe {
        let mut interp = (py.api.PyInterpreterState_Head)();
        while !interp.is_null() {
            let id = (py.api.PyInterpreterState_GetID)(interp);
            let ending = py.api._Py_IsInterpreterFinalizing.is_some_and(|ending| ending(interp) != 0);
            if id > 0 && !ending {
                books.known.entry(id).or_insert(Known::Foreign(interp));
            }
            interp = (py.api.PyInterpreterState_Next)(interp);
        }
    }
}

/// The audit hook (PEP 578). Runs in whatever interpreter the event happens, with its GIL.
///
/// # Safety
/// CPython calls it.
pub unsafe extern "C" fn audit(event: *const c_char, _: *mut PyObject, _: *mut c_void) -> c_int {
    HEARD.set(true);
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
            parked::wait(id);
            cleared(id);
            return 0;
        }
        if event == c"cpython._PySys_ClearAuditHooks" {
            HOOKED.store(false, Ordering::Relaxed);
            return 0;
        }
        if id != 0 {
            seen(id, interp);
        }
        // Elsewhere the interpreter's own configuration decides (allow_fork).
        let forks = id == 0 && (event == c"os.fork" || event == c"os.forkpty");
        let looks = event == c"sys._current_frames" || event == c"sys._current_exceptions";
        if forks && !is_alone() {
            refuse(
                "fork is not supported while subpy interpreters are open: the child would crash \
                 (python/cpython#139759); use subprocess without preexec_fn, or multiprocessing with \"spawn\"",
            )
        } else if tracing::EVENTS.contains(&event) && !is_alone() {
            refuse(tracing::REFUSED)
        } else if looks && super::version() < (3, 15, 0) && !is_alone() {
            refuse(
                "sys._current_frames() and sys._current_exceptions() are not supported while other interpreters are open: \
                 before CPython 3.15 they look at the frames of those, which ends the process; \
                 use sys._getframe() and sys.exception() for the calling thread",
            )
        } else {
            0
        }
    }
}

/// Has the event fail with a RuntimeError.
///
/// # Safety
/// Attached.
unsafe fn refuse(message: &str) -> c_int {
    // SAFETY: promised by the caller.
    let py = unsafe { Py::attached(api()) };
    py.raise(py.api.PyExc_RuntimeError.get(), message);
    -1
}

/// The hook is in place; CPython forgets it when it is finalized, by whomever.
static HOOKED: AtomicBool = AtomicBool::new(false);

pub fn is_hooked() -> bool {
    HOOKED.load(Ordering::Relaxed)
}

/// Puts it in place. False when another hook is in its way, of which CPython itself says nothing if that raises a
/// RuntimeError. Attached to main.
pub fn hook(py: Py) -> bool {
    HEARD.set(false);
    // SAFETY: attached; an event without arguments.
    unsafe {
        (py.api.PySys_AddAuditHook)(Some(audit), ptr::null_mut());
        py.clear();
        (py.api.PySys_AuditTuple)(c"subpy.hook".as_ptr(), ptr::null_mut());
        py.clear();
    }
    HOOKED.store(HEARD.get(), Ordering::Relaxed);
    HEARD.get()
}

/// Something happened in an interpreter: if it is not known, Python code made it.
fn seen(id: i64, interp: *mut PyInterpreterState) {
    let this = (EPOCH.load(Ordering::Relaxed), id);
    if !CREATING.get() && LAST.replace(this) != this {
        lock(&BOOKS).known.entry(id).or_insert(Known::Foreign(interp));
    }
}

fn cleared(id: i64) {
    if id == 0 {
        // The others are gone by now.
        HOOKED.store(false, Ordering::Relaxed);
        forget_all();
        frozen::thaw();
        HOST.get().inspect(|host| (host.ended)());
        return;
    }
    // What this thread still does in it is the end of it.
    LAST.set((EPOCH.load(Ordering::Relaxed), id));
    let watcher = {
        let mut books = lock(&BOOKS);
        let watcher = match books.known.get(&id) {
            Some(Known::Ours(watcher)) => watcher.upgrade(),
            _ => None,
        };
        // It is listed as ours, and no fork is safe, until CPython has freed it.
        if let Some(watcher) = &watcher
            && watcher.library_ends()
        {
            watcher.cleared();
            return;
        }
        books.goes(id);
        watcher
    };
    if let Some(watcher) = watcher {
        HOST.get().inspect(|host| (host.ends_others)());
        watcher.gone();
    }
}

/// Whether there is no interpreter beside main.
fn is_alone() -> bool {
    let books = lock(&BOOKS);
    BEING_CREATED.load(Ordering::Relaxed) == 0 && books.known.values().all(|known| matches!(known, Known::Gone))
}

// ---- the warning before a guest's destroy, and before the end of a host's Python ----

/// What is to be done when a host finalizes the CPython that it had initialised.
pub struct Host {
    /// It begins. Called detached.
    pub exits: fn(),
    /// Somebody else than the library ends one of our interpreters: maybe CPython, which ends all that are left then.
    pub ends_others: fn(),
    /// Its main interpreter is being cleared: nobody may use it any more. Also called when the library finalizes its
    /// own.
    pub ended: fn(),
    /// It is finalized, but for a few microseconds.
    pub finalized: fn(),
}

static HOST: OnceLock<Host> = OnceLock::new();

/// CPython will call `finalized`. It keeps up to 32 such functions, until it has called them.
static TELLS_OF_FINALIZED: AtomicBool = AtomicBool::new(false);

/// Watches the end of a host's CPython. Attached to main.
pub fn watch_host(py: Py, host: Host) -> PyResult<()> {
    HOST.get_or_init(|| host);
    if !TELLS_OF_FINALIZED.load(Ordering::Relaxed) {
        // SAFETY: attached to main; a function that is always there.
        let registered = unsafe { (py.api.Py_AtExit)(Some(finalized)) } == 0;
        TELLS_OF_FINALIZED.store(registered, Ordering::Relaxed);
    }
    register_at_exit(py, 0)
}

/// False when the host had used up all of CPython's places for such functions.
pub fn will_tell_of_finalized() -> bool {
    TELLS_OF_FINALIZED.load(Ordering::Relaxed)
}

extern "C" fn finalized() {
    TELLS_OF_FINALIZED.store(false, Ordering::Relaxed);
    HOST.get().inspect(|host| (host.finalized)());
}

static AT_EXIT: Static<PyMethodDef> = Static(definition(c"subpy_interpreter_ends", at_exit, METH_NOARGS));

/// The name of the capsule that tells the callback which interpreter it was made for.
const REGISTERED: &CStr = c"subpy.interpreter_ends";

/// Registers the interpreter's first atexit callback, which runs last: Python is still whole then, and threads that
/// wait for the GIL to enter still get it. A guest may have all callbacks run early, or forgotten, by atexit's private
/// functions: then the capsule goes, and registers it again.
pub fn register_at_exit(py: Py, id: i64) -> PyResult<()> {
    let atexit = py.import(&py.str("atexit")?)?;
    // SAFETY: the function takes a number from the capsule; its pointer is one that is not NULL and stands for nothing.
    let callback = unsafe {
        let number = std::ptr::without_provenance_mut(id as usize + 1);
        let capsule = py.owned((py.api.PyCapsule_New)(number, REGISTERED.as_ptr(), Some(forgotten)))?;
        function(py, &AT_EXIT.0, Some(&capsule))?
    };
    atexit.attr(c"register")?.call(&[&callback])?;
    Ok(())
}

/// The interpreter that a capsule was made for.
///
/// # Safety
/// Attached; a capsule of `register_at_exit`.
unsafe fn registered_for(capsule: *mut PyObject) -> i64 {
    // SAFETY: promised by the caller.
    unsafe { (api().PyCapsule_GetPointer)(capsule, REGISTERED.as_ptr()).addr() as i64 - 1 }
}

/// The callback is registered no longer.
unsafe extern "C" fn forgotten(capsule: *mut PyObject) {
    // SAFETY: called by Python with the GIL, with the capsule. What is raised meanwhile stays as it is.
    unsafe {
        let py = Py::attached(api());
        let id = registered_for(capsule);
        // In a fork, the thread that holds the books' lock may not exist.
        if !forked() && watcher(id).is_some_and(|watcher| watcher.stays()) {
            let raised = py.take_exception();
            let _ = register_at_exit(py, id);
            py.clear();
            if let Some(raised) = raised {
                py.set_exception(raised);
            }
        }
    }
}

fn watcher(id: i64) -> Option<Arc<dyn Watcher>> {
    match lock(&BOOKS).known.get(&id) {
        Some(Known::Ours(watcher)) => watcher.upgrade(),
        _ => None,
    }
}

unsafe extern "C" fn at_exit(capsule: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL, with the capsule that it was made with.
    unsafe {
        let py = Py::attached(api());
        let id = registered_for(capsule);
        if id == 0 {
            detached(Some(py.api), || HOST.get().inspect(|host| (host.exits)()));
        } else if (py.api.PyEval_GetFrame)().is_null() {
            // CPython ends no interpreter under a frame: otherwise it is a guest that runs the callbacks.
            let watcher = {
                let mut books = lock(&BOOKS);
                match books.known.get(&id) {
                    Some(Known::Ours(watcher)) => watcher.upgrade(),
                    // It was not announced yet, and must not be any more.
                    _ => {
                        books.goes(id);
                        None
                    }
                }
            };
            if let Some(watcher) = watcher {
                detached(Some(py.api), || watcher.guest_destroys());
            }
            parked::ends(py, id);
        }
        (py.api.Py_IncRef)(py.none());
        py.none()
    }
}

/// The weak reference that `watch` takes.
pub fn weak<W: Watcher + 'static>(watcher: &Arc<W>) -> Weak<dyn Watcher> {
    let strong: Arc<dyn Watcher> = Arc::clone(watcher) as _;
    Arc::downgrade(&strong)
}
