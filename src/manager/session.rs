//! Sessions: a thread that stays in an interpreter from run to run, without its GIL in between.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::error::{Error, Kind, Result};
use super::gate::is_inside_any;
use super::interpreter::{self, Interpreter, check_stack};
use crate::python::hooks;
use crate::python::tstate::{self, Pinned};

/// One interpreter that a thread has entered.
struct Session {
    interpreter: Arc<Interpreter>,
    /// How often it was entered.
    count: usize,
    state: Option<Pinned>,
}

thread_local! {
    static SESSIONS: RefCell<Vec<Session>> = const { RefCell::new(Vec::new()) };
    /// Their number: to see that there are none costs next to nothing.
    static OPEN: Cell<usize> = const { Cell::new(0) };
}

/// Enters, or counts one more.
pub fn enter(handle: u64) -> Result<()> {
    if SESSIONS.with_borrow_mut(|sessions| find(sessions, handle).map(|session| session.count += 1).is_some()) {
        return Ok(());
    }
    let interpreter = interpreter::driven(handle, "make a call in")?;
    check_stack()?;
    let state = interpreter.visit(|python, visiting| {
        let state = python.pin().map_err(|failure| Error::from(failure).of(handle))?;
        interpreter.gate.begin_session(visiting);
        Ok(state)
    })?;
    let session = Session { interpreter, count: 1, state: Some(state) };
    SESSIONS.with_borrow_mut(|sessions| sessions.push(session));
    OPEN.set(OPEN.get() + 1);
    Ok(())
}

/// Leaves, when it was entered no more than once.
pub fn leave(handle: u64) -> Result<()> {
    let ended = SESSIONS.with_borrow_mut(|sessions| {
        let Some(index) = sessions.iter().position(|session| session.interpreter.handle == handle) else {
            let message = "this thread has not entered the interpreter: subpy_enter() comes first, on the same thread";
            return Err(Error::from(Kind::WrongState(message.into())).of(handle));
        };
        if sessions[index].count > 1 {
            sessions[index].count -= 1;
            return Ok(None);
        }
        // A run further out may have found the session's state on this thread, and put it back when it returns.
        if is_inside_any() {
            let message = "this thread is running something: the last leave has to wait until that has returned";
            return Err(Error::from(Kind::WrongState(message.into())).of(handle));
        }
        OPEN.set(OPEN.get() - 1);
        Ok(Some(sessions.remove(index)))
    })?;
    // Not while SESSIONS is borrowed: finalizers of threading.local may come back to it.
    if let Some(mut session) = ended {
        session.end();
    }
    Ok(())
}

fn find(sessions: &mut [Session], handle: u64) -> Option<&mut Session> {
    sessions.iter_mut().find(|session| session.interpreter.handle == handle)
}

/// What this thread keeps in that interpreter.
#[inline]
pub fn state_of(handle: u64) -> Option<Pinned> {
    if OPEN.get() == 0 {
        return None;
    }
    SESSIONS
        .try_with(|sessions| find(&mut sessions.borrow_mut(), handle).and_then(|it| it.state.clone()))
        .ok()
        .flatten()
}

/// True when this thread has entered it.
pub fn is_open(handle: u64) -> bool {
    state_of(handle).is_some()
}

impl Session {
    fn end(&mut self) {
        if let Some(state) = self.state.take() {
            let visited = self.interpreter.visit(|python, _| {
                python.unpin(state);
                Ok(())
            });
            debug_assert!(visited.is_ok(), "an interpreter with sessions does not end");
            self.interpreter.gate.end_session();
        }
    }
}

impl Drop for Session {
    /// The thread ends.
    fn drop(&mut self) {
        if hooks::forked() {
            return;
        }
        // When the process's main thread ends, the process does, and the GIL may be held by one that never gives it away.
        // A state that is left goes with its interpreter.
        if tstate::is_main_thread() && self.state.take().is_some() {
            self.interpreter.gate.end_session();
        }
        self.end();
    }
}
