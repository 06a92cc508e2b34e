//! Closing within a time: runs are waited for or interrupted, Python's own threads too. When the time is over the
//! interpreter is as it was before, or is ending and says so.
//!
//! Whoever asks for it sleeps. A thread of the library's own does the rest, because that may wait for a GIL which nobody
//! gives away, and for code that runs while the interpreter ends.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::attempt::{Attempt, CloseOptions, FIRST_PAUSE, LONGEST_PAUSE, Plan, Stage, in_the_way};
use super::conversation::Conversation;
use super::elsewhere::Elsewhere;
use super::error::{Error, Kind, Result};
use super::gate::{InTheWay, Refused};
use super::here::{End, here};
use super::interpreter::{Interpreter, get};
use super::interpreters::{closable, close};
use super::limits;
use super::runtime;
use crate::platform::thread::spawn;
use crate::process::alone::Alone;
use crate::python::attach::detached;
use crate::python::closing::{Closing, Look};
use crate::python::interp::Interp;
use crate::python::interrupt::{Reason, Which};
use crate::python::stack::STACK_SIZE;
use crate::python::{loaded_api, lock};

/// Between the first interrupt and the second one; then it grows.
const FIRST_INTERVAL: Duration = Duration::from_millis(10);

/// `close()`, within a time.
pub fn close_with(handle: u64, options: CloseOptions) -> Result<()> {
    if options == CloseOptions::PLAIN {
        return close(handle);
    }
    let plan = Plan::new(options);
    let interpreter = closable(handle)?;
    check_waits_for_others(&interpreter)?;
    detached(loaded_api(), || {
        let ending = lock(&interpreter.ending).clone();
        // One that its process has refused in the end was the last one's.
        let attempt = match ending.filter(|ending| !ending.wait_while_asking(&plan) || !ending.is_given_up()) {
            Some(ending) => ending,
            None => begin(&interpreter, &plan)?,
        };
        // What cannot be interrupted is ended.
        let killable = interpreter.elsewhere().filter(|_| plan.options.interrupt);
        if !attempt.wait_while_asking(&plan) {
            // A thread of the host's that has entered it is nothing that could be killed.
            let entered = matches!(interpreter.gate.in_the_way(), InTheWay { runs: false, sessions: true });
            if let Some(elsewhere) = killable.filter(|_| !entered) {
                elsewhere.kill();
                attempt.give_up(|| interpreter.gate.end_drain());
                interpreter.is_gone();
                return Ok(());
            }
            let later = || *lock(&interpreter.ending) = Some(Arc::clone(&attempt));
            attempt.leave(|| interpreter.gate.end_drain(), later);
        }
        if attempt.is_given_up() {
            let found = attempt.in_the_way().unwrap_or_else(|| "it is about to be".into());
            return Err(Error::from(in_the_way(&plan, &found)).of(handle));
        }
        let interrupt = || interrupt_here_or_there(&interpreter);
        let ended = attempt.wait_for_end(&plan, "the interpreter", interrupt);
        let ended = match (ended, killable) {
            (Err(_), Some(elsewhere)) => {
                elsewhere.kill();
                attempt.wait_for_end(&Plan::new(CloseOptions::PLAIN), "the interpreter", || ())
            }
            (ended, _) => ended,
        };
        ended.map_err(|error| error.of(handle))
    })
}

/// Whatever this thread has there would be waited for without end.
fn check_waits_for_others(interpreter: &Interpreter) -> Result<()> {
    let kind = match interpreter.handle {
        inside if here(|here| here.inside.contains(inside)) => {
            Kind::Interpreter("cannot destroy the interpreter: this thread is running something in it".into())
        }
        entered if here(|here| here.sessions.has(entered)) => {
            Kind::Busy("this thread has entered the interpreter: subpy_leave() comes first".into())
        }
        _ => return Ok(()),
    };
    Err(Error::from(kind).of(interpreter.handle))
}

pub fn interrupt_all(python: &Interp) {
    // That there is a way to was seen before.
    python.interrupt(Which::All, Reason::Interrupted);
}

/// Interrupts everything, wherever it lives.
pub fn interrupt_here_or_there(interpreter: &Interpreter) {
    interpreter.python().into_iter().for_each(interrupt_all);
    interpreter.elsewhere().into_iter().for_each(Elsewhere::interrupt);
}

