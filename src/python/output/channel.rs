//! Text on its way to a host's function: one queue for both streams, which keeps their order, and one call at a time.

use std::cell::Cell;
use std::collections::TryReserveError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::super::attach::in_host;
use super::super::lock;
use super::decode::Decoder;
use super::descriptor::SLICE;
use super::{FULL, Stop};
use crate::platform::this_thread;

/// The host's function: 1 or 2, and text that ends with a NUL, which is not part of it.
pub type Callback = Box<dyn FnMut(i32, &str) + Send>;

/// The same, lent for a run.
pub type RunOutput<'a> = &'a mut (dyn FnMut(i32, &str) + Send);

enum Piece {
    /// Text of a stream. There is room for the NUL.
    Text(i32, Vec<u8>),
    /// What comes now is for another function.
    Switch(Option<Callback>),
}

#[derive(Default)]
struct Queue {
    pieces: Vec<Piece>,
    /// The bytes in it.
    len: usize,
    decoders: [Decoder; 2],
    /// Not here while it is called.
    callback: Option<Callback>,
    /// Nothing will be called any more.
    closed: bool,
    /// How often something has come, and how much of that has been delivered.
    come: u64,
    delivered: u64,
    /// The thread that delivers, and how far it goes.
    delivering: Option<(usize, u64)>,
    /// Its function waits for something, which may be what waits for the delivery.
    blocked: bool,
    /// The memory of a piece that was delivered.
    spare: Vec<u8>,
}

#[derive(Default)]
pub struct Channel {
    queue: Mutex<Queue>,
    /// Something has been delivered.
    changed: Condvar,
    /// There is text, or some is being delivered. Changed with the lock; whoever has the GIL sees without it what was
    /// printed before.
    waiting: AtomicBool,
    /// What is printed now goes to a function. Changed with the lock.
    open: AtomicBool,
}

impl Channel {
    pub fn new(callback: Callback) -> Channel {
        let queue = Queue { callback: Some(callback), ..Queue::default() };
        Channel { queue: Mutex::new(queue), open: AtomicBool::new(true), ..Channel::default() }
    }

    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Appends, and says how much has come together. None: nobody takes it any more.
    pub fn append(&self, stream: i32, data: &[u8]) -> Result<Option<usize>, TryReserveError> {
        let mut queue = lock(&self.queue);
        if !self.is_open() {
            return Ok(None);
        }
        let decoded = queue.text(stream, |decoder, text| decoder.decode(data, text));
        self.has_come(&mut queue);
        decoded?;
        Ok(Some(queue.len))
    }

    fn has_come(&self, queue: &mut Queue) {
        queue.come += 1;
        self.waiting.store(true, Ordering::Relaxed);
    }

    /// From what is printed now on, another function is called; the one before gets what was printed before. Gives it
    /// back when none will be called any more. Detached.
    pub fn switch(&self, callback: Option<Callback>) -> Result<(), Option<Callback>> {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(callback);
        }
        self.open.store(callback.is_some(), Ordering::Relaxed);
        queue.pieces.push(Piece::Switch(callback));
        self.has_come(&mut queue);
        let come = queue.come;
        match &mut queue.delivering {
            // Whoever delivers comes to it: this may be the function itself, or one that waits for it.
            Some((_, until)) => *until = come,
            None => self.deliver_until(queue, come),
        }
        Ok(())
    }

    /// Delivers what has come so far, or waits until another thread has. It is left to the delivery that goes on by the
    /// function itself (at the end of a run that it has made), and by whom the function may be waiting for. False: it
    /// was to stop. Detached.
    pub fn deliver(&self, stop: Stop) -> bool {
        let mut queue = lock(&self.queue);
        let come = queue.come;
        while queue.delivered < come {
            let blocked = queue.blocked;
            match &mut queue.delivering {
                None => {
                    self.deliver_until(queue, come);
                    return true;
                }
                Some((thread, until)) if *thread == this_thread() || blocked => {
                    *until = come;
                    return true;
                }
                Some(_) => {}
            }
            queue = self.wait(queue);
            if queue.delivered < come && stop() {
                return false;
            }
        }
        true
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        self.changed.wait_timeout(queue, SLICE).unwrap_or_else(PoisonError::into_inner).0
    }

    fn deliver_until<'a>(&'a self, mut queue: MutexGuard<'a, Queue>, until: u64) {
        queue.delivering = Some((this_thread(), until));
        while queue.delivering.is_some_and(|(_, until)| queue.delivered < until) {
            let (pieces, come) = (std::mem::take(&mut queue.pieces), queue.come);
            let mut callback = queue.callback.take();
            queue.len = 0;
            drop(queue);
            let calling = Calling { channel: self, outer: CALLING.get() };
            CALLING.set(&raw const calling);
            let spare = call(&mut callback, pieces);
            CALLING.set(calling.outer);
            queue = lock(&self.queue);
            queue.callback = callback;
            queue.delivered = come;
            if spare.capacity() <= 2 * FULL {
                queue.spare = spare;
            }
            self.changed.notify_all();
        }
        queue.delivering = None;
        self.waiting.store(!queue.pieces.is_empty(), Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Delivers everything, for the last time, and lets the function go. Detached; nobody prints any more.
    pub fn close(&self) {
        let mut queue = lock(&self.queue);
        for stream in [1, 2] {
            // Without memory for three bytes they are lost.
            let _ = queue.text(stream, Decoder::finish);
        }
        self.has_come(&mut queue);
        queue.closed = true;
        self.open.store(false, Ordering::Relaxed);
        let come = queue.come;
        while queue.delivering.is_some_and(|(thread, _)| thread != this_thread()) {
            queue = self.wait(queue);
        }
        if queue.delivered < come {
            self.deliver_until(queue, come);
            queue = lock(&self.queue);
        }
        let callback = queue.callback.take();
        drop(queue);
        let_go(callback);
    }
}

