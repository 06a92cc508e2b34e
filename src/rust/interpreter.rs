//! The interpreters, operation by operation.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{self, AtomicBool};

use super::args::{Arg, Args};
use super::block::encode;
use super::call::{self, Call, NO_KWARGS};
use super::function::Function;
use super::limits::{Limited, Limits};
use super::options::no_nul;
use super::session::Session;
use super::thread::Thread;
use super::to_rust::FromValue;
use super::unless_forked;
use crate::manager::{self, CloseOptions, Code, InThread, Kind, LockInfo, Memory, Options, Result};
use crate::value::check_owned_main_names;

/// An interpreter, by its handle. It can be cloned, sent to any thread, and used by many at a time.
///
/// One that was created here, with [`create`](Interpreter::create) or [`with_options`](Interpreter::with_options), is
/// closed when the last of its clones is dropped. Those that [`find`], [`get_main`], [`get_current`], [`list_all`] and
/// [`from_handle`](Interpreter::from_handle) give own nothing: they close nothing when they are dropped, and may
/// outlive the interpreter, or never have had one. Then what they do is [`Kind::NotFound`].
///
/// Closing by dropping does what [`close`](Interpreter::close) does, but for saying so when it fails: an interpreter in
/// which something runs, or in which a thread has a [`Session`], stays until [`shutdown`](crate::shutdown). It waits as
/// `close` does, perhaps for ever, for threads that Python code started.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// let interp = subpy::Interpreter::create()?;
/// interp.exec("def add(a, b): return a + b")?;
/// let other = interp.clone();
/// let thread = std::thread::spawn(move || other.call::<i64>("add", (2, 3)));
/// assert_eq!(thread.join().expect("no panic")?, 5);
/// interp.close()
/// # }
/// ```
///
/// Two are equal when they are the same interpreter, whatever they own.
#[derive(Clone)]
pub struct Interpreter {
    handle: u64,
    /// What the clones share; None for those that own nothing.
    owned: Option<Arc<Owned>>,
}

/// The duty to close an interpreter.
struct Owned {
    handle: u64,
    leaked: AtomicBool,
}

