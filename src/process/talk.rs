//! What is said on one channel, as either side says it: requests and replies, in turns. Who is asked may ask back before
//! it replies, so a reply is always that to the last request which has none.

use std::cell::{Cell, RefCell};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;
use std::{io, ptr};

use super::channel::{Caller, Channel, Stop};
use super::message::{Done, Failed, Header, Raised, Reply, Request, Run, ToRun};
use super::wire::{Describe, NotRead, Restore, Writer};
use crate::value::NotCopied;

/// The memory for what is written is given back when a message was longer.
const KEPT: usize = 64 << 10;

/// Why a message was not sent that has more bytes than a channel's longest.
const TOO_LONG: &str = "too large: no more than 1 GiB goes to or from an interpreter's process at once";

/// One end of a channel. It is of one thread at a time, which may be in several requests, one inside of the other.
pub struct Talk {
    channel: RefCell<Channel>,
    written: RefCell<Vec<u64>>,
    /// Room for the next request.
    room: Cell<Option<Box<ToRun>>>,
}

/// What the other side says.
pub enum Said {
    Request(Box<ToRun>),
    Reply(Reply),
    /// A reply, which was put where it is wanted.
    Done,
}

/// Why nothing was said.
#[derive(Debug)]
pub enum Unsaid {
    /// The message cannot be made. Something else can be said.
    NotWritten(NotCopied),
    /// It is over.
    Stop(Stop),
}

/// Why nothing was heard.
#[derive(Debug)]
pub enum Unheard {
    /// A request has come and could not be read: this side has the turn, and replies.
    NotRead(NotRead),
    /// The same of a reply.
    ReplyNotRead(NotRead),
    /// See [`Stop`].
    Stop(Stop),
}

impl Talk {
    /// The host's end, and the descriptor for the worker's.
    pub fn create() -> io::Result<(Talk, OwnedFd)> {
        let (channel, file) = Channel::create()?;
        Ok((Talk::new(channel), file))
    }

    /// The worker's end.
    pub fn open(file: BorrowedFd) -> io::Result<Talk> {
        Channel::open(file).map(Talk::new)
    }

    fn new(channel: Channel) -> Talk {
        Talk { channel: RefCell::new(channel), written: RefCell::default(), room: Cell::default() }
    }

    /// Wakes who waits here.
    pub fn caller(&self) -> Caller {
        self.channel.borrow().caller()
    }

    /// Asks the other side.
    #[inline]
    pub fn ask(&self, request: &Request, run: &Run, describe: &mut Describe) -> Result<(), Unsaid> {
        self.say(|writer| request.write(run, writer, describe))
    }

    /// A host's reply.
    #[inline]
    pub fn reply(&self, done: &Done, describe: &mut Describe) -> Result<(), Unsaid> {
        self.say(|writer| done.write_hidden(writer, describe))
    }

    /// A worker's reply.
    #[inline]
    pub fn answer(&self, done: &Done, describe: &mut Describe) -> Result<(), Unsaid> {
        self.say(|writer| done.write(writer, describe))
    }

    /// A reply that it was not done.
    pub fn fail(&self, failed: &Failed) -> Result<(), Unsaid> {
        match self.say(|writer| failed.write(writer)) {
            // The other side waits for a reply.
            Err(Unsaid::NotWritten(_)) => self.say(|writer| {
                let none = Failed { kind: failed.kind, ..Failed::default() };
                none.write(writer)
            }),
            said => said,
        }
    }

    /// A host's reply that its function raises something.
    pub fn raise(&self, raised: &Raised) -> Result<(), Unsaid> {
        match self.say(|writer| raised.write(writer)) {
            Err(Unsaid::NotWritten(_)) => {
                let short = Raised { kind: "MemoryError".into(), ..Raised::default() };
                self.say(|writer| short.write(writer))
            }
            said => said,
        }
    }

    #[inline]
    fn say(&self, write: impl FnOnce(&mut Writer<Vec<u64>>) -> Result<Header, NotCopied>) -> Result<(), Unsaid> {
        let mut written = self.written.borrow_mut();
        let mut writer = Writer::new(&mut *written);
        let header = write(&mut writer).map_err(Unsaid::NotWritten)?;
        let len = writer.finish();
        let bytes = bytes(&written, len);
        let sent = self.channel.borrow_mut().send(header, &[bytes]);
        if len > KEPT {
            *written = Vec::new();
        }
        sent.map_err(|stop| match stop {
            Stop::TooLong => Unsaid::NotWritten(NotCopied::NotShareable(TOO_LONG.into())),
            stop => Unsaid::Stop(stop),
        })
    }

    /// The request is needed no more.
    #[inline]
    pub fn served(&self, mut request: Box<ToRun>) {
        request.clear();
        self.room.set(Some(request));
    }

    /// What the other side says, when it says something.
    #[inline]
    pub fn hear(&self, until: Option<Instant>, restore: &mut Restore) -> Result<Said, Unheard> {
        self.heard(until, None, restore)
    }

    /// The same, for who has asked. Most replies are short, and are put into `done`: that is [`Said::Done`].
    #[inline]
    pub fn hear_reply(&self, until: Option<Instant>, done: &mut Done, restore: &mut Restore) -> Result<Said, Unheard> {
        self.heard(until, Some(done), restore)
    }

    #[inline(always)]
    fn heard(&self, until: Option<Instant>, done: Option<&mut Done>, restore: &mut Restore) -> Result<Said, Unheard> {
        let mut channel = self.channel.borrow_mut();
        let message = match channel.receive(until) {
            Ok(message) => message,
            Err(Stop::NoMemory) => return Err(unread(channel.lost(), NotRead::NO_MEMORY)),
            Err(stop) => return Err(Unheard::Stop(stop)),
        };
        let (header, source) = (message.header, message.source());
        if done.is_some_and(|done| done.fill(header, source)) {
            return Ok(Said::Done);
        }
        let said = if Reply::is_one(header) {
            Reply::read(header, source, restore).map(Said::Reply)
        } else {
            let mut request = self.room.take().unwrap_or_else(|| Box::new(ToRun::none()));
            match request.fill(header, source, restore) {
                Ok(()) => Ok(Said::Request(request)),
                Err(why) => {
                    self.served(request);
                    Err(why)
                }
            }
        };
        said.map_err(|why| unread(header, why))
    }
}

#[cold]
fn unread(header: Header, why: NotRead) -> Unheard {
    if Reply::is_one(header) { Unheard::ReplyNotRead(why) } else { Unheard::NotRead(why) }
}

/// The first so many bytes of the words.
fn bytes(words: &[u64], len: usize) -> &[u8] {
    assert!(len <= size_of_val(words), "no more was written than there is room");
    // SAFETY: initialised memory, of which there is so much.
    unsafe { std::slice::from_raw_parts(ptr::from_ref(words).cast(), len) }
}
