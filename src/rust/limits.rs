//! Time limits and cancelling.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::args::{Arg, Args};
use super::call::{self, Call, NO_KWARGS};
use super::interpreter::Interpreter;
use super::thread::Thread;
use super::to_rust::FromValue;
use super::unless_forked;
use crate::manager::{self, Code, InThread, Ran, Result, Token, forked};
use crate::value::Wanted;

/// Stops runs, from any thread. Clones are the same one. It is fired once, for good: what runs with it ends with
/// [`Kind::Interrupted`](crate::Kind::Interrupted), and what is to run with it later does not start.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use subpy::{Cancel, Interpreter, Kind, Limits};
///
/// let interp = Interpreter::create()?;
/// let cancel = Cancel::new();
/// let run = interp.with_limits(Limits::new().cancel(&cancel)).call_in_thread::<()>("builtins:eval", ("[1 for _ in iter(int, 1)]",))?;
/// cancel.fire();
/// let error = run.join().unwrap_err();
/// assert!(matches!(error.kind, Kind::Interrupted(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Cancel(Arc<Token>);

impl Cancel {
    /// A new one.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Stops what runs with it, and what will. Returns at once.
    pub fn fire(&self) {
        // In a fork a lock may be held by a thread that does not exist there.
        if !forked() {
            self.0.fire();
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Cancel").finish_non_exhaustive()
    }
}

/// What a run may take, and what can stop it: [`Interpreter::with_limits`].
#[derive(Debug, Clone, Default)]
pub struct Limits {
    timeout: Option<Duration>,
    cancel: Option<Cancel>,
    pub(super) abandon: bool,
}

impl Limits {
    /// None.
    pub fn new() -> Limits {
        Limits::default()
    }

    /// How long a run may take, the time that it waits for its turn included. Then it ends with
    /// [`Kind::Timeout`](crate::Kind::Timeout). [`Duration::ZERO`] is the interpreter's own limit, as without this.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Limits {
        Limits { timeout: (!timeout.is_zero()).then_some(timeout), ..self }
    }

    /// What stops it.
    #[must_use]
    pub fn cancel(self, cancel: &Cancel) -> Limits {
        Limits { cancel: Some(cancel.clone()), ..self }
    }

    /// For runs on threads of their own: [`Thread::join`] returns when the run was stopped even if it does not end,
    /// because it is blocked in C or catches every exception. It goes on all the same: its interpreter stays busy, and a
    /// [`shutdown`](crate::shutdown) is refused until it ends.
    #[must_use]
    pub fn abandon(self, abandon: bool) -> Limits {
        Limits { abandon, ..self }
    }

    pub(super) fn to_wait(&self) -> manager::Wait {
        let limits = self.to_manager();
        manager::Wait { limit: limits.timeout, cancel: limits.cancel }
    }

    pub(super) fn to_manager(&self) -> manager::Limits {
        let cancel = self.cancel.as_ref().map(|cancel| Arc::clone(&cancel.0));
        manager::Limits { timeout: self.timeout, cancel, abandon: None }
    }
}

/// An interpreter, for runs with limits: [`Interpreter::with_limits`]. What runs on this thread is stopped together with
/// all that it calls out to.
#[derive(Debug)]
pub struct Limited<'a> {
    pub(super) interpreter: &'a Interpreter,
    pub(super) limits: Limits,
}

impl Limited<'_> {
    fn run(&self, code: Code) -> Result<()> {
        call::run_wanting(false, |wanted| self.run_in(code, wanted)).map(drop)
    }

    fn run_for<T: FromValue>(&self, code: Code) -> Result<T> {
        call::run_for(|wanted| self.run_in(code, wanted))
    }

    fn run_in(&self, code: Code, wanted: Wanted) -> Ran {
        manager::run_with(self.interpreter.handle(), code, wanted, Some(&self.limits.to_manager()), None)
    }

    /// As [`Interpreter::exec`].
    ///
    /// # Errors
    /// As there; [`Kind::Timeout`](crate::Kind::Timeout) and [`Kind::Interrupted`](crate::Kind::Interrupted);
    /// [`Kind::WrongState`](crate::Kind::WrongState) when this CPython cannot be interrupted.
    pub fn exec(&self, code: &str) -> Result<()> {
        self.run(Code::Exec { source: code, filename: None, keep_indent: false })
    }

    /// As [`Interpreter::eval`].
    ///
    /// # Errors
    /// As there, and as [`exec`](Limited::exec).
    pub fn eval<T: FromValue>(&self, expression: &str) -> Result<T> {
        self.run_for(Code::Eval { expression, filename: None })
    }

    /// As [`Interpreter::call`].
    ///
    /// # Errors
    /// As there, and as [`exec`](Limited::exec).
    pub fn call<T: FromValue>(&self, callable: &str, args: impl Args) -> Result<T> {
        self.call_kw(callable, args, NO_KWARGS)
    }

    /// As [`Interpreter::call_kw`].
    ///
    /// # Errors
    /// As there, and as [`exec`](Limited::exec).
    pub fn call_kw<T: FromValue>(
        &self,
        callable: &str,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>,
    ) -> Result<T> {
        let call = Call::new(args, kwargs)?;
        self.run_for(Code::Call { callable, args: call.args()? })
    }

    /// As [`Interpreter::call_in_thread`]. The time begins when the thread does.
    ///
    /// # Errors
    /// As there; what the limits do comes from [`Thread::join`].
    pub fn call_in_thread<T: FromValue>(&self, callable: &str, args: impl Args) -> Result<Thread<T>> {
        let call = Call::new(args, NO_KWARGS)?;
        let how = InThread {
            want_result: true,
            results: T::ROOT,
            limits: Some(self.limits.to_manager()),
            abandon: self.limits.abandon,
            ..InThread::default()
        };
        let code = Code::Call { callable, args: call.args()? };
        unless_forked(|| manager::run_in_thread(self.interpreter.handle(), code, how)).map(Thread::new)
    }
}
