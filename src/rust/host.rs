//! Functions of Rust's that Python code calls.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::block::{decode, encode};
use super::call;
use super::interpreter::Interpreter;
use super::options::no_nul;
use super::to_rust::{FromValue, WrongType};
use super::value::Value;
use crate::manager::{self, Context, Error, HostCode, How, Result};
use crate::value;

/// What a function raises in Python: a class, by its name, and a message.
///
/// Every error is one: a RuntimeError with its text. An [`Error`] with a Python exception is that exception, and has its
/// traceback as a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raise {
    class: String,
    message: String,
    notes: Vec<String>,
}

impl Raise {
    /// `"ValueError"`, or any other builtin class, or `"package.module:Type"`.
    pub fn new(class: impl Into<String>, message: impl Into<String>) -> Raise {
        Raise { class: class.into(), message: message.into(), notes: Vec::new() }
    }

    /// The same, with a note that Python shows below the traceback.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Raise {
        self.notes.push(note.into());
        self
    }
}

impl<E: std::error::Error + 'static> From<E> for Raise {
    fn from(error: E) -> Raise {
        let any: &dyn Any = &error;
        if let Some(exception) = any.downcast_ref::<Error>().and_then(Error::exception) {
            let class = format!("{}:{}", exception.type_module, exception.type_qualname);
            return Raise::new(class, &exception.message).with_note(&exception.display);
        }
        let class = if any.is::<WrongType>() { "TypeError" } else { "RuntimeError" };
        let mut raise = Raise::new(class, error.to_string());
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        raise.notes.extend(causes.map(|cause| format!("caused by: {cause}")));
        raise
    }
}

/// One call, as [`Interpreter::define_with`] has it.
pub struct HostCall {
    context: usize,
    args: Vec<Value>,
    kwargs: Vec<(String, Value)>,
}

impl HostCall {
    /// The positional arguments.
    pub fn args(&self) -> &[Value] {
        &self.args
    }

    /// The keyword arguments.
    pub fn kwargs(&self) -> &[(String, Value)] {
        &self.kwargs
    }

    /// The keyword argument with this name.
    pub fn kwarg(&self, name: &str) -> Option<&Value> {
        self.kwargs.iter().find(|(its, _)| its == name).map(|(_, value)| value)
    }

    /// The interpreter that it comes from, without owning it.
    pub fn interpreter(&self) -> Interpreter {
        Interpreter::from_handle(manager::context_interp(self.context))
    }

    /// Whether the run that it is in was cancelled, or its time is up: the function should return soon.
    pub fn is_cancelled(&self) -> bool {
        manager::context_cancelled(self.context)
    }
}

/// How Python sees a function, and how it is called. The default is what [`Interpreter::define`] does.
#[derive(Debug, Clone, Default)]
pub struct DefineOptions {
    signature: Option<String>,
    doc: Option<String>,
    keep_gil: bool,
    this_thread_only: bool,
}

impl DefineOptions {
    /// The default.
    pub fn new() -> DefineOptions {
        DefineOptions::default()
    }

    /// What `inspect.signature()` and `help()` show, such as `(a, b=0, *, c=None)`.
    #[must_use]
    pub fn signature(mut self, signature: impl Into<String>) -> DefineOptions {
        self.signature = Some(signature.into());
        self
    }

    /// The docstring.
    #[must_use]
    pub fn doc(mut self, doc: impl Into<String>) -> DefineOptions {
        self.doc = Some(doc.into());
        self
    }

    /// Keeps the GIL while the function runs: for what takes nanoseconds.
    #[must_use]
    pub fn keep_gil(mut self) -> DefineOptions {
        self.keep_gil = true;
        self
    }

    /// Python code on any other thread than the one that defines it gets a RuntimeError.
    #[must_use]
    pub fn this_thread_only(mut self) -> DefineOptions {
        self.this_thread_only = true;
        self
    }
}

/// What [`Interpreter::define`] takes: a function of up to eight arguments that are [`FromValue`]. What it returns is
/// `Into<Value>`, or a [`Result`](std::result::Result) of that whose error is `Into<Raise>`: any error is.
pub trait HostFn<Args, Returns>: Send + Sync + 'static {
    /// Calls it.
    #[doc(hidden)]
    fn call(&self, call: HostCall) -> std::result::Result<Value, Raise>;
}

/// The function cannot fail.
#[doc(hidden)]
pub struct Plain;
/// It can.
#[doc(hidden)]
pub struct Fallible;

fn next<T: FromValue>(args: &mut impl Iterator<Item = Value>, index: usize) -> std::result::Result<T, Raise> {
    let value = args.next().unwrap_or_default();
    T::from_value(value).map_err(|wrong| Raise::new("TypeError", wrong.of(&format!("argument {}", index + 1))))
}

/// There are as many arguments as the function has.
fn check_count(call: &HostCall, count: usize) -> std::result::Result<(), Raise> {
    if let Some((name, _)) = call.kwargs.first() {
        return Err(Raise::new("TypeError", format!("the function takes no keyword arguments, got {name:?}")));
    }
    if call.args.len() != count {
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("the function takes {count} argument{plural}, got {}", call.args.len());
        return Err(Raise::new("TypeError", message));
    }
    Ok(())
}

