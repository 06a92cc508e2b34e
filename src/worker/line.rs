//! The channel that a thread has: what the host asks there it does, and there it asks the host. A thread of Python's gets
//! one when it asks for the first time.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::control::Control;
use super::{ALONE, MISUSED, host, queues, serve, values};
use crate::manager::{self, Error, Kind, home};
use crate::process::channel::Stop;
use crate::process::message::{Done, Failed, Reply, Request, Run, ToRun};
use crate::process::talk::{Said, Talk, Unheard, Unsaid};
use crate::process::wire::{Got, NotRead};
use crate::process::zygote::exit_now;
use crate::value::{Builder, NotCopied};

/// One thread's channel.
pub struct Line {
    talk: Talk,
    control: Arc<Control>,
    /// It is a thread of Python's, and the host waits until it has ended.
    is_lent: bool,
    /// Somebody has poked it while it waited for a reply.
    was_poked: Cell<bool>,
}

/// This process's.
static CONTROL: OnceLock<Arc<Control>> = OnceLock::new();

/// How many requests are being served.
static ACTIVE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static LINE: RefCell<Option<Rc<Line>>> = const { RefCell::new(None) };
}

/// Serves the first channel on the main thread, as long as the process lives.
pub fn serve_first(control: &Arc<Control>) -> ! {
    let _ = CONTROL.set(Arc::clone(control));
    manager::queues_are_there(Box::new(queues::Queues(Arc::clone(control))));
    let channel = control.first();
    let Some(line) = Line::open(control, &channel, false) else { exit_now(MISUSED) };
    let caller = line.talk.caller();
    home::wakes_by(move || caller.poke());
    // From then on nothing is in the way, and the host need not wait for what runs at the end.
    home::before_end(|| {
        manager::none_ahead();
        drop(ask(&Request::Ending));
    });
    line.serve()
}

/// Serves another one on this thread.
pub fn serve(control: &Arc<Control>, channel: &OwnedFd) {
    match Line::open(control, channel, false) {
        Some(line) => line.serve(),
        None => exit_now(MISUSED),
    }
}

/// Asks the host something, and waits for the reply. An error: it was not asked, or what it said was not understood.
pub fn ask(request: &Request) -> Result<Reply, Error> {
    if manager::forked() {
        return Err(Kind::Forked.into());
    }
    let none = || Error::from(Kind::WrongState("there is no channel to the host for this thread".into()));
    Line::here().ok_or_else(none)?.ask(request)
}

/// The host is told what nobody here has any more: by threads with a channel before they reply, and else at once, unless
/// one of those is about to.
pub fn tell_if_idle() {
    let replies =
        LINE.try_with(|line| line.try_borrow().is_ok_and(|line| line.as_ref().is_some_and(|line| !line.is_lent)));
    if !replies.unwrap_or(false)
        && ACTIVE.load(Ordering::SeqCst) == 0
        && !manager::forked()
        && let Some(control) = CONTROL.get()
    {
        tell_released(control);
    }
}

fn tell_released(control: &Control) {
    host::released().for_each(|number| control.released(number));
}

impl Line {
    /// Makes it this thread's. None: it is no channel, or there is no memory.
    fn open(control: &Arc<Control>, channel: &OwnedFd, is_lent: bool) -> Option<Rc<Line>> {
        let talk = Talk::open(channel.as_fd()).ok()?;
        let line = Rc::new(Line { talk, control: Arc::clone(control), is_lent, was_poked: Cell::new(false) });
        LINE.set(Some(Rc::clone(&line)));
        Some(line)
    }

    /// This thread's. None: it is ending, or the host has none for it.
    fn here() -> Option<Rc<Line>> {
        let known = LINE.try_with(|line| line.borrow().clone()).ok()?;
        if known.is_some() {
            return known;
        }
        let control = CONTROL.get()?;
        let line = Line::open(control, &control.want()?, true)?;
        // The host says that it has begun to listen.
        match line.hear() {
            Ok(Said::Request(asked)) if matches!(asked.request(), Request::Serve) => Some(line),
            _ => exit_now(MISUSED),
        }
    }

    /// Does what the host asks, one after the other.
    fn serve(&self) -> ! {
        let _ends = EndsByPanic;
        loop {
            if self.was_poked.take() {
                // This is where no Python is. What that prints is asked for in another channel: here it is the host's turn.
                let own = LINE.take();
                home::finalize_if_asked();
                LINE.set(own);
            }
            match self.hear() {
                Ok(Said::Request(asked)) => {
                    self.serve_one(asked);
                    // While the host has the reply, and before it asks again.
                    manager::make_ahead(self.control.main);
                }
                Err(Unheard::NotRead(why)) => self.cannot_read(&why),
                Err(Unheard::Stop(Stop::Poked | Stop::Late)) => self.was_poked.set(true),
                Ok(Said::Reply(_) | Said::Done) | Err(_) => exit_now(MISUSED),
            }
        }
    }

