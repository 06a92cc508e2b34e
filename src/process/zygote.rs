//! The zygote's side: it forks workers for the host, which are its children, and tells the host how each has ended. It
//! has one thread, and waits for the host alone.

use std::collections::VecDeque;
use std::ffi::{OsStr, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::control::Note;
use super::launch::{FIRST, LIBRARY};
use super::settings::Settings;
use super::system::{check, pidfd, wait};

/// asm-generic/fcntl.h: the signal that O_ASYNC sends.
const F_SETSIG: c_int = 10;

/// How long a thread that has ended may be seen.
const MOMENT: Duration = Duration::from_millis(1);
const MOMENTS: usize = 200;

/// What a zygote has of its host.
pub struct Zygote {
    control: OwnedFd,
    /// The host's process. Its end of the socket may have copies, in processes that it has forked.
    host: OwnedFd,
    /// Readable when a worker has ended.
    ends: OwnedFd,
    workers: Vec<(i32, u64)>,
    /// What the host has not taken yet.
    unsent: VecDeque<Note>,
}

/// A large value is memory that is freed after each call. The allocator of glibc would give it back to the system each
/// time, and take it again page by page; of this much it does not.
#[cfg(target_env = "gnu")]
fn keep_freed_memory() {
    const KEPT: i32 = 32 << 20;
    for option in [libc::M_TRIM_THRESHOLD, libc::M_MMAP_THRESHOLD] {
        // SAFETY: nothing but a number that is remembered; 0 when it is refused, and then it is only slower.
        unsafe { libc::mallopt(option, KEPT) };
    }
}

#[cfg(not(target_env = "gnu"))]
fn keep_freed_memory() {}

impl Zygote {
    /// For a process that `launch` has started, at its beginning; once.
    pub fn new() -> io::Result<Zygote> {
        static ONCE: AtomicBool = AtomicBool::new(false);
        if ONCE.swap(true, Ordering::Relaxed) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // This process may have been started by somebody else.
        if !is_messenger(FIRST) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        for number in [FIRST, FIRST + 1] {
            close_on_exec(number)?;
        }
        // SAFETY: they are there, and nobody else takes them for its own: they came with the process.
        let [control, host] = [FIRST, FIRST + 1].map(|number| unsafe { OwnedFd::from_raw_fd(number) });
        set_name(c"subpy-zygote");
        keep_freed_memory();
        let ends = child_signals(libc::SIG_BLOCK, |set| {
            // SAFETY: a set of signals; a new descriptor.
            let number = unsafe { libc::signalfd(-1, set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
            // SAFETY: it is new.
            check(number).map(|number| unsafe { OwnedFd::from_raw_fd(number) })
        })?;
        Ok(Zygote { control, host, ends, workers: Vec::new(), unsent: VecDeque::new() })
    }

    /// The library is loaded, by this name. Nothing needs the descriptor any more that it may have come as.
    pub fn has_loaded(&self, library: &OsStr) {
        if library == LIBRARY {
            // SAFETY: it came with the process, as the name says, and nobody else takes it for its own.
            drop(unsafe { OwnedFd::from_raw_fd(FIRST + 2) });
        }
    }

    /// Says why there will be no workers.
    pub fn fails(&self, why: &str) {
        let _ = Note::Failed(why.to_owned()).send(self.control.as_fd(), &[]);
    }

    /// A fork would have no other thread, and find locks that those hold.
    pub fn has_other_threads(&self) -> bool {
        let is_alone = || std::fs::read_dir("/proc/self/task").map_or(true, |threads| threads.count() <= 1);
        // One that has been joined may be there for a moment more.
        for _ in 0..MOMENTS {
            if is_alone() {
                return false;
            }
            std::thread::sleep(MOMENT);
        }
        true
    }

    /// Forks workers with `fork` (the child's id, or None in the child) until the host has gone. In a worker, it.
    pub fn serve(mut self, mut fork: impl FnMut() -> io::Result<Option<i32>>) -> Option<Worker> {
        Note::Started.send(self.control.as_fd(), &[]).ok()?;
        loop {
            let writable = if self.unsent.is_empty() { 0 } else { libc::POLLOUT };
            let of = [
                (self.control.as_fd(), libc::POLLIN | writable),
                (self.host.as_fd(), libc::POLLIN),
                (self.ends.as_fd(), libc::POLLIN),
            ];
            // Only a shortage of memory is in the way. A zygote can be replaced, and its workers do without.
            let Ok([control, host, ends]) = wait(of, None) else { return None };
            if host != 0 {
                break;
            }
            if ends != 0 {
                self.reap();
            }
            if control & !libc::POLLOUT != 0 {
                let Ok((Note::Fork(id), descriptors)) = Note::receive(self.control.as_fd()) else { break };
                match <[OwnedFd; 3]>::try_from(descriptors) {
                    Ok([socket, trace, directory]) => {
                        if self.fork(id, &socket, &mut fork) {
                            return Some(Worker { socket, trace, directory, host: self.host });
                        }
                    }
                    Err(descriptors) => {
                        let why = Note::Failed("the process that forks workers is short of open files".into());
                        descriptors.first().map(|socket| why.send(socket.as_fd(), &[]));
                    }
                }
            }
            if !self.tell() {
                break;
            }
        }
        self.end();
        None
    }

    /// True in the child.
    fn fork(&mut self, id: u64, socket: &OwnedFd, fork: &mut impl FnMut() -> io::Result<Option<i32>>) -> bool {
        let failed = |error: io::Error| Note::Failed(format!("a worker could not be forked: {error}"));
        // Before the fork, so that there is no worker that is forgotten.
        if self.workers.try_reserve(1).is_err() {
            let _ = failed(io::ErrorKind::OutOfMemory.into()).send(socket.as_fd(), &[]);
            return false;
        }
        let told = match fork() {
            Ok(None) => return true,
            Ok(Some(process)) => {
                self.workers.push((process, id));
                // It is not reaped yet, so this is the one.
                pidfd(process)
                    .and_then(|pidfd| Note::Forked(process).send(socket.as_fd(), &[pidfd.as_fd()]))
                    .inspect_err(|_| kill(process))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            let _ = failed(error).send(socket.as_fd(), &[]);
        }
        false
    }

    /// Takes the status of all that have ended.
    fn reap(&mut self) {
        // SAFETY: room for one struct, as many times as it takes.
        unsafe {
            let mut signals: libc::signalfd_siginfo = std::mem::zeroed();
            while libc::read(self.ends.as_raw_fd(), (&raw mut signals).cast(), size_of_val(&signals)) > 0 {}
        }
        while let Some(process) = ended(libc::P_ALL, 0, libc::WNOHANG) {
            let worker = self.workers.iter().position(|(worker, _)| *worker == process);
            if worker.is_some() {
                kill_group(process);
            }
            let Some(status) = reaped(process) else { return };
            if let Some(index) = worker {
                let (_, id) = self.workers.swap_remove(index);
                self.unsent.push_back(Note::Ended(id, status));
            }
        }
    }

    /// Tells the host what it does not know yet, as much as it takes. False when it has gone.
    fn tell(&mut self) -> bool {
        while let Some(note) = self.unsent.front() {
            match note.send(self.control.as_fd(), &[]) {
                Ok(()) => drop(self.unsent.pop_front()),
                Err(error) => return !matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)),
            }
        }
        true
    }

    /// Nobody needs the workers any more.
    fn end(self) {
        for (process, _) in &self.workers {
            kill(*process);
        }
        // There may be other children, of modules that were imported.
        for (process, _) in &self.workers {
            if let Some(process) = ended(libc::P_PID, *process, 0) {
                kill_group(process);
                reaped(process);
            }
        }
    }
}

fn kill(child: i32) {
    // SAFETY: a child that was not reaped, so no other process has its number.
    unsafe { libc::kill(child, libc::SIGKILL) };
}

/// What a worker has started ends with it, unless that has left its group.
fn kill_group(worker: i32) {
    // SAFETY: it has ended and was not reaped, so its number is that of no other group.
    unsafe { libc::kill(-worker, libc::SIGKILL) };
}

/// A child that has ended, of all or the one with this number. It is not reaped.
fn ended(of: libc::idtype_t, child: i32, flags: c_int) -> Option<i32> {
    // SAFETY: room for what is said of it.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let found = libc::waitid(of, child as libc::id_t, &mut info, libc::WEXITED | libc::WNOWAIT | flags);
        (found == 0 && info.si_pid() != 0).then(|| info.si_pid())
    }
}

/// The status of a child that has ended.
fn reaped(child: i32) -> Option<c_int> {
    let mut status = 0;
    // SAFETY: room for the status.
    let process = unsafe { libc::waitpid(child, &mut status, 0) };
    (process > 0).then_some(status)
}

/// SIGCHLD is blocked or let through.
fn child_signals<T>(how: c_int, then: impl FnOnce(&libc::sigset_t) -> T) -> T {
    // SAFETY: a set of signals.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        libc::sigprocmask(how, &set, ptr::null_mut());
        then(&set)
    }
}

