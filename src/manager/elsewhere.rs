//! An interpreter in a process of its own, as its host knows it: the process, the channels to it, and what of the host's
//! it uses.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::error::{Error, Kind, Result};
use super::lent_queues::LentQueues;
use super::passed::{Passed, Sending};
use crate::platform::Event;
use crate::platform::fd::OwnedFd;
use crate::process::alone::{Alone, Place};
use crate::process::channel::Caller;
use crate::process::child::{Child, Watch};
use crate::process::talk::Talk;
use crate::process::wire::Sent;
use crate::python::host::{HostCode, this_thread_number};
use crate::python::kept::KeptObjects;
use crate::python::lock;
use crate::python::output::Output;
use crate::value::{Export, NotCopied, ValueRef};

/// How long the reaper may take to learn how a process has ended.
const DEATH_IS_KNOWN: Duration = Duration::from_secs(1);

/// A process has so long to say that it knows of an interrupt.
const INTERRUPTS_WITHIN: Duration = Duration::from_secs(1);

/// A process that does not know where to stop is not to use up the host's threads.
const MOST_SERVED: usize = 1000;

/// An interpreter's process.
pub struct Elsewhere {
    child: Child,
    /// What is kept there for handles of this process.
    pub kept: KeptObjects,
    /// Where what is printed there goes, when it does not go to the descriptors.
    pub output: Output,
    /// The host's queues that it has.
    pub queues: Arc<LentQueues>,
    /// The channels that nobody uses: that of the process's main thread, and others.
    main: Place<Line>,
    others: Mutex<Vec<Alone<Line>>>,
    codes: Mutex<HashMap<u64, HostFunction>>,
    /// Buffers that it has. They have numbers of the same row.
    pub passed: Passed,
    /// The numbers of runs and of functions that were given last.
    last_run: AtomicU64,
    last_code: AtomicU64,
    /// The runs that can be stopped, and who waits for them.
    runs: Mutex<Vec<(u64, Caller)>>,
    last_ping: Mutex<u64>,
    /// It is killed because a run did not end.
    was_late: AtomicBool,
    /// How many threads of Python's are served.
    served: AtomicUsize,
    /// From the exception to the kill.
    pub grace: Duration,
    pub is_locked: bool,
}

/// A channel, and whether it is that of the process's main thread.
pub struct Line {
    pub talk: Talk,
    is_main: bool,
    /// Its end is heard here.
    _watch: Watch,
}

#[derive(Clone)]
struct HostFunction {
    code: Arc<dyn HostCode>,
    /// The thread that it may be called on.
    thread: Option<u64>,
    name: Arc<str>,
}

/// A function of the host's, which stays until this is dropped.
pub enum Code {
    Found(Arc<dyn HostCode>),
    /// It may be called only on another thread: its name.
    OtherThread(Arc<str>),
}

impl Elsewhere {
    /// With the channel of its main thread.
    pub fn new(child: Child, grace: Duration, is_locked: bool) -> Result<Elsewhere> {
        let queues = Arc::new(LentQueues::new(!is_locked));
        let those_that_wait = Arc::clone(&queues);
        child.on_look(Arc::new(move |look| those_that_wait.look(look)));
        let elsewhere = Elsewhere {
            child,
            kept: KeptObjects::default(),
            output: Output::new(false, Arc::default()),
            queues,
            main: Place::empty(),
            others: Mutex::default(),
            codes: Mutex::default(),
            passed: Passed::default(),
            last_run: AtomicU64::new(0),
            last_code: AtomicU64::new(0),
            runs: Mutex::default(),
            last_ping: Mutex::new(0),
            was_late: AtomicBool::new(false),
            served: AtomicUsize::new(0),
            grace,
            is_locked,
        };
        let main = elsewhere.open()?;
        elsewhere.main.put(Alone::new(Line { is_main: true, ..main }));
        Ok(elsewhere)
    }

    /// A new channel, which a thread there serves.
    fn open(&self) -> Result<Line> {
        self.open_by(Child::add_channel)
    }

    /// A new channel, for a thread of Python's that has asked for one.
    pub fn open_for_python(&self) -> Result<Line> {
        self.open_by(Child::granted)
    }

    fn open_by(&self, give: impl FnOnce(&Child, &OwnedFd) -> io::Result<()>) -> Result<Line> {
        let no_channel = |error| self.no_channel(&error);
        let (talk, theirs) = Talk::create().map_err(no_channel)?;
        let watch = self.child.watch(talk.caller()).map_err(no_channel)?;
        give(&self.child, &theirs).map_err(no_channel)?;
        Ok(Line { talk, is_main: false, _watch: watch })
    }

