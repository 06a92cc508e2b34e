//! What becomes of the tasks of pools.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::call;
use super::to_rust::FromValue;
use super::unless_forked;
use crate::manager::{self, RawFd, Result, forked};

/// What becomes of a task: to be waited for, on this thread or as a [`Future`] with any executor. Dropping it detaches the
/// task: if it fails, its traceback is printed to stderr.
#[derive(Debug)]
#[must_use = "dropping it detaches the task, and its outcome is lost"]
pub struct Outcome<T> {
    handle: u64,
    waker: Option<Arc<Mutex<Option<Waker>>>>,
    result: PhantomData<fn() -> T>,
}

impl<T> Outcome<T> {
    pub(super) fn new(handle: u64) -> Outcome<T> {
        Outcome { handle, waker: None, result: PhantomData }
    }
}

impl<T: FromValue> Outcome<T> {
    /// Waits for the end of the task and returns its result.
    ///
    /// # Errors
    /// Those of [`Interpreter::call`](crate::Interpreter::call) and of limits.
    pub fn join(self) -> Result<T> {
        call::result(unless_forked(|| manager::join(self.handle, true))?)
    }

    /// Waits for the end of the task, but no longer than that; says whether it has ended. [`Duration::ZERO`] asks and
    /// does not wait.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) after a [`shutdown`](crate::shutdown).
    pub fn wait_timeout(&self, limit: Duration) -> Result<bool> {
        unless_forked(|| manager::wait(self.handle, Some(limit)))
    }

    /// A file descriptor that becomes readable when the task has ended, for event loops. It is closed with this outcome:
    /// it is not to be read or closed.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) after a [`shutdown`](crate::shutdown);
    /// [`Kind::Interpreter`](crate::Kind::Interpreter) when the process has no descriptor left.
    pub fn fd(&self) -> Result<RawFd> {
        unless_forked(|| manager::fd(self.handle))
    }
}

impl<T: FromValue> Future for Outcome<T> {
    type Output = Result<T>;

    /// The task that waits is woken on a thread of the pool's.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Result<T>> {
        let is_new = self.waker.is_none();
        let waker = Arc::clone(self.waker.get_or_insert_default());
        // Before it is asked whether the task has ended: then either that is seen, or it is woken.
        *waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        match unless_forked(|| manager::wait(self.handle, Some(Duration::ZERO))) {
            Ok(false) => {}
            Ok(true) => return Poll::Ready(unless_forked(|| manager::join(self.handle, true)).and_then(call::result)),
            Err(error) => return Poll::Ready(Err(error)),
        }
        if is_new {
            let wake = move || {
                let waker = waker.lock().unwrap_or_else(PoisonError::into_inner).take();
                waker.into_iter().for_each(Waker::wake);
            };
            if let Err(error) = unless_forked(|| manager::notify(self.handle, Box::new(wake))) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        if !forked() {
            manager::thread_free(self.handle);
        }
    }
}
