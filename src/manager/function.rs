//! Prepared functions: a callable that was looked up once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::error::{Error, Kind, Ran, Result};
use super::handle::{self, Numbers};
use super::here::here;
use super::interpreter::{self, Interpreter};
use super::registry::Registry;
use crate::python::interp::{Interp, Scope};
use crate::python::kept::{Hold, Kept};
use crate::python::lock;
use crate::python::object::Py;
use crate::python::run::{Code, find_callable};
use crate::value::{Args, OwnedValue};

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

    /// The callable.
    pub fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }

    /// The callable for somebody who needs it longer than the function lives; None when it was freed.
    pub fn hold(&self) -> Option<Hold> {
        Hold::of(&self.kept)
    }
}

static FUNCTIONS: Registry<Function> = Registry::new();

/// Looks a callable up, as a call does.
pub fn function_new(interp: u64, callable: &str) -> Result<u64> {
    static NUMBERS: Numbers = Numbers::new(handle::FUNCTION);
    let interpreter = interpreter::driven(interp, "make a call in")?;
    let keep = |py: Py, scope: &Scope, python: &Interp| Ok(python.kept.keep(find_callable(py, scope, callable)?));
    let hold = here(|here| interpreter.inside(here, keep)).map_err(|error| *error)?;
    let (_, handle) = NUMBERS.next()?;
    let (kept, hold, freed) = (Arc::clone(hold.kept()), Mutex::new(Some(hold)), AtomicBool::new(false));
    FUNCTIONS.insert(handle, Arc::new(Function { interpreter, kept, hold, freed }));
    Ok(handle)
}

/// Calls it.
#[inline]
pub fn function_call(handle: u64, args: Args, wanted: Option<&mut OwnedValue>) -> Ran {
    here(|here| {
        let call = |function: &Function| {
            if function.freed.load(Ordering::Relaxed) {
                return Err(Error::from(no_function(handle)).into());
            }
            let code = Code::Function { kept: &function.kept, args };
            function.interpreter.run(here, code, wanted)
        };
        here.function.with(handle, || find_function(handle), call)
    })
}

/// Forgets it. Calls that run finish, and so do those on threads; then the reference is given back when the interpreter is
/// entered next.
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