    fn hear(&self) -> Result<Said, Unheard> {
        self.talk.hear(None, &mut |kind, got, builder| values::restore(&self.control.mapped, kind, got, builder))
    }

    fn hear_reply(&self, done: &mut Done) -> Result<Said, Unheard> {
        let restore =
            &mut |kind, got: Got, builder: &mut Builder| values::restore(&self.control.mapped, kind, got, builder);
        self.talk.hear_reply(None, done, restore)
    }

    /// Asks the host, and does what that asks meanwhile.
    fn ask(&self, request: &Request) -> Result<Reply, Error> {
        let mut given = values::Given::default();
        match self.talk.ask(request, &Run::default(), &mut |value| given.describe(&self.control, value)) {
            Ok(()) => given.are_there(),
            Err(Unsaid::NotWritten(why)) => return Err(why.into()),
            Err(Unsaid::Stop(_)) => exit_now(ALONE),
        }
        let mut done = Done::default();
        loop {
            match self.hear_reply(&mut done) {
                Ok(Said::Done) => return Ok(Reply::Done(done)),
                Ok(Said::Reply(reply)) => return Ok(reply),
                Ok(Said::Request(asked)) => self.serve_one(asked),
                Err(Unheard::NotRead(why)) => self.cannot_read(&why),
                Err(Unheard::ReplyNotRead(why)) => return Err(error_of(&why)),
                Err(Unheard::Stop(Stop::Poked | Stop::Late)) => self.was_poked.set(true),
                Err(Unheard::Stop(_)) => exit_now(ALONE),
            }
        }
    }

    fn serve_one(&self, asked: Box<ToRun>) {
        ACTIVE.fetch_add(1, Ordering::SeqCst);
        let mut given = values::Given::default();
        let run = asked.run();
        let request = asked.request();
        let mut done = Done::default();
        let serve = || serve::serve(&self.control, request, &run, &mut given, &mut done);
        let served = catch_unwind(AssertUnwindSafe(serve));
        if manager::forked() {
            // What was asked has forked this process, and the parent replies.
            exit_now(0);
        }
        let panicked = || Error::from(Kind::Panic("what the host asked for panicked".into()));
        let served = served.unwrap_or_else(|_| Err(panicked().into()));
        let ends = matches!(request, Request::End { .. }) && served.is_ok();
        // The last share in what has been let go of.
        self.talk.served(asked);
        queues::tell_freed();
        self.release();
        match served {
            Ok(()) => self.answer(&done, given),
            Err(error) => self.fail(*error),
        }
        if ends {
            exit_now(0);
        }
        ACTIVE.fetch_sub(1, Ordering::SeqCst);
        tell_released(&self.control);
    }

    /// Before a reply: what the host passed, and nobody here has any more, it has back when it gets that.
    fn release(&self) {
        host::released().for_each(|code| drop(self.ask(&Request::Release { code })));
    }

    fn answer(&self, done: &Done, mut given: values::Given) {
        match self.talk.answer(done, &mut |value| given.describe(&self.control, value)) {
            Ok(()) => given.are_there(),
            Err(Unsaid::NotWritten(why)) => self.fail(why.into()),
            Err(Unsaid::Stop(_)) => exit_now(ALONE),
        }
    }

    fn cannot_read(&self, why: &NotRead) {
        self.release();
        self.fail(error_of(why));
    }

    fn fail(&self, error: Error) {
        if self.talk.fail(&Failed::from(error)).is_err() {
            exit_now(ALONE);
        }
    }
}

fn error_of(why: &NotRead) -> Error {
    match why {
        NotRead::Refused(NotCopied::NoMemory) => Kind::NoMemory.into(),
        NotRead::Refused(NotCopied::NotFound(handle, what)) => NotCopied::NotFound(*handle, what).into(),
        NotRead::Refused(NotCopied::NotShareable(why)) => NotCopied::NotShareable(why.clone()).into(),
        NotRead::Damaged(_) => Kind::Interpreter(why.to_string()).into(),
    }
}

/// A panic of the library's own, which nothing catches, would leave the host waiting: the process ends by it.
struct EndsByPanic;

impl Drop for EndsByPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            exit_now(MISUSED);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.is_lent && !manager::forked() {
            let _ = self.talk.answer(&Done::default(), &mut crate::process::wire::none_to_send);
        }
    }
}
