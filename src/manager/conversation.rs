//! What is asked of an interpreter in a process of its own, until it has replied. Meanwhile it may ask the host, and the
//! run may have to end.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod facts;
mod queues;

use super::elsewhere::{Code, Elsewhere, Line};
use super::error::{Error, Kind, Result};
use super::interpreter::Interpreter;
use super::lent_queues::LentQueues;
use super::limits::Limited;
use super::passed::Sending;
use crate::process::channel::Stop;
use crate::process::message::{Done, Failed, Raised, Reply, Request, Run, ToRun};
use crate::process::talk::{Said, Unheard, Unsaid};
use crate::process::wire::{Got, NotRead, Sent};
use crate::python::attach::{Innermost, innermost};
use crate::python::host::{Called, Raise, call_for_another};
use crate::python::kept::{Hold, Kept};
use crate::python::objects;
use crate::python::queue::{self, Queue};
use crate::python::{Failure, loaded_api};
use crate::value::{
    Args, BUFFER, Builder, ERROR, NotCopied, OBJECT, OwnedValue, QUEUE, Results, Rows, ValueRef, Wanted, subpy_pair,
    subpy_value,
};

/// Makes the value that stands for an error among results. None: no memory.
pub type CollectErrors<'a> = dyn FnMut(Error, &mut Builder) -> Option<subpy_value> + 'a;

thread_local! {
    /// The interpreter in a process of its own that has called the innermost of the host's functions on this thread, and
    /// where in the code of this process that was.
    static CALLED_BY: Cell<(u64, Option<Innermost>)> = const { Cell::new((0, None)) };
}

/// The interpreter in a process of its own that this thread is in: a function of the host's was called by it. 0: it is in
/// none, or in one of this process that is further in.
pub fn caller() -> u64 {
    let (handle, place) = CALLED_BY.get();
    if handle != 0 && place == loaded_api().map(innermost) { handle } else { 0 }
}

fn called_by<R>(handle: u64, call: impl FnOnce() -> R) -> R {
    struct Back((u64, Option<Innermost>));
    impl Drop for Back {
        fn drop(&mut self) {
            CALLED_BY.set(self.0);
        }
    }
    let _back = Back(CALLED_BY.replace((handle, loaded_api().map(innermost))));
    call()
}

/// One run's.
pub struct Conversation<'a> {
    interpreter: &'a Interpreter,
    elsewhere: &'a Elsewhere,
    line: &'a Line,
    /// What can stop the run, and its number there.
    limited: Option<(&'a Limited<'a>, u64)>,
    /// When the process was told that it is to end; the time that the host has taken since then does not count.
    told: Cell<Option<Instant>>,
    /// It has noticed.
    knows: Cell<bool>,
    /// Of the request to end: when it is given up, and who is told that it is decided.
    until: Option<Instant>,
    decided: Option<&'a dyn Fn()>,
}

/// A run that can be stopped, until this is dropped.
struct Stoppable<'a> {
    elsewhere: &'a Elsewhere,
    number: u64,
}

impl Drop for Stoppable<'_> {
    fn drop(&mut self) {
        self.elsewhere.run_ends(self.number);
    }
}