/// Nobody else comes in from now on, and a thread does the rest.
fn begin(interpreter: &Arc<Interpreter>, plan: &Plan) -> Result<Arc<Attempt>> {
    begin_drain(interpreter, plan)?;
    let (plan, its_own) = (*plan, Arc::clone(interpreter));
    start(interpreter, move |attempt| {
        while prepare(&its_own, &plan, attempt, true)? {
            let has_ended = match its_own.elsewhere() {
                Some(elsewhere) => end_elsewhere(&its_own, elsewhere, &plan, attempt)?,
                None => decide(&its_own, attempt)?,
            };
            if has_ended {
                if its_own.elsewhere().is_none() {
                    its_own.end(true);
                }
                attempt.set(Stage::Done(Ok(())));
                break;
            }
            attempt.pause(FIRST_PAUSE);
        }
        Ok(())
    })
}

pub fn begin_drain(interpreter: &Interpreter, plan: &Plan) -> Result<()> {
    if plan.options.interrupt {
        limits::check_supported()?;
    }
    let begun = interpreter.gate.begin_drain(!plan.lets_runs_end(), plan.left_to_decide());
    begun.map_err(|refused| match refused {
        Refused::Running => Error::from(Kind::Busy("interpreter running".into())).of(interpreter.handle),
        refused => interpreter.refused(refused),
    })
}

/// Does the work of a close on a thread of the library's own. The gate is being drained; if the work fails, it is no
/// more.
pub fn start(
    interpreter: &Arc<Interpreter>,
    work: impl FnOnce(&Arc<Attempt>) -> Result<()> + Send + 'static,
) -> Result<Arc<Attempt>> {
    let attempt = Attempt::new();
    let (its_own, drained) = (Arc::clone(&attempt), Arc::clone(interpreter));
    let spawned = spawn("subpy-close", STACK_SIZE, move || {
        let result = catch_unwind(AssertUnwindSafe(|| work(&its_own)));
        if let Err(error) = result.unwrap_or_else(|_| Err(Kind::Panic("a close panicked".into()).into())) {
            its_own.fail(error, || take_back(&drained));
        }
    });
    match spawned {
        Ok(_) => Ok(attempt),
        Err(error) => {
            interpreter.gate.end_drain();
            Err(Kind::Interpreter(format!("can't start new thread: {error}")).into())
        }
    }
}

/// It is as before.
fn take_back(interpreter: &Interpreter) {
    *lock(&interpreter.ending) = None;
    interpreter.gate.end_drain();
}

/// When interrupts are repeated. The first one is enough for most code, if it gets the time to clean up.
#[derive(Default)]
struct Interrupts {
    count: u32,
    next: Option<Instant>,
}

impl Interrupts {
    /// The how manieth is due now, from 1; 0: none.
    fn next(&mut self) -> u32 {
        let now = Instant::now();
        if self.next.is_some_and(|next| now < next) {
            return 0;
        }
        self.count += 1;
        self.next = Some(now + LONGEST_PAUSE.min(FIRST_INTERVAL * self.count));
        self.count
    }
}

