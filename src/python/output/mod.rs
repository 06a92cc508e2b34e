//! Where sys.stdout and sys.stderr go: to a host's function, or to the file descriptors. Until then text lies in the
//! library's own memory.
//!
//! It is passed on when a run ends, when much has come together, on flush(), and at each line end of stderr, on a
//! terminal, and when no run is active. So a host that exits without shutting down loses nothing but the beginning of a
//! line that a thread has printed, and print() costs about what it costs with CPython's own buffer.
//!
//! | file | what |
//! |---|---|
//! | `descriptor` | text for a file descriptor |
//! | `channel`, `decode` | text for a host's function |
//! | `functions` | what Python calls |

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::attach::detached;
use super::interrupt::Interrupts;
use super::object::{Obj, Py, PyResult, Raised};
use super::{Count, loaded_api, lock};
use channel::Channel;
use descriptor::{Sink, Unwritten};

use crate::platform::{set_errno, this_thread};

mod channel;
mod decode;
mod descriptor;
mod functions;

pub use channel::{Callback, RunOutput, let_go, waiting};
pub use descriptor::print_error;

/// What comes together before it is passed on.
const FULL: usize = 64 * 1024;

/// The output of an interpreter.
pub struct Output(Arc<Shared>);

/// Its streams in Python have it too.
pub struct Shared {
    stdout: Sink,
    stderr: Sink,
    /// What is printed is passed on at once.
    unbuffered: AtomicBool,
    /// A run that waits may be interrupted.
    interrupts: Arc<Interrupts>,
    /// Active runs in the interpreter.
    runs: Count,
    /// Text may wait in one of these. Set by what is printed; changed with the GIL.
    waiting: AtomicBool,
    /// Some of it, or all, goes to a function: it has to be looked where. Changed with the lock of `runs_own`.
    routed: AtomicBool,
    /// To the interpreter's function, if there is one.
    channel: Channel,
    /// Runs with functions of their own, and their threads; in one thread the innermost is the last.
    runs_own: Mutex<Vec<(usize, Arc<Channel>)>>,
}

/// A stream in Python.
pub struct Stream {
    number: i32,
    shared: Arc<Shared>,
}

/// What is to be passed on.
enum Pass {
    Nothing,
    /// Lines that are whole.
    Lines,
    All,
    /// All, and then what has not been appended.
    AllAndMore,
}

/// Asked now and then by what waits: whether it is to give up, at least for as long as it takes to ask CPython.
type Stop<'a> = &'a dyn Fn() -> bool;

/// For what does not.
const NEVER: Stop = &|| false;

/// A run is active, until this is dropped, attached still: text that is printed may wait for its end.
pub struct Printing<'a>(&'a Output);

impl<'a> Printing<'a> {
    #[inline(always)]
    pub fn new(output: &'a Output) -> Printing<'a> {
        output.0.runs.up();
        Printing(output)
    }
}

impl Drop for Printing<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.0.runs.down();
    }
}

impl Output {
    pub fn new(unbuffered: bool, interrupts: Arc<Interrupts>) -> Output {
        Output(Arc::new(Shared {
            stdout: Sink::new(1, false),
            stderr: Sink::new(2, true),
            unbuffered: AtomicBool::new(unbuffered),
            interrupts,
            runs: Count::default(),
            waiting: AtomicBool::new(false),
            routed: AtomicBool::new(false),
            channel: Channel::default(),
            runs_own: Mutex::default(),
        }))
    }

