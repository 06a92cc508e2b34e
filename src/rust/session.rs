//! Sessions: a thread that stays in an interpreter from run to run.

use std::cell::RefCell;
use std::marker::PhantomData;

use super::interpreter::Interpreter;
use super::unless_forked;
use crate::manager::{self, Result};

/// Keeps this thread in an interpreter ([`Interpreter::enter`]), until it is dropped.
///
/// This thread's runs in that interpreter use one Python thread state meanwhile: they are cheaper, and what Python
/// keeps for a thread (threading.local, context variables, the decimal context) lasts from run to run instead of being
/// new in each. The GIL is not held between them: other threads get in, as [`Busy`](crate::Busy) says. Sessions nest,
/// and a thread may have some in several interpreters.
///
/// While there is a session, its interpreter cannot be closed, which is [`Kind::Busy`](crate::Kind::Busy); when the
/// last
/// [`Interpreter`] that owns it is dropped, it stays.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// let interp = subpy::Interpreter::create()?;
/// interp.exec("
///     import threading
///     local = threading.local()
///     def count():
///         local.calls = getattr(local, 'calls', 0) + 1
///         return local.calls
/// ")?;
/// let count = interp.function("count")?;
/// let session = interp.enter()?;
/// assert_eq!((count.call::<u32>(())?, interp.call::<u32>("count", ())?), (1, 2));
/// session.leave()?;
/// assert_eq!(count.call::<u32>(())?, 1);
/// interp.close()
/// # }
/// ```
///
/// It belongs to its thread, so it is not [`Send`]. A thread that ends has left everything.
#[derive(Debug)]
#[must_use = "dropping it leaves the interpreter"]
pub struct Session {
    interp: u64,
    /// Not [`Send`].
    this_thread: PhantomData<*const ()>,
}

impl Session {
    pub(super) fn new(interp: u64) -> Result<Session> {
        unless_forked(|| manager::enter(interp))?;
        Ok(Session { interp, this_thread: PhantomData })
    }

    /// Its interpreter, without owning it.
    pub fn interpreter(&self) -> Interpreter {
        Interpreter::from_handle(self.interp)
    }

    /// Ends the session. Dropping it does the same, but for saying so when that fails.
    ///
    /// The last session of a thread in an interpreter waits for the GIL, if another thread is running something, and
    /// runs finalizers of what threading.local held.
    ///
    /// # Errors
    /// [`Kind::WrongState`](crate::Kind::WrongState) when it is the last one and this thread is running something (this
    /// is Rust code that Python code called). Then the thread leaves when that has returned to Rust.
    pub fn leave(self) -> Result<()> {
        leave(std::mem::ManuallyDrop::new(self).interp)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = leave(self.interp);
    }
}

thread_local! {
    /// What this thread could not leave because it was running something.
    static LATE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

fn leave(interp: u64) -> Result<()> {
    let left = unless_forked(|| manager::leave(interp));
    if left.is_err() && unless_forked(manager::get_current).is_ok() {
        // When the thread is ending, it leaves everything anyway.
        let _ = LATE.try_with(|late| late.borrow_mut().push(interp));
    }
    left
}

/// A run has returned: maybe the one that was in the way.
pub(super) fn leave_late() {
    let late = LATE.try_with(|late| if late.borrow().is_empty() { Vec::new() } else { late.take() });
    for interp in late.unwrap_or_default() {
        let _ = leave(interp);
    }
}

#[cfg(test)]
mod tests {
    use super::Session;

    /// For a type that is [`Send`], `_` can be two types, and this does not compile.
    trait NotSend<A> {
        const YES: () = ();
    }
    impl<T> NotSend<()> for T {}
    impl<T: Send> NotSend<u8> for T {}
    const _: () = <Session as NotSend<_>>::YES;
}
