//! A thread of the host that notices when workers and zygotes end. It hears it twice, from the kernel and from the zygote,
//! which knows how a worker has ended: whichever comes first, and of either alone.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::child::{Life, Zygote, lock};
use super::control::Note;
use super::system::{check, event, has_ended, kill, milliseconds, reset, set, status};
use crate::platform::NoSignals;
use crate::platform::thread::{JoinHandle, spawn};

/// How long the reaper waits for the word of who has reaped a worker that has ended.
const WORD: Duration = Duration::from_millis(200);
/// How often it asks meanwhile.
const ASK: Duration = Duration::from_millis(1);
/// How long those that are killed may take to end. One that waits for a disk or the like may take any time.
const END: Duration = Duration::from_secs(5);
/// And how long a zygote may take to reap its children.
const ZYGOTE_ENDS: Duration = Duration::from_secs(1);

/// It calls little.
const STACK: usize = 256 << 10;

/// What the reaper is woken for.
const WAKE: u64 = 0;
/// The ids of workers and zygotes are even; with the lowest bit set, the socket of that one.
pub const STEP: u64 = 2;
const SOCKET: u64 = 1;

pub struct Reaper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle>,
    owner: u32,
}

struct Shared {
    epoll: OwnedFd,
    wake: OwnedFd,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    zygotes: HashMap<u64, Arc<Zygote>>,
    workers: HashMap<u64, Arc<Life>>,
    /// Have ended, nobody has said how, until when it is waited for.
    unexplained: Vec<(u64, Instant)>,
    /// All are to end, since then.
    stops: Option<Instant>,
}

impl Reaper {
    pub fn new() -> io::Result<Reaper> {
        // SAFETY: a new descriptor.
        let epoll = unsafe {
            use std::os::fd::FromRawFd;
            OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?)
        };
        let shared = Arc::new(Shared { epoll, wake: event()?, watched: Mutex::default() });
        shared.watch(shared.wake.as_fd(), WAKE)?;
        let theirs = Arc::clone(&shared);
        // Signals are for threads of the host's.
        let _no_signals = NoSignals::new();
        let thread = spawn("subpy-reaper", STACK, move || theirs.run())?;
        Ok(Reaper { shared, thread: Some(thread), owner: std::process::id() })
    }

    pub fn add_zygote(&self, zygote: &Arc<Zygote>) -> io::Result<()> {
        let shared = &*self.shared;
        // Locked, so that it is there when the thread is woken for it.
        let mut watched = lock(&shared.watched);
        shared.watch(zygote.process.as_fd(), zygote.id)?;
        shared.watch(zygote.control.as_fd(), zygote.id | SOCKET).inspect_err(|_| {
            shared.unwatch(zygote.process.as_fd());
        })?;
        watched.zygotes.insert(zygote.id, Arc::clone(zygote));
        Ok(())
    }

    /// A worker that is going to be forked.
    pub fn add_worker(&self, life: &Arc<Life>) -> io::Result<()> {
        let mut watched = lock(&self.shared.watched);
        watched.workers.try_reserve(1).map_err(|_| io::ErrorKind::OutOfMemory)?;
        watched.workers.insert(life.id, Arc::clone(life));
        Ok(())
    }

    /// Its process is known from now on.
    pub fn watch_worker(&self, life: &Life) -> io::Result<()> {
        // Locked: it may just have been told of its end.
        let watched = lock(&self.shared.watched);
        match life.pidfd() {
            Some(pidfd) if watched.workers.contains_key(&life.id) => self.shared.watch(pidfd, life.id),
            _ => Ok(()),
        }
    }

    /// What it says is heard from now on.
    pub fn listen_to(&self, life: &Life) -> io::Result<()> {
        let watched = lock(&self.shared.watched);
        if !watched.workers.contains_key(&life.id) {
            return Ok(());
        }
        self.shared.watch(life.socket.as_fd(), life.id | SOCKET)
    }

    /// It was not forked after all.
    pub fn forget_worker(&self, life: &Life) {
        lock(&self.shared.watched).workers.remove(&life.id);
    }
}

/// All that are left end, and are waited for.
impl Drop for Reaper {
    fn drop(&mut self) {
        // A fork has the memory of all this, and not the thread.
        if std::process::id() != self.owner {
            return;
        }
        lock(&self.shared.watched).stops = Some(Instant::now());
        set(self.shared.wake.as_fd());
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
    }
}