    /// What guest.py needs for a stream.
    pub fn functions<'py>(&self, py: Py<'py>, number: i32) -> PyResult<Obj<'py>> {
        functions::functions(py, &self.0, number)
    }

    /// Passes on what was printed. On failure the exception is set (such as BrokenPipeError).
    #[inline(always)]
    pub fn flush(&self, py: Py) -> PyResult<()> {
        if self.0.waiting.load(Ordering::Relaxed) { self.0.flush_all(py) } else { Ok(()) }
    }

    /// What this thread prints in the interpreter while `act` runs goes to this function, and all of it has come there
    /// in the end. Attached or not.
    pub fn to<R>(&self, callback: RunOutput, act: impl FnOnce() -> R) -> R {
        // SAFETY: the lifetime ends with this function: `Own` closes the channel when it is dropped, and a closed one
        // has let its callback go.
        let callback: RunOutput<'static> = unsafe { std::mem::transmute(callback) };
        let channel = Arc::new(Channel::new(Box::new(move |stream, text| callback(stream, text))));
        lock(&self.0.runs_own).push((this_thread(), Arc::clone(&channel)));
        self.0.route();
        let _own = Own { shared: &self.0, channel: &channel };
        act()
    }

    /// All that is printed from now on goes to this function, or to the descriptors when there is none. False when the
    /// interpreter has ended. Detached.
    pub fn set(&self, callback: Option<Callback>) -> bool {
        let shared = &*self.0;
        // What was printed before goes where it went before.
        shared.pass_all_on();
        let switched = shared.channel.switch(callback);
        shared.route();
        match switched {
            Ok(()) => true,
            Err(callback) => {
                let_go(callback);
                false
            }
        }
    }

    /// From now on what is printed is passed on at once.
    pub fn is_unbuffered(&self) {
        self.0.unbuffered.store(true, Ordering::Relaxed);
    }

    /// Something takes what a run of this thread's prints.
    pub fn is_captured(&self) -> bool {
        self.0.routed.load(Ordering::Relaxed) && self.0.own().is_some()
    }

    /// Passes on what was printed in another process: in a run of this thread's, or by anybody. Detached.
    pub fn pass_on(&self, of_run: bool, number: i32, text: &str) {
        let shared = &*self.0;
        let own = if of_run { shared.own() } else { None };
        if own.is_none() && !shared.channel.is_open() {
            // A locked process has no descriptors for it. Where that fails, nobody is left to be told.
            let sink = if number == 2 { &shared.stderr } else { &shared.stdout };
            let _ = sink.pass_on(true, text.as_bytes(), NEVER);
            return;
        }
        let channel = own.as_deref().unwrap_or(&shared.channel);
        // Without memory it is lost, as it would be there.
        let _ = channel.append(number, text.as_bytes());
        channel.deliver(NEVER);
    }

    /// Prints what the library itself has to say, on stderr. False when that is the descriptor. Detached.
    pub fn print_error(&self, parts: &[&str]) -> bool {
        let shared = &*self.0;
        if !shared.channel.is_open() {
            return false;
        }
        let appended = parts.iter().all(|part| matches!(shared.channel.append(2, part.as_bytes()), Ok(Some(_))));
        shared.channel.deliver(NEVER);
        appended
    }

    /// The interpreter has ended: nothing is printed any more. Detached.
    pub fn close(&self) {
        self.0.channel.close();
        self.0.pass_all_on();
        self.0.route();
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.close();
    }
}

/// A run's own channel, until the run ends.
struct Own<'a> {
    shared: &'a Shared,
    channel: &'a Arc<Channel>,
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        detached(loaded_api(), || self.channel.deliver(NEVER));
        lock(&self.shared.runs_own).retain(|(_, channel)| !Arc::ptr_eq(channel, self.channel));
        self.shared.route();
        detached(loaded_api(), || self.channel.close());
    }
}

impl Shared {
    /// Says where to look, after a change.
    fn route(&self) {
        let runs_own = lock(&self.runs_own);
        // What came for a function that is gone may still be on its way.
        let to_channel = self.channel.is_open() || self.channel.is_waiting();
        self.routed.store(to_channel || !runs_own.is_empty(), Ordering::Relaxed);
    }

    /// The channel of a run of this thread.
    #[cold]
    fn own(&self) -> Option<Arc<Channel>> {
        let (me, runs_own) = (this_thread(), lock(&self.runs_own));
        runs_own.iter().rev().find(|(thread, _)| *thread == me).map(|(_, channel)| Arc::clone(channel))
    }

    /// Appends to a function's text, when there is one for it.
    #[cold]
    fn write_routed(&self, py: Py, number: i32, data: &[u8]) -> PyResult<bool> {
        let own = self.own();
        let each_line = number == 2 || (own.is_none() && self.runs.get() == 0);
        let channel = match &own {
            Some(own) => &**own,
            None if self.channel.is_open() => &self.channel,
            None => return Ok(false),
        };
        for part in data.chunks(FULL) {
            let Some(length) = channel.append(number, part).map_err(|_| py.no_memory())? else { return Ok(false) };
            if self.unbuffered.load(Ordering::Relaxed) || length >= FULL || (each_line && part.contains(&b'\n')) {
                self.deliver(py, channel)?;
            }
        }
        Ok(true)
    }

    /// What has come together for the descriptors. Detached.
    fn pass_all_on(&self) {
        // Where that fails, nobody is left to be told.
        let _ = self.stdout.pass_on(true, &[], NEVER);
        let _ = self.stderr.pass_on(true, &[], NEVER);
    }