macro_rules! host_functions {
    ($($count:literal: $($index:literal $type:ident)*;)*) => { $(
        impl<F, T, $($type: FromValue),*> HostFn<($($type,)*), Plain> for F
        where
            F: Fn($($type),*) -> T + Send + Sync + 'static,
            T: Into<Value>,
        {
            #[allow(unused_mut, unused_variables)]
            fn call(&self, call: HostCall) -> std::result::Result<Value, Raise> {
                check_count(&call, $count)?;
                let mut args = call.args.into_iter();
                Ok(self($(next::<$type>(&mut args, $index)?),*).into())
            }
        }

        impl<F, T, E, $($type: FromValue),*> HostFn<($($type,)*), (Fallible, E)> for F
        where
            F: Fn($($type),*) -> std::result::Result<T, E> + Send + Sync + 'static,
            T: Into<Value>,
            E: Into<Raise>,
        {
            #[allow(unused_mut, unused_variables)]
            fn call(&self, call: HostCall) -> std::result::Result<Value, Raise> {
                check_count(&call, $count)?;
                let mut args = call.args.into_iter();
                self($(next::<$type>(&mut args, $index)?),*).map(Into::into).map_err(Into::into)
            }
        }
    )* };
}

host_functions! {
    0: ;
    1: 0 A;
    2: 0 A 1 B;
    3: 0 A 1 B 2 C;
    4: 0 A 1 B 2 C 3 D;
    5: 0 A 1 B 2 C 3 D 4 G;
    6: 0 A 1 B 2 C 3 D 4 G 5 H;
    7: 0 A 1 B 2 C 3 D 4 G 5 H 6 I;
    8: 0 A 1 B 2 C 3 D 4 G 5 H 6 I 7 J;
}

/// A function of Rust's, with its panics caught.
struct Code<F>(F);

impl<F> HostCode for Code<F>
where
    F: Fn(HostCall) -> std::result::Result<Value, Raise> + Send + Sync,
{
    fn call(&self, Context(context): Context, args: value::Args) {
        let called = catch_unwind(AssertUnwindSafe(|| {
            let value = (self.0)(read(context, args)?)?;
            encode(value).map_err(Raise::from)
        }));
        let outcome = called.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
            Err(Raise::new("RuntimeError", format!("the function panicked: {text}")))
        });
        // The call is running: so these do not fail, but for a lack of memory.
        match outcome {
            Ok(value) => drop(manager::context_return(context, Ok(value))),
            Err(raise) => {
                for note in raise.notes {
                    let _ = manager::context_note(context, note);
                }
                let _ = manager::context_raise(context, raise.class, raise.message);
            }
        }
    }
}

fn read(context: usize, args: value::Args) -> Result<HostCall> {
    let values = args.positional().map(decode).collect::<Result<_>>()?;
    let kwargs = args.keywords().map(|(name, value)| Ok((name.to_owned(), decode(value)?))).collect::<Result<_>>()?;
    Ok(HostCall { context, args: values, kwargs })
}

impl Interpreter {
    /// Defines a function that Python code can call: `"name"` in `__main__`, or `"package.module:name"`. A module that
    /// is not there, and cannot be imported, is made.
    ///
    /// The GIL is released while the function runs, and several threads may call it at the same time. It may run more
    /// in the same interpreter, and in others. What it raises, or returns as an error, is an exception in Python, and so
    /// is a panic: a RuntimeError. It is dropped when Python has given it up, or the interpreter ends.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// let interp = subpy::Interpreter::create()?;
    /// interp.define("host:add", |a: i64, b: i64| a + b)?;
    /// interp.define("host:parse", |text: String| text.parse::<u16>())?;
    /// interp.exec("
    ///     import host
    ///     assert host.add(2, 3) == 5
    ///     try: host.parse('x')
    ///     except RuntimeError as e: assert str(e) == 'invalid digit found in string'
    ///     else: assert False
    /// ")
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`exec`](Interpreter::exec); [`Kind::InvalidArgument`](crate::Kind::InvalidArgument) for a name that makes no sense.
    pub fn define<Args, Returns>(&self, name: &str, function: impl HostFn<Args, Returns>) -> Result<()> {
        self.define_with(name, &DefineOptions::default(), move |call| function.call(call))
    }

    /// The same, for a function that takes whatever arguments there are.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// use subpy::{DefineOptions, HostCall, Raise, Value};
    ///
    /// let interp = subpy::Interpreter::create()?;
    /// let options = DefineOptions::new().signature("(*args, sep=' ')").doc("Joins texts.");
    /// interp.define_with("join", &options, |call: HostCall| {
    ///     let mut texts = Vec::new();
    ///     for arg in call.args() {
    ///         let Value::Str(text) = arg else { return Err(Raise::new("TypeError", "only str can be joined")) };
    ///         texts.push(text.as_str());
    ///     }
    ///     let Some(Value::Str(sep)) = call.kwarg("sep") else { return Ok(texts.join(" ").into()) };
    ///     Ok(texts.join(sep).into())
    /// })?;
    /// assert_eq!(interp.eval::<String>("join('a', 'b', sep='-')")?, "a-b");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`define`](Interpreter::define); [`Kind::InvalidArgument`](crate::Kind::InvalidArgument) for texts with a NUL.
    pub fn define_with(
        &self,
        name: &str,
        options: &DefineOptions,
        function: impl Fn(HostCall) -> std::result::Result<Value, Raise> + Send + Sync + 'static,
    ) -> Result<()> {
        for text in [&options.signature, &options.doc].into_iter().flatten() {
            no_nul(text.as_bytes(), "the signature or docstring")?;
        }
        let how = How { keep_gil: options.keep_gil, this_thread_only: options.this_thread_only };
        let (signature, doc) = (options.signature.as_deref(), options.doc.as_deref());
        let wanted = manager::HostFunction { name, signature, doc, how };
        call::run(|| manager::define(self.handle(), &wanted, Box::new(Code(function))))
    }
}
