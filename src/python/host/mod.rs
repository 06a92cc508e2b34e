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

use std::cell::UnsafeCell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

mod call;
mod context;
mod define;
mod finalize;
mod object;
mod raise;
mod tag;

pub use context::{Context, Over, Raise, calling, this_thread};
pub use define::define;
pub use finalize::{Ending, release};
pub use tag::get as tag;

use super::attach::in_host;
use super::names::Names;
use super::object::Py;
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
    /// Its interpreter takes part in the library no more, but Python goes on.
    retired: AtomicBool,
    finalized: AtomicBool,
}

// SAFETY: the code is Send and Sync. It is taken out by the thread that sets `finalized`, when no call is running and
// none can begin (`finalize`).
unsafe impl Send for HostFunction {}
// SAFETY: as above.
unsafe impl Sync for HostFunction {}

/// How a function is called.
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
            thread: how.this_thread_only.then(this_thread),
            retired: AtomicBool::new(false),
            finalized: AtomicBool::new(false),
        })
    }

    fn number(&self) -> u64 {
        self.hosts.number
    }

    /// No call of it is running, and none can begin. Detached, and no lock is held.
    pub fn finalize(self: &Arc<HostFunction>) {
        if !self.finalized.swap(true, Ordering::AcqRel) {
            self.hosts.functions.remove(self);
            // SAFETY: by the first who comes here, and nobody calls it.
            let code = unsafe { (*self.code.get()).take() };
            in_host(|| drop(code));
        }
    }
}

/// What one interpreter has for its host functions.
pub struct Hosts {
    /// The number of the interpreter.
    number: u64,
    functions: finalize::Functions,
    /// The types of the objects and of tags, strong references; NULL before the first is needed.
    kind: AtomicPtr<PyObject>,
    tags: AtomicPtr<PyObject>,
    /// For the keys of dicts that functions return.
    names: Names,
}

impl Hosts {
    pub fn new(number: u64) -> Arc<Hosts> {
        let [kind, tags] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];
        Arc::new(Hosts { number, functions: finalize::Functions::default(), kind, tags, names: Names::default() })
    }

    /// Gives the references to Python objects back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        self.names.give_back_all(py);
        for kept in [&self.kind, &self.tags] {
            let kind = kept.swap(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: the reference that was kept; Py_DecRef ignores NULL.
            unsafe { (py.api.Py_DecRef)(kind) }
        }
    }

    /// From now on calls are refused. Attached to the interpreter, which goes on.
    pub fn retire(&self) {
        self.functions.all().iter().for_each(|function| function.retired.store(true, Ordering::Relaxed));
    }

    /// No call can begin any more: finalizes what is left.
    pub fn end(&self) {
        self.functions.end();
    }
}
