//! Where workers come from: a zygote, which is started when the first one is wanted, and anew when it has died.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::child::{Child, Death, Life, Zygote, lock};
use super::control::Note;
use super::executable::{self, Library};
use super::launch::{LIBRARY, launch};
use super::reaper::{Reaper, STEP};
pub use super::settings::Options;
use super::settings::Settings;
use super::system::{has_ended, kill, pidfd, pipe, program, socket_pair, status, wait, working_directory};

/// worker/main.rs, compiled.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/subpy-worker"));

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The system refuses something.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// The zygote or the worker says why.
    #[error("{0}")]
    Failed(String),
    /// It has ended without a word.
    #[error("a process that interpreters are forked from has ended while it was needed")]
    NoZygote,
    /// The worker has ended before it was ready.
    #[error("{0} before it was ready")]
    Crashed(Arc<Death>),
    /// The time is over.
    #[error("an interpreter's process was not ready in time")]
    TimedOut,
    /// This process is a fork of the one that starts them.
    #[error("a fork of the process that starts interpreters' processes cannot start them")]
    Forked,
}

/// `.map_err(system("what was done"))`
fn system(what: &'static str) -> impl Fn(io::Error) -> SpawnError {
    move |error| SpawnError::System(what, error)
}

pub struct Spawner {
    options: Options,
    /// As it was at first: a zygote that takes another one's place is no different.
    environment: Vec<CString>,
    zygote: Mutex<Slot>,
    changed: Condvar,
    next: AtomicU64,
    owner: u32,
    reaper: Reaper,
}

enum Slot {
    None,
    /// A thread is starting it.
    Starting,
    Up(Arc<Zygote>),
}

/// A zygote that has said nothing for so long will not.
const PATIENCE: Duration = Duration::from_secs(2);

/// Often enough for zygotes that are killed now and then.
const ATTEMPTS: usize = 4;

impl Spawner {
    /// Starts nothing yet but the thread that notices deaths.
    pub fn new(options: Options) -> io::Result<Spawner> {
        let variables = std::env::vars_os().filter_map(|(mut variable, value)| {
            variable.push("=");
            variable.push(value);
            CString::new(variable.into_vec()).ok()
        });
        Ok(Spawner {
            options,
            environment: variables.collect(),
            zygote: Mutex::new(Slot::None),
            changed: Condvar::new(),
            next: AtomicU64::new(STEP),
            owner: std::process::id(),
            reaper: Reaper::new()?,
        })
    }

    /// A new worker, in at most so long.
    pub fn create(&self, settings: &Settings, limit: Duration) -> Result<Child, SpawnError> {
        if std::process::id() != self.owner {
            return Err(SpawnError::Forked);
        }
        let until = Instant::now() + limit;
        for _ in 0..ATTEMPTS {
            match self.fork(&self.zygote(until)?, settings, until) {
                // The next one comes from another.
                Err(SpawnError::NoZygote) => {}
                done => return done,
            }
        }
        Err(SpawnError::NoZygote)
    }

