//! Sessions: a thread that stays in an interpreter from run to run, without its GIL in between.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};

use super::elsewhere::Elsewhere;
use super::error::{Error, Kind, Result};
use super::gate::Inside;
use super::handle;
use super::interpreter::{Interpreter, check_stack, unrecognized};
use super::last::Last;
use crate::python::attach::{Outside, Pinned};
use crate::python::stack::{Stack, this_stack};
use crate::python::{fork, loaded_api};

/// One interpreter that a thread has entered.
struct Session {
    interpreter: Arc<Interpreter>,
    /// How often it was entered.
    count: usize,
    /// None: it lives elsewhere, and a channel to it is kept (`elsewhere`).
    state: Option<Rc<Pinned>>,
}

/// All sessions of one thread.
pub struct Sessions {
    list: RefCell<Vec<Session>>,
    /// Their number: to see that there are none costs next to nothing.
    open: Cell<usize>,
    /// The one that the thread ran something in last: one of the list, or what was made ahead.
    last: Last<Rc<Pinned>>,
    /// What is made ahead for the next run, and of which interpreter it is.
    ahead: RefCell<Option<(u64, Rc<Pinned>)>>,
}

/// Whether states are made ahead. Whoever makes one has it locked.
static AHEAD: RwLock<bool> = RwLock::new(true);

/// From now on no thread makes states ahead: CPython is going to be finalised, which deletes those that there are.
pub fn none_ahead() {
    *AHEAD.write().unwrap_or_else(PoisonError::into_inner) = false;
}

impl Sessions {
    pub const fn new() -> Sessions {
        Sessions { list: RefCell::new(Vec::new()), open: Cell::new(0), last: Last::new(), ahead: RefCell::new(None) }
    }

    /// What the thread keeps in that interpreter, to be put back.
    #[inline]
    pub fn take_state(&self, handle: u64) -> Option<Rc<Pinned>> {
        if self.open.get() == 0 { None } else { self.last.take(handle).or_else(|| self.find_state(handle)) }
    }

    #[inline]
    pub fn put_back(&self, handle: u64, state: Rc<Pinned>) {
        if state.is_ready() {
            self.last.put(handle, state);
        }
    }

    /// Makes the state ahead that the next run of this thread there will have, when no session does. Threads that do this
    /// do so for one interpreter, and until it ends. `find` finds that.
    pub fn make_ahead(&self, handle: u64, find: impl FnOnce() -> Option<Arc<Interpreter>>) {
        if self.has(handle) {
            return;
        }
        let allowed = AHEAD.read().unwrap_or_else(PoisonError::into_inner);
        if !*allowed {
            return;
        }
        let mut ahead = self.ahead.borrow_mut();
        let state = match &*ahead {
            Some((of, state)) => (*of == handle && state.renew()).then(|| Rc::clone(state)),
            None => {
                let interpreter = find();
                let state = interpreter.as_ref().and_then(|interpreter| interpreter.python()?.ahead(this_stack()));
                if let Some(state) = &state {
                    *ahead = Some((handle, Rc::clone(state)));
                    self.open.set(self.open.get() + 1);
                }
                state
            }
        };
        if let Some(state) = state {
            self.last.put(handle, state);
        }
    }

    /// Whether this thread has one there.
    pub fn has(&self, handle: u64) -> bool {
        find(&mut self.list.borrow_mut(), handle).is_some()
    }

    #[cold]
    fn find_state(&self, handle: u64) -> Option<Rc<Pinned>> {
        find(&mut self.list.borrow_mut(), handle)?.state.clone()
    }

    /// The interpreter ends, on this thread.
    pub fn end(&self, handle: u64) {
        let session = {
            let mut sessions = self.list.borrow_mut();
            let index = sessions.iter().position(|session| session.interpreter.handle == handle);
            index.map(|index| sessions.remove(index))
        };
        self.last.forget();
        if let Some(session) = session {
            self.open.set(self.open.get() - 1);
            session.end(this_stack(), |_| ());
        }
    }

    /// The thread ends.
    pub fn end_all(&self, leave_elsewhere: impl Fn(&Interpreter)) {
        self.open.set(0);
        self.last.forget();
        let sessions = self.list.take();
        sessions.into_iter().for_each(|session| session.end(this_stack(), &leave_elsewhere));
    }
}

