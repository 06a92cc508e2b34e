//! What a thread remembers: one look-up of a thread-local variable for a whole run.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use super::conversation::Conversation;
use super::elsewhere::{Elsewhere, InUse, Lines};
use super::error::{Error, Kind, Ran, Result};
use super::function::{Function, LastElsewhere, is_function};
use super::gate::{Inside, Refused, Stop};
use super::interpreter::{INTERPRETERS, Interpreter, driven, too_small, unrecognized};
use super::last::Last;
use super::limits::{self, Limited, Limits};
use super::session::Sessions;
use crate::platform::AtThreadEnd;
use crate::process::alone::Alone;
use crate::process::message::Request;
use crate::python::Failure;
use crate::python::attach::{Outside, Pinned, detached};
use crate::python::hooks::{self, Watcher};
use crate::python::interp::{Interp, Scope};
use crate::python::loaded_api;
use crate::python::object::Py;
use crate::python::stack::OwnStack;
use crate::value::enough;

/// What most runs do without. In a run it costs no more than to see that it is not there.
struct Special<'a> {
    /// The Python code that the thread comes from.
    outside: Option<Outside>,
    /// It is of the same interpreter.
    again: bool,
    /// What can stop the run. It goes last: the thread is back where it came from.
    limited: Option<Limited<'a>>,
}

impl Stop for Special<'_> {
    fn is_stopped(&self) -> bool {
        self.limited.as_ref().is_some_and(Limited::is_stopped)
    }
}

impl Special<'_> {
    #[cold]
    #[inline(never)]
    fn begins(&self, scope: &Scope) -> Option<Box<Error>> {
        self.limited.as_ref()?.begins(scope.run.number())
    }

    /// The error of the run; that it was not to begin is one.
    #[cold]
    #[inline(never)]
    fn failed(&self, interpreter: &Interpreter, failure: Box<Failure>, late: Option<Box<Error>>) -> Box<Error> {
        let error = late.unwrap_or_else(|| interpreter.failed(*failure));
        match &self.limited {
            Some(limited) => limited.explain(error),
            None => error,
        }
    }
}

pub struct Here {
    /// The interpreters that the thread is in.
    pub inside: Inside,
    /// Those whose end would wait for it: it passes on what they have printed, or ends them, and the host is called.
    pub keeps: Inside,
    /// The interpreter that it ran in last, and the function that it called. To find one in the registry costs four
    /// locked instructions, a tenth of a call. What was closed or freed meanwhile says so itself.
    interpreter: Last<Arc<Interpreter>>,
    function: Last<Arc<Function>>,
    function_elsewhere: LastElsewhere,
    pub sessions: Sessions,
    pub limits: limits::Here,
    /// The channels that it uses, to interpreters in processes of their own.
    pub lines: Lines,
    stack: OwnStack,
    /// Its end is going to be noticed.
    watched: Cell<bool>,
    /// It is ending.
    pub ended: Cell<bool>,
}

impl Here {
    const fn new() -> Here {
        Here {
            inside: Inside::new(),
            keeps: Inside::new(),
            interpreter: Last::new(),
            function: Last::new(),
            function_elsewhere: LastElsewhere::new(),
            sessions: Sessions::new(),
            limits: limits::Here::new(),
            lines: Lines::new(),
            stack: OwnStack::new(),
            watched: Cell::new(false),
            ended: Cell::new(false),
        }
    }

    /// Does something inside of an interpreter of this process, as a run of this thread's, when the gate lets it in. With the
    /// state that the thread keeps in it, if it does.
    #[inline(always)]
    pub fn run_in<R>(
        &self,
        interpreter: &Interpreter,
        limits: Option<&Limits>,
        act: impl FnOnce(Py, &Scope, &Interp) -> Result<R, Box<Failure>>,
    ) -> Result<R, Box<Error>> {
        let state = self.sessions.take_state(interpreter.handle);
        let result = self.inside(interpreter, state.as_deref(), limits, act);
        if let Some(state) = state {
            self.sessions.put_back(interpreter.handle, state);
        }
        result
    }

