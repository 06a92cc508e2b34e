//! The end of everything: every interpreter is closed, all or none, and CPython finalised.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::attempt::{Attempt, CloseOptions, FIRST_PAUSE, LONGEST_PAUSE, Plan, Stage, in_the_way};
use super::close::{begin_drain, interrupt_here_or_there, prepare, start};
use super::error::{Error, Kind, Result};
use super::gate::Refused;
use super::here::here;
use super::interpreter::{INTERPRETERS, Interpreter, check_stack};
use super::pool;
use super::processes;
use super::runtime::{self, Up};
use super::thread::{check_idle, forget_all};
use crate::platform::thread::spawn;
use crate::python::attach::{current_interpreter, detached};
use crate::python::interp::Interp;
use crate::python::run::{self, Code};
use crate::python::stack::{STACK_SIZE, this_stack};
use crate::python::{hooks, loaded_api, lock};
use crate::value::{Args, Buffers, Wanted, subpy_value};

/// Closes every interpreter and finalises CPython, unless something runs. Fine when it does not run.
pub fn shutdown() -> Result<()> {
    let current = current();
    let prepare = |up: &Up| {
        check_caller(current, up.is_adopted())?;
        close_all_gates(up, &[])
    };
    if runtime::is_up() {
        check_caller(current, runtime::is_adopted())?;
    }
    detached(loaded_api(), || {
        let at_once = Plan::new(CloseOptions { timeout: Some(Duration::ZERO), ..CloseOptions::PLAIN });
        let mut pools = pool::pause_all(&at_once)?;
        runtime::stop(prepare, |up, ours| {
            pools.refuse();
            end_all(up, &ours, false)
        })?;
        pools.end();
        Ok(())
    })
}

/// The interpreter that this thread is in.
fn current() -> Option<i64> {
    if runtime::is_up() { loaded_api().and_then(current_interpreter) } else { None }
}

/// An interpreter waits for this thread, or would when it ends.
fn is_kept() -> bool {
    here(|here| here.inside.any() || here.keeps.any())
}

fn check_caller(current: Option<i64>, is_adopted: bool) -> Result<()> {
    // A thread that Python code started is in no run of ours, and would be waited for all the same. Main alone may be
    // where a host's own Python calls from.
    if is_kept() || current.is_some_and(|id| id != 0 || !is_adopted) {
        return Err(Kind::Busy("cannot shut down from inside an interpreter".into()).into());
    }
    check_stack()?;
    runtime::check_host_stays()
}

/// A shutdown within a time that goes on; the time may be over.
static GOING_ON: Mutex<Option<Arc<Attempt>>> = Mutex::new(None);

/// The same within a time: nobody comes in anywhere, and nothing ends before nothing is in the way.
pub fn shutdown_with(options: CloseOptions) -> Result<()> {
    if options == CloseOptions::PLAIN {
        return shutdown();
    }
    if runtime::is_up() || is_kept() {
        check_caller(current(), runtime::is_adopted())?;
    }
    let plan = Plan::new(options);
    detached(loaded_api(), || {
        let mut pools = pool::pause_all(&plan)?;
        pools.refuse();
        stop_within(&plan)?;
        pools.end();
        Ok(())
    })
}

/// The one thread at a time that drains all of them: two of which each has drained some would wait for each other.
struct Turn;

static TAKEN: AtomicBool = AtomicBool::new(false);

