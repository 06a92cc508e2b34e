//! The interpreters, operation by operation.

use std::ops::Deref;

use super::args::Args;
use super::block::encode;
use super::call::{self, Call, NO_KWARGS};
use super::function::Function;
use super::options::no_nul;
use super::session::Session;
use super::thread::Thread;
use super::to_rust::FromValue;
use super::unless_forked;
use super::value::Value;
use crate::manager::{self, Code, Kind, Options, Result};
use crate::value::{OwnedValue, check_owned_main_names};

/// An interpreter of one's own: closed when dropped.
///
/// Everything that one can do with it is in [`InterpreterRef`], which it dereferences to. To use it from several
/// threads, share it (it is [`Sync`]) or hand out copies of its reference.
///
/// Dropping it does what [`close`](Interpreter::close) does, but for saying so when it fails: an interpreter in which
/// something runs stays until [`shutdown`](crate::shutdown). It waits as `close` does, perhaps for ever, for threads
/// that Python code started.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// let interp = subpy::Interpreter::create()?;
/// interp.exec("def add(a, b): return a + b")?;
/// let sum: i64 = interp.call("add", (2, 3))?;
/// assert_eq!(sum, 5);
/// interp.close()
/// # }
/// ```
#[derive(Debug)]
pub struct Interpreter(InterpreterRef);

impl Interpreter {
    /// Creates an interpreter that is as isolated as those of `concurrent.interpreters`, with a GIL of its own. Starts
    /// CPython when it does not run.
    ///
    /// # Errors
    /// Those of [`init`](crate::init); [`Kind::Interpreter`] when CPython did not create it.
    pub fn create() -> Result<Interpreter> {
        Interpreter::with_options(&Options::default())
    }

    /// Creates an interpreter. Python: `create()`.
    ///
    /// # Errors
    /// As [`create`](Interpreter::create); [`Kind::InvalidArgument`] for options that make no sense.
    pub fn with_options(options: &Options) -> Result<Interpreter> {
        options.check()?;
        unless_forked(|| manager::create(options)).map(|handle| Interpreter(InterpreterRef(handle)))
    }

    /// Finalizes and destroys it. Python: `Interpreter.close()`.
    ///
    /// Waits for the threads that Python code started in it (not for daemons): for ever when one never ends. So let
    /// them see a flag, and set it before.
    ///
    /// # Errors
    /// As [`InterpreterRef::close`]. When it is [`Kind::Busy`], the interpreter stays until
    /// [`shutdown`](crate::shutdown), or until [`InterpreterRef::close`].
    pub fn close(self) -> Result<()> {
        self.leak().close()
    }

    /// A reference to it, for another thread or a registry. It outlives the interpreter harmlessly.
    pub fn as_ref(&self) -> InterpreterRef {
        self.0
    }

