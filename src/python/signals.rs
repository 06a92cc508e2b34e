//! Python's handlers of signals in a process that an interpreter has of its own. CPython leaves word of a signal at the thread
//! state that it was initialised with, and the code of runs has others: it would notice only where a function looks for
//! signals, such as a sleep. So a thread has the main thread look, from the first `signal.signal()` on.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::time::Duration;

use super::attach::Entry;
use super::c_function::{Static, definition, function};
use super::object::{Py, PyResult};
use super::stack::this_stack;
use super::types::{METH_VARARGS, PyMethodDef, PyObject};
use super::{api, lock};
use crate::platform::thread::spawn;
use crate::platform::{Event, NoSignals, set_signal_handler, signal_handler, wait_readable};

const SIGNAL: &CStr = c"signal";

/// It calls little.
const STACK: usize = 256 << 10;

/// Signals have the numbers 1 to 64.
const SIGNALS: usize = 65;

/// CPython's handler of each signal that Python code handles; 0: none.
static HANDLERS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// Readable when a signal has come; NULL before there is a thread that waits for it.
static CAME: AtomicPtr<Event> = AtomicPtr::new(ptr::null_mut());

/// The process that has the thread: a fork has none.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// Held while the thread is in the interpreter. True: nothing is entered any more.
static IS_OVER: Mutex<bool> = Mutex::new(false);

static DEFINITION: Static<PyMethodDef> = Static(definition(SIGNAL, signal, METH_VARARGS));

/// Puts a function that does this, too, in the place of the one that `signal.signal()` calls. Attached to main.
pub fn watch(py: Py) -> PyResult<()> {
    let module = py.import(&py.str("_signal")?)?;
    let original = module.attr(SIGNAL)?;
    // SAFETY: the function calls the original one.
    let function = unsafe { function(py, &DEFINITION.0, Some(&original))? };
    module.set_attr(SIGNAL, &function)
}

/// CPython is going to be finalised. Detached.
pub fn end() {
    *lock(&IS_OVER) = true;
}

unsafe extern "C" fn signal(original: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL, a live tuple, and the function that this one owns.
    unsafe {
        let py = Py::attached(api());
        // A function of C's, which is called like this. It does not succeed without a number.
        let before = (py.api.PyVectorcall_Call)(original, args, ptr::null_mut());
        if !before.is_null()
            && let Some(number) = py.borrowed((py.api.PyTuple_GetItem)(args, 0)).ok().and_then(|number| number.to_i64())
        {
            hear(number);
        }
        before
    }
}

/// Stands before CPython's handler of the signal, if it has one now.
fn hear(number: i64) {
    let Some(known) = usize::try_from(number).ok().and_then(|number| HANDLERS.get(number)) else { return };
    let number = number as c_int;
    let Some(handler) = signal_handler(number) else { return };
    if handler == came as extern "C" fn(c_int) as usize || !has_thread() {
        return;
    }
    known.store(handler, Ordering::Relaxed);
    // SAFETY: it calls CPython's handler, and what may be called in one.
    unsafe { set_signal_handler(number, came) };
}

extern "C" fn came(number: c_int) {
    let handler = HANDLERS[number as usize].load(Ordering::Relaxed);
    // SAFETY: CPython's handler, which takes the number alone and keeps errno; the event is there for good.
    unsafe {
        std::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(number);
        if let Some(event) = CAME.load(Ordering::Acquire).as_ref() {
            event.raise();
        }
    }
}

/// Starts the thread, if it is not there. False: it cannot be, and signals are noticed where functions look for them.
fn has_thread() -> bool {
    let process = std::process::id() as i32;
    if PROCESS.load(Ordering::Relaxed) == process {
        return true;
    }
    let Ok(event) = Event::new() else { return false };
    // For good: a handler may run at any time.
    let event: *mut Event = Box::into_raw(Box::new(event));
    // SAFETY: it is not freed when there is a thread that has it.
    let theirs: &'static Event = unsafe { &*event };
    // They are not for the new thread, which inherits that.
    let no_signals = NoSignals::new();
    let spawned = spawn("subpy-signals", STACK, move || look_for_each(theirs));
    drop(no_signals);
    if spawned.is_err() {
        // SAFETY: nobody else has it.
        drop(unsafe { Box::from_raw(event) });
        return false;
    }
    CAME.store(event, Ordering::Release);
    PROCESS.store(process, Ordering::Relaxed);
    true
}

fn look_for_each(event: &Event) {
    loop {
        if !wait_readable(&event.as_fd(), Duration::MAX) {
            continue;
        }
        // Before it looks: what comes from now on is another one.
        if !event.clear() {
            return;
        }
        let is_over = lock(&IS_OVER);
        if *is_over {
            return;
        }
        // SAFETY: CPython is not finalised as long as the lock is held.
        unsafe {
            // The main thread does it when it takes the GIL the next time, which it does because this one wants it.
            (api().Py_AddPendingCall)(Some(look), ptr::null_mut());
            drop(Entry::new(api(), (api().PyInterpreterState_Main)(), this_stack()));
        }
    }
}

extern "C" fn look(_: *mut c_void) -> c_int {
    // SAFETY: CPython calls this with the GIL, on the main thread.
    unsafe { (api().PyErr_CheckSignals)() }
}
