//! The thread that hears the host's notes, whatever runs.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::setup::Setup;
use super::stops::Stops;
use super::{ALONE, MISUSED, line};
use crate::manager::{self, STACK_SIZE, home};
use crate::platform::NoSignals;
use crate::platform::thread::spawn;
use crate::process::control::Note;
use crate::process::mapped::{self, Mapped};
use crate::process::zygote::{Worker, exit_now};
use crate::value::Export;

/// It calls little.
const STACK: usize = 256 << 10;

/// How soon it is tried again to start a thread.
const AGAIN: Duration = Duration::from_millis(10);

/// What the threads of a worker have in common.
pub struct Control {
    worker: Arc<Worker>,
    /// The main interpreter.
    pub main: u64,
    pub setup: Setup,
    pub stops: Stops,
    /// Memory of the host's.
    pub mapped: Mapped,
    /// What the host knows copies of memory by.
    last_copy: AtomicU64,
    channels: Mutex<Channels>,
    changed: Condvar,
}

/// Channels that no thread has taken yet.
#[derive(Default)]
struct Channels {
    /// The main thread's.
    first: Option<OwnedFd>,
    /// The main thread has its one.
    has_first: bool,
    /// For threads of Python's; None: there is none for it.
    granted: VecDeque<Option<OwnedFd>>,
    /// Descriptors that were asked for, by their numbers. None: there was no room for it in this process.
    events: HashMap<u64, Option<OwnedFd>>,
}

impl Control {
    /// Starts the thread.
    pub fn start(worker: Arc<Worker>, main: u64, setup: Setup) -> io::Result<Arc<Control>> {
        let (stops, mapped, last_copy) = (Stops::default(), Mapped::default(), AtomicU64::new(0));
        let (channels, changed) = (Mutex::default(), Condvar::new());
        let control = Arc::new(Control { worker, main, setup, stops, mapped, last_copy, channels, changed });
        let its_own = Arc::clone(&control);
        // Signals are for Python's main thread.
        let _no_signals = NoSignals::new();
        spawn("subpy-control", STACK, move || its_own.run())?;
        Ok(control)
    }

    fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(self: &Arc<Control>) {
        let mut waiting = Vec::new();
        loop {
            while let Some(channel) = waiting.pop() {
                if let Err(channel) = self.serve(channel) {
                    waiting.push(channel);
                    break;
                }
            }
            match self.worker.hear((!waiting.is_empty()).then_some(AGAIN)) {
                Ok(Some((note, descriptors))) => self.heard(&note, descriptors, &mut waiting),
                Ok(None) => {}
                Err(error) => exit_now(if error.kind() == io::ErrorKind::InvalidData { MISUSED } else { ALONE }),
            }
        }
    }

    fn heard(&self, note: &Note, descriptors: Vec<OwnedFd>, waiting: &mut Vec<OwnedFd>) {
        let mut descriptors = descriptors.into_iter();
        match note {
            Note::Ping(number) => self.say(&Note::Pong(*number)),
            Note::Channel => {
                // A process that is short of open files gets none, and nobody would ever serve it.
                let Some(channel) = descriptors.next() else { exit_now(MISUSED) };
                let mut channels = self.channels();
                if channels.has_first {
                    waiting.push(channel);
                } else {
                    channels.has_first = true;
                    channels.first = Some(channel);
                    self.changed.notify_all();
                }
            }
            Note::Granted => {
                self.channels().granted.push_back(descriptors.next());
                self.changed.notify_all();
            }
            Note::Region { id, len, writable } => self.mapped.add(*id, *len, descriptors.next(), *writable, false),
            Note::Copy { id, len } => self.mapped.add(*id, *len, descriptors.next(), false, true),
            Note::Forget(id) => self.mapped.forget(*id),
            Note::Event(number) => {
                self.channels().events.insert(*number, descriptors.next());
                self.changed.notify_all();
            }
            Note::Stop(run) => self.stops.stop(*run),
            Note::Interrupt => {
                if !home::interrupt_end() {
                    // It fails where nothing can be interrupted.
                    let _ = manager::interrupt(self.main);
                }
            }
            _ => exit_now(MISUSED),
        }
    }

    /// On a thread of its own.
    fn serve(self: &Arc<Control>, channel: OwnedFd) -> Result<(), OwnedFd> {
        // When there is no thread, what it was to have comes back.
        let place = Arc::new(Mutex::new(Some(channel)));
        let (theirs, control) = (Arc::clone(&place), Arc::clone(self));
        let take = |place: &Mutex<Option<OwnedFd>>| place.lock().unwrap_or_else(PoisonError::into_inner).take();
        let spawned = spawn("subpy-channel", STACK_SIZE, move || {
            if let Some(channel) = take(&theirs) {
                line::serve(&control, &channel);
            }
        });
        match spawned {
            Ok(_) => Ok(()),
            Err(_) => take(&place).map_or(Ok(()), Err),
        }
    }

    /// The main thread's channel.
    pub fn first(&self) -> OwnedFd {
        let mut channels = self.channels();
        loop {
            if let Some(channel) = channels.first.take() {
                return channel;
            }
            channels = self.changed.wait(channels).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A new channel, for a thread of Python's. None: the host has none.
    pub fn want(&self) -> Option<OwnedFd> {
        self.say(&Note::Wanted);
        let mut channels = self.channels();
        loop {
            if let Some(channel) = channels.granted.pop_front() {
                return channel;
            }
            channels = self.changed.wait(channels).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sends the host a copy of memory, and gives it a number.
    pub fn send_copy(&self, export: &Export) -> io::Result<u64> {
        let file = mapped::copy(export)?;
        let id = self.last_copy.fetch_add(1, Ordering::Relaxed) + 1;
        let note = Note::Copy { id, len: export.len() as u64 };
        if self.worker.send(&note, &[file.as_fd()]).is_err() {
            exit_now(ALONE);
        }
        Ok(id)
    }

    /// Tells the host that nobody here has a function or a buffer any more.
    pub fn released(&self, number: u64) {
        self.say(&Note::Released(number));
    }

    /// The descriptor with this number, which the host has sent.
    pub fn event(&self, number: u64) -> Option<OwnedFd> {
        let mut channels = self.channels();
        loop {
            if let Some(event) = channels.events.remove(&number) {
                return event;
            }
            channels = self.changed.wait(channels).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whoever waits at a queue for this process is to look around.
    pub fn look(&self) {
        self.say(&Note::Look);
    }

    fn say(&self, note: &Note) {
        if self.worker.say(note).is_err() {
            exit_now(ALONE);
        }
    }
}