impl Drop for Owned {
    fn drop(&mut self) {
        if !*self.leaked.get_mut() {
            // Harmless after a close: handles are never used twice.
            let _ = close(self.handle);
        }
    }
}

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
        let handle = unless_forked(|| manager::create(options))?;
        Ok(Interpreter { handle, owned: Some(Arc::new(Owned { handle, leaked: AtomicBool::new(false) })) })
    }

    /// The interpreter with this number, without owning it. Any number will do: one that is no handle of an interpreter
    /// is [`Kind::NotFound`] when it is used.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// use subpy::Interpreter;
    ///
    /// let interp = Interpreter::create()?;
    /// let error = interp.exec("1 / 0").unwrap_err();
    /// assert_eq!(Interpreter::from_handle(error.interp), interp);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn from_handle(handle: u64) -> Interpreter {
        Interpreter { handle, owned: None }
    }

    /// The library's number for it, as the C ABI and [`Error::interp`](crate::Error::interp) have it.
    pub const fn handle(&self) -> u64 {
        self.handle
    }

    /// Keeps the interpreter until [`close`](Interpreter::close) or [`shutdown`](crate::shutdown): no clone closes it
    /// any more when it is dropped. What is returned owns nothing.
    pub fn leak(self) -> Interpreter {
        if let Some(owned) = &self.owned {
            owned.leaked.store(true, atomic::Ordering::Relaxed);
        }
        Interpreter::from_handle(self.handle)
    }

    /// Runs statements in its `__main__`. Python: `Interpreter.exec()`.
    ///
    /// Indentation that all lines share is taken off first when the first line that is not blank is indented.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Busy`] when it is running ([`Busy`](crate::Busy)); [`Kind::Syntax`], and nothing
    /// ran;
    /// [`Kind::ExecutionFailed`] for an uncaught exception.
    pub fn exec(&self, code: &str) -> Result<()> {
        self.run(Code::Exec { source: code, filename: None, keep_indent: false })
    }

    /// The same, with a file name for tracebacks, and the indentation as it is.
    ///
    /// # Errors
    /// As [`exec`](Interpreter::exec); [`Kind::InvalidArgument`] for a file name with a NUL.
    pub fn exec_file(&self, code: &str, filename: &str) -> Result<()> {
        no_nul(filename.as_bytes(), "filename")?;
        self.run(Code::Exec { source: code, filename: Some(filename), keep_indent: true })
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
    /// As [`exec`](Interpreter::exec); [`Kind::NotShareable`] for a result that has no [`Value`](crate::Value);
    /// [`Kind::WrongType`] for one that is no `T`.
    pub fn eval<T: FromValue>(&self, expression: &str) -> Result<T> {
        self.run_for(Code::Eval { expression, filename: None })
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
    /// As [`eval`](Interpreter::eval). A name that does not exist is [`Kind::ExecutionFailed`] with AttributeError or
    /// ModuleNotFoundError.
    pub fn call<T: FromValue>(&self, callable: &str, args: impl Args) -> Result<T> {
        self.call_kw(callable, args, NO_KWARGS)
    }

    /// The same, with keyword arguments. When they are of different types, each is a [`Value`](crate::Value).
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
    /// As [`call`](Interpreter::call).
    pub fn call_kw<T: FromValue>(
        &self,
        callable: &str,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>,
    ) -> Result<T> {
        let call = Call::new(args, kwargs)?;
        self.run_for(Code::Call { callable, args: call.args()? })
    }

    /// Calls something on a new thread. Python: `Interpreter.call_in_thread()`.
    ///
    /// # Errors
    /// [`Kind::NotFound`], and [`Kind::Interpreter`] when no thread could be started. Everything else comes from
    /// [`Thread::join`].
    pub fn call_in_thread<T: FromValue>(&self, callable: &str, args: impl Args) -> Result<Thread<T>> {
        self.call_kw_in_thread(callable, args, NO_KWARGS)
    }

    /// The same, with keyword arguments.
    ///
    /// # Errors
    /// As [`call_in_thread`](Interpreter::call_in_thread).
    pub fn call_kw_in_thread<T: FromValue>(
        &self,
        callable: &str,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>,
    ) -> Result<Thread<T>> {
        let call = Call::new(args, kwargs)?;
        let code = Code::Call { callable, args: call.args()? };
        unless_forked(|| {
            manager::run_in_thread(
                self.handle,
                code,
                InThread { want_result: true, results: T::ROOT, ..InThread::default() },
            )
        })
        .map(Thread::new)
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
    /// [`Kind::InvalidArgument`] when there are no names, or one has a NUL; as [`exec`](Interpreter::exec).
    pub fn prepare_main(&self, names: impl IntoIterator<Item = (impl Into<String>, impl Arg)>) -> Result<()> {
        let names = encode(call::named(names, "names")?)?;
        let names = check_owned_main_names(&names).map_err(Kind::InvalidArgument)?;
        call::run(|| manager::prepare_main(self.handle, names))
    }

    /// Looks a callable up, to call it many times. `"name"` in `__main__`, or `"package.module:attribute.attribute"`.
    ///
    /// The function holds the object that was found: binding the name to something else later does not change it.
    ///
    /// # Errors
    /// As [`exec`](Interpreter::exec). A name that does not exist, or cannot be called, is [`Kind::ExecutionFailed`]
    /// with AttributeError, ModuleNotFoundError or TypeError.
    pub fn function(&self, callable: &str) -> Result<Function> {
        Function::new(self.handle, callable)
    }

    /// The same interpreter, for runs that may take no longer than that, or can be cancelled.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// use std::time::Duration;
    /// use subpy::{Interpreter, Kind, Limits};
    ///
    /// let interp = Interpreter::create()?;
    /// let limits = Limits::new().timeout(Duration::from_millis(50));
    /// let error = interp.with_limits(limits).exec("while True: pass").unwrap_err();
    /// assert!(matches!(error.kind, Kind::Timeout(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_limits(&self, limits: Limits) -> Limited<'_> {
        Limited { interpreter: self, limits }
    }

    /// Stops what runs in it now, whoever started it: each of these runs ends with [`Kind::Interrupted`]. When nothing
    /// runs nothing happens, and no later run is hit.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Interpreter`] when Python code created it; [`Kind::WrongState`] when this CPython
    /// cannot be interrupted.
    pub fn interrupt(&self) -> Result<()> {
        unless_forked(|| manager::interrupt(self.handle))
    }

    /// Keeps this thread in it, until the [`Session`] is dropped. Runs are cheaper meanwhile, and what Python keeps for
    /// a thread lasts from run to run.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Busy`] when it is closing; [`Kind::Interpreter`] when Python code created it;
    /// [`Kind::WrongState`] when this thread's stack is too small.
    pub fn enter(&self) -> Result<Session> {
        Session::new(self.handle)
    }

    fn run(&self, code: Code) -> Result<()> {
        call::run_wanting(false, |wanted| manager::run(self.handle, code, wanted.result)).map(drop)
    }

    fn run_for<T: FromValue>(&self, code: Code) -> Result<T> {
        call::run_for(|wanted| match wanted.how.is_value() {
            true => manager::run(self.handle, code, wanted.result),
            false => manager::run_with(self.handle, code, wanted, None, None),
        })
    }

    /// Whether something is being run in it by this crate. Python: `Interpreter.is_running()`.
    ///
    /// # Errors
    /// [`Kind::NotFound`]
    pub fn is_running(&self) -> Result<bool> {
        unless_forked(|| manager::is_running(self.handle))
    }

    /// How much memory it uses, if it counts that: with a [`memory_limit`](Options::memory_limit), or
    /// [`Config::count_memory`](crate::Config::count_memory).
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// use subpy::{Interpreter, Kind, Options};
    ///
    /// let interp = Interpreter::with_options(&Options::new().memory_limit(64 << 20))?;
    /// let before = interp.memory()?;
    /// interp.exec("kept = bytearray(10_000_000)")?;
    /// assert!(interp.memory()?.used >= before.used + 10_000_000);
    /// let error = interp.exec("more = bytearray(100_000_000)").unwrap_err();
    /// let Kind::ExecutionFailed(exception) = &error.kind else { panic!("{error}") };
    /// assert_eq!(exception.type_name, "MemoryError");
    /// assert_eq!(interp.memory()?.refused, before.refused + 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::WrongState`] when it does not count; [`Kind::Interpreter`] when Python code created
    /// it.
    pub fn memory(&self) -> Result<Memory> {
        unless_forked(|| manager::memory(self.handle))
    }

    /// What holds it, if it is locked ([`ProcessOptions::locked`](crate::ProcessOptions::locked)).
    ///
    /// # Errors
    /// [`Kind::WrongState`]: it is not locked; [`Kind::NotFound`]; [`Kind::Crashed`]: its process has ended.
    pub fn lock_info(&self) -> Result<LockInfo> {
        unless_forked(|| manager::lock_of(self.handle))
    }

    /// CPython's id: 0 for main, then ascending. Python: `Interpreter.id`.
    ///
    /// # Errors
    /// [`Kind::NotFound`]
    pub fn id(&self) -> Result<i64> {
        unless_forked(|| manager::id(self.handle))
    }

    /// Where it came from, in CPython's words: `"C-API"` when this crate created it; `"process"` when it has a process of
    /// its own. Python: `Interpreter.whence`.
    ///
    /// # Errors
    /// [`Kind::NotFound`]
    pub fn whence(&self) -> Result<&'static str> {
        unless_forked(|| manager::whence(self.handle)).map(|text| text.to_str().unwrap_or("unknown"))
    }

    /// Finalizes and destroys it. Python: `Interpreter.close()`.
    ///
    /// Waits for the threads that Python code started in it (not for daemons): for ever when one never ends. So let
    /// them see a flag, and set it before.
    ///
    /// # Errors
    /// [`Kind::Busy`] while something runs in it, or a thread has a [`Session`]: it stays as it was. [`Kind::NotFound`]
    /// when it was closed already. [`Kind::Interpreter`] from inside itself, and for the main one.
    pub fn close(&self) -> Result<()> {
        close(self.handle)
    }

    /// As [`close`](Interpreter::close), within a time: what runs in it is waited for, or made to end, and so are the
    /// threads that Python code started.
    ///
    /// # Errors
    /// [`Kind::Busy`] when the time was over before nothing was left: the message names what is, and it stays as it was.
    /// [`Kind::Timeout`](crate::Kind::Timeout) when it is ending, and code that runs at the end (atexit handlers,
    /// `__del__`) has not returned in time: call it again to wait on. And those of [`close`](Interpreter::close).
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// use std::time::Duration;
    /// use subpy::{CloseOptions, Interpreter};
    ///
    /// let interp = Interpreter::create()?;
    /// interp.exec("import threading\nthreading.Timer(3600, print).start()")?;
    /// interp.close_with(CloseOptions::new().timeout(Duration::from_secs(10)).interrupt(true))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close_with(&self, options: CloseOptions) -> Result<()> {
        unless_forked(|| manager::close_with(self.handle, options))
    }
}

