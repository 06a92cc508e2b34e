//! Prepared functions: a callable that was looked up once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::error::{Error, Kind, Result};
use super::handle::{self, Numbers};
use super::interpreter::Interpreter;
use super::registry::Registry;
use crate::python::kept::{Hold, Kept};
use crate::python::lock;

/// A callable of an interpreter. It may outlive the interpreter, which says then that it is gone.
pub struct Function {
    interpreter: Arc<Interpreter>,
    kept: Arc<Kept>,
    /// Until it is freed.
    hold: Mutex<Option<Hold>>,
    freed: AtomicBool,
}

impl Function {
    /// The handle of its interpreter.
    #[cfg(feature = "capi")]
    pub fn interp(&self) -> u64 {
        self.interpreter.handle
    }

    /// The callable.
    pub fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }
}

static FUNCTIONS: Registry<Function> = Registry::new();

impl Function {
    /// Makes it known; its handle.
    pub fn register(interpreter: Arc<Interpreter>, hold: Hold) -> Result<u64> {
        static NUMBERS: Numbers = Numbers::new(handle::FUNCTION);
        let (_, handle) = NUMBERS.next()?;
        let (kept, hold, freed) = (Arc::clone(hold.kept()), Mutex::new(Some(hold)), AtomicBool::new(false));
        FUNCTIONS.insert(handle, Arc::new(Function { interpreter, kept, hold, freed }));
        Ok(handle)
    }

    /// The interpreter to call it in; fails when the function was freed.
    #[inline]
    pub fn interpreter(&self, handle: u64) -> Result<&Interpreter, Box<Error>> {
        if self.freed.load(Ordering::Relaxed) {
            Err(Error::from(no_function(handle)).into())
        } else {
            Ok(&self.interpreter)
        }
    }
}

/// Forgets it. Calls that run finish, and so do those on threads; then the reference is given back when the interpreter
/// is entered next.
pub fn function_free(handle: u64) {
    if let Some(function) = FUNCTIONS.remove(handle) {
        function.freed.store(true, Ordering::Relaxed);
        drop(lock(&function.hold).take());
    }
}

/// The function with this handle.
pub fn find_function(handle: u64) -> Result<Arc<Function>> {
    FUNCTIONS.get(handle).ok_or_else(|| no_function(handle).into())
}

fn no_function(handle: u64) -> Kind {
    Kind::NotFound(format!("{handle} is not the handle of a function, or it was freed"))
}