fn find(sessions: &mut [Session], handle: u64) -> Option<&mut Session> {
    sessions.iter_mut().find(|session| session.interpreter.handle == handle)
}

impl Sessions {
    /// Enters, or counts one more. A thread that is ending would not leave again.
    pub fn enter(
        &self,
        handle: u64,
        ending: bool,
        find_interpreter: impl FnOnce() -> Result<Arc<Interpreter>>,
        enter_elsewhere: impl FnOnce(&Interpreter, &Elsewhere) -> Result<()>,
    ) -> Result<()> {
        if let Some(session) = find(&mut self.list.borrow_mut(), handle) {
            session.count += 1;
            return Ok(());
        }
        let interpreter = find_interpreter()?;
        if ending {
            let message = "this thread is ending: nobody would leave the interpreter again";
            return Err(Error::from(Kind::WrongState(message.into())).of(handle));
        }
        let stack = check_stack()?;
        // It comes back to Python code, if any, last (`Outside`).
        let _outside = loaded_api().and_then(|api| Outside::step_out_to(api, None));
        let visiting = interpreter.gate.visit().map_err(|refused| interpreter.refused(refused))?;
        let state = match (interpreter.python(), interpreter.elsewhere()) {
            (Some(python), _) => Some(python.pin(stack).map_err(|failure| Error::from(failure).of(handle))?),
            (None, Some(elsewhere)) => {
                enter_elsewhere(&interpreter, elsewhere)?;
                None
            }
            (None, None) => return Err(unrecognized("exec code for", &interpreter)),
        };
        interpreter.gate.begin_session(&visiting);
        drop(visiting);
        self.list.borrow_mut().push(Session { interpreter, count: 1, state });
        // What was made ahead is not for its runs.
        if self.ahead.borrow().is_some() {
            self.last.forget();
        }
        self.open.set(self.open.get() + 1);
        Ok(())
    }

    /// Leaves, when it was entered no more than once. `inside` is what the thread runs something in.
    pub fn leave(&self, handle: u64, inside: &Inside, leave_elsewhere: impl Fn(&Interpreter)) -> Result<()> {
        // Not while the list is borrowed: finalizers of threading.local may come back to it.
        if let Some((session, stack)) = self.take(handle, inside)? {
            session.end(stack, leave_elsewhere);
        }
        Ok(())
    }

    fn take(&self, handle: u64, inside: &Inside) -> Result<Option<(Session, Stack)>> {
        let mut sessions = self.list.borrow_mut();
        let Some(index) = sessions.iter().position(|session| session.interpreter.handle == handle) else {
            let message = "this thread has not entered the interpreter: subpy_enter() comes first, on the same thread";
            return Err(Error::from(Kind::WrongState(message.into())).of(handle));
        };
        if sessions[index].count > 1 {
            sessions[index].count -= 1;
            return Ok(None);
        }
        // The run has the session's state. (Runs further out, in other interpreters, were begun with the state idle,
        // and do not put it back: `Outside`.)
        if inside.contains(handle) {
            let message = "this thread is running something in it: the last leave has to wait until that has returned";
            return Err(Error::from(Kind::WrongState(message.into())).of(handle));
        }
        let stack = check_stack()?;
        self.last.forget();
        self.open.set(self.open.get() - 1);
        Ok(Some((sessions.remove(index), stack)))
    }
}

impl Session {
    fn end(self, stack: Stack, leave_elsewhere: impl Fn(&Interpreter)) {
        // In a fork, the thread that holds the GIL may not exist.
        if fork::forked() {
            return;
        }
        let _outside = loaded_api().and_then(|api| Outside::step_out_to(api, self.state.as_deref()));
        // Whoever ends the interpreter waits for this, but for a host that has finalized its CPython.
        match &self.state {
            None => leave_elsewhere(&self.interpreter),
            Some(state) if !handle::is_of_this_runtime(self.interpreter.handle) => state.forget(),
            Some(state) => self.interpreter.python().into_iter().for_each(|python| python.unpin(state, stack)),
        }
        self.interpreter.gate.end_session();
    }
}