fn close(handle: u64) -> Result<()> {
    unless_forked(|| manager::close(handle))
}

impl fmt::Debug for Interpreter {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_tuple("Interpreter").field(&self.handle).finish()
    }
}

impl PartialEq for Interpreter {
    fn eq(&self, other: &Interpreter) -> bool {
        self.handle == other.handle
    }
}

impl Eq for Interpreter {}

impl Hash for Interpreter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.handle.hash(state);
    }
}

impl PartialOrd for Interpreter {
    fn partial_cmp(&self, other: &Interpreter) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interpreter {
    fn cmp(&self, other: &Interpreter) -> Ordering {
        self.handle.cmp(&other.handle)
    }
}

/// All interpreters by ascending id: main, those of this crate, and those that Python code created, which cannot be run
/// in. Starts CPython when it does not run. Python: `list_all()`.
///
/// # Errors
/// Those of [`init`](crate::init).
pub fn list_all() -> Result<Vec<Interpreter>> {
    Ok(unless_forked(manager::list_all)?.into_iter().map(Interpreter::from_handle).collect())
}

/// The interpreter that this thread is in. Python: `get_current()`.
///
/// # Errors
/// [`Kind::NotFound`] when it is in none.
pub fn get_current() -> Result<Interpreter> {
    unless_forked(manager::get_current).map(Interpreter::from_handle)
}

/// The main interpreter. It can be run in, and not be closed. Starts CPython when it does not run. Python:
/// `get_main()`.
///
/// # Errors
/// Those of [`init`](crate::init).
pub fn get_main() -> Result<Interpreter> {
    unless_forked(manager::get_main).map(Interpreter::from_handle)
}

/// The interpreter with CPython's id. Python: `Interpreter(id)`.
///
/// # Errors
/// [`Kind::NotFound`]; [`Kind::InvalidArgument`] for a negative id; those of [`init`](crate::init).
pub fn find(id: i64) -> Result<Interpreter> {
    unless_forked(|| manager::find(id)).map(Interpreter::from_handle)
}
