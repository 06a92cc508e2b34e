//! Text on its way to a file descriptor: whole lines, one interpreter at a time.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::super::lock;
use super::{FULL, NEVER, Pass, Stop};
use crate::platform::{self, PIPE_BUF, is_file, is_terminal, write};

/// A line up to this length is passed on in one piece.
const LONGEST_LINE: usize = 16 * FULL;

/// How long a thread that waits does so before it looks whether it is to stop.
pub const SLICE: Duration = Duration::from_millis(20);

/// The two descriptors that all interpreters share: each has one writer at a time.
static TURNS: [Turn; 2] = [Turn::new(), Turn::new()];

/// A lock that whoever waits for it can give up.
struct Turn {
    /// Whether it is taken, and how many wait for it.
    state: Mutex<(bool, usize)>,
    free: Condvar,
}

impl Turn {
    const fn new() -> Turn {
        Turn { state: Mutex::new((false, 0)), free: Condvar::new() }
    }

    /// None: it is to stop.
    fn take(&self, stop: Stop) -> Option<Taken<'_>> {
        let mut state = lock(&self.state);
        state.1 += 1;
        while state.0 {
            state = self.free.wait_timeout(state, SLICE).unwrap_or_else(PoisonError::into_inner).0;
            if state.0 && stop() {
                state.1 -= 1;
                return None;
            }
        }
        state.1 -= 1;
        state.0 = true;
        Some(Taken(self))
    }
}

struct Taken<'a>(&'a Turn);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.0 = false;
        if state.1 > 0 {
            self.0.free.notify_one();
        }
    }
}

/// Why text has not been passed on.
pub enum Unwritten {
    /// The errno. The text is gone.
    Failed(i32),
    /// It was to stop: this much text was taken and not written, and so many bytes of what was to follow were.
    Stopped(Vec<u8>, usize),
}

/// What one interpreter has for a descriptor.
pub struct Sink {
    fd: i32,
    /// It goes out at each line end: stderr, and a terminal.
    each_line: bool,
    terminal: bool,
    text: Mutex<Vec<u8>>,
    /// There is text, or some is still on its way out. Changed with the lock of `text`; whoever has the GIL sees
    /// without it what was printed before.
    waiting: AtomicBool,
}

impl Sink {
    pub fn new(fd: i32, each_line: bool) -> Sink {
        let terminal = is_terminal(fd);
        let each_line = each_line || terminal;
        Sink { fd, each_line, terminal, text: Mutex::default(), waiting: AtomicBool::new(false) }
    }

    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Appends, and says what is to be passed on now.
    pub fn append(&self, data: &[u8], at_once: bool, each_line: bool) -> Pass {
        let length = {
            let mut text = lock(&self.text);
            self.waiting.store(true, Ordering::Relaxed);
            // What is large, or has no room, goes out from where it is.
            if data.len() >= LONGEST_LINE || text.try_reserve(data.len()).is_err() {
                return Pass::AllAndMore;
            }
            text.extend_from_slice(data);
            text.len()
        };
        if at_once || length >= LONGEST_LINE {
            return Pass::All;
        }
        let ends_line = |byte: &u8| matches!(byte, b'\n' | b'\r');
        if (length >= FULL || each_line || self.each_line) && data.iter().any(ends_line) {
            // After a bare CR something has been drawn that has no end.
            return if self.terminal || data.contains(&b'\r') { Pass::All } else { Pass::Lines };
        }
        Pass::Nothing
    }

    /// Passes on what has come together, all of it or the lines that are whole, and then `more`. Detached.
    pub fn pass_on(&self, all: bool, more: &[u8], stop: Stop) -> Result<(), Unwritten> {
        if more.is_empty() && !self.is_waiting() {
            return Ok(());
        }
        let Some(_turn) = TURNS[self.fd as usize - 1].take(stop) else {
            return Err(Unwritten::Stopped(Vec::new(), 0));
        };
        let mut text = self.take(all);
        let (mut left, mut more_left) = (&*text, more);
        match write_all(self.fd, &mut left, stop).and_then(|()| write_all(self.fd, &mut more_left, stop)) {
            Ok(()) => {
                self.written(text);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                let written = text.len() - left.len();
                text.drain(..written);
                Err(Unwritten::Stopped(text, more.len() - more_left.len()))
            }
            Err(error) => {
                self.written(text);
                // What is no errno cannot come from write() or poll().
                Err(Unwritten::Failed(error.raw_os_error().unwrap_or(libc::EIO)))
            }
        }
    }

    /// It is to go on after all. Without memory for what has come meanwhile, it is lost.
    pub fn put_back(&self, mut rest: Vec<u8>) {
        let mut text = lock(&self.text);
        if rest.try_reserve(text.len()).is_ok() {
            rest.extend_from_slice(&text);
            *text = rest;
        }
    }

    fn take(&self, all: bool) -> Vec<u8> {
        let mut text = lock(&self.text);
        let lines = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut rest = Vec::new();
        if !all && lines < text.len() && rest.try_reserve(text.len() - lines).is_ok() {
            rest.extend_from_slice(&text[lines..]);
            text.truncate(lines);
        }
        std::mem::replace(&mut *text, rest)
    }

    /// Not before now, because a run whose text another thread passes on has to wait for it. The larger buffer is used
    /// again, if it did not grow beyond reason.
    pub fn written(&self, mut used: Vec<u8>) {
        let mut text = lock(&self.text);
        self.waiting.store(!text.is_empty(), Ordering::Relaxed);
        if text.len() <= used.capacity() && text.capacity() < used.capacity() && used.capacity() <= 2 * FULL {
            used.clear();
            used.extend_from_slice(&text);
            *text = used;
        }
    }
}

/// Writes it all, in steps that do not block, so that whoever waits for a reader can be stopped.
fn write_all(fd: i32, text: &mut &[u8], stop: Stop) -> io::Result<()> {
    let step = if text.len() > PIPE_BUF && is_file(fd) { usize::MAX } else { PIPE_BUF };
    while !text.is_empty() {
        wait_writable(fd, stop)?;
        match write(fd, &text[..text.len().min(step)]) {
            Ok(written) => *text = &text[written..],
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Until there is room for PIPE_BUF bytes, or something to be told of.
fn wait_writable(fd: i32, stop: Stop) -> io::Result<()> {
    while !platform::wait_writable(fd, SLICE) {
        if stop() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    Ok(())
}

/// Writes straight to the descriptor of stderr: for what no interpreter can say any more. Parts of a text, which may be
/// larger than there is memory for it as a whole.
pub fn print_error(parts: &[&str]) {
    // A closed stderr leaves nobody to tell.
    let _turn = TURNS[1].take(NEVER);
    let _ = parts.iter().try_for_each(|part| write_all(2, &mut part.as_bytes(), NEVER));
}
