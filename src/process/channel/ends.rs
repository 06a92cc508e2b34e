//! A channel: messages between the host and a worker, who speak in turns. One says something, which gives the turn to
//! the other, and waits until that one has said something. So calls can be nested: who is asked may ask back.
//!
//! Most messages lie in the memory that both see. Larger ones go through it piece by piece: while one is read, the next
//! one is written beside it. So that memory stays as it is, whatever a message's size; what it takes for large ones is
//! given back when they are over.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::super::wire::Source;
use super::memory::{BYTES, HALF, HALVES, KEPT, ROOM, Shared};
use super::wait::{Calls, Spin, Turn, Wait, Waited, pass};

/// No message has more bytes: a text of 1 GiB has room, with all that is around it.
pub const LONGEST: usize = (1 << 30) + (1 << 20);

/// The worker may hide from the host that it was called; the host looks at least so often.
const LONGEST_SLEEP: Duration = Duration::from_millis(10);

/// An answer is often there before a sleep would have begun.
pub const SPIN: Duration = Duration::from_micros(10);
/// A piece of a large message takes longer, and is sure to come.
const SPIN_FOR_PIECE: Duration = Duration::from_micros(200);

/// After a large message, so many small ones go by until its memory is given back.
const PATIENCE: u32 = 64;

/// The fixed part of a message. What it means is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Header {
    pub op: u16,
    pub flags: u16,
    pub a: u64,
    pub b: u64,
}

/// A message that has come.
pub struct Message<'a> {
    pub header: Header,
    pub bytes: Bytes<'a>,
}

/// A message's bytes.
pub enum Bytes<'a> {
    /// Where they lie in the memory that both see. A worker may write to it meanwhile, so the host copies what it
    /// reads, and then looks at its copy.
    Shared { start: *const u8, len: usize, lives: PhantomData<&'a [u8]> },
    /// They came in pieces.
    Own(Vec<u8>),
}

impl Message<'_> {
    /// To be read: it is copied first.
    pub fn source(&self) -> Source<'_> {
        // SAFETY: the message borrows the channel, whose memory is there as long as it; and its size never changes.
        unsafe { Source::shared(self.bytes.start(), self.bytes.len()) }
    }
}

impl Bytes<'_> {
    /// They can be read as long as `self` lives.
    #[inline]
    pub fn start(&self) -> *const u8 {
        match self {
            Bytes::Shared { start, .. } => *start,
            Bytes::Own(bytes) => bytes.as_ptr(),
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Bytes::Shared { len, .. } => *len,
            Bytes::Own(bytes) => bytes.len(),
        }
    }
}

/// Why nothing was sent, or nothing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody in this process has called: [`Caller::poke`]. What was waited for may still come.
    Poked,
    /// Somebody has said that nothing will come any more: [`Caller::end`].
    Ended,
    /// The time is over. What was waited for may still come.
    Late,
    /// The other process does not keep to the rules. The channel is of no use any more.
    Broken,
    /// A message that cannot be sent, because it has more bytes than [`LONGEST`].
    TooLong,
    /// There was no memory for a message that has come. It is lost, and has to be answered as if it was there.
    NoMemory,
}

/// Memory, and what threads of this process want of one that waits there.
struct Ends {
    shared: Shared,
    calls: Calls,
}

/// Calls one that waits at a channel, from any thread of its process.
#[derive(Clone)]
pub struct Caller(Arc<Ends>);

impl Caller {
    /// The wait that is going on ends, or else the next one. It may also be one for something else: who was poked looks
    /// whether it is meant.
    pub fn poke(&self) {
        self.0.calls.poke(&self.0.shared.line().turn);
    }