/// It is a socket over which messages go whole.
fn is_messenger(descriptor: c_int) -> bool {
    let mut kind: c_int = 0;
    let mut size = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: room for an int.
    let result =
        unsafe { libc::getsockopt(descriptor, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &mut size) };
    result == 0 && kind == libc::SOCK_SEQPACKET
}

fn close_on_exec(descriptor: c_int) -> io::Result<()> {
    // SAFETY: it touches no memory.
    check(unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// What `ps` and `top` show.
fn set_name(name: &std::ffi::CStr) {
    // SAFETY: a C string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// What a worker has of its host.
pub struct Worker {
    socket: OwnedFd,
    trace: OwnedFd,
    directory: OwnedFd,
    /// Its process. The other end of the socket and of the pipe may have copies, in processes that it has forked.
    host: OwnedFd,
}

impl Worker {
    /// Makes the process the worker's own: a session, so that signals to its group stay with it; the working directory;
    /// and the host's death is its own.
    pub fn settle(&self) -> io::Result<()> {
        set_name(c"subpy-worker");
        child_signals(libc::SIG_UNBLOCK, |_| ());
        // SAFETY: they touch no memory.
        unsafe {
            check(libc::setsid())?;
            check(libc::fchdir(self.directory.as_raw_fd()))?;
            // When the pipe has no reader any more, the kernel sends its writer a signal. The host reads from it only when
            // this process has ended.
            let pipe = self.trace.as_raw_fd();
            check(libc::fcntl(pipe, libc::F_SETOWN, libc::getpid()))?;
            check(libc::fcntl(pipe, F_SETSIG, libc::SIGKILL))?;
            let flags = check(libc::fcntl(pipe, libc::F_GETFL))?;
            check(libc::fcntl(pipe, libc::F_SETFL, flags | libc::O_ASYNC))?;
        }
        // It may have gone before that.
        let [events] = wait([(self.trace.as_fd(), 0)], Some(Instant::now()))?;
        if events == 0 { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    /// Where the traceback of a crash goes.
    pub fn trace(&self) -> BorrowedFd<'_> {
        self.trace.as_fd()
    }

    /// Tells the host that all is well, or why not.
    pub fn starts(&self, with: Result<(), String>) -> io::Result<()> {
        let note = with.map_or_else(Note::Failed, |()| Note::Ready);
        note.send(self.socket.as_fd(), &[])
    }

    /// What the host says next, and for how long it is waited for that: None when it says nothing. An error: it has gone,
    /// or says what is no note.
    pub fn hear(&self, limit: Option<Duration>) -> io::Result<Option<(Note, Vec<OwnedFd>)>> {
        let until = limit.map(|limit| Instant::now() + limit);
        match wait([(self.socket.as_fd(), libc::POLLIN), (self.host.as_fd(), libc::POLLIN)], until)? {
            [0, 0] => Ok(None),
            [_, gone] if gone != 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => match Note::receive(self.socket.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                heard => heard.map(Some),
            },
        }
    }

    /// What it needs of its host.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 4] {
        [self.socket.as_fd(), self.trace.as_fd(), self.directory.as_fd(), self.host.as_fd()]
    }

    /// What this process is to be, which is the first thing that the host says.
    pub fn settings(&self) -> io::Result<Settings> {
        match self.hear(None)? {
            Some((Note::Settings, descriptors)) => match descriptors.into_iter().next() {
                Some(file) => Settings::of_file(file),
                None => Err(io::Error::from_raw_os_error(libc::EMFILE)),
            },
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Says something to the host. An error: it has gone.
    pub fn say(&self, note: &Note) -> io::Result<()> {
        self.send(note, &[])
    }

    /// The same, with descriptors.
    pub fn send(&self, note: &Note, descriptors: &[BorrowedFd]) -> io::Result<()> {
        loop {
            match note.send(self.socket.as_fd(), descriptors) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                said => return said,
            }
            wait([(self.socket.as_fd(), libc::POLLOUT)], None)?;
        }
    }
}

/// Ends this process at once: nothing else runs in it.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: it may be called at any time.
    unsafe { libc::_exit(code) }
}
