//! Host functions: Python objects that call what is not Python.
//!
//! | file | what |
//! |---|---|
//! | this one | a function, and all of an interpreter |
//! | `context` | the calls that are running, and what their hosts say of them |
//! | `finalize` | functions that can be called no more |
//! | `object` | the Python object |
//! | `call` | calling it |
//! | `raise` | exceptions that hosts raise |
//! | `tag` | numbers that stay with exceptions |
//! | `define`, `modules.py` | binding it to a name |

use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

mod call;
mod context;
mod define;
mod finalize;
mod object;
mod raise;
mod tag;

pub use context::{Called, Context, Over, Raise, call_for_another, calling};
pub use define::define;
pub use finalize::{Ending, release};
pub use object::kept as kept_type;
pub use tag::get as tag;

use super::attach::in_host;
use super::object::Py;
use super::own::Own;
use super::types::PyObject;
use crate::value::Args;

/// What a host function does when it is called. Dropping it finalizes it.
pub trait HostCode: Send + Sync {
    /// The arguments are valid until it returns.
    fn call(&self, context: Context, args: Args);
}

/// How Python sees a function.
#[derive(Clone, Copy)]
pub struct Definition<'a> {
    /// None: `__main__`
    pub module: Option<&'a str>,
    pub name: &'a str,
    /// `(a, b=0)`
    pub signature: Option<&'a str>,
    pub doc: Option<&'a str>,
}

/// A function of the host's.
pub struct HostFunction {
    /// Taken out, once, when it is finalized.
    code: UnsafeCell<Option<Box<dyn HostCode>>>,
    /// For messages: `host.add`
    name: String,
    /// Whatever `Context::owner` is to say.
    owner: u64,
    hosts: Arc<Hosts>,
    keep_gil: bool,
    /// The thread that it may be called on.
    thread: Option<u64>,
    /// Its interpreter takes part in the library no more, but Python goes on. And whether there is anything to be looked
    /// at before a call.
    retired: AtomicBool,
    restricted: AtomicBool,
    finalized: AtomicBool,
}

// SAFETY: the code is Send and Sync. It is taken out by the thread that sets `finalized`, when no call is running and
// none can begin (`finalize`).
unsafe impl Send for HostFunction {}
// SAFETY: as above.
unsafe impl Sync for HostFunction {}

/// How a function is called.
#[derive(Clone, Copy)]
pub struct How {
    pub keep_gil: bool,
    /// On this thread alone.
    pub this_thread_only: bool,
}

impl HostFunction {
    /// None: no memory for its name.
    pub fn new(code: Box<dyn HostCode>, how: &How, owner: u64, hosts: &Arc<Hosts>, name: String) -> Arc<HostFunction> {
        Arc::new(HostFunction {
            code: UnsafeCell::new(Some(code)),
            name,
            owner,
            hosts: Arc::clone(hosts),
            keep_gil: how.keep_gil,
            thread: how.this_thread_only.then(own_number),
            retired: AtomicBool::new(false),
            restricted: AtomicBool::new(how.this_thread_only),
            finalized: AtomicBool::new(false),
        })
    }

    fn number(&self) -> u64 {
        self.hosts.number
    }

    /// From now on calls are refused. Attached.
    fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        self.restricted.store(true, Ordering::Relaxed);
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// It is not finalized, since a call is running (`Place::runs`), and none begins without it.
    #[inline(always)]
    fn code(&self) -> &dyn HostCode {
        // SAFETY: so nobody takes it out.
        match unsafe { &*self.code.get() } {
            Some(code) => &**code,
            None => &NoCode,
        }
    }

    /// No call of it is running, and none can begin. Detached, and no lock is held.
    pub fn finalize(self: &Arc<HostFunction>) {
        if !self.finalized.swap(true, Ordering::AcqRel) {
            self.hosts.functions.remove(self);
            // SAFETY: by the first who comes here, and nobody calls it.
            let code = unsafe { (*self.code.get()).take() };
            // Without memory it is never told: its code must not run here.
            let code = Cell::new(code);
            if in_host(|| drop(code.take())).is_none() {
                std::mem::forget(code);
            }
        }
    }
}

/// Does nothing.
struct NoCode;

impl HostCode for NoCode {
    fn call(&self, _: Context, _: Args) {}
}

/// The thread that it is called on, for functions that are for one alone.
pub fn this_thread_number() -> u64 {
    own_number()
}

/// The number of this thread: the first has 1, and none is used twice.
fn own_number() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static THIS: Cell<u64> = const { Cell::new(0) };
    }
    if THIS.get() == 0 {
        THIS.set(THREADS.fetch_add(1, Ordering::Relaxed) + 1);
    }
    THIS.get()
}

/// What one interpreter has for its host functions.
pub struct Hosts {
    /// The number of the interpreter.
    number: u64,
    functions: finalize::Functions,
    /// The types of the objects and of tags, strong references; NULL before the first is needed.
    kind: AtomicPtr<PyObject>,
    tags: AtomicPtr<PyObject>,
    /// For what functions return.
    own: Arc<Own>,
    places: context::Places,
}

impl Hosts {
    pub fn new(number: u64, own: &Arc<Own>) -> Arc<Hosts> {
        let [kind, tags] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];
        let (functions, places) = (finalize::Functions::default(), context::Places::default());
        Arc::new(Hosts { number, functions, kind, tags, own: Arc::clone(own), places })
    }

    /// Gives the references to Python objects back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        for kept in [&self.kind, &self.tags] {
            let kind = kept.swap(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: the reference that was kept; Py_DecRef ignores NULL.
            unsafe { (py.api.Py_DecRef)(kind) }
        }
    }

    /// From now on calls are refused. Attached to the interpreter, which goes on.
    pub fn retire(&self) {
        self.functions.all().iter().for_each(|function| function.retire());
    }

    /// No call can begin any more: finalizes what is left.
    pub fn end(&self) {
        self.functions.end();
        self.places.end();
    }
}
