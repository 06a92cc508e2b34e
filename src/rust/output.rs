//! Where what Python prints goes.

use super::interpreter::Interpreter;
use super::unless_forked;
use crate::manager::{self, Result};

/// A stream of an interpreter's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// `sys.stdout`
    Stdout,
    /// `sys.stderr`
    Stderr,
}

impl Interpreter {
    /// Gives what it prints to a closure, from now on: that of its runs, of threads that its code starts, and what comes
    /// while it is closed.
    ///
    /// Text comes at the end of a run, when 64 KiB have come together, on `flush()`, and at each line end of stderr and
    /// while no run is active ([`Config::unbuffered`](crate::Config::unbuffered): at once). It is called on the thread
    /// that printed, or on another one, never twice at once, and dropped when it is called no more. It may use the
    /// interpreter. If it panics, Python does not notice.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// use std::sync::mpsc::channel;
    ///
    /// let interp = subpy::Interpreter::create()?;
    /// let (sender, printed) = channel();
    /// interp.set_output(move |stream, text| drop(sender.send((stream, text.to_owned()))))?;
    /// interp.exec("import sys; print('out'); print('err', file=sys.stderr)")?;
    /// interp.close()?;
    /// let printed: Vec<_> = printed.iter().collect();
    /// assert_eq!(printed, [(subpy::Stream::Stdout, "out\n".into()), (subpy::Stream::Stderr, "err\n".into())]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound); [`Kind::Interpreter`](crate::Kind::Interpreter) when Python code
    /// created it, and for the main interpreter of a Python that was there before.
    pub fn set_output(&self, output: impl FnMut(Stream, &str) + Send + 'static) -> Result<()> {
        unless_forked(|| manager::set_output(self.handle(), Some(Box::new(callback(output)))))
    }

    /// Gives a closure what is printed in it by this thread's runs while `act` runs, and nobody else's: threads that
    /// these runs start print where the interpreter's output goes. All text has come when it returns.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// let interp = subpy::Interpreter::create()?;
    /// let mut printed = String::new();
    /// let answer: i64 = interp.capture(|_, text| printed.push_str(text), || interp.eval("print('at work') or 42"))??;
    /// assert_eq!((answer, printed.as_str()), (42, "at work\n"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`set_output`](Interpreter::set_output); then `act` has not been called.
    pub fn capture<R>(&self, output: impl FnMut(Stream, &str) + Send, act: impl FnOnce() -> R) -> Result<R> {
        unless_forked(|| manager::capture(self.handle(), &mut callback(output), act))
    }

    /// What it prints goes to the file descriptors 1 and 2 again.
    ///
    /// # Errors
    /// As [`set_output`](Interpreter::set_output).
    pub fn reset_output(&self) -> Result<()> {
        unless_forked(|| manager::set_output(self.handle(), None))
    }
}

/// In the form that the manager calls.
pub(super) fn callback(mut output: impl FnMut(Stream, &str) + Send) -> impl FnMut(i32, &str) + Send {
    move |stream, text| {
        let stream = if stream == 2 { Stream::Stderr } else { Stream::Stdout };
        output(stream, text.strip_suffix('\0').unwrap_or(text));
    }
}