    /// The one that forks workers now.
    fn zygote(&self, until: Instant) -> Result<Arc<Zygote>, SpawnError> {
        let mut slot = lock(&self.zygote);
        loop {
            match &*slot {
                Slot::Up(zygote) if zygote.can_fork() => return Ok(Arc::clone(zygote)),
                Slot::Starting => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(SpawnError::TimedOut);
                    }
                    slot = self.changed.wait_timeout(slot, left).unwrap_or_else(PoisonError::into_inner).0;
                }
                Slot::None | Slot::Up(_) => break,
            }
        }
        *slot = Slot::Starting;
        drop(slot);
        let started = self.start(until);
        *lock(&self.zygote) = started.as_ref().map_or(Slot::None, |zygote| Slot::Up(Arc::clone(zygote)));
        self.changed.notify_all();
        started
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(STEP, Ordering::Relaxed)
    }

    /// The library that it loads.
    fn library(&self) -> Result<Library, SpawnError> {
        match &self.options.library {
            Some(library) => Ok(Library::File(library.clone())),
            None => executable::library().map_err(system("the library's own file was not found")),
        }
    }

    fn arguments(&self, library: &Library) -> Result<Vec<CString>, SpawnError> {
        let python = self.options.python.clone().unwrap_or_default();
        let texts: [OsString; 6] = [
            executable::NAME.into(),
            match library {
                Library::Program => OsString::new(),
                Library::File(path) => path.into(),
                Library::Memory(_) => LIBRARY.into(),
            },
            env!("CARGO_PKG_VERSION").into(),
            python.into(),
            self.options.flags.to_string().into(),
            self.options.path.len().to_string().into(),
        ];
        let path = self.options.path.iter().map(|folder| folder.into());
        let texts = texts.into_iter().chain(path).chain(self.options.preload.iter().map(OsString::from));
        let texts = texts.map(|text| CString::new(text.as_bytes()).map_err(io::Error::from));
        texts.collect::<Result<_, _>>().map_err(system("a path or a module's name was not understood"))
    }

    fn start(&self, until: Instant) -> Result<Arc<Zygote>, SpawnError> {
        let (control, theirs) = socket_pair().map_err(system("a socket was not created"))?;
        let host = pidfd(self.owner as i32).map_err(system("this Linux has no pidfd_open (5.9 is needed)"))?;
        let library = self.library()?;
        let file = match &self.options.program {
            Some(path) => File::open(path).map(OwnedFd::from),
            None if matches!(library, Library::Program) => executable::open(),
            None => program(c"subpy-worker", PROGRAM),
        };
        let file = file.map_err(system("the program for interpreters' processes was not opened"))?;
        let mut passed = vec![theirs.as_fd(), host.as_fd()];
        if let Library::Memory(library) = &library {
            passed.push(library.as_fd());
        }
        let process = launch(file.as_fd(), &self.arguments(&library)?, &self.environment, &passed);
        drop((theirs, library));
        let new = New(Some(process.map_err(system("a process for interpreters was not started"))?));
        match self.hear(&control, until)? {
            (Note::Started, _) => {}
            (Note::Failed(why), _) => return Err(SpawnError::Failed(why)),
            _ => return Err(SpawnError::NoZygote),
        }
        let zygote = Arc::new(Zygote {
            id: self.next(),
            control,
            process: new.keep().ok_or(SpawnError::NoZygote)?,
            is_over: AtomicBool::new(false),
        });
        self.reaper.add_zygote(&zygote).map_err(|error| {
            kill(zygote.process.as_fd());
            SpawnError::System("a process for interpreters cannot be watched", error)
        })?;
        Ok(zygote)
    }

    /// What comes next over a socket; NoZygote when nothing will.
    fn hear(&self, socket: &OwnedFd, until: Instant) -> Result<(Note, Vec<OwnedFd>), SpawnError> {
        let [events] = wait([(socket.as_fd(), libc::POLLIN)], Some(until)).map_err(system("poll() has failed"))?;
        if events == 0 {
            return Err(SpawnError::TimedOut);
        }
        Note::receive(socket.as_fd()).map_err(|_| SpawnError::NoZygote)
    }

    fn fork(&self, zygote: &Arc<Zygote>, settings: &Settings, until: Instant) -> Result<Child, SpawnError> {
        let (socket, their_socket) = socket_pair().map_err(system("a socket was not created"))?;
        let settings = settings.to_file().map_err(system("a file in memory was not created"))?;
        // It is there when the worker begins.
        Note::Settings.send(socket.as_fd(), &[settings.as_fd()]).map_err(system("a process was not told anything"))?;
        let (trace, their_trace) = pipe().map_err(system("a pipe was not created"))?;
        let directory = working_directory().map_err(system("the working directory was not opened"))?;
        let life = Arc::new(Life::new(self.next(), Arc::clone(zygote), trace, socket));
        self.reaper.add_worker(&life).map_err(system("a process cannot be watched"))?;
        let child = Child { life, owner: self.owner };
        let theirs = [their_socket.as_fd(), their_trace.as_fd(), directory.as_fd()];
        let since = Instant::now();
        let forked = self.order(zygote, child.life.id, theirs, until);
        drop((their_socket, their_trace, directory));
        let process = forked.and_then(|()| self.process(zygote, &child.life.socket, until));
        let (process, is_ready) = process.inspect_err(|failed| {
            self.reaper.forget_worker(&child.life);
            let is_deaf = matches!(failed, SpawnError::TimedOut) && since.elapsed() >= PATIENCE;
            if is_deaf || matches!(failed, SpawnError::NoZygote) {
                zygote.is_over.store(true, Ordering::Release);
                kill(zygote.process.as_fd());
            }
        })?;
        let _ = child.life.process.set(process);
        self.reaper.watch_worker(&child.life).map_err(system("a process cannot be watched"))?;
        let begins = if is_ready { Ok((Note::Ready, Vec::new())) } else { self.hear(&child.life.socket, until) };
        match begins {
            Ok((Note::Ready, _)) => {
                self.reaper.listen_to(&child.life).map_err(system("a process cannot be listened to"))?;
                Ok(child)
            }
            Ok((Note::Failed(why), _)) => Err(SpawnError::Failed(why)),
            Err(SpawnError::TimedOut) => Err(SpawnError::TimedOut),
            _ => {
                child.kill();
                let death = child.wait(until.saturating_duration_since(Instant::now()));
                Err(death.map_or(SpawnError::TimedOut, SpawnError::Crashed))
            }
        }
    }

    /// The process of a new worker, of which the zygote tells, and whether the worker has said that it is ready, which
    /// may come first.
    fn process(&self, zygote: &Zygote, socket: &OwnedFd, until: Instant) -> Result<((i32, OwnedFd), bool), SpawnError> {
        let mut is_ready = false;
        loop {
            // A worker that the zygote could not tell of any more has the other end of the socket, too.
            let of = [(socket.as_fd(), libc::POLLIN), (zygote.process.as_fd(), libc::POLLIN)];
            if let [0, ended] = wait(of, Some(until)).map_err(system("poll() has failed"))?
                && ended != 0
            {
                return Err(SpawnError::NoZygote);
            }
            match self.hear(socket, until)? {
                (Note::Forked(id), descriptors) => {
                    let pidfd = descriptors.into_iter().next().ok_or_else(|| {
                        SpawnError::System("a process cannot be watched", io::Error::from_raw_os_error(libc::EMFILE))
                    })?;
                    return Ok(((id, pidfd), is_ready));
                }
                (Note::Ready, _) if !is_ready => is_ready = true,
                (Note::Failed(why), _) => return Err(SpawnError::Failed(why)),
                _ => return Err(SpawnError::NoZygote),
            }
        }
    }

    fn order(
        &self,
        zygote: &Zygote,
        worker: u64,
        theirs: [std::os::fd::BorrowedFd; 3],
        until: Instant,
    ) -> Result<(), SpawnError> {
        loop {
            match Note::Fork(worker).send(zygote.control.as_fd(), &theirs) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let of = [(zygote.control.as_fd(), libc::POLLOUT), (zygote.process.as_fd(), libc::POLLIN)];
                    match wait(of, Some(until)).map_err(system("poll() has failed"))? {
                        [0, 0] => return Err(SpawnError::TimedOut),
                        [0, _] => return Err(SpawnError::NoZygote),
                        _ => {}
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(SpawnError::NoZygote),
                Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => return Err(SpawnError::NoZygote),
                Err(error) => return Err(SpawnError::System("a process was not asked for", error)),
            }
        }
    }
}

/// A process that is killed unless it is kept.
struct New(Option<OwnedFd>);

impl New {
    fn keep(mut self) -> Option<OwnedFd> {
        self.0.take()
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if let Some(process) = &self.0 {
            kill(process.as_fd());
            let _ = wait([(process.as_fd(), libc::POLLIN)], Some(Instant::now() + Duration::from_secs(1)));
            // Where this process is the one that adopts orphans.
            if has_ended(process.as_fd()) {
                status(process.as_fd());
            }
        }
    }
}