/// Waits until nothing is in the way, and has what is there end if that is the plan. False: it was given up. `threads`:
/// Python's own are in the way too.
pub fn prepare(interpreter: &Interpreter, plan: &Plan, attempt: &Attempt, threads: bool) -> Result<bool> {
    let refused = |refused| interpreter.refused(refused);
    let (mut closing, mut pause) = (Closing::default(), FIRST_PAUSE);
    let mut interrupts = Interrupts::default();
    while !attempt.is_given_up() {
        runtime::check_host_stays()?;
        let stop = if plan.interrupts_now() { interrupts.next() } else { 0 };
        if stop > 0 {
            // Nobody else has come in meanwhile: they are the same again. Had it been given up, others would be meant.
            attempt.unless_given_up(|| {
                if stop == 1 {
                    interpreter.gate.turn_away();
                }
                interrupt_here_or_there(interpreter);
            });
        }
        let drained = interpreter.gate.wait_drained(Some(pause)).map_err(refused)?;
        let mut found = Vec::new();
        if let Some(python) = interpreter.python().filter(|_| threads || !drained) {
            let visiting = interpreter.gate.visit_drained().map_err(refused)?;
            let look = Look { stop, threads, drained };
            found = closing.look(python, look).map_err(Error::from)?;
            drop(visiting);
        }
        if let Some(elsewhere) = interpreter.elsewhere().filter(|_| !drained) {
            found = look_elsewhere(interpreter, elsewhere, stop);
        }
        if drained && found.is_empty() {
            return Ok(true);
        }
        let InTheWay { runs, sessions } = interpreter.gate.in_the_way();
        if sessions {
            found.push("a thread that has entered it and not left it (subpy_enter, subpy_leave)".into());
        }
        if found.is_empty() && runs {
            found.push("a run".into());
        }
        attempt.found(found);
        if drained {
            attempt.pause(pause);
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
    Ok(false)
}

/// The same for one in a process of its own. Whatever keeps it from answering is not in the way of a close.
fn look_elsewhere(interpreter: &Interpreter, elsewhere: &Elsewhere, stop: u32) -> Vec<String> {
    let Ok(line) = elsewhere.take().map(Alone::share) else { return Vec::new() };
    let found = Conversation::new(interpreter, elsewhere, &line).look(stop);
    elsewhere.put_back(line);
    found.unwrap_or_default()
}

/// How an interpreter's own process looks for its host, as long as runs are in.
pub fn look(handle: u64, stop: u32) -> Result<Vec<String>> {
    static CLOSING: Mutex<Option<Closing>> = Mutex::new(None);
    let interpreter = get(handle)?;
    let Some(python) = interpreter.python() else { return Ok(Vec::new()) };
    let look = Look { stop, threads: true, drained: false };
    lock(&CLOSING).get_or_insert_default().look(python, look).map_err(Error::from)
}

/// From now on it ends, unless something has come into the way.
fn decide(interpreter: &Arc<Interpreter>, attempt: &Arc<Attempt>) -> Result<bool> {
    let mut theirs = false;
    let decided = attempt.decide(|| {
        match interpreter.gate.begin_close_drained() {
            Ok(()) => {}
            Err(Refused::Running) => return Ok(false),
            Err(refused) => return Err(interpreter.refused(refused)),
        }
        theirs = interpreter.python().is_some_and(Interp::is_running_otherwise);
        let stays = runtime::check_host_stays();
        if theirs || stays.is_err() {
            interpreter.gate.reopen();
            return stays.map(|()| false);
        }
        *lock(&interpreter.ending) = Some(Arc::clone(attempt));
        interpreter.gate.close();
        Ok(true)
    });
    if theirs {
        attempt.found(vec!["Python code of another interpreter runs something in it".into()]);
    }
    decided
}

/// One in a process of its own has ended, unless something has come into the way.
fn end_elsewhere(
    interpreter: &Arc<Interpreter>,
    elsewhere: &Elsewhere,
    plan: &Plan,
    attempt: &Arc<Attempt>,
) -> Result<bool> {
    // The drain of one that was given up is over, and another may have begun.
    match attempt.ask(|| interpreter.gate.begin_close_drained()) {
        Some(Ok(())) => {}
        Some(Err(Refused::Running)) | None => return Ok(false),
        Some(Err(refused)) => return Err(interpreter.refused(refused)),
    }
    let is_decided = Cell::new(false);
    // Its own code says what is in the way. Then it takes as long as what runs at the end.
    let decided = || {
        is_decided.set(true);
        *lock(&interpreter.ending) = Some(Arc::clone(attempt));
        interpreter.gate.close();
        let _ = attempt.decide(|| Ok(true));
    };
    // One that interrupts is not taken back, and may have to do that again and again.
    let interrupt = plan.interrupts_now();
    let timeout = if interrupt { plan.left() } else { Some(Duration::ZERO) };
    let end = End { timeout, interrupt, within: None };
    match here(|here| here.end_elsewhere(interpreter, elsewhere, end, &decided)) {
        Err(error) if !is_decided.get() && !elsewhere.has_ended() => {
            let Kind::Busy(message) = error.kind else {
                if plan.interrupts_now() {
                    // It cannot: there is no memory for that, say.
                    elsewhere.kill();
                    interpreter.is_gone();
                    return Ok(true);
                }
                interpreter.gate.reopen();
                return Err(error);
            };
            interpreter.gate.reopen();
            attempt.refused(vec![message], || take_back(interpreter));
            Ok(false)
        }
        Ok(()) | Err(_) => {
            interpreter.is_gone();
            Ok(true)
        }
    }
}
