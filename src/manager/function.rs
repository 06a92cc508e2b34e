//! Prepared functions: a callable that was looked up once. Any object can be called as one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::error::{Error, Kind, Result};
use super::handle::{self, Numbers};
use super::interpreter::{self, Interpreter};
use super::last::Last;
use super::registry::Registry;
use crate::python::fork;
use crate::python::kept::{Hold, Kept};
use crate::python::{lock, objects};

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
    pub fn interp(&self) -> u64 {
        self.interpreter.handle
    }

    pub fn is_elsewhere(&self) -> bool {
        self.interpreter.elsewhere().is_some()
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
        // It is an object, too.
        if !Hold::of(hold.kept()).is_some_and(|hold| objects::register(handle, hold)) {
            return Err(Kind::NoMemory.into());
        }
        let function = Arc::new(Function::of(interpreter, hold));
        fork::mind(|| FUNCTIONS.is_unlocked());
        FUNCTIONS.insert(handle, function).inspect_err(|_| objects::free(handle))?;
        Ok(handle)
    }

    fn of(interpreter: Arc<Interpreter>, hold: Hold) -> Function {
        let (kept, hold, freed) = (Arc::clone(hold.kept()), Mutex::new(Some(hold)), AtomicBool::new(false));
        Function { interpreter, kept, hold, freed }
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
    objects::free(handle);
    if let Some(function) = FUNCTIONS.remove(handle) {
        function.freed.store(true, Ordering::Relaxed);
        drop(lock(&function.hold).take());
    }
}

/// The function with this handle, or a new one of the object with this handle.
pub fn find_function(handle: u64) -> Result<Arc<Function>> {
    if let Some(function) = FUNCTIONS.get(handle) {
        return Ok(function);
    }
    let hold = objects::find(handle).ok_or_else(|| no_function(handle))?;
    Ok(Arc::new(Function::of(interpreter::get(hold.kept().interp())?, hold)))
}

/// The last function of an interpreter in a process of its own that a thread called. It does not keep that.
pub struct LastElsewhere(Last<Weak<Function>>);

impl LastElsewhere {
    pub const fn new() -> LastElsewhere {
        LastElsewhere(Last::new())
    }

    /// The function with this handle, wherever it is.
    #[inline(never)]
    pub fn find(&self, handle: u64) -> Result<Arc<Function>> {
        let known = self.0.take(handle);
        if let Some((weak, function)) = known.and_then(|weak| weak.upgrade().map(|function| (weak, function))) {
            self.0.put(handle, weak);
            return Ok(function);
        }
        let function = find_function(handle)?;
        if function.is_elsewhere() && is_function(handle) {
            self.0.put(handle, Arc::downgrade(&function));
        }
        Ok(function)
    }

    pub fn forget(&self) {
        self.0.forget();
    }
}

/// Whether a function is told when it is freed, so that it can be remembered.
pub fn is_function(handle: u64) -> bool {
    handle >> handle::KIND_SHIFT == handle::FUNCTION
}

fn no_function(handle: u64) -> Kind {
    Kind::NotFound(format!("{handle} is not the handle of a function, or it was freed"))
}
