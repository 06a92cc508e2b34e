//! A worker as its host sees it.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::channel::Caller;
use super::control::Note;
use super::system::{has_ended, kill, kill_group, read_all, wait};

/// Locks even when a thread panicked while it held the lock: what is in there stays consistent.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a worker has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The signal that has killed it.
    pub signal: Option<i32>,
    /// What it has ended with by itself. Neither: whoever could tell has ended too, on Linux before 6.15.
    pub exit_code: Option<i32>,
    /// Where its threads were, if faulthandler has seen it.
    pub traceback: String,
}

impl Display for Death {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match (self.signal, self.exit_code) {
            (Some(signal), _) => {
                write!(out, "the interpreter's process was killed by signal {signal}")?;
                name_of(signal).map_or(Ok(()), |name| write!(out, " ({name})"))
            }
            (_, Some(code)) => write!(out, "the interpreter's process has ended with exit code {code}"),
            _ => write!(out, "the interpreter's process has ended"),
        }
    }
}

/// A signal that ends a process, unless it is one of the real-time signals, which have no names.
fn name_of(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGSTKFLT => "SIGSTKFLT",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGVTALRM => "SIGVTALRM",
        libc::SIGPROF => "SIGPROF",
        libc::SIGIO => "SIGIO",
        libc::SIGPWR => "SIGPWR",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

/// The end of a traceback that is longer is left out. A pipe holds no more by default.
const LONGEST_TRACEBACK: usize = 64 << 10;

/// The zygote's process, as the host sees it.
pub struct Zygote {
    pub(super) id: u64,
    pub(super) control: OwnedFd,
    pub(super) process: OwnedFd,
    /// It forks no more.
    pub(super) is_over: AtomicBool,
}

impl Zygote {
    pub(super) fn can_fork(&self) -> bool {
        !self.is_over.load(Ordering::Acquire) && !has_ended(self.process.as_fd())
    }
}

/// What host and reaper know of a worker, from before it is forked until it has ended.
pub struct Life {
    pub(super) id: u64,
    pub(super) zygote: Arc<Zygote>,
    /// The end of the pipe that the traceback comes from. While it is there the worker lives.
    pub(super) trace: OwnedFd,
    pub(super) process: OnceLock<(i32, OwnedFd)>,
    /// Once it has begun, the reaper alone reads from it.
    pub(super) socket: OwnedFd,
    known: Mutex<Known>,
    changed: Condvar,
}

type OnWanted = Arc<dyn Fn() + Send + Sync>;
type OnReleased = Arc<dyn Fn(u64) + Send + Sync>;

/// What is to be called when no lock is held.
pub(super) type Call = Box<dyn FnOnce()>;
type OnLook = Arc<dyn Fn(Look) + Send + Sync>;

/// Why those are to look around who wait for a worker, at something else than its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It wants that.
    Wanted,
    /// It is gone.
    Gone,
}

/// What was heard of a worker.
#[derive(Default)]
struct Known {
    /// Its process has ended. How comes a moment later.
    is_gone: bool,
    death: Option<Arc<Death>>,
    /// The last ping that was answered.
    pong: u64,
    /// Who waits for what it says, by numbers of their own.
    callers: Vec<(u64, Caller)>,
    last_caller: u64,
    on_wanted: Option<OnWanted>,
    on_look: Option<OnLook>,
    /// How often a channel was wanted before anybody listened.
    wanted: usize,
    on_released: Option<OnReleased>,
    /// Copies of memory that it has sent and nobody has taken yet, by their numbers; None: there was no descriptor.
    copies: Vec<(u64, Option<OwnedFd>)>,
}

/// More copies than that are not on their way: each is a descriptor of the host's.
const MOST_COPIES: usize = 256;

/// More threads than that are not waiting for a channel before there is one who hears them.
const MOST_WANTED: usize = 1000;

impl Life {
    pub(super) fn new(id: u64, zygote: Arc<Zygote>, trace: OwnedFd, socket: OwnedFd) -> Life {
        let (process, known, changed) = (OnceLock::new(), Mutex::default(), Condvar::new());
        Life { id, zygote, trace, process, socket, known, changed }
    }