    #[inline(always)]
    fn inside<R>(
        &self,
        interpreter: &Interpreter,
        pinned: Option<&Pinned>,
        limits: Option<&Limits>,
        act: impl FnOnce(Py, &Scope, &Interp) -> Result<R, Box<Failure>>,
    ) -> Result<R, Box<Error>> {
        let Some(python) = interpreter.python() else { return Err(unrecognized("exec code for", interpreter).into()) };
        if !enough() {
            return Err(interpreter.failed(Failure::NoMemory));
        }
        let special;
        let limited = limits.is_some() || interpreter.timeout.is_some() || self.limits.any();
        let special = match limited || loaded_api().is_some_and(|api| Outside::is_there(api, pinned)) {
            false => None,
            true => {
                special = self.special(interpreter, python, pinned, limits, limited)?;
                Some(&special)
            }
        };
        let stack = self.stack.check().map_err(too_small)?;
        let running = match special {
            Some(special) if special.again => interpreter.gate.enter_again(interpreter.handle, &self.inside),
            _ => interpreter.gate.enter(interpreter.handle, &self.inside, special.map(|special| special as &dyn Stop)),
        };
        let limited = || special.and_then(|special| special.limited.as_ref());
        let running = running.map_err(|refused| not_let_in(interpreter, limited(), refused))?;
        let outside = special.and_then(|special| special.outside.as_ref());
        let mut late = None;
        let result = python.run(outside, pinned, stack, |py, scope| {
            if let Some(special) = special {
                late = special.begins(scope);
                if late.is_some() {
                    return Err(Failure::Running.into());
                }
            }
            act(py, scope, python)
        });
        drop(running);
        match (result, special) {
            (Ok(result), _) => Ok(result),
            (Err(failure), None) => Err(interpreter.failed(*failure)),
            (Err(failure), Some(special)) => Err(special.failed(interpreter, failure, late)),
        }
    }

    /// The same for one in a process of its own, which is asked.
    #[inline(never)]
    pub fn ask_in<R>(
        &self,
        interpreter: &Interpreter,
        limits: Option<&Limits>,
        ask: impl FnOnce(&Conversation) -> Result<R, Box<Error>>,
    ) -> Result<R, Box<Error>> {
        let Some(elsewhere) = interpreter.elsewhere() else {
            return Err(unrecognized("exec code for", interpreter).into());
        };
        if !enough() {
            return Err(interpreter.failed(Failure::NoMemory));
        }
        let _outside = loaded_api().and_then(Outside::step_out);
        let is_limited = limits.is_some() || interpreter.timeout.is_some() || self.limits.any();
        let limited = if is_limited { Some(self.limits.begin(interpreter, limits)?) } else { None };
        let stop = limited.as_ref().map(|limited| limited as &dyn Stop);
        let running = interpreter.gate.enter(interpreter.handle, &self.inside, stop);
        let running = running.map_err(|refused| not_let_in(interpreter, limited.as_ref(), refused))?;
        let line = self.line(interpreter, elsewhere)?;
        let conversation = Conversation::new(interpreter, elsewhere, &line);
        let result = match &limited {
            None => ask(&conversation),
            Some(limited) => conversation.limited(limited, ask),
        };
        drop((line, running));
        result
    }

    /// The channel to it.
    fn line<'a>(&'a self, interpreter: &Interpreter, elsewhere: &'a Elsewhere) -> Result<InUse<'a>> {
        self.lines.take(interpreter.handle, elsewhere).map_err(|error| {
            if elsewhere.has_ended() {
                interpreter.is_gone();
            }
            error.of(interpreter.handle)
        })
    }

    /// Asks an interpreter in a process of its own for something that is no run, whatever runs.
    pub fn visit_elsewhere<R>(
        &self,
        interpreter: &Interpreter,
        elsewhere: &Elsewhere,
        ask: impl FnOnce(&Conversation) -> Result<R, Box<Error>>,
    ) -> Result<R> {
        detached(loaded_api(), || {
            let _visiting = interpreter.gate.visit().map_err(|refused| interpreter.refused(refused))?;
            let line = self.line(interpreter, elsewhere)?;
            ask(&Conversation::new(interpreter, elsewhere, &line)).map_err(|error| *error)
        })
    }

    /// This thread does what one of Python's asks of the host, in an interpreter in a process of its own, until that has
    /// ended. What it runs there meanwhile is run by that one.
    pub fn serve_python(&self, interpreter: &Interpreter, elsewhere: &Elsewhere) {
        let Ok(line) = self.lines.lend(interpreter.handle, elsewhere) else {
            elsewhere.refuse();
            return;
        };
        let serve = || Conversation::new(interpreter, elsewhere, &line).serve_python();
        self.inside.during(interpreter.handle, serve);
        line.drop_line();
    }

