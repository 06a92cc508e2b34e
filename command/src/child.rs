//! Processes with a time limit.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    Killed(i32),
    /// It has not ended within the limit, and was killed.
    TimedOut,
}

pub struct Ended {
    pub end: End,
    pub stdout: String,
    pub stderr: String,
}

impl Display for End {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            End::Exited(code) => write!(out, "exit code {code}"),
            End::Killed(signal) => out.write_str(&signal_name(signal)),
            End::TimedOut => out.write_str("it has not ended in time"),
        }
    }
}

pub fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned())
}

/// This program, for what may crash. It ends when this one does: its stdin is then at its end.
pub fn own(arguments: &[&str]) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| format!("the path of this program is unknown: {error}"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// Runs it to its end, or to the limit, in a group of its own, which is then killed.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<Ended> {
    run_and(Shown::No, command, limit)
}

/// The same, and what it prints is seen on stderr meanwhile.
pub fn run_seen(command: &mut Command, limit: Duration) -> io::Result<Ended> {
    run_and(Shown::OnStderr, command, limit)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    No,
    OnStderr,
}

fn run_and(shown: Shown, command: &mut Command, limit: Duration) -> io::Result<Ended> {
    let deadline = Instant::now() + limit;
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, group) = {
        let mut running = running();
        if running.over {
            // The status is said by whoever ends the process.
            drop(running);
            loop {
                thread::park();
            }
        }
        let child = command.spawn()?;
        let group = Pid::from_raw(child.id().cast_signed());
        running.groups.push(group);
        (child, group)
    };
    let stdin = child.stdin.take();
    let stdout = child.stdout.take().map(|pipe| Reader::new(pipe, shown)).transpose();
    let stderr = child.stderr.take().map(|pipe| Reader::new(pipe, shown)).transpose();
    // Without somebody who reads, it may never end.
    let ended = stdout.is_ok() && stderr.is_ok() && wait(&mut child, deadline);
    // What it has started goes with it. Nobody else has its number: it is not waited for before.
    let _ = killpg(group, Signal::SIGKILL);
    running().groups.retain(|other| *other != group);
    drop(stdin);
    let status = child.wait()?;
    let (stdout, stderr) = (stdout?, stderr?);
    Ok(Ended {
        end: if ended { of(status) } else { End::TimedOut },
        stdout: stdout.map(Reader::text).unwrap_or_default(),
        stderr: stderr.map(Reader::text).unwrap_or_default(),
    })
}

/// The groups of what runs.
struct Running {
    groups: Vec<Pid>,
    /// No more are started.
    over: bool,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { groups: Vec::new(), over: false });

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends all that runs, for one who ends this process next.
pub fn end_all() {
    let mut running = running();
    running.over = true;
    for group in &running.groups {
        let _ = killpg(*group, Signal::SIGKILL);
    }
}

fn of(status: ExitStatus) -> End {
    match status.signal() {
        Some(signal) => End::Killed(signal),
        None => End::Exited(status.code().unwrap_or(-1)),
    }
}

/// False: the time is up.
fn wait(child: &mut Child, deadline: Instant) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    // It stays a zombie, so that its number stays its own.
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let id = Pid::from_raw(child.id().cast_signed());
    let mut pause = Duration::from_millis(1);
    while matches!(waitid(Id::Pid(id), flags), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)) {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    true
}

/// Reads a pipe on a thread. What still has it open after the end of the process is not waited for.
struct Reader {
    read: Arc<Mutex<Vec<u8>>>,
    ended: mpsc::Receiver<()>,
}

impl Reader {
    fn new(mut pipe: impl Read + Send + 'static, shown: Shown) -> io::Result<Reader> {
        let read = Arc::new(Mutex::new(Vec::new()));
        let (sender, ended) = mpsc::channel();
        let into = Arc::clone(&read);
        let take = move || {
            let mut buffer = [0; 8192];
            while let Ok(size @ 1..) = pipe.read(&mut buffer) {
                if shown == Shown::OnStderr {
                    let _ = io::stderr().write_all(&buffer[..size]);
                }
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..size]);
            }
            let _ = sender.send(());
        };
        thread::Builder::new().spawn(take)?;
        Ok(Reader { read, ended })
    }

    fn text(self) -> String {
        let _ = self.ended.recv_timeout(Duration::from_secs(1));
        String::from_utf8_lossy(&self.read.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