    /// For when the other process is gone: what it has said before still comes, and nothing else.
    pub fn end(&self) {
        self.0.calls.end(&self.0.shared.line().turn);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Host,
    Worker,
}

/// A message of which not all pieces are here.
struct Part {
    header: Header,
    len: usize,
    come: usize,
    /// None: there was no memory. The rest has to come all the same.
    bytes: Option<Vec<u8>>,
}

impl Part {
    fn new(header: Header, len: usize) -> Part {
        let mut bytes = Vec::new();
        let allocated = bytes.try_reserve_exact(len).is_ok();
        Part { header, len, come: 0, bytes: allocated.then_some(bytes) }
    }
}

/// One end of a channel.
pub struct Channel {
    ends: Arc<Ends>,
    side: Side,
    turn: Turn,
    broken: bool,
    spin: Spin,
    spin_for_piece: Spin,
    /// The other process asks not to spin.
    crowded: bool,
    part: Option<Part>,
    /// Of the last message for which there was no memory.
    lost: Header,
    /// The host's: after so many small messages memory is given back; 0: there is none to be given back.
    patience: u32,
}

impl Channel {
    /// The host's end, which speaks first, and the descriptor for the worker's.
    pub fn create() -> io::Result<(Channel, OwnedFd)> {
        let (shared, file) = Shared::create()?;
        Ok((Channel::new(shared, Side::Host), file))
    }

    /// The worker's end. The host is trusted: it has made the memory.
    pub fn open(file: BorrowedFd) -> io::Result<Channel> {
        Ok(Channel::new(Shared::open(file)?, Side::Worker))
    }

    fn new(shared: Shared, side: Side) -> Channel {
        let ends = Arc::new(Ends { shared, calls: Calls::default() });
        Channel {
            ends,
            side,
            turn: Turn::FIRST,
            broken: false,
            spin: Spin::new(SPIN),
            spin_for_piece: Spin::new(SPIN_FOR_PIECE),
            crowded: false,
            part: None,
            lost: Header::default(),
            patience: 0,
        }
    }

    /// Forgets what has broken it.
    #[cfg(all(test, not(loom)))]
    pub fn start_anew(&mut self) {
        self.turn = Turn::FIRST;
        self.broken = false;
        self.part = None;
    }

    pub fn caller(&self) -> Caller {
        Caller(Arc::clone(&self.ends))
    }

    /// Whether it is for this end to speak.
    #[inline]
    pub fn has_turn(&self) -> bool {
        self.turn.is_hosts() == (self.side == Side::Host)
    }

    /// Says something: the bytes of all parts, one behind the other. Panics when the other one has the turn.
    ///
    /// After `TooLong` nothing was said, and something else can be. After `Ended` and `Broken` it is over. Between the
    /// pieces of a large message a poke is kept for later: only `Caller::end` ends a wait for one who does not read.
    #[inline]
    pub fn send(&mut self, header: Header, parts: &[&[u8]]) -> Result<(), Stop> {
        if self.broken {
            return Err(Stop::Broken);
        }
        // The other one had the turn when it ended.
        if !self.has_turn() && self.ends.calls.has_ended() {
            return Err(Stop::Ended);
        }
        assert!(self.has_turn(), "each speaks in turn");
        let len = parts.iter().try_fold(0_usize, |len, part| len.checked_add(part.len()));
        let len = len.filter(|len| *len <= LONGEST).ok_or(Stop::TooLong)?;
        if self.patience > 0 {
            self.wait_to_shrink();
        }
        self.see(len);
        let line = self.ends.shared.line();
        line.what.store(u32::from(header.op) | u32::from(header.flags) << 16, Relaxed);
        line.len.store(len as u64, Relaxed);
        line.a.store(header.a, Relaxed);
        line.b.store(header.b, Relaxed);
        if len > ROOM {
            return self.send_pieces(len, parts);
        }
        let mut at = BYTES;
        for part in parts {
            self.ends.shared.put(at, part);
            at += part.len();
        }
        self.pass();
        Ok(())
    }

    /// A message of so many bytes takes memory.
    #[inline]
    fn see(&mut self, len: usize) {
        if len > KEPT - BYTES && self.side == Side::Host {
            self.patience = PATIENCE;
        }
    }

    #[cold]
    fn wait_to_shrink(&mut self) {
        self.patience -= 1;
        if self.patience == 0 {
            self.ends.shared.shrink();
        }
    }

