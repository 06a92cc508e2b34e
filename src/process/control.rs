//! What host, zygote and workers say to each other beside what is run: short messages over sockets. Nothing of it
//! is believed: what makes no sense is taken as the end of who sends it.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::system::{Received, receive, send};

/// A message. The descriptors that go with it are beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// From a zygote, or about a worker: it will not be there. The program that a zygote begins with says it so too.
    Failed(String),
    /// From a zygote: it forks from now on.
    Started,
    /// To a zygote: fork this worker. Its socket, the pipe for its traceback, and its working directory.
    Fork(u64),
    /// From a zygote over a new worker's socket: the process. A pidfd of it.
    Forked(i32),
    /// From a zygote: this worker has ended, and how, as wait() says it.
    Ended(u64, i32),
    /// From a worker: it listens from now on.
    Ready,
    /// To a worker.
    Ping(u64),
    /// The answer, with the same number.
    Pong(u64),
    /// To a worker, first of all: what it is to be, in a file (`Settings`).
    Settings,
    /// To a worker: a channel for another thread that does what it is told.
    Channel,
    /// From a worker: a thread of Python's wants to ask the host something. And the channel for it, or none.
    Wanted,
    Granted,
    /// To a worker: memory of the host's, which it maps. Its file.
    Region {
        id: u64,
        len: u64,
        writable: bool,
    },
    /// To a worker, and from it: a copy of memory, for one value. Its file.
    Copy {
        id: u64,
        len: u64,
    },
    /// To a worker: that memory is needed no more.
    Forget(u64),
    /// From a worker: nobody there has the function or the buffer with this number any more.
    Released(u64),
    /// To a worker: the run with this number is to end.
    Stop(u64),
    /// To a worker: all that runs is to end.
    Interrupt,
    /// From a worker: whoever waits at a queue for it is to look around.
    Look,
    /// To a worker: a descriptor that it has asked for, by the number of it.
    Event(u64),
}

/// A text begins with none of these bytes.
const STARTED: u8 = 1;
const FORK: u8 = 2;
const FORKED: u8 = 3;
const ENDED: u8 = 4;
const READY: u8 = 5;
const PING: u8 = 6;
const PONG: u8 = 7;
const SETTINGS: u8 = 13;
const CHANNEL: u8 = 8;
const WANTED: u8 = 9;
const GRANTED: u8 = 10;
const STOP: u8 = 11;
const INTERRUPT: u8 = 12;
const REGION: u8 = 14;
const READ_ONLY: u8 = 15;
const COPY: u8 = 16;
const FORGET: u8 = 17;
const RELEASED: u8 = 18;
const LOOK: u8 = 20;
const EVENT: u8 = 21;
const FIRST_OF_TEXT: u8 = b' ';
const LONGEST_TEXT: usize = 4096;

