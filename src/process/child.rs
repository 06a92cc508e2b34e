//! A worker as its host sees it.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::control::Note;
use super::system::{has_ended, kill, read_all, wait};

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
    death: Mutex<Option<Arc<Death>>>,
    over: Condvar,
}

impl Life {
    pub(super) fn new(id: u64, zygote: Arc<Zygote>, trace: OwnedFd) -> Life {
        Life { id, zygote, trace, process: OnceLock::new(), death: Mutex::new(None), over: Condvar::new() }
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
        lock(&self.death).get_or_insert_with(|| Arc::new(death));
        self.over.notify_all();
    }

    pub(super) fn death(&self) -> Option<Arc<Death>> {
        lock(&self.death).clone()
    }
}

/// A worker. It ends when this is dropped.
pub struct Child {
    pub(super) life: Arc<Life>,
    pub(super) socket: OwnedFd,
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

    /// Waits for its end, for so long.
    pub fn wait(&self, limit: Duration) -> Option<Arc<Death>> {
        let until = Instant::now() + limit;
        let mut death = lock(&self.life.death);
        while death.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            death = self.life.over.wait_timeout(death, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        death.clone()
    }

    /// Kills it.
    pub fn kill(&self) {
        self.life.pidfd().inspect(|pidfd| kill(*pidfd));
    }

    /// Asks it for a sign of life. False: none in that time.
    pub fn ping(&self, number: u64, limit: Duration) -> io::Result<bool> {
        let until = Instant::now() + limit;
        Note::Ping(number).send(self.socket.as_fd(), &[])?;
        loop {
            let [events] = wait([(self.socket.as_fd(), libc::POLLIN)], Some(until))?;
            if events == 0 {
                return Ok(false);
            }
            match Note::receive(self.socket.as_fd())? {
                (Note::Pong(id), _) if id == number => return Ok(true),
                // Of a ping that was given up.
                (Note::Pong(_), _) => {}
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
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