    #[cold]
    fn send_pieces(&mut self, len: usize, parts: &[&[u8]]) -> Result<(), Stop> {
        let mut parts = parts.iter();
        let mut part: &[u8] = &[];
        let mut sent = 0;
        let mut poked = false;
        while sent < len {
            if sent > 0 {
                // The other one says that it begins to read the last piece; the one before is read.
                match self.wait(true, None) {
                    Ok(()) => {}
                    // Half a message cannot stay unsaid.
                    Err(Stop::Poked) => {
                        poked = true;
                        continue;
                    }
                    Err(stop) => {
                        self.broken = true;
                        return Err(stop);
                    }
                }
            }
            let (start, end) = piece(sent, len);
            let mut at = start;
            while at < end {
                if part.is_empty() {
                    part = parts.next().expect("the parts have as many bytes as were counted");
                }
                let (now, later) = part.split_at(part.len().min(end - at));
                self.ends.shared.put(at, now);
                at += now.len();
                part = later;
            }
            sent += end - start;
            self.pass();
        }
        if poked {
            self.ends.calls.keep_poke();
        }
        Ok(())
    }

    /// Waits for what the other one says. Panics when this end has the turn.
    ///
    /// After `Poked` and `Late` it can be waited again. After `NoMemory` this end has the turn, as after a message.
    #[inline]
    pub fn receive(&mut self, until: Option<Instant>) -> Result<Message<'_>, Stop> {
        if self.broken {
            return Err(Stop::Broken);
        }
        assert!(!self.has_turn(), "each speaks in turn");
        self.wait(self.part.is_some(), until)?;
        let line = self.ends.shared.line();
        let what = line.what.load(Relaxed);
        let header =
            Header { op: what as u16, flags: (what >> 16) as u16, a: line.a.load(Relaxed), b: line.b.load(Relaxed) };
        let len = line.len.load(Relaxed);
        if self.part.is_some() || len > ROOM as u64 {
            return self.receive_pieces(header, len, until);
        }
        let len = len as usize;
        self.see(len);
        let start = self.ends.shared.bytes(len);
        Ok(Message { header, bytes: Bytes::Shared { start, len, lives: PhantomData } })
    }

    /// After `NoMemory`: the fixed part of what is lost.
    pub fn lost(&self) -> Header {
        self.lost
    }

    #[cold]
    fn receive_pieces(&mut self, header: Header, len: u64, until: Option<Instant>) -> Result<Message<'_>, Stop> {
        let mut part = match self.part.take() {
            Some(part) => part,
            None if len > LONGEST as u64 => return Err(self.breaks()),
            None => Part::new(header, len as usize),
        };
        self.see(part.len);
        loop {
            let (start, end) = piece(part.come, part.len);
            let is_last = part.come + (end - start) == part.len;
            if !is_last {
                // The other half is read, so the next piece may be written there.
                self.pass();
            }
            if let Some(bytes) = &mut part.bytes {
                self.ends.shared.take(start, end - start, bytes);
            }
            part.come += end - start;
            if is_last {
                self.lost = part.header;
                let bytes = part.bytes.ok_or(Stop::NoMemory)?;
                return Ok(Message { header: part.header, bytes: Bytes::Own(bytes) });
            }
            if let Err(stop) = self.wait(true, until) {
                self.part = Some(part);
                return Err(stop);
            }
        }
    }

    #[inline]
    fn pass(&mut self) {
        self.turn = self.turn.next();
        pass(&self.ends.shared.line().turn, self.turn);
    }

    /// Waits until this end has the turn.
    #[inline]
    fn wait(&mut self, piece: bool, until: Option<Instant>) -> Result<(), Stop> {
        let longest_sleep = (self.side == Side::Host).then_some(LONGEST_SLEEP);
        let (word, calls) = (&self.ends.shared.line().turn, &self.ends.calls);
        let wait = Wait { word, calls, passed: self.turn, until, longest_sleep };
        let spin = if piece { &mut self.spin_for_piece } else { &mut self.spin };
        match wait.wait(spin, self.crowded) {
            Waited::Turn { crowded } => {
                self.turn = self.turn.next();
                // The host knows better.
                self.crowded = crowded && self.side == Side::Worker;
                Ok(())
            }
            Waited::Poked => Err(Stop::Poked),
            Waited::Ended => Err(Stop::Ended),
            Waited::Late => Err(Stop::Late),
            Waited::Broken => Err(self.breaks()),
        }
    }

    #[cold]
    fn breaks(&mut self) -> Stop {
        self.broken = true;
        Stop::Broken
    }
}

/// Where the piece is, in one of the halves, that comes after so many bytes of a message.
fn piece(come: usize, len: usize) -> (usize, usize) {
    let start = HALVES[come / HALF % 2];
    (start, start + HALF.min(len - come))
}
