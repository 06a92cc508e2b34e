//! Prepared functions: callables that were looked up once.

use super::args::{Arg, Args};
use super::call::{self, Call, NO_KWARGS};
use super::interpreter::Interpreter;
use super::many;
use super::thread::Thread;
use super::to_rust::FromValue;
use super::unless_forked;
use crate::manager::{self, Code, InThread, Result, forked};

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
        call::run_for(|wanted| match wanted.how.is_value() && !args.buffers.are_claimed() {
            true => manager::function_call(self.handle, args, wanted.result),
            false => manager::function_call_specially(self.handle, args, wanted),
        })
    }

    /// Calls it with one row of arguments after the other, in a fraction of the time of as many calls: the interpreter
    /// is entered once. A row is what [`call`](Function::call) takes; all have as many arguments.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// let interp = subpy::Interpreter::create()?;
    /// let pow = interp.function("builtins:pow")?;
    /// let squares: Vec<i64> = pow.call_many((0..5).map(|number| (number, 2)))?;
    /// assert_eq!(squares, [0, 1, 4, 9, 16]);
    ///
    /// let error = pow.call_many::<f64>([(2, -1), (0, -1)]).unwrap_err();
    /// assert_eq!(error.row(), Some(1));
    /// assert!(error.to_string().starts_with("row 1: ZeroDivisionError: "));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Interpreter::call`]. The first row that fails ends the calls: the error is its, and knows its
    /// [`row`](crate::Error::row).
    pub fn call_many<T: FromValue>(&self, rows: impl IntoIterator<Item = impl Args>) -> Result<Vec<T>> {
        many::call_many(self.handle, rows)
    }

    /// The same, with a result or an error for each row.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// let interp = subpy::Interpreter::create()?;
    /// let int = interp.function("builtins:int")?;
    /// let numbers = int.call_each::<i64>([["1"], ["two"], ["3"]])?;
    /// assert!(matches!(numbers[..], [Ok(1), Err(_), Ok(3)]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Interpreter::call`], but for what becomes of a row: an exception that `except Exception` does not catch
    /// (SystemExit, KeyboardInterrupt) ends the calls all the same.
    pub fn call_each<T: FromValue>(&self, rows: impl IntoIterator<Item = impl Args>) -> Result<Vec<Result<T>>> {
        many::call_each(self.handle, rows)
    }

    /// Calls it on a new thread.
    ///
    /// # Errors
    /// As [`Interpreter::call_in_thread`].
    pub fn call_in_thread<T: FromValue>(&self, args: impl Args) -> Result<Thread<T>> {
        self.call_kw_in_thread(args, NO_KWARGS)
    }

    /// The same, with keyword arguments.
    ///
    /// # Errors
    /// As [`Interpreter::call_in_thread`].
    pub fn call_kw_in_thread<T: FromValue>(
        &self,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>,
    ) -> Result<Thread<T>> {
        let call = Call::new(args, kwargs)?;
        let args = call.args()?;
        unless_forked(|| {
            let function = manager::find_function(self.handle)?;
            manager::run_in_thread(
                self.interp,
                Code::Function { kept: function.kept(), args },
                InThread { want_result: true, results: T::ROOT, ..InThread::default() },
            )
        })
        .map(Thread::new)
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