    /// Keeps this thread in an interpreter, or counts one more.
    pub fn enter(&self, handle: u64, find: impl FnOnce() -> Result<Arc<Interpreter>>) -> Result<()> {
        self.sessions.enter(handle, self.ended.get(), find, |interpreter, elsewhere| {
            let line = self.line(interpreter, elsewhere)?;
            Conversation::new(interpreter, elsewhere, &line).ask(Request::Enter).map_err(|error| *error)?;
            line.stay();
            Ok(())
        })
    }

    /// Undoes one `enter`.
    pub fn leave(&self, handle: u64) -> Result<()> {
        self.sessions.leave(handle, &self.inside, |interpreter| self.leaves(interpreter))
    }

    /// The session's channel is the thread's no longer.
    fn leaves(&self, interpreter: &Interpreter) {
        if let Some(elsewhere) = interpreter.elsewhere()
            && let Ok(line) = self.lines.take(interpreter.handle, elsewhere)
        {
            // When that has ended, there is nothing to be left.
            let _ = detached(loaded_api(), || Conversation::new(interpreter, elsewhere, &line).ask(Request::Leave));
            line.leave();
        }
    }

    /// Ends an interpreter in a process of its own, whose gate lets nobody in. When it fails, that goes on.
    /// `decided` is told when nothing is in the way.
    pub fn end_elsewhere(
        &self,
        interpreter: &Interpreter,
        elsewhere: &Elsewhere,
        end: End,
        decided: &dyn Fn(),
    ) -> Result<()> {
        let Some(line) = elsewhere.take_main().map(Alone::share) else {
            return Err(Error::from(Kind::Busy("interpreter running".into())).of(interpreter.handle));
        };
        let End { timeout, interrupt, within } = end;
        let ended = detached(loaded_api(), || {
            let conversation = Conversation::new(interpreter, elsewhere, &line).ending(within, decided);
            conversation.ask(Request::End { timeout, interrupt })
        });
        match ended {
            Ok(_) => {}
            // That is an end, too.
            Err(_) if elsewhere.has_ended() => {}
            Err(error) => {
                elsewhere.put_back(line);
                return Err(*error);
            }
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn special(
        &self,
        interpreter: &Interpreter,
        python: &Interp,
        pinned: Option<&Pinned>,
        limits: Option<&Limits>,
        limited: bool,
    ) -> Result<Special<'_>, Box<Error>> {
        let limited = if limited { Some(self.limits.begin(interpreter, limits)?) } else { None };
        let outside = loaded_api().and_then(|api| Outside::step_out_to(api, pinned));
        let again = outside.as_ref().is_some_and(|outside| python.is_left(outside));
        Ok(Special { outside, again, limited })
    }

    /// Uses the interpreter with this handle: `act` for one of this process, which is remembered, or `ask`. Both take what is
    /// `given`.
    #[inline(always)]
    pub fn with_interpreter<T>(
        &self,
        handle: u64,
        given: T,
        find: impl FnOnce() -> Result<Arc<Interpreter>>,
        act: impl FnOnce(&Interpreter, T) -> Ran,
        ask: impl FnOnce(&Interpreter, T) -> Ran,
    ) -> Ran {
        let interpreter = match self.interpreter.take(handle) {
            Some(interpreter) => interpreter,
            None => {
                let interpreter = find()?;
                if interpreter.elsewhere().is_some() {
                    return ask(&interpreter, given);
                }
                interpreter
            }
        };
        let result = act(&interpreter, given);
        self.interpreter.put(handle, interpreter);
        result
    }

    /// The interpreter with this handle, remembered as well.
    pub fn interpreter(&self, handle: u64, what: &str) -> Result<Arc<Interpreter>> {
        let interpreter = self.interpreter.take(handle).map_or_else(|| driven(handle, what), Ok)?;
        // What is remembered is one of this process.
        if interpreter.elsewhere().is_none() {
            self.interpreter.put(handle, Arc::clone(&interpreter));
        }
        Ok(interpreter)
    }

    /// The same for the function with this handle.
    #[inline]
    pub fn with_function<T>(
        &self,
        handle: u64,
        given: T,
        act: impl FnOnce(&Function, T) -> Ran,
        ask: impl FnOnce(&Function, T) -> Ran,
    ) -> Ran {
        let function = match self.function.take(handle) {
            Some(function) => function,
            None => {
                let function = self.function_elsewhere.find(handle)?;
                if function.is_elsewhere() {
                    return ask(&function, given);
                }
                function
            }
        };
        let result = act(&function, given);
        if is_function(handle) {
            self.function.put(handle, function);
        }
        result
    }

    #[cold]
    fn watch(&self) {
        static END: AtThreadEnd = AtThreadEnd::new(thread_ends);
        self.watched.set(true);
        END.watch();
    }
}

#[cold]
fn not_let_in(interpreter: &Interpreter, limited: Option<&Limited>, refused: Refused) -> Box<Error> {
    match (refused, limited) {
        (Refused::Stopped, Some(limited)) => limited.waited().into(),
        (refused, _) => interpreter.refused(refused).into(),
    }
}

thread_local! {
    /// Without a destructor, so that it is there until the very end of the thread.
    static HERE: ManuallyDrop<Here> = const { ManuallyDrop::new(Here::new()) };
}

/// Does something with what this thread remembers.
#[inline(always)]
pub fn here<R>(act: impl FnOnce(&Here) -> R) -> R {
    HERE.with(|here| {
        if !here.watched.get() {
            here.watch();
        }
        act(here)
    })
}

impl Interpreter {
    /// Finalizes it; the gate must be closing. Until that is done, everybody sees it in that state.
    pub(super) fn end(&self, interruptibly: bool) {
        let end = || match self.python() {
            Some(python) if interruptibly => python.end_interruptibly(),
            Some(python) => python.end(),
            None => {}
        };
        here(|here| {
            here.keeps.during(self.handle, || {
                end();
                if let Some(elsewhere) = self.elsewhere() {
                    // Whatever is in the way is waited for, or is interrupted, and killed if it goes on.
                    let timeout = interruptibly.then_some(ENDS_WITHIN);
                    let end = End { timeout, interrupt: interruptibly, within: timeout.map(|timeout| timeout * 2) };
                    if here.end_elsewhere(self, elsewhere, end, &|| ()).is_err() {
                        // It cannot: there is no memory for that, say.
                        elsewhere.kill();
                    }
                    elsewhere.ended();
                }
            })
        });
        hooks::unwatch(self.id);
        self.gate.closed();
        INTERPRETERS.remove(self.handle);
    }
}

impl Watcher for Interpreter {
    fn guest_destroys(&self) {
        // What this thread itself has there would be waited for without end. A run of its own is running what only
        // seems to be the end, or is beyond help.
        if here(|here| here.inside.contains(self.handle)) {
            return;
        }
        here(|here| here.sessions.end(self.handle));
        if self.gate.close_from_outside()
            && let Some(python) = self.python()
        {
            python.release();
        }
    }