    #[cold]
    fn flush_all(&self, py: Py) -> PyResult<()> {
        // What a nested run has printed belongs to the run that it is nested in.
        if let Some(own) = self.own().filter(|own| own.is_waiting()) {
            self.deliver(py, &own)?;
        }
        if self.channel.is_waiting() {
            self.deliver(py, &self.channel)?;
        }
        let stdout = self.flush(py, &self.stdout);
        let flushed = self.flush(py, &self.stderr).and(stdout);
        let waiting = self.stdout.is_waiting() || self.stderr.is_waiting() || self.channel.is_waiting();
        self.waiting.store(waiting || self.routed.load(Ordering::Relaxed), Ordering::Relaxed);
        flushed
    }

    fn deliver(&self, py: Py, channel: &Channel) -> PyResult<()> {
        self.wait_for(py, |stop| channel.deliver(stop).then_some(()))
    }

    fn flush(&self, py: Py, sink: &Sink) -> PyResult<()> {
        if sink.is_waiting() { self.pass_on(py, sink, true, &[]) } else { Ok(()) }
    }

    fn pass_on(&self, py: Py, sink: &Sink, all: bool, mut more: &[u8]) -> PyResult<()> {
        let mut rest = Vec::new();
        let passed = self.wait_for(py, |stop| {
            if !rest.is_empty() {
                sink.put_back(std::mem::take(&mut rest));
            }
            match sink.pass_on(all, more, stop) {
                Err(Unwritten::Stopped(unwritten, written)) => {
                    (rest, more) = (unwritten, &more[written..]);
                    None
                }
                Err(Unwritten::Failed(errno)) => Some(Err(errno)),
                Ok(()) => Some(Ok(())),
            }
        });
        match passed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(errno)) => Err(raise_errno(py, errno)),
            Err(raised) => {
                sink.written(Vec::new());
                Err(raised)
            }
        }
    }

    /// Waits, detached, for something that gives a result, or none when it was to stop. It is tried again unless this
    /// thread's run is to end.
    fn wait_for<R>(&self, py: Py, mut wait: impl FnMut(Stop) -> Option<R>) -> PyResult<R> {
        // What was wished before has to be looked for once. Not without need: the text of others may come in between then.
        let now = self.interrupts.asked();
        let mut asked = if self.interrupts.is_interrupting() { None } else { Some(now) };
        loop {
            let stop = || asked != Some(self.interrupts.asked());
            if let Some(result) = detached(Some(py.api), || wait(&stop)) {
                return Ok(result);
            }
            asked = Some(self.interrupts.asked());
            self.interrupts.check(py)?;
        }
    }
}

impl Stream {
    fn sink(&self) -> &Sink {
        if self.number == 1 { &self.shared.stdout } else { &self.shared.stderr }
    }

    /// How text is encoded that is no UTF-8: a lone surrogate that stands for a byte is that byte.
    fn errors(&self) -> &'static CStr {
        if self.number == 1 { c"surrogateescape" } else { c"backslashreplace" }
    }

    /// Appends, and passes on when it is time. `data` belongs to a Python object that the caller holds.
    fn write(&self, py: Py, data: &[u8]) -> PyResult<()> {
        let shared = &*self.shared;
        shared.waiting.store(true, Ordering::Relaxed);
        if shared.routed.load(Ordering::Relaxed) && shared.write_routed(py, self.number, data)? {
            return Ok(());
        }
        let sink = self.sink();
        match sink.append(data, shared.unbuffered.load(Ordering::Relaxed), shared.runs.get() == 0) {
            Pass::Nothing => Ok(()),
            Pass::Lines => shared.pass_on(py, sink, false, &[]),
            Pass::All => shared.pass_on(py, sink, true, &[]),
            Pass::AllAndMore => shared.pass_on(py, sink, true, data),
        }
    }

    fn flush(&self, py: Py) -> PyResult<()> {
        let shared = &*self.shared;
        if shared.routed.load(Ordering::Relaxed) {
            let own = shared.own();
            shared.deliver(py, own.as_deref().unwrap_or(&shared.channel))?;
        }
        shared.flush(py, self.sink())
    }

    /// What this thread prints goes to a function.
    fn is_captured(&self) -> bool {
        self.shared.routed.load(Ordering::Relaxed) && (self.shared.channel.is_open() || self.shared.own().is_some())
    }
}

pub(super) fn raise_errno(py: Py, errno: i32) -> Raised {
    // Attaching again may have changed it.
    set_errno(errno);
    // SAFETY: raises the OSError that belongs to it; attached.
    unsafe { (py.api.PyErr_SetFromErrno)(py.api.PyExc_OSError.get()) };
    Raised
}