impl Note {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let number = |tag, number: &u64| [&[tag][..], &number.to_le_bytes()].concat();
        let two = |tag, first: &u64, second: &u64| [&number(tag, first)[..], &second.to_le_bytes()].concat();
        match self {
            Note::Failed(text) => {
                let text = text.trim_start();
                let end = (0..=LONGEST_TEXT.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
                text.as_bytes()[..end.unwrap_or_default()].to_vec()
            }
            Note::Started => vec![STARTED],
            Note::Fork(worker) => number(FORK, worker),
            Note::Forked(process) => [&[FORKED][..], &process.to_le_bytes()].concat(),
            Note::Ended(worker, status) => [&number(ENDED, worker)[..], &status.to_le_bytes()].concat(),
            Note::Ready => vec![READY],
            Note::Ping(id) => number(PING, id),
            Note::Pong(id) => number(PONG, id),
            Note::Settings => vec![SETTINGS],
            Note::Channel => vec![CHANNEL],
            Note::Wanted => vec![WANTED],
            Note::Granted => vec![GRANTED],
            Note::Stop(run) => number(STOP, run),
            Note::Interrupt => vec![INTERRUPT],
            Note::Region { id, len, writable } => two(if *writable { REGION } else { READ_ONLY }, id, len),
            Note::Copy { id, len } => two(COPY, id, len),
            Note::Forget(id) => number(FORGET, id),
            Note::Released(id) => number(RELEASED, id),
            Note::Look => vec![LOOK],
            Note::Event(event) => number(EVENT, event),
        }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Note> {
        let (&tag, rest) = bytes.split_first()?;
        let number = || Some(u64::from_le_bytes(rest.try_into().ok()?));
        let two = || {
            let (first, second) = rest.split_first_chunk()?;
            Some((u64::from_le_bytes(*first), u64::from_le_bytes(second.try_into().ok()?)))
        };
        Some(match tag {
            FIRST_OF_TEXT.. => Note::Failed(String::from_utf8_lossy(bytes).into_owned()),
            STARTED if rest.is_empty() => Note::Started,
            FORK => Note::Fork(number()?),
            FORKED => Note::Forked(i32::from_le_bytes(rest.try_into().ok()?)),
            ENDED => {
                let (worker, status) = rest.split_first_chunk()?;
                Note::Ended(u64::from_le_bytes(*worker), i32::from_le_bytes(status.try_into().ok()?))
            }
            READY if rest.is_empty() => Note::Ready,
            PING => Note::Ping(number()?),
            PONG => Note::Pong(number()?),
            SETTINGS if rest.is_empty() => Note::Settings,
            CHANNEL if rest.is_empty() => Note::Channel,
            WANTED if rest.is_empty() => Note::Wanted,
            GRANTED if rest.is_empty() => Note::Granted,
            STOP => Note::Stop(number()?),
            INTERRUPT if rest.is_empty() => Note::Interrupt,
            REGION | READ_ONLY => two().map(|(id, len)| Note::Region { id, len, writable: tag == REGION })?,
            COPY => two().map(|(id, len)| Note::Copy { id, len })?,
            FORGET => Note::Forget(number()?),
            RELEASED => Note::Released(number()?),
            LOOK if rest.is_empty() => Note::Look,
            EVENT => Note::Event(number()?),
            _ => return None,
        })
    }

    /// Does not wait: WouldBlock when there is no room.
    pub fn send(&self, socket: BorrowedFd, descriptors: &[BorrowedFd]) -> io::Result<()> {
        send(socket, &self.to_bytes(), descriptors)
    }

    /// Does not wait: WouldBlock when there is none. UnexpectedEof when there will be none any more.
    pub fn receive(socket: BorrowedFd) -> io::Result<(Note, Vec<OwnedFd>)> {
        let (bytes, descriptors): Received = receive(socket)?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let note = Note::from_bytes(&bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok((note, descriptors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_as_they_went() {
        let notes = [
            Note::Failed("no".into()),
            Note::Started,
            Note::Fork(u64::MAX),
            Note::Forked(7),
            Note::Ended(1, -1),
            Note::Ready,
            Note::Ping(2),
            Note::Pong(3),
            Note::Settings,
            Note::Channel,
            Note::Wanted,
            Note::Granted,
            Note::Stop(4),
            Note::Interrupt,
            Note::Region { id: 5, len: u64::MAX, writable: true },
            Note::Region { id: 6, len: 1, writable: false },
            Note::Copy { id: 7, len: 8 },
            Note::Forget(9),
            Note::Released(10),
            Note::Look,
            Note::Event(5),
        ];
        for note in notes {
            let bytes = note.to_bytes();
            assert_eq!(Note::from_bytes(&bytes).as_ref(), Some(&note));
            // Neither a part of it nor more than it is anything, unless it is a text.
            if !matches!(note, Note::Failed(_)) {
                assert_eq!(Note::from_bytes(&bytes[..bytes.len() - 1]), None, "{note:?}");
                assert_eq!(Note::from_bytes(&[&bytes[..], &[0]].concat()), None, "{note:?}");
            }
        }
        assert_eq!(Note::from_bytes(&[0]), None);
        assert_eq!(Note::from_bytes(&[19]), None);
        let long = Note::Failed("\u{e9}".repeat(LONGEST_TEXT)).to_bytes();
        assert_eq!(Note::from_bytes(&long), Some(Note::Failed("\u{e9}".repeat(LONGEST_TEXT / 2))));
        assert_eq!(Note::Failed("\n\tno".into()).to_bytes(), b"no");
    }
}