    fn library_ends(&self) -> bool {
        self.gate.is_closing()
    }

    fn cleared(&self) {
        if let Some(python) = self.python() {
            python.close_interrupts();
        }
    }

    fn stays(&self) -> bool {
        self.gate.is_open()
    }

    fn gone(&self) {
        self.gate.closed();
        INTERPRETERS.remove(self.handle);
        // It is being cleared, on this thread.
        if let Some(python) = self.python() {
            python.hosts.retire();
            detached(loaded_api(), || python.ended());
        }
    }
}

/// How long what is interrupted in an interpreter's process may take to end it.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// How an interpreter in a process of its own is to end.
#[derive(Clone, Copy)]
pub struct End {
    /// How long what still runs may take; None: as long as it takes.
    pub timeout: Option<Duration>,
    /// It is interrupted.
    pub interrupt: bool,
    /// When it is killed, with what runs at the end.
    pub within: Option<Duration>,
}

/// Comes back when something is remembered in a later destructor of the thread's.
fn thread_ends() {
    HERE.with(|here| {
        here.watched.set(false);
        here.ended.set(true);
        here.sessions.end_all(|interpreter| here.leaves(interpreter));
        here.interpreter.forget();
        here.function.forget();
        here.function_elsewhere.forget();
        here.inside.forget();
        here.keeps.forget();
        here.limits.forget();
        here.lines.forget();
    });
}