impl Queue {
    /// Appends to a stream's text.
    fn text(
        &mut self,
        stream: i32,
        append: impl FnOnce(&mut Decoder, &mut Vec<u8>) -> Result<(), TryReserveError>,
    ) -> Result<(), TryReserveError> {
        if !matches!(self.pieces.last(), Some(Piece::Text(last, _)) if *last == stream) {
            self.pieces.try_reserve(1)?;
            self.pieces.push(Piece::Text(stream, std::mem::take(&mut self.spare)));
        }
        let Some(Piece::Text(_, text)) = self.pieces.last_mut() else { return Ok(()) };
        let before = text.len();
        let appended = append(&mut self.decoders[stream as usize - 1], text).and_then(|()| text.try_reserve(1));
        if appended.is_err() {
            text.truncate(before);
        }
        self.len += text.len() - before;
        appended
    }
}

/// This thread calls a channel's function, perhaps within that of another one.
struct Calling {
    channel: *const Channel,
    outer: *const Calling,
}

thread_local! {
    /// The innermost of this thread's.
    static CALLING: Cell<*const Calling> = const { Cell::new(ptr::null()) };
}

/// Waits for something that other threads do. When it is a host's function for text that does so, those threads must not
/// wait for it in turn.
pub fn waiting<R>(wait: impl FnOnce() -> R) -> R {
    if CALLING.get().is_null() {
        return wait();
    }
    set_blocked(true);
    let result = wait();
    set_blocked(false);
    result
}

fn set_blocked(blocked: bool) {
    let mut calling = CALLING.get();
    // SAFETY: each is further out on this thread's stack, in a delivery of its channel, which takes it out of the list.
    while let Some(Calling { channel, outer }) = unsafe { calling.as_ref() } {
        // SAFETY: as above.
        let channel = unsafe { &**channel };
        lock(&channel.queue).blocked = blocked;
        channel.changed.notify_all();
        calling = *outer;
    }
}

/// Calls the function for each piece. Whatever it does, the program goes on. Returns memory to be used again.
fn call(callback: &mut Option<Callback>, pieces: Vec<Piece>) -> Vec<u8> {
    let mut spare = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(stream, mut text) => {
                if let Some(callback) = callback.as_mut().filter(|_| !text.is_empty()) {
                    text.push(0);
                    // It comes from the decoder, which writes nothing else.
                    let text = std::str::from_utf8(&text).unwrap_or("\0");
                    let _ = catch_unwind(AssertUnwindSafe(|| in_host(|| callback(stream, text))));
                }
                text.clear();
                spare = text;
            }
            Piece::Switch(next) => let_go(std::mem::replace(callback, next)),
        }
    }
    spare
}

/// Tells the host that it is called no more. No lock is held.
pub fn let_go(callback: Option<Callback>) {
    if callback.is_none() {
        return;
    }
    // Without memory it is never told: its code must not run here.
    let callback = Cell::new(callback);
    if let Ok(None) = catch_unwind(AssertUnwindSafe(|| in_host(|| drop(callback.take())))) {
        std::mem::forget(callback);
    }
}