    /// A process that takes no notes has ended, or is beyond help.
    fn no_channel(&self, error: &io::Error) -> Error {
        match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::TimedOut => {
                self.child.kill();
                self.crashed()
            }
            _ => Kind::Interpreter(format!("no channel to the interpreter's process could be made: {error}")).into(),
        }
    }

    /// One thread of Python's more is served, if there are not too many.
    pub fn serves_one_more(&self) -> bool {
        let more = |served| (served < MOST_SERVED).then_some(served + 1);
        self.served.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub fn serves_one_less(&self) {
        self.served.fetch_sub(1, Ordering::Relaxed);
    }

    /// There is no channel for a thread of Python's. Waits for nothing: a process that does not even take that is killed.
    pub fn refuse(&self) {
        if self.child.refused().is_err() {
            self.child.kill();
        }
    }

    /// A channel that nobody else uses.
    #[inline]
    pub fn take(&self) -> Result<Alone<Line>> {
        self.main.take().map_or_else(|| self.take_other(), Ok)
    }

    fn take_other(&self) -> Result<Alone<Line>> {
        let other = lock(&self.others).pop();
        other.map_or_else(|| self.open().map(Alone::new), Ok)
    }

    /// The channel of the main thread, if nobody uses it.
    pub fn take_main(&self) -> Option<Alone<Line>> {
        self.main.take()
    }

    #[inline]
    pub fn put_back(&self, line: Rc<Line>) {
        let is_main = line.is_main;
        let Some(line) = Alone::of(line) else { return };
        if is_main {
            return self.main.put(line);
        }
        let mut others = lock(&self.others);
        if others.try_reserve(1).is_ok() {
            others.push(line);
        }
    }

    /// A run that can be stopped has this number from now on, until `run_ends`.
    pub fn run_begins(&self, caller: Caller) -> Result<u64> {
        let number = self.last_run.fetch_add(1, Ordering::Relaxed) + 1;
        let mut runs = lock(&self.runs);
        runs.try_reserve(1).map_err(|_| Kind::NoMemory)?;
        runs.push((number, caller));
        Ok(number)
    }

    pub fn run_ends(&self, number: u64) {
        lock(&self.runs).retain(|(other, _)| *other != number);
    }

    /// The run is to look whether it is to end.
    pub fn poke(&self, number: u64) {
        if let Some((_, caller)) = lock(&self.runs).iter().find(|(other, _)| *other == number) {
            caller.poke();
        }
    }

    /// KeyboardInterrupt is raised in the run. When the process takes no messages it is beyond that, and is killed.
    pub fn stop(&self, number: u64) {
        if self.child.stop(number).is_err() {
            self.child.kill();
        }
    }

    /// Waits until it knows what it was told before.
    pub fn wait_until_known(&self) {
        let mut last_ping = lock(&self.last_ping);
        *last_ping += 1;
        // One that does not answer in this time is killed by who waits for its reply.
        let _ = self.child.ping(*last_ping, self.grace);
    }

    /// The same, in all that runs; and waits until it knows, so that nothing is hit that comes later.
    pub fn interrupt(&self) {
        let mut last_ping = lock(&self.last_ping);
        *last_ping += 1;
        if self.child.interrupt().is_err() {
            self.child.kill();
            return;
        }
        let _ = self.child.ping(*last_ping, self.grace.min(INTERRUPTS_WITHIN));
    }

    /// Is called when a thread of Python's wants to ask the host something.
    pub fn on_wanted(&self, call: Arc<dyn Fn() + Send + Sync>) {
        self.child.on_wanted(call);
    }

    pub fn has_ended(&self) -> bool {
        self.child.has_ended()
    }

    pub fn kill(&self) {
        self.child.kill();
    }

    /// It is going to be killed because a run did not end in time.
    pub fn ends_late(&self) {
        self.was_late.store(true, Ordering::Relaxed);
    }

    pub fn was_late(&self) -> bool {
        self.was_late.load(Ordering::Relaxed)
    }

    /// Gives it a descriptor that it has asked for. False: it takes none.
    pub fn event(&self, number: u64, event: &Event) -> bool {
        self.child.event(number, event.as_fd()).is_ok()
    }

    /// The process has ended, or does not do what it should: the error that says so.
    pub fn crashed(&self) -> Error {
        match self.child.wait(DEATH_IS_KNOWN) {
            Some(death) => Error::from(&*death),
            None => Kind::Interpreter("the interpreter's process does not end, although it was killed".into()).into(),
        }
    }

    /// Waits for the end of the process, after which it takes nothing back.
    pub fn ended(&self) {
        if self.child.wait(DEATH_IS_KNOWN).is_none() {
            self.child.kill();
            self.child.wait(DEATH_IS_KNOWN);
        }
        self.kept.forget_all();
        self.output.close();
        self.queues.end();
        let codes = std::mem::take(&mut *lock(&self.codes));
        drop(codes);
        self.passed.release_all();
    }

    /// Its number there.
    pub fn define(
        &self,
        code: Box<dyn HostCode>,
        this_thread_only: bool,
        name: &str,
    ) -> Result<u64, Box<dyn HostCode>> {
        let mut codes = lock(&self.codes);
        if codes.try_reserve(1).is_err() {
            return Err(code);
        }
        let number = self.next_number();
        let thread = this_thread_only.then(this_thread_number);
        codes.insert(number, HostFunction { code: Arc::from(code), thread, name: name.into() });
        Ok(number)
    }

    fn next_number(&self) -> u64 {
        self.last_code.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What a message has for a buffer.
    pub fn describe(&self, sending: &mut Sending, buffer: ValueRef) -> Result<Sent, NotCopied> {
        sending.describe(&self.child, self.next_number(), buffer).map(Sent::Value)
    }

    /// A buffer that a message has brought.
    pub fn restore(&self, buffer: ValueRef) -> Result<Arc<Export>, NotCopied> {
        self.passed.restore(&self.child, buffer)
    }

    /// Is called with the number of what the process has no more, when that does not say it while something runs.
    pub fn on_released(&self, call: Arc<dyn Fn(u64) + Send + Sync>) {
        self.child.on_released(call);
    }

    /// Nobody there has the function or the buffer any more. A function is finalized when the last call is over.
    pub fn release(&self, number: u64) {
        self.passed.release(number);
        let code = lock(&self.codes).remove(&number);
        drop(code);
    }

    pub fn code(&self, number: u64) -> Option<Code> {
        let HostFunction { code, thread, name } = lock(&self.codes).get(&number).cloned()?;
        let here = thread.is_none_or(|thread| thread == this_thread_number());
        Some(if here { Code::Found(code) } else { Code::OtherThread(name) })
    }
}

/// The channels that a thread uses: in runs, of which one may be inside of another, and in sessions.
pub struct Lines(RefCell<Vec<(u64, Rc<Line>)>>);

/// A channel in use, until this is dropped.
pub struct InUse<'a> {
    lines: &'a Lines,
    handle: u64,
    elsewhere: &'a Elsewhere,
    line: Option<Rc<Line>>,
    /// It was in use before, further out on this thread.
    is_nested: bool,
}

