//! Runs on threads of their own.

use super::call;
use super::to_rust::FromValue;
use super::unless_forked;
use crate::manager::{self, Result, forked};

/// A run on a thread of its own ([`InterpreterRef::call_in_thread`](crate::InterpreterRef::call_in_thread),
/// [`Function::call_in_thread`](crate::Function::call_in_thread)).
///
/// Dropping it detaches the run, as with [`std::thread::JoinHandle`]: it goes on, and if it fails, its traceback is
/// printed to stderr, as Python's threads do.
#[derive(Debug)]
#[must_use = "dropping it detaches the run, and its outcome is lost"]
pub struct Thread(pub(super) u64);

impl Thread {
    /// Waits for the end of the run and returns its result.
    ///
    /// # Errors
    /// Those of [`InterpreterRef::call`](crate::InterpreterRef::call).
    pub fn join<T: FromValue>(self) -> Result<T> {
        call::result(unless_forked(|| manager::join(self.0, true))?)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Harmless after a join: handles are never used twice.
        if !forked() {
            manager::thread_free(self.0);
        }
    }
}
