//! Sessions: a thread that stays in an interpreter from run to run, without its GIL in between.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::error::{Error, Kind, Result};
use super::here::here;
use super::interpreter::{self, Interpreter, check_stack};
use crate::python::hooks;
use crate::python::tstate::{self, Pinned};

/// One interpreter that a thread has entered.
struct Session {
    interpreter: Arc<Interpreter>,
    /// How often it was entered.
    count: usize,
    state: Option<Rc<Pinned>>,
}

/// All sessions of one thread.
pub struct Sessions {
    list: RefCell<Vec<Session>>,
    /// Their number: to see that there are none costs next to nothing.
    open: Cell<usize>,
}

impl Sessions {
    pub const fn new() -> Sessions {
        Sessions { list: RefCell::new(Vec::new()), open: Cell::new(0) }
    }

    /// What the thread keeps in that interpreter.
    #[inline]
    pub fn state_of(&self, handle: u64) -> Option<Rc<Pinned>> {
        if self.open.get() == 0 { None } else { find(&mut self.list.borrow_mut(), handle)?.state.clone() }
    }

    pub fn is_open(&self, handle: u64) -> bool {
        self.state_of(handle).is_some()
    }
}

fn find(sessions: &mut [Session], handle: u64) -> Option<&mut Session> {
    sessions.iter_mut().find(|session| session.interpreter.handle == handle)
}

/// Enters, or counts one more.
pub fn enter(handle: u64) -> Result<()> {
    here(|here| {
        if let Some(session) = find(&mut here.sessions.list.borrow_mut(), handle) {
            session.count += 1;
            return Ok(());
        }
        let interpreter = interpreter::driven(handle, "make a call in")?;
        let stack = check_stack()?;
        let state = interpreter.visit(|python, visiting| {
            let state = python.pin(stack).map_err(|failure| Error::from(failure).of(handle))?;
            interpreter.gate.begin_session(visiting);
            Ok(state)
        })?;
        here.sessions.list.borrow_mut().push(Session { interpreter, count: 1, state: Some(state) });
        here.sessions.open.set(here.sessions.open.get() + 1);
        Ok(())
    })
}

/// Leaves, when it was entered no more than once.
pub fn leave(handle: u64) -> Result<()> {
    let ended = here(|here| {
        let mut sessions = here.sessions.list.borrow_mut();
        let Some(index) = sessions.iter().position(|session| session.interpreter.handle == handle) else {
            let message = "this thread has not entered the interpreter: subpy_enter() comes first, on the same thread";
            return Err(Error::from(Kind::WrongState(message.into())).of(handle));
        };
        if sessions[index].count > 1 {
            sessions[index].count -= 1;
            return Ok(None);
        }
        // A run further out may have found the session's state on this thread, and put it back when it returns.
        if here.inside.any() {
            let message = "this thread is running something: the last leave has to wait until that has returned";
            return Err(Error::from(Kind::WrongState(message.into())).of(handle));
        }
        here.sessions.open.set(here.sessions.open.get() - 1);
        Ok(Some(sessions.remove(index)))
    })?;
    // Not while the list is borrowed: finalizers of threading.local may come back to it.
    if let Some(mut session) = ended {
        session.end();
    }
    Ok(())
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