    /// Keeps the interpreter beyond this value: until [`InterpreterRef::close`] or [`shutdown`](crate::shutdown).
    pub fn leak(self) -> InterpreterRef {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl Deref for Interpreter {
    type Target = InterpreterRef;

    fn deref(&self) -> &InterpreterRef {
        &self.0
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        let _ = self.0.close();
    }
}

/// A reference to an interpreter: a number, which may be copied, sent anywhere, and kept longer than the interpreter.
/// One that was closed is [`Kind::NotFound`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterpreterRef(pub(super) u64);

impl InterpreterRef {
    /// The reference with this number. Any number will do: one that is no handle of an interpreter is
    /// [`Kind::NotFound`] when it is used.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// use subpy::{Interpreter, InterpreterRef};
    ///
    /// let interp = Interpreter::create()?;
    /// let error = interp.exec("1 / 0").unwrap_err();
    /// assert_eq!(InterpreterRef::from_handle(error.interp), interp.as_ref());
    /// # Ok(())
    /// # }
    /// ```
    pub const fn from_handle(handle: u64) -> InterpreterRef {
        InterpreterRef(handle)
    }

    /// The library's number for it, as the C ABI and [`Error::interp`](crate::Error::interp) have it.
    pub const fn handle(&self) -> u64 {
        self.0
    }

    /// Runs statements in its `__main__`. Python: `Interpreter.exec()`.
    ///
    /// Indentation that all lines share is taken off first when the first line that is not blank is indented.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Busy`] when it is running ([`Busy`](crate::Busy)); [`Kind::Syntax`], and nothing ran;
    /// [`Kind::ExecutionFailed`] for an uncaught exception.
    pub fn exec(&self, code: &str) -> Result<()> {
        self.run(Code::Exec { source: code, filename: None, keep_indent: false }, false).map(drop)
    }

    /// The same, with a file name for tracebacks, and the indentation as it is.
    ///
    /// # Errors
    /// As [`exec`](InterpreterRef::exec); [`Kind::InvalidArgument`] for a file name with a NUL.
    pub fn exec_file(&self, code: &str, filename: &str) -> Result<()> {
        no_nul(filename.as_bytes(), "filename")?;
        self.run(Code::Exec { source: code, filename: Some(filename), keep_indent: true }, false).map(drop)
    }

    /// Evaluates an expression in its `__main__`.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// let interp = subpy::Interpreter::create()?;
    /// let squares: Vec<u32> = interp.eval("[n * n for n in range(4)]")?;
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`exec`](InterpreterRef::exec); [`Kind::NotShareable`] for a result that has no [`Value`];
    /// [`Kind::WrongType`] for one that is no `T`.
    pub fn eval<T: FromValue>(&self, expression: &str) -> Result<T> {
        call::result(self.run(Code::Eval { expression, filename: None }, true)?)
    }

    /// Calls something by its name: `"name"` in `__main__`, or `"package.module:attribute.attribute"`. Python:
    /// `Interpreter.call()`.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// let interp = subpy::Interpreter::create()?;
    /// let root: f64 = interp.call("math:sqrt", (2.0,))?;
    /// assert_eq!(root, 2f64.sqrt());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`eval`](InterpreterRef::eval). A name that does not exist is [`Kind::ExecutionFailed`] with AttributeError or
    /// ModuleNotFoundError.
    pub fn call<T: FromValue>(&self, callable: &str, args: impl Args) -> Result<T> {
        self.call_kw(callable, args, NO_KWARGS)
    }

    /// The same, with keyword arguments. When they are of different types, each is a [`Value`].
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// use subpy::Value;
    ///
    /// let interp = subpy::Interpreter::create()?;
    /// let text: String = interp.call_kw("json:dumps", ([1, 2],), [("separators", (",", ":"))])?;
    /// assert_eq!(text, "[1,2]");
    /// let options = [("separators", Value::from((",", ":"))), ("sort_keys", Value::from(true))];
    /// let text: String = interp.call_kw("json:dumps", ([1, 2],), options)?;
    /// assert_eq!(text, "[1,2]");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`call`](InterpreterRef::call).
    pub fn call_kw<T: FromValue, K: Into<String>, V: Into<Value>>(
        &self,
        callable: &str,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<T> {
        let call = Call::new(args, kwargs)?;
        call::result(self.run(Code::Call { callable, args: call.args()? }, true)?)
    }

    /// Calls something on a new thread. Python: `Interpreter.call_in_thread()`.
    ///
    /// # Errors
    /// [`Kind::NotFound`], and [`Kind::Interpreter`] when no thread could be started. Everything else comes from
    /// [`Thread::join`].
    pub fn call_in_thread(&self, callable: &str, args: impl Args) -> Result<Thread> {
        self.call_kw_in_thread(callable, args, NO_KWARGS)
    }

    /// The same, with keyword arguments.
    ///
    /// # Errors
    /// As [`call_in_thread`](InterpreterRef::call_in_thread).
    pub fn call_kw_in_thread<K: Into<String>, V: Into<Value>>(
        &self,
        callable: &str,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Thread> {
        let call = Call::new(args, kwargs)?;
        let code = Code::Call { callable, args: call.args()? };
        unless_forked(|| manager::run_in_thread(self.0, code, true)).map(Thread)
    }

    /// Binds names in its `__main__`, all or none. Python: `Interpreter.prepare_main()`.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// let interp = subpy::Interpreter::create()?;
    /// interp.prepare_main([("limit", 3)])?;
    /// assert_eq!(interp.eval::<Vec<i64>>("list(range(limit))")?, [0, 1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] when there are no names, or one has a NUL; as [`exec`](InterpreterRef::exec).
    pub fn prepare_main<K: Into<String>, V: Into<Value>>(&self, names: impl IntoIterator<Item = (K, V)>) -> Result<()> {
        let names = encode(call::named(names))?;
        let names = check_owned_main_names(&names).map_err(Kind::InvalidArgument)?;
        call::run(|| manager::prepare_main(self.0, names))
    }

    /// Looks a callable up, to call it many times. `"name"` in `__main__`, or `"package.module:attribute.attribute"`.
    ///
    /// The function holds the object that was found: binding the name to something else later does not change it.
    ///
    /// # Errors
    /// As [`exec`](InterpreterRef::exec). A name that does not exist, or cannot be called, is [`Kind::ExecutionFailed`]
    /// with AttributeError, ModuleNotFoundError or TypeError.
    pub fn function(&self, callable: &str) -> Result<Function> {
        Function::new(*self, callable)
    }

    /// Keeps this thread in it, until the [`Session`] is dropped. Runs are cheaper meanwhile, and what Python keeps for
    /// a thread lasts from run to run.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Busy`] when it is closing; [`Kind::Interpreter`] when Python code created it;
    /// [`Kind::WrongState`] when this thread's stack is too small.
    pub fn enter(&self) -> Result<Session> {
        Session::new(*self)
    }

    fn run(&self, code: Code, want_result: bool) -> Result<OwnedValue> {
        call::run_wanting(want_result, |wanted| manager::run(self.0, code, wanted))
    }

    /// Whether something is being run in it by this crate. Python: `Interpreter.is_running()`.
    ///
    /// # Errors
    /// [`Kind::NotFound`]
    pub fn is_running(&self) -> Result<bool> {
        unless_forked(|| manager::is_running(self.0))
    }

    /// CPython's id: 0 for main, then ascending. Python: `Interpreter.id`.
    ///
    /// # Errors
    /// [`Kind::NotFound`]
    pub fn id(&self) -> Result<i64> {
        unless_forked(|| manager::id(self.0))
    }

    /// Where it came from, in CPython's words: `"C-API"` when this crate created it. Python: `Interpreter.whence`.
    ///
    /// # Errors
    /// [`Kind::NotFound`]
    pub fn whence(&self) -> Result<&'static str> {
        unless_forked(|| manager::whence(self.0)).map(|text| text.to_str().unwrap_or("unknown"))
    }

    /// Finalizes and destroys it. Python: `Interpreter.close()`.
    ///
    /// Waits for the threads that Python code started in it (not for daemons): for ever when one never ends.
    ///
    /// # Errors
    /// [`Kind::Busy`] while something runs in it, or a thread has a [`Session`]: it stays as it was. [`Kind::NotFound`]
    /// when it was closed already. [`Kind::Interpreter`] from inside itself, and for the main one.
    pub fn close(&self) -> Result<()> {
        unless_forked(|| manager::close(self.0))
    }
}

/// All interpreters by ascending id: main, those of this crate, and those that Python code created, which cannot be run
/// in. Starts CPython when it does not run. Python: `list_all()`.
///
/// # Errors
/// Those of [`init`](crate::init).
pub fn list_all() -> Result<Vec<InterpreterRef>> {
    Ok(unless_forked(manager::list_all)?.into_iter().map(InterpreterRef).collect())
}

/// The interpreter that this thread is in. Python: `get_current()`.
///
/// # Errors
/// [`Kind::NotFound`] when it is in none.
pub fn get_current() -> Result<InterpreterRef> {
    unless_forked(manager::get_current).map(InterpreterRef)
}

/// The main interpreter. It can be run in, and not be closed. Starts CPython when it does not run. Python: `get_main()`.
///
/// # Errors
/// Those of [`init`](crate::init).
pub fn get_main() -> Result<InterpreterRef> {
    unless_forked(manager::get_main).map(InterpreterRef)
}

/// The interpreter with CPython's id. Python: `Interpreter(id)`.
///
/// # Errors
/// [`Kind::NotFound`]; [`Kind::InvalidArgument`] for a negative id; those of [`init`](crate::init).
pub fn find(id: i64) -> Result<InterpreterRef> {
    unless_forked(|| manager::find(id)).map(InterpreterRef)
}