impl Turn {
    fn take() -> Option<Turn> {
        // Not then_some(): a turn that was not given would be given back.
        (!TAKEN.swap(true, Ordering::Acquire)).then(|| Turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}

fn stop_within(plan: &Plan) -> Result<()> {
    // What is drained is as before when the next one has its turn.
    let mut turn = None;
    let (mut drained, mut pause, mut late) = (Drained(Vec::new()), FIRST_PAUSE, None);
    loop {
        // In this order: if it was down because of one that goes on, that is seen, or is over.
        let is_up = runtime::is_up();
        let going_on = lock(&GOING_ON).clone();
        let stopping = match going_on {
            Some(stopping) => stopping,
            None if !is_up => match runtime::stop(started_meanwhile, |_, ()| {}) {
                Err(Error { kind: Kind::Busy(_), .. }) => continue,
                result => return result,
            },
            None => {
                if turn.is_none() {
                    turn = Turn::take();
                }
                if turn.is_none() {
                    if plan.lets_runs_end() && !plan.is_over() {
                        sleep(FIRST_PAUSE);
                        continue;
                    }
                    return Err(in_the_way(plan, "another thread is stopping it").into());
                }
                drained.add_new(plan)?;
                drained.wait(plan)?;
                stop(&drained)?
            }
        };
        if !stopping.wait_while_asking(plan) {
            stopping.give_up(|| {});
        }
        if stopping.is_given_up() {
            // By another one, whose time was over: it goes away as soon as its thread sees that.
            if !plan.is_over() {
                sleep(FIRST_PAUSE);
                continue;
            }
            let starting = || in_the_way(plan, "another thread is starting or stopping it").into();
            return Err(late.unwrap_or_else(starting));
        }
        let result = stopping.wait_for_end(plan, "the runtime", interrupt_ending);
        match result {
            Err(error) if matches!(error.kind, Kind::Busy(_)) && plan.lets_runs_end() && !plan.is_over() => {
                late = Some(error);
                sleep(pause);
                // Whoever had one end may wait for it no more.
                if pause == LONGEST_PAUSE && plan.interrupts_now() {
                    interrupt_ending();
                }
                pause = LONGEST_PAUSE.min(pause * 2);
            }
            result => return result,
        }
    }
}

fn started_meanwhile(_: &Up) -> Result<()> {
    Err(Kind::Busy("the runtime was started meanwhile".into()).into())
}

/// Interpreters into which nobody comes any more; as before when dropped, but for those that end.
struct Drained(Vec<(Arc<Interpreter>, Arc<Attempt>)>);

impl Drop for Drained {
    fn drop(&mut self) {
        for (interpreter, attempt) in &self.0 {
            attempt.give_up(|| interpreter.gate.end_drain());
        }
    }
}

impl Drained {
    fn add_new(&mut self, plan: &Plan) -> Result<()> {
        for interpreter in INTERPRETERS.all() {
            let known = self.0.iter().any(|(known, _)| known.handle == interpreter.handle);
            if interpreter.is_theirs() || known {
                continue;
            }
            match begin_drain(&interpreter, plan) {
                Ok(()) => {}
                // It has ended meanwhile: another shutdown goes on.
                Err(Error { kind: Kind::NotFound(_), .. }) => continue,
                // Another thread closes it, and may be done in time.
                Err(Error { kind: Kind::Busy(_), .. }) if plan.lets_runs_end() => continue,
                Err(error) => return Err(named(&interpreter, error)),
            }
            // A host's threads are its own.
            let threads = interpreter.id != 0 || !runtime::is_adopted();
            let (its_own, plan) = (Arc::clone(&interpreter), *plan);
            let attempt = start(&interpreter, move |attempt| {
                if prepare(&its_own, &plan, attempt, threads)? {
                    attempt.ready();
                }
                Ok(())
            })?;
            self.0.push((interpreter, attempt));
        }
        Ok(())
    }

    /// Until nothing is in the way in any of them.
    fn wait(&self, plan: &Plan) -> Result<()> {
        let mut in_time = true;
        for (interpreter, attempt) in &self.0 {
            in_time &= attempt.wait_while_asking(plan);
            match attempt.outcome() {
                // It has ended by itself: its process has, or a guest has destroyed it.
                None | Some(Ok(()) | Err(Error { kind: Kind::NotFound(_), .. })) => {}
                Some(Err(error)) => return Err(named(interpreter, error)),
            }
        }
        if in_time {
            return Ok(());
        }
        let mut found = Vec::new();
        for (interpreter, attempt) in self.0.iter().filter(|(_, attempt)| attempt.is_asking()) {
            let way = attempt.in_the_way().unwrap_or_else(|| "it is about to be".into());
            found.push(format!("interpreter {}: {way}", interpreter.id));
        }
        Err(in_the_way(plan, &found.join("; ")).into())
    }
}

/// Interrupts what runs while interpreters end, whoever had them end.
fn interrupt_ending() {
    let ending = INTERPRETERS.all().into_iter().filter(|interpreter| interpreter.gate.is_closing());
    ending.for_each(|interpreter| interrupt_here_or_there(&interpreter));
}

fn named(interpreter: &Interpreter, error: Error) -> Error {
    match error.kind {
        Kind::Busy(message) => {
            Error::from(Kind::Busy(format!("interpreter {}: {message}", interpreter.id))).of(interpreter.handle)
        }
        _ => error,
    }
}

/// Stops the runtime on a thread of its own, if nothing has come into the way. There is one such thread at a time: who comes
/// second waits for the first.
fn stop(drained: &Drained) -> Result<Arc<Attempt>> {
    let stopping = {
        let mut going_on = lock(&GOING_ON);
        if let Some(first) = &*going_on {
            return Ok(Arc::clone(first));
        }
        Arc::clone(going_on.insert(Attempt::new()))
    };
    let (attempt, closes) = (Arc::clone(&stopping), drained.0.clone());
    let spawned = spawn("subpy-shutdown", STACK_SIZE, move || {
        let prepare = |up: &Up| {
            let mut ours = Vec::new();
            attempt.decide(|| {
                ours = close_all_gates(up, &closes)?;
                // They are beyond being taken back.
                closes.iter().for_each(|(_, attempt)| attempt.set(Stage::Ending(Instant::now())));
                Ok(true)
            })?;
            if attempt.is_given_up() { Err(Kind::Busy("given up".into()).into()) } else { Ok(ours) }
        };
        let end = |up: &Up, ours: Vec<_>| end_all(up, &ours, true);
        let stopped = catch_unwind(AssertUnwindSafe(|| runtime::stop(prepare, end)));
        let stopped = stopped.unwrap_or_else(|_| Err(Kind::Panic("a shutdown panicked".into()).into()));
        *lock(&GOING_ON) = None;
        attempt.set(Stage::Done(stopped));
    });
    match spawned {
        Ok(_) => Ok(stopping),
        Err(error) => {
            *lock(&GOING_ON) = None;
            Err(Kind::Interpreter(format!("can't start new thread: {error}")).into())
        }
    }
}

/// Lets nobody into any interpreter any more; all or none. Some are drained already.
fn close_all_gates(up: &Up, drained: &[(Arc<Interpreter>, Arc<Attempt>)]) -> Result<Vec<Arc<Interpreter>>> {
    if up.uses > 0 {
        return Err(Kind::Busy("an interpreter is being created".into()).into());
    }
    check_idle()?;
    for id in hooks::foreign_ids() {
        if hooks::foreign(id).is_some_and(|state| state.running) {
            return Err(Kind::Busy(format!("interpreter {id} is running (Python code created it)")).into());
        }
    }
    let mut ours: Vec<_> = INTERPRETERS.all().into_iter().filter(|it| !it.is_theirs()).collect();
    // The newest first, main last: main is needed to end what Python code made.
    ours.sort_unstable_by_key(|interpreter| std::cmp::Reverse(interpreter.id));
    for (index, interpreter) in ours.iter().enumerate() {
        let begun = match drained.iter().any(|(drained, _)| drained.handle == interpreter.handle) {
            true => interpreter.gate.begin_close_drained(),
            false => interpreter.gate.begin_close(),
        };
        // Only now does it stay alive while it is asked.
        let otherwise = || interpreter.id != 0 && interpreter.python().is_some_and(Interp::is_running_otherwise);
        let what = match begun {
            Ok(()) if !otherwise() => continue,
            Err(Refused::Closing) if lock(&interpreter.ending).is_some() => {
                "ending, and waits for code that runs at the end (atexit handlers, __del__)"
            }
            // By the library, or by a guest that destroys it.
            Err(Refused::Closing | Refused::Closed) => "being closed",
            Err(Refused::Entered) => "entered by a thread that has not left it (subpy_enter, subpy_leave)",
            _ => "running",
        };
        let begun_so_far = index + usize::from(begun.is_ok());
        ours[..begun_so_far].iter().for_each(|interpreter| interpreter.gate.reopen());
        return Err(Error::from(Kind::Busy(format!("interpreter {} is {what}", interpreter.id))).of(interpreter.handle));
    }
    ours.iter().for_each(|interpreter| interpreter.gate.close());
    Ok(ours)
}

/// Runs what main has registered with atexit, which CPython's finalization would run too, where nothing could interrupt it.
fn run_exit_handlers(main: &Interp) {
    let args = Args { items: &[], kwargs: &[], buffers: Buffers::None };
    let handlers = Code::Call { callable: "atexit:_run_exitfuncs", args };
    // Python code that has broken the module is left to the finalization.
    let _: Result<(), _> =
        main.run(None, None, this_stack(), |py, scope| run::run(py, scope, handlers, Wanted::value(None)));
}

/// Ends the interpreters, the newest first, then those that Python code made.
fn end_all(up: &Up, ours: &[Arc<Interpreter>], interruptibly: bool) {
    forget_all();
    for interpreter in ours.iter().filter(|interpreter| interpreter.id != 0) {
        interpreter.end(interruptibly);
    }
    if let Some(main) = up.main.python() {
        if interruptibly && up.has_own_thread() {
            run_exit_handlers(main);
        }
        // CPython's own finalization can crash on interpreters that are left (python/cpython,
        // finalize_subinterpreters).
        for id in hooks::foreign_ids().into_iter().rev() {
            let args = [subpy_value::int(id)];
            let args = Args { items: &args, kwargs: &[], buffers: Buffers::None };
            let destroy = Code::Call { callable: "_interpreters:destroy", args };
            // One that is gone by now (its creator held it) is no harm.
            let _: Result<(), _> =
                main.run(None, None, this_stack(), |py, scope| run::run(py, scope, destroy, Wanted::value(None)));
        }
        main.release();
        if up.is_adopted() {
            main.retire();
        }
    }
    processes::end();
    up.main.gate.closed();
    INTERPRETERS.drain();
}