impl Lines {
    pub const fn new() -> Lines {
        Lines(RefCell::new(Vec::new()))
    }

    /// The one that the thread uses already, or one that nobody uses.
    pub fn take<'a>(&'a self, handle: u64, elsewhere: &'a Elsewhere) -> Result<InUse<'a>> {
        let mut lines = self.0.borrow_mut();
        let known = lines.iter().find(|(of, _)| *of == handle).map(|(_, line)| Rc::clone(line));
        let is_nested = known.is_some();
        let line = match known {
            Some(line) => line,
            None => {
                lines.try_reserve(1).map_err(|_| Kind::NoMemory)?;
                let line = elsewhere.take()?.share();
                lines.push((handle, Rc::clone(&line)));
                line
            }
        };
        Ok(InUse { lines: self, handle, elsewhere, line: Some(line), is_nested })
    }

    /// One of a thread of Python's is this thread's.
    pub fn lend<'a>(&'a self, handle: u64, elsewhere: &'a Elsewhere) -> Result<InUse<'a>> {
        let mut lines = self.0.borrow_mut();
        lines.try_reserve(1).map_err(|_| Kind::NoMemory)?;
        let line = Rc::new(elsewhere.open_for_python()?);
        lines.push((handle, Rc::clone(&line)));
        Ok(InUse { lines: self, handle, elsewhere, line: Some(line), is_nested: false })
    }

    /// The thread ends.
    pub fn forget(&self) {
        if self.0.borrow().is_empty() {
            drop(self.0.take());
        }
    }

    /// No longer.
    fn remove(&self, handle: u64) -> Option<Rc<Line>> {
        let mut lines = self.0.borrow_mut();
        let index = lines.iter().position(|(of, _)| *of == handle)?;
        let (_, line) = lines.swap_remove(index);
        Some(line)
    }
}

impl InUse<'_> {
    /// It stays this thread's until `leave`.
    pub fn stay(mut self) {
        self.is_nested = true;
    }

    /// The thread there has ended.
    pub fn drop_line(mut self) {
        self.line = None;
        self.lines.remove(self.handle);
        self.is_nested = true;
    }

    /// After `stay`: it is the thread's no longer.
    pub fn leave(mut self) {
        self.is_nested = false;
    }
}

impl std::ops::Deref for InUse<'_> {
    type Target = Line;

    fn deref(&self) -> &Line {
        self.line.as_deref().expect("it is there until this is dropped")
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.line = None;
        if !self.is_nested
            && let Some(line) = self.lines.remove(self.handle)
        {
            self.elsewhere.put_back(line);
        }
    }
}