impl<'a> Conversation<'a> {
    pub fn new(interpreter: &'a Interpreter, elsewhere: &'a Elsewhere, line: &'a Line) -> Conversation<'a> {
        let (told, knows) = (Cell::new(None), Cell::new(false));
        Conversation { interpreter, elsewhere, line, limited: None, told, knows, until: None, decided: None }
    }

    /// The same for the request to end.
    pub fn ending(self, within: Option<Duration>, decided: &'a dyn Fn()) -> Conversation<'a> {
        let until = within.and_then(|within| Instant::now().checked_add(within));
        Conversation { until, decided: Some(decided), ..self }
    }

    /// The same for a run that can be stopped.
    pub fn limited<R>(
        &self,
        limited: &Limited,
        ask: impl FnOnce(&Conversation) -> Result<R, Box<Error>>,
    ) -> Result<R, Box<Error>> {
        let number = self.elsewhere.run_begins(self.line.talk.caller())?;
        let _stoppable = Stoppable { elsewhere: self.elsewhere, number };
        match limited.begins(number) {
            Some(late) => Err(late),
            None => {
                let Conversation { interpreter, elsewhere, line, .. } = *self;
                let limited = Some((limited, number));
                ask(&Conversation { limited, ..Conversation::new(interpreter, elsewhere, line) })
            }
        }
    }

    /// Asks, and puts what comes of it where it is wanted.
    pub fn run(&self, request: Request, wanted: Wanted) -> Result<u64, Box<Error>> {
        self.run_collecting(request, wanted, None)
    }

    /// The same, of many calls.
    pub fn run_collecting(
        &self,
        request: Request,
        wanted: Wanted,
        collect: Option<&mut CollectErrors>,
    ) -> Result<u64, Box<Error>> {
        let form = match wanted.result {
            Some(_) => Some(wanted.how),
            None if wanted.how.has(Results::ASYNC) => Some(wanted.how.and(Results::DROPPED)),
            None => None,
        };
        let done = self.ask_collecting(&request, form, collect)?;
        if let Some(result) = wanted.result {
            self.promised(&request, wanted.how, done.value.as_ref())?;
            *result = done.value.unwrap_or(OwnedValue::none());
        }
        Ok(done.word)
    }

    /// Asks for nothing that is a value.
    pub fn ask(&self, request: Request) -> Result<Done, Box<Error>> {
        self.ask_collecting(&request, None, None)
    }

    fn ask_collecting(
        &self,
        request: &Request,
        wanted: Option<Results>,
        mut collect: Option<&mut CollectErrors>,
    ) -> Result<Done, Box<Error>> {
        self.give_back_dropped()?;
        self.ask_alone(request, wanted, &mut collect)
    }

    /// In the channel of a thread of Python's, until that has ended. It expects nothing before that: what nobody here needs
    /// any more is for others to tell.
    pub fn serve_python(&self) {
        // The end of the process is not for this thread to tell.
        drop(self.ask_alone(&Request::Serve, None, &mut None));
    }

    fn ask_alone(
        &self,
        request: &Request,
        wanted: Option<Results>,
        collect: &mut Option<&mut CollectErrors>,
    ) -> Result<Done, Box<Error>> {
        let number = self.limited.map_or(0, |(_, number)| number);
        let run = Run { wanted, number, captured: self.elsewhere.output.is_captured() };
        let shares = wanted.is_some_and(|form| form.has(Results::BUFFER));
        let _waiting =
            if shares { Some(self.elsewhere.passed.wait().ok_or_else(|| self.error(Kind::NoMemory))?) } else { None };
        let mut given = Given::to(self.elsewhere);
        self.say(|this| this.line.talk.ask(request, &run, &mut |value| this.describe(value, &mut given)))?;
        given.are_there();
        self.hear(collect)
    }

    /// What nobody here needs any more is not needed there.
    fn give_back_dropped(&self) -> Result<(), Box<Error>> {
        if self.elsewhere.kept.take_some_dropped() {
            for handle in self.elsewhere.kept.take_dropped_numbers() {
                self.say(|this| {
                    this.line.talk.ask(&Request::Free { handle }, &Run::default(), &mut |_| Err(NotCopied::NoMemory))
                })?;
                self.hear(&mut None)?;
            }
        }
        Ok(())
    }

    fn say(&self, say: impl FnOnce(&Self) -> Result<(), Unsaid>) -> Result<(), Box<Error>> {
        say(self).map_err(|unsaid| match unsaid {
            Unsaid::NotWritten(why) => Error::from(why).of(self.interpreter.handle).into(),
            Unsaid::Stop(stop) => self.over(stop),
        })
    }

    /// Waits for the reply.
    fn hear(&self, collect: &mut Option<&mut CollectErrors>) -> Result<Done, Box<Error>> {
        let mut done = Done::default();
        loop {
            let until = self.given_up();
            let restore = &mut |kind, got: Got, builder: &mut Builder| self.restore(kind, got, builder, collect);
            match self.line.talk.hear_reply(until, &mut done, restore) {
                Ok(Said::Done) => return Ok(done),
                Ok(Said::Reply(Reply::Done(done))) => return Ok(done),
                Ok(Said::Reply(Reply::Failed(failed))) => return Err(self.failed(*failed)),
                // Only hosts say it.
                Ok(Said::Reply(Reply::Raised(_))) => return Err(self.breaks("it has raised an exception here")),
                Ok(Said::Request(mut request)) => {
                    let since = Instant::now();
                    self.serve(&mut request)?;
                    self.line.talk.served(request);
                    // The time that the host takes is not the process's.
                    self.told.set(self.told.get().map(|told| told + since.elapsed()));
                }
                Err(Unheard::ReplyNotRead(NotRead::Refused(why))) => {
                    return Err(Error::from(why).of(self.interpreter.handle).into());
                }
                Err(Unheard::NotRead(NotRead::Refused(why))) => {
                    let raised = Raised {
                        kind: "MemoryError".into(),
                        message: Error::from(why).to_string(),
                        ..Raised::default()
                    };
                    self.say(|this| this.line.talk.raise(&raised))?;
                }
                Err(Unheard::NotRead(NotRead::Damaged(why)) | Unheard::ReplyNotRead(NotRead::Damaged(why))) => {
                    return Err(self.breaks(&why));
                }
                Err(Unheard::Stop(Stop::Poked)) => self.tell(),
                Err(Unheard::Stop(stop)) => return Err(self.over(stop)),
            }
        }
    }

    /// The run is to end, and the process does not know.
    fn is_to_tell(&self) -> bool {
        self.told.get().is_none() && self.limited.is_some_and(|(limited, _)| limited.is_stopped())
    }

    /// Tells the process once that the run is to end, if it is.
    fn tell(&self) {
        if self.is_to_tell()
            && let Some((_, number)) = self.limited
        {
            self.elsewhere.stop(number);
            self.told.set(Some(Instant::now()));
        }
    }

    /// The same, and waits until it knows: what it hears after that comes to a run that is to end.
    fn tell_and_wait(&self) {
        self.tell();
        if self.told.get().is_some() && !self.knows.replace(true) {
            self.elsewhere.wait_until_known();
        }
    }

    /// When a run that was to end and does not is given up, and its process killed.
    fn given_up(&self) -> Option<Instant> {
        match self.told.get() {
            Some(told) => told.checked_add(self.elsewhere.grace),
            None => self.until,
        }
    }

    /// The error of the run.
    fn failed(&self, failed: Failed) -> Box<Error> {
        let error = Error::from(failed).of(self.interpreter.handle);
        match self.limited {
            Some((limited, _)) => limited.settle(error).into(),
            None => error.into(),
        }
    }

    /// The process does not keep to the rules.
    fn breaks(&self, why: &str) -> Box<Error> {
        self.ends();
        let error = self.elsewhere.crashed();
        self.interpreter.is_gone();
        let message = format!("{error}: what it has said is not what an interpreter's process says ({why})");
        Error::from(Kind::Interpreter(message)).of(self.interpreter.handle).into()
    }

    /// There will be no reply.
    fn over(&self, stop: Stop) -> Box<Error> {
        if matches!(stop, Stop::Late) {
            self.elsewhere.ends_late();
        }
        // A run inside of this one may have waited before.
        let limited = self.limited.filter(|(limited, _)| self.elsewhere.was_late() && limited.is_stopped());
        let killed = limited.map(|(limited, _)| limited.killed(self.elsewhere.grace));
        if !matches!(stop, Stop::Ended) {
            self.ends();
        }
        let crashed = self.elsewhere.crashed();
        self.interpreter.is_gone();
        killed.unwrap_or(crashed).of(self.interpreter.handle).into()
    }

    /// Ends the process. Conversations further out on this thread have the same channel, and see that it is over.
    fn ends(&self) {
        self.elsewhere.kill();
        self.line.talk.caller().end();
    }

    /// What the process asks of its host.
    fn serve(&self, request: &mut ToRun) -> Result<(), Box<Error>> {
        let item = request.take_item();
        match request.request() {
            Request::Host { code, args } => self.call(code, args),
            Request::Release { code } => {
                self.elsewhere.release(code);
                self.done(&Done::default())
            }
            Request::Ending if self.decided.is_some() => {
                self.decided.inspect(|decided| decided());
                self.done(&Done::default())
            }
            Request::Queue { queue, act } => self.serve_queue(queue, act, item.unwrap_or(const { OwnedValue::none() })),
            Request::Output { of_run, stream, text } => {
                self.elsewhere.output.pass_on(of_run, stream, text);
                self.done(&Done::default())
            }
            _ => Err(self.breaks("a host is not asked for that")),
        }
    }

    fn done(&self, done: &Done) -> Result<(), Box<Error>> {
        let mut given = Given::to(self.elsewhere);
        self.say(|this| this.line.talk.reply(done, &mut |value| this.describe(value, &mut given)))?;
        given.are_there();
        Ok(())
    }

    fn call(&self, code: u64, args: Args) -> Result<(), Box<Error>> {
        let raised = match self.elsewhere.code(code) {
            Some(Code::Found(code)) => {
                let handle = self.interpreter.handle;
                let called = called_by(handle, || call_for_another(&*code, handle, args));
                // Before Python goes on: it may have been the last call, and the run may be to end.
                drop(code);
                self.tell_and_wait();
                match called {
                    Some(Called::Returned(value)) => {
                        let done = Done { value: Some(value), word: 0 };
                        let mut given = Given::to(self.elsewhere);
                        let said = self.line.talk.reply(&done, &mut |value| self.describe(value, &mut given));
                        match said {
                            Ok(()) => {
                                given.are_there();
                                return Ok(());
                            }
                            Err(Unsaid::NotWritten(NotCopied::NoMemory)) => raise("MemoryError", Kind::NoMemory),
                            Err(Unsaid::NotWritten(why)) => raise("TypeError", Error::from(why)),
                            Err(Unsaid::Stop(stop)) => return Err(self.over(stop)),
                        }
                    }
                    Some(Called::Raised(told)) => {
                        let Raise { kind, message } =
                            told.raise.unwrap_or(Raise { kind: String::new(), message: String::new() });
                        Raised { kind, message, notes: told.notes, tag: told.tag }
                    }
                    None => raise("MemoryError", "too many calls of the host at once"),
                }
            }
            Some(Code::OtherThread(name)) => {
                raise("RuntimeError", format_args!("{name}() may be called only on the thread that defined it"))
            }
            None => raise("RuntimeError", "the function can be called no more: the host does not have it"),
        };
        self.say(|this| this.line.talk.raise(&raised))
    }

    /// Asks for a handle of something, which is kept here.
    pub fn keep(&self, request: Request) -> Result<Hold, Box<Error>> {
        let number = self.ask(request)?.word;
        self.elsewhere.kept.keep_number(number).ok_or_else(|| self.error(Kind::NoMemory))
    }

    /// The number that it knows something by that is kept here.
    pub fn number_of(&self, kept: &Kept, what: &'static str) -> Result<u64, Box<Error>> {
        let number = self.elsewhere.kept.number(kept);
        number.ok_or_else(|| self.interpreter.failed(Failure::Freed(what)))
    }

    fn error(&self, kind: Kind) -> Box<Error> {
        Error::from(kind).of(self.interpreter.handle).into()
    }

    /// Refuses arguments among which is an object of another interpreter, as that would itself.
    pub fn check_args(&self, args: Args) -> Result<(), Box<Error>> {
        let checked = if args.buffers.are_there() { objects::check_args(&self.elsewhere.kept, args) } else { Ok(()) };
        checked.map_err(|failure| self.interpreter.failed(failure))
    }

    /// The same, of many calls.
    pub fn check_rows(&self, rows: &Rows) -> Result<(), Box<Error>> {
        if !rows.buffers().are_there() {
            return Ok(());
        }
        (0..rows.count()).try_for_each(|row| {
            let checked = objects::check_items(&self.elsewhere.kept, rows.row(row));
            checked.map_err(|failure| self.interpreter.failed(Failure::InRow(row, failure.into())))
        })
    }

    /// The same, of what is bound to names.
    pub fn check_pairs(&self, pairs: &[subpy_pair]) -> Result<(), Box<Error>> {
        let checked = objects::check_names(&self.elsewhere.kept, pairs);
        checked.map_err(|failure| self.interpreter.failed(failure))
    }

    fn describe(&self, value: &subpy_value, given: &mut Given) -> Result<Sent, NotCopied> {
        match value.kind {
            BUFFER => self.elsewhere.describe(&mut given.sending, ValueRef::of_checked(value)),
            OBJECT => {
                let handle = value.as_int().cast_unsigned();
                let hold = objects::find(handle).ok_or(NotCopied::NotFound(handle, "an object"))?;
                let number = self.elsewhere.kept.number(hold.kept());
                number.map(Sent::Word).ok_or_else(|| NotCopied::NotShareable(objects::elsewhere(hold.kept())))
            }
            QUEUE => {
                let handle = value.as_int().cast_unsigned();
                let queue = queue::find(handle).ok_or(NotCopied::NotFound(handle, "a queue"))?;
                given.queue(&queue).map(Sent::Word).ok_or(NotCopied::NoMemory)
            }
            _ => Err(NotCopied::NotShareable(format!("a value of kind {} cannot go to another process", value.kind))),
        }
    }

    fn restore(
        &self,
        kind: i32,
        got: Got,
        builder: &mut Builder,
        collect: &mut Option<&mut CollectErrors>,
    ) -> Result<subpy_value, NotCopied> {
        match (kind, got, collect) {
            (OBJECT, Got::Word(number), _) => {
                let hold = self.elsewhere.kept.keep_number(number).ok_or(NotCopied::NoMemory)?;
                objects::append(hold, builder).ok_or(NotCopied::NoMemory)
            }
            (BUFFER, Got::Value(value), _) => self.elsewhere.restore(value)?.attach(builder).ok_or(NotCopied::NoMemory),
            (QUEUE, Got::Word(id), _) => {
                let queue = self.elsewhere.queues.named(id).ok_or(NotCopied::NotFound(id, "a queue"))?;
                queue::append(&queue, builder).ok_or(NotCopied::NoMemory)
            }
            (ERROR, Got::Value(value), Some(collect)) => {
                let failed = Failed::of_value(value).map_err(|why| NotCopied::NotShareable(why.to_string()))?;
                let error = Error::from(failed).of(self.interpreter.handle);
                collect(error, builder).ok_or(NotCopied::NoMemory)
            }
            _ => Err(NotCopied::NotShareable(format!("a value of kind {kind} cannot come from another process"))),
        }
    }
}

/// The queues and buffers that a message gives to the process. When it was not sent after all, this is dropped.
struct Given<'a> {
    queues: &'a LentQueues,
    ids: Vec<u64>,
    sending: Sending<'a>,
}

impl<'a> Given<'a> {
    fn to(elsewhere: &'a Elsewhere) -> Given<'a> {
        Given { queues: &elsewhere.queues, ids: Vec::new(), sending: Sending::new(&elsewhere.passed) }
    }

    /// None: no memory.
    fn queue(&mut self, queue: &Arc<Queue>) -> Option<u64> {
        self.ids.try_reserve(1).ok()?;
        let id = self.queues.give(queue)?;
        self.ids.push(id);
        Some(id)
    }

    /// The message has gone.
    fn are_there(mut self) {
        self.ids.clear();
        self.sending.sent();
    }
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.ids.iter().for_each(|id| drop(self.queues.free(*id, 1, 0)));
    }
}

fn raise(kind: &str, message: impl fmt::Display) -> Raised {
    Raised { kind: kind.into(), message: message.to_string(), ..Raised::default() }
}