    /// The process, when it is known.
    pub(super) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.process.get().map(|(_, pidfd)| pidfd.as_fd())
    }

    /// It has ended; the status is what wait() says. Reading the pipe would kill one that lives (`Worker::settle`).
    pub(super) fn ends(&self, status: Option<i32>) {
        let traceback = read_all(self.trace.as_fd(), LONGEST_TRACEBACK);
        let death = Death {
            signal: status.filter(|status| libc::WIFSIGNALED(*status)).map(|status| libc::WTERMSIG(status)),
            exit_code: status.filter(|status| libc::WIFEXITED(*status)).map(|status| libc::WEXITSTATUS(status)),
            traceback: String::from_utf8_lossy(&traceback).into_owned(),
        };
        let calls = {
            let mut known = lock(&self.known);
            known.death.get_or_insert_with(|| Arc::new(death));
            // They may have a share in what this is of.
            (known.on_wanted.take(), known.on_released.take(), std::mem::take(&mut known.copies))
        };
        self.is_gone();
        drop(calls);
    }

    /// Its process has ended: nobody waits for anything from it any more, and what it has started ends too.
    pub(super) fn is_gone(&self) {
        self.pidfd().inspect(|pidfd| kill_group(*pidfd));
        let mut known = lock(&self.known);
        known.is_gone = true;
        std::mem::take(&mut known.callers).iter().for_each(|(_, caller)| caller.end());
        self.changed.notify_all();
        let on_look = known.on_look.take();
        drop(known);
        on_look.inspect(|on_look| on_look(Look::Gone));
    }

    /// What it has said, when there was something: to be called when no lock is held. An error is its end.
    pub(super) fn says(&self) -> io::Result<Option<Call>> {
        match Note::receive(self.socket.as_fd())? {
            (Note::Pong(number), _) => {
                lock(&self.known).pong = number;
                self.changed.notify_all();
                Ok(None)
            }
            (Note::Wanted, _) => {
                let mut known = lock(&self.known);
                if known.on_wanted.is_none() {
                    known.wanted = MOST_WANTED.min(known.wanted + 1);
                }
                Ok(known.on_wanted.clone().map(|call| Box::new(move || call()) as Call))
            }
            (Note::Released(number), _) => {
                let call = lock(&self.known).on_released.clone();
                Ok(call.map(|call| Box::new(move || call(number)) as Call))
            }
            (Note::Copy { id, .. }, descriptors) => {
                let mut known = lock(&self.known);
                if known.copies.len() == MOST_COPIES {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                known.copies.push((id, descriptors.into_iter().next()));
                self.changed.notify_all();
                Ok(None)
            }
            (Note::Look, _) => {
                let on_look = lock(&self.known).on_look.clone();
                on_look.inspect(|on_look| on_look(Look::Wanted));
                Ok(None)
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    pub(super) fn death(&self) -> Option<Arc<Death>> {
        lock(&self.known).death.clone()
    }

    /// It takes notes whatever runs in it, so one that does not is stopped or beyond help.
    pub(super) fn tell(&self, note: &Note, descriptors: &[BorrowedFd]) -> io::Result<()> {
        let socket = self.socket.as_fd();
        let until = Instant::now() + TAKES_NOTES;
        loop {
            match note.send(socket, descriptors) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
            if wait([(socket, libc::POLLOUT)], Some(until))? == [0] {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Waits until `is_so` finds what it looks for, or the time is over.
    fn wait<T>(&self, until: Instant, is_so: impl Fn(&Known) -> Option<T>) -> Option<T> {
        let mut known = lock(&self.known);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let found = is_so(&known);
            if found.is_some() || left.is_zero() {
                return found;
            }
            known = self.changed.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Somebody who waits at a channel hears of the worker's end, until this is dropped.
pub struct Watch {
    life: Arc<Life>,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.life.known).callers.retain(|(number, _)| *number != self.number);
    }
}

/// How long a worker may take to take a note. It does nothing else with them.
const TAKES_NOTES: Duration = Duration::from_secs(1);

/// A worker. It ends when this is dropped.
pub struct Child {
    pub(super) life: Arc<Life>,
    /// The process that this belongs to. A fork of it must leave the worker alone.
    pub(super) owner: u32,
}

impl Child {
    /// The process's id.
    pub fn id(&self) -> i32 {
        self.life.process.get().map_or(0, |(id, _)| *id)
    }

    /// How it has ended, if it has.
    pub fn death(&self) -> Option<Arc<Death>> {
        self.life.death()
    }

    /// It has ended, whether or not it is known how.
    pub fn has_ended(&self) -> bool {
        self.life.death().is_some() || self.life.pidfd().is_some_and(has_ended)
    }

    /// Waits for its end, for so long.
    pub fn wait(&self, limit: Duration) -> Option<Arc<Death>> {
        self.life.wait(Instant::now() + limit, |known| known.death.clone())
    }

    /// Kills it.
    pub fn kill(&self) {
        self.life.pidfd().inspect(|pidfd| kill(*pidfd));
    }

    /// Asks it for a sign of life, with a number other than 0 and the last one. False: none in that time.
    pub fn ping(&self, number: u64, limit: Duration) -> io::Result<bool> {
        let until = Instant::now() + limit;
        self.tell(&Note::Ping(number), &[])?;
        let answered = |known: &Known| match known {
            Known { pong, .. } if *pong == number => Some(Ok(true)),
            Known { is_gone: true, .. } => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            _ => None,
        };
        self.life.wait(until, answered).unwrap_or(Ok(false))
    }

    /// Gives it a channel, which a thread of its own serves.
    pub fn add_channel(&self, channel: &OwnedFd) -> io::Result<()> {
        self.tell(&Note::Channel, &[channel.as_fd()])
    }

    /// Gives it the channel that a thread of Python's has asked for (`on_wanted`).
    pub fn granted(&self, channel: &OwnedFd) -> io::Result<()> {
        self.tell(&Note::Granted, &[channel.as_fd()])
    }

    /// There is no channel for that thread. It is not waited until the process takes this.
    pub fn refused(&self) -> io::Result<()> {
        Note::Granted.send(self.life.socket.as_fd(), &[])
    }

    /// Gives it a descriptor that it has asked for.
    pub fn event(&self, number: u64, descriptor: BorrowedFd) -> io::Result<()> {
        self.tell(&Note::Event(number), &[descriptor])
    }

    /// The run with this number is to end.
    pub fn stop(&self, run: u64) -> io::Result<()> {
        self.tell(&Note::Stop(run), &[])
    }

    /// All that runs is to end.
    pub fn interrupt(&self) -> io::Result<()> {
        self.tell(&Note::Interrupt, &[])
    }

    fn tell(&self, note: &Note, descriptors: &[BorrowedFd]) -> io::Result<()> {
        self.life.tell(note, descriptors)
    }

    /// The file of a copy that it has sent, or is about to. None: it has ended, or sends none.
    pub fn copy(&self, id: u64) -> Option<OwnedFd> {
        let until = Instant::now() + TAKES_NOTES;
        let mut known = lock(&self.life.known);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let sent = known.copies.iter().position(|(sent, _)| *sent == id);
            if let Some(index) = sent {
                return known.copies.swap_remove(index).1;
            }
            if known.is_gone || left.is_zero() {
                return None;
            }
            known = self.life.changed.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whoever waits at this caller's channel hears `Stop::Ended` when the process has ended.
    pub fn watch(&self, caller: Caller) -> io::Result<Watch> {
        let mut known = lock(&self.life.known);
        known.last_caller += 1;
        let number = known.last_caller;
        if known.is_gone {
            caller.end();
        } else {
            known.callers.try_reserve(1).map_err(|_| io::ErrorKind::OutOfMemory)?;
            known.callers.push((number, caller));
        }
        drop(known);
        Ok(Watch { life: Arc::clone(&self.life), number })
    }

    /// What is called when a thread of Python's wants a channel, on a thread where it must not wait for anything. It is
    /// kept until the process has ended, so it should not keep this.
    pub fn on_wanted(&self, call: Arc<dyn Fn() + Send + Sync>) {
        let before = {
            let mut known = lock(&self.life.known);
            if !known.is_gone {
                known.on_wanted = Some(Arc::clone(&call));
            }
            std::mem::take(&mut known.wanted)
        };
        (0..before).for_each(|_| call());
    }

    /// What is called when those who wait for it are to look around: on a thread where it must not wait, and perhaps with
    /// locks of this room's held. It must not keep this.
    pub fn on_look(&self, call: OnLook) {
        let is_gone = {
            let mut known = lock(&self.life.known);
            if !known.is_gone {
                known.on_look = Some(Arc::clone(&call));
            }
            known.is_gone
        };
        if is_gone {
            call(Look::Gone);
        }
    }
}

impl Child {
    /// What is called when nobody there has a function or a buffer any more, by its number; on a thread where it must
    /// not wait for anything. It is kept as `on_wanted` is.
    pub fn on_released(&self, call: Arc<dyn Fn(u64) + Send + Sync>) {
        let mut known = lock(&self.life.known);
        if !known.is_gone {
            known.on_released = Some(call);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if std::process::id() == self.owner {
            self.kill();
        }
    }
}
