//! Prepared functions: callables that were looked up once.

use super::args::{Arg, Args};
use super::call::{self, Call, NO_KWARGS};
use super::interpreter::Interpreter;
use super::thread::Thread;
use super::to_rust::FromValue;
use super::unless_forked;
use crate::manager::{self, Code, Result, forked};

/// A callable that was looked up once ([`Interpreter::function`]), to be called many times, from any thread.
///
/// It belongs to its interpreter, and may outlive it: then its calls are [`Kind::NotFound`](crate::Kind::NotFound).
/// Dropping it never blocks and runs no Python; the Python object is given back when the interpreter is entered next.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// let interp = subpy::Interpreter::create()?;
/// interp.exec("def scale(number, *, by=1): return number * by")?;
/// let scale = interp.function("scale")?;
/// let scaled: Vec<i64> = (0..3).map(|number| scale.call_kw((number,), [("by", 10)])).collect::<subpy::Result<_>>()?;
/// assert_eq!(scaled, [0, 10, 20]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Function {
    handle: u64,
    interp: u64,
}

impl Function {
    pub(super) fn new(interp: u64, callable: &str) -> Result<Function> {
        let handle = call::run(|| manager::function_new(interp, callable))?;
        Ok(Function { handle, interp })
    }

    /// Its interpreter, without owning it.
    pub fn interpreter(&self) -> Interpreter {
        Interpreter::from_handle(self.interp)
    }

    /// Calls it, in its interpreter.
    ///
    /// # Errors
    /// As [`Interpreter::call`].
    pub fn call<T: FromValue>(&self, args: impl Args) -> Result<T> {
        self.call_kw(args, NO_KWARGS)
    }

    /// The same, with keyword arguments. When they are of different types, each is a [`Value`](crate::Value).
    ///
    /// # Errors
    /// As [`Interpreter::call`].
    pub fn call_kw<T: FromValue>(
        &self,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>,
    ) -> Result<T> {
        let call = Call::new(args, kwargs)?;
        let args = call.args()?;
        call::result(call::run_wanting(true, |wanted| manager::function_call(self.handle, args, wanted))?)
    }

    /// Calls it on a new thread.
    ///
    /// # Errors
    /// As [`Interpreter::call_in_thread`].
    pub fn call_in_thread(&self, args: impl Args) -> Result<Thread> {
        self.call_kw_in_thread(args, NO_KWARGS)
    }

    /// The same, with keyword arguments.
    ///
    /// # Errors
    /// As [`Interpreter::call_in_thread`].
    pub fn call_kw_in_thread(
        &self,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>,
    ) -> Result<Thread> {
        let call = Call::new(args, kwargs)?;
        let args = call.args()?;
        unless_forked(|| {
            let function = manager::find_function(self.handle)?;
            manager::run_in_thread(self.interp, Code::Function { kept: function.kept(), args }, true)
        })
        .map(Thread)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // In a fork a lock may be held by a thread that does not exist there.
        if !forked() {
            manager::function_free(self.handle);
        }
    }
}
