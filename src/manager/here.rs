//! What a thread remembers: one look-up of a thread-local variable for a whole run.

use std::cell::Cell;
use std::sync::Arc;

use super::error::{Ran, Result};
use super::function::Function;
use super::gate::Inside;
use super::interpreter::Interpreter;
use super::session::Sessions;

pub struct Here {
    /// The interpreters that the thread is in.
    pub inside: Inside,
    /// The interpreter that it ran in last.
    pub interpreter: Last<Interpreter>,
    /// The function that it called last.
    pub function: Last<Function>,
    pub sessions: Sessions,
}

/// What the thread used last: to find it again in the registry costs four locked instructions, a tenth of a call. When it
/// was closed or freed meanwhile it says so itself.
pub struct Last<T>(Cell<Option<(u64, Arc<T>)>>);

impl<T> Last<T> {
    const fn new() -> Last<T> {
        Last(Cell::new(None))
    }

    /// Uses what has this handle, and remembers it.
    #[inline]
    pub fn with(&self, handle: u64, find: impl FnOnce() -> Result<Arc<T>>, act: impl FnOnce(&T) -> Ran) -> Ran {
        let thing = match self.0.take() {
            Some((last, thing)) if last == handle => thing,
            _ => find()?,
        };
        let result = act(&thing);
        self.0.set(Some((handle, thing)));
        result
    }
}

impl Here {
    const fn new() -> Here {
        Here { inside: Inside::new(), interpreter: Last::new(), function: Last::new(), sessions: Sessions::new() }
    }
}

thread_local! {
    static HERE: Here = const { Here::new() };
}

/// Does something with what this thread remembers. When the thread is ending (in the destructor of another thread-local
/// variable), that may be gone: then it begins anew each time.
#[inline(always)]
pub fn here<R>(act: impl FnOnce(&Here) -> R) -> R {
    let mut act = Some(act);
    let mut once = |here: &Here| act.take().map(|act| act(here));
    let done = HERE.try_with(&mut once).unwrap_or_else(|_| once(&Here::new()));
    done.expect("one of the two was called, once")
}

/// True when this thread runs something in any interpreter.
pub fn is_inside_any() -> bool {
    here(|here| here.inside.any())
}

/// True when this thread has entered that interpreter and runs nothing in it.
pub fn is_merely_entered(handle: u64) -> bool {
    here(|here| here.sessions.is_open(handle) && !here.inside.contains(handle))
}
