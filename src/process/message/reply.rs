//! What came of a request.

use super::super::wire::{Describe, NotRead, Reader, Restore, Sink, Source, Writer, none_to_get, none_to_send};
use super::failed::as_text;
use super::{Failed, Header};
use crate::value::{NotCopied, OwnedValue};

/// It was done.
#[derive(Default)]
pub struct Done {
    /// What it came to.
    pub value: Option<OwnedValue>,
    /// The handle that was asked for, or whether there was a next.
    pub word: u64,
}

/// A host's function raises this.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Raised {
    /// `ValueError` or `module:Type`
    pub kind: String,
    pub message: String,
    pub notes: Vec<String>,
    /// A number of the host's that stays with the exception; 0: none.
    pub tag: u64,
}

/// What came of it.
pub enum Reply {
    Done(Done),
    Failed(Box<Failed>),
    /// A host's alone.
    Raised(Box<Raised>),
}

const DONE: u16 = 0x100;
const FAILED: u16 = 0x101;
const RAISED: u16 = 0x102;

/// There is a value.
const VALUE: u16 = 1;

impl Done {
    /// A worker's, which has nothing to hide from its host.
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>, describe: &mut Describe) -> Result<Header, NotCopied> {
        self.written(|value| writer.block(value, describe))
    }

    /// A host's.
    pub fn write_hidden<S: Sink>(&self, writer: &mut Writer<S>, describe: &mut Describe) -> Result<Header, NotCopied> {
        self.written(|value| writer.owned(value, describe))
    }

    /// Reads one, if it has no more than a value that points nowhere. False: it is something else, and nothing was read.
    #[inline]
    pub fn fill<'a>(&mut self, header: Header, message: impl Into<Source<'a>>) -> bool {
        if header.op != DONE {
            return false;
        }
        let mut reader = Reader::new(message);
        let value = if header.flags & VALUE == 0 { None } else { reader.plain() };
        let is_all = (value.is_some() || header.flags & VALUE == 0) && reader.end().is_ok();
        if is_all {
            (self.value, self.word) = (value, header.a);
        }
        is_all
    }

    fn written(&self, write: impl FnOnce(&OwnedValue) -> Result<(), NotCopied>) -> Result<Header, NotCopied> {
        let flags = match &self.value {
            Some(value) => {
                write(value)?;
                VALUE
            }
            None => 0,
        };
        Ok(Header { op: DONE, flags, a: self.word, b: 0 })
    }
}

impl Failed {
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<Header, NotCopied> {
        // SAFETY: texts and numbers, which are there until it returns.
        self.as_value(|value| unsafe { writer.value(value, &mut none_to_send) }).ok_or(NotCopied::NoMemory)??;
        Ok(Header { op: FAILED, ..Header::default() })
    }
}

impl Raised {
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<Header, NotCopied> {
        writer.text(&self.kind)?;
        writer.text(&self.message)?;
        writer.number(self.notes.len() as u64)?;
        self.notes.iter().try_for_each(|note| writer.text(note))?;
        Ok(Header { op: RAISED, flags: 0, a: self.tag, b: 0 })
    }

    fn read(reader: &mut Reader, tag: u64) -> Result<Raised, NotRead> {
        let text = |reader: &mut Reader| as_text(reader.value(&mut none_to_get)?.as_ref());
        let (kind, message) = (text(reader)?, text(reader)?);
        let mut notes = Vec::new();
        for _ in 0..reader.number()? {
            let note = text(reader)?;
            notes.try_reserve(1).map_err(|_| NotRead::NO_MEMORY)?;
            notes.push(note);
        }
        Ok(Raised { kind, message, notes, tag })
    }
}

impl Reply {
    /// Whether a message is a reply, and no request.
    #[inline]
    pub fn is_one(header: Header) -> bool {
        header.op >= DONE
    }

    /// Reads one, and checks all of it.
    pub fn read<'a>(header: Header, message: impl Into<Source<'a>>, restore: &mut Restore) -> Result<Reply, NotRead> {
        let mut reader = Reader::new(message);
        let reply = match header.op {
            DONE => {
                let value = (header.flags & VALUE != 0).then(|| reader.value(restore)).transpose()?;
                Reply::Done(Done { value, word: header.a })
            }
            FAILED => {
                let value = reader.value(&mut none_to_get)?;
                Reply::Failed(Box::new(Failed::of_value(value.as_ref())?))
            }
            RAISED => Reply::Raised(Box::new(Raised::read(&mut reader, header.a)?)),
            op => return Err(NotRead::Damaged(format!("{op} is no reply"))),
        };
        reader.end().map(|()| reply)
    }
}
