//! Prepared functions: callables that were looked up once.

use super::args::Args;
use super::call::{self, Call, NO_KWARGS};
use super::interpreter::InterpreterRef;
use super::thread::Thread;
use super::to_rust::FromValue;
use super::unless_forked;
use super::value::Value;
use crate::manager::{self, Code, Result, forked};

/// A callable that was looked up once ([`InterpreterRef::function`]), to be called many times, from any thread.
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
    interp: InterpreterRef,
}

impl Function {
    pub(super) fn new(interp: InterpreterRef, callable: &str) -> Result<Function> {
        let handle = call::run(|| manager::function_new(interp.0, callable))?;
        Ok(Function { handle, interp })
    }

    /// Its interpreter.
    pub fn interpreter(&self) -> InterpreterRef {
        self.interp
    }

    /// Calls it, in its interpreter.
    ///
    /// # Errors
    /// As [`InterpreterRef::call`].
    pub fn call<T: FromValue>(&self, args: impl Args) -> Result<T> {
        self.call_kw(args, NO_KWARGS)
    }

    /// The same, with keyword arguments. When they are of different types, each is a [`Value`].
    ///
    /// # Errors
    /// As [`InterpreterRef::call`].
    pub fn call_kw<T: FromValue, K: Into<String>, V: Into<Value>>(
        &self,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<T> {
        let call = Call::new(args, kwargs)?;
        let args = call.args()?;
        call::result(call::run_wanting(true, |wanted| manager::function_call(self.handle, args, wanted))?)
    }

    /// Calls it on a new thread.
    ///
    /// # Errors
    /// As [`InterpreterRef::call_in_thread`].
    pub fn call_in_thread(&self, args: impl Args) -> Result<Thread> {
        self.call_kw_in_thread(args, NO_KWARGS)
    }

    /// The same, with keyword arguments.
    ///
    /// # Errors
    /// As [`InterpreterRef::call_in_thread`].
    pub fn call_kw_in_thread<K: Into<String>, V: Into<Value>>(
        &self,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Thread> {
        let call = Call::new(args, kwargs)?;
        let args = call.args()?;
        unless_forked(|| {
            let function = manager::find_function(self.handle)?;
            manager::run_in_thread(self.interp.0, Code::Function { kept: function.kept(), args }, true)
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