impl Shared {
    fn watch(&self, descriptor: BorrowedFd, id: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: id };
        let (epoll, number) = (self.epoll.as_raw_fd(), descriptor.as_raw_fd());
        // SAFETY: a struct that is read.
        check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, number, &mut event) }).map(drop)
    }

    fn unwatch(&self, descriptor: BorrowedFd) {
        let (epoll, number) = (self.epoll.as_raw_fd(), descriptor.as_raw_fd());
        // SAFETY: the event is not read. It fails for what is not watched (any more).
        unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, number, std::ptr::null_mut()) };
    }

    fn run(&self) {
        loop {
            let limit = {
                let watched = lock(&self.watched);
                let waits = !watched.unexplained.is_empty() || watched.stops.is_some();
                if waits { milliseconds(ASK) } else { -1 }
            };
            let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
            // SAFETY: room for as many events.
            let count =
                unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, limit) };
            let mut watched = lock(&self.watched);
            // What zygotes say comes first: a worker's end is explained then.
            let ids = || events[..count.max(0) as usize].iter().map(|event| event.u64);
            for id in ids().filter(|id| id & SOCKET != 0) {
                self.zygote_says(&mut watched, id & !SOCKET);
            }
            let says = |id: u64| watched.workers.get(&(id & !SOCKET)).cloned();
            let say: Vec<Arc<Life>> = ids().filter(|id| id & SOCKET != 0).filter_map(says).collect();
            for id in ids().filter(|id| id & SOCKET == 0) {
                if id == WAKE {
                    reset(self.wake.as_fd());
                } else if watched.zygotes.contains_key(&id) {
                    self.zygote_ends(&mut watched, id);
                } else if let Some(life) = watched.workers.get(&id).cloned() {
                    life.pidfd().inspect(|pidfd| self.unwatch(*pidfd));
                    life.is_gone();
                    watched.unexplained.push((id, Instant::now() + WORD));
                }
            }
            self.explain(&mut watched);
            if let Some(since) = watched.stops
                && self.stop(&watched, since)
            {
                return;
            }
            drop(watched);
            say.iter().for_each(|life| self.worker_says(life));
        }
    }

    /// One thing after the other, so that all are heard. What makes no sense is its end; one that says no more may be
    /// ending by itself.
    fn worker_says(&self, life: &Life) {
        match life.says() {
            Ok(Some(call)) => call(),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                self.unwatch(life.socket.as_fd());
                if error.kind() == io::ErrorKind::InvalidData {
                    life.pidfd().inspect(|pidfd| kill(*pidfd));
                }
            }
        }
    }

    fn zygote_says(&self, watched: &mut Watched, id: u64) {
        let Some(zygote) = watched.zygotes.get(&id).cloned() else { return };
        loop {
            match Note::receive(zygote.control.as_fd()) {
                Ok((Note::Ended(worker, status), _)) => self.worker_ends(watched, worker, Some(status)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // It is ending, or not what it should be.
                _ => break,
            }
        }
        zygote.is_over.store(true, Ordering::Release);
        self.unwatch(zygote.control.as_fd());
        // One that ends by itself has killed its workers and is reaping them.
        if watched.stops.is_none() {
            kill(zygote.process.as_fd());
        }
    }

    /// Its process has ended. Who waits for a worker of it sees by the socket whether that one has begun.
    fn zygote_ends(&self, watched: &mut Watched, id: u64) {
        self.zygote_says(watched, id);
        let Some(zygote) = watched.zygotes.remove(&id) else { return };
        self.unwatch(zygote.process.as_fd());
        // Where this process is the one that adopts orphans.
        status(zygote.process.as_fd());
    }

    fn worker_ends(&self, watched: &mut Watched, id: u64, status: Option<i32>) {
        if let Some(life) = watched.workers.remove(&id) {
            life.pidfd().inspect(|pidfd| self.unwatch(*pidfd));
            self.unwatch(life.socket.as_fd());
            life.ends(status);
        }
    }

    /// Of those that have ended, and whose zygote has not said how.
    fn explain(&self, watched: &mut Watched) {
        for (id, until) in std::mem::take(&mut watched.unexplained) {
            let Some(life) = watched.workers.get(&id) else { continue };
            let known = if life.zygote.can_fork() { None } else { life.pidfd().and_then(status) };
            if known.is_some() || until <= Instant::now() {
                self.worker_ends(watched, id, known);
            } else {
                watched.unexplained.push((id, until));
            }
        }
    }

    /// True when all have ended, or will not.
    fn stop(&self, watched: &Watched, since: Instant) -> bool {
        let time = since.elapsed();
        let known = || watched.workers.values().filter_map(|life| life.pidfd());
        for pidfd in known().filter(|pidfd| !has_ended(*pidfd)) {
            kill(pidfd);
        }
        let workers_left = known().next().is_some();
        if !workers_left || time > END {
            for zygote in watched.zygotes.values() {
                // SAFETY: it touches no memory. Forks of this process may have the socket too, so closing it says nothing.
                unsafe { libc::shutdown(zygote.control.as_raw_fd(), libc::SHUT_RDWR) };
                if time > END + ZYGOTE_ENDS {
                    kill(zygote.process.as_fd());
                }
            }
        }
        !workers_left && watched.zygotes.is_empty() || time > END + 2 * ZYGOTE_ENDS
    }
}
