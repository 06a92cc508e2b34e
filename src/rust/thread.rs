//! Runs on threads of their own.

use std::marker::PhantomData;
use std::time::Duration;

use super::call;
use super::to_rust::FromValue;
use super::unless_forked;
use crate::manager::{self, Result, forked};

/// A run on a thread of its own ([`Interpreter::call_in_thread`](crate::Interpreter::call_in_thread),
/// [`Function::call_in_thread`](crate::Function::call_in_thread)).
///
/// Dropping it detaches the run, as with [`std::thread::JoinHandle`]: it goes on, and if it fails, its traceback is
/// printed to stderr, as Python's threads do.
#[derive(Debug)]
#[must_use = "dropping it detaches the run, and its outcome is lost"]
pub struct Thread<T> {
    handle: u64,
    result: PhantomData<fn() -> T>,
}

impl<T> Thread<T> {
    pub(super) fn new(handle: u64) -> Thread<T> {
        Thread { handle, result: PhantomData }
    }
}

impl<T: FromValue> Thread<T> {
    /// Waits for the end of the run, and takes nothing: its result is still there to [`join`](Thread::join) for.
    ///
    /// # Errors
    /// [`Kind::WrongState`](crate::Kind::WrongState) when it is this thread's own run;
    /// [`Kind::NotFound`](crate::Kind::NotFound) after a [`shutdown`](crate::shutdown).
    pub fn wait(&self) -> Result<()> {
        unless_forked(|| manager::wait(self.handle, None)).map(drop)
    }

    /// The same, for no longer than `limit`; says whether the run has ended. [`Duration::ZERO`] asks and does not wait.
    ///
    /// # Errors
    /// As [`wait`](Thread::wait).
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// use std::time::Duration;
    ///
    /// let interp = subpy::Interpreter::create()?;
    /// let sum = interp.call_in_thread::<i64>("builtins:sum", ([1, 2, 3].as_slice(),))?;
    /// while !sum.wait_timeout(Duration::from_millis(100))? {
    ///     println!("still at it");
    /// }
    /// assert_eq!(sum.join()?, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(&self, limit: Duration) -> Result<bool> {
        unless_forked(|| manager::wait(self.handle, Some(limit)))
    }

    /// Waits for the end of the run and returns its result.
    ///
    /// # Errors
    /// Those of [`Interpreter::call`](crate::Interpreter::call).
    pub fn join(self) -> Result<T> {
        call::result(unless_forked(|| manager::join(self.handle, true))?)
    }
}

impl<T> Drop for Thread<T> {
    fn drop(&mut self) {
        // Harmless after a join: handles are never used twice.
        if !forked() {
            manager::thread_free(self.handle);
        }
    }
}
