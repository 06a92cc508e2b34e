//! What a worker asks of its host about queues, which are the host's.

use std::time::Duration;

use super::super::wire::{Describe, NotRead, Reader, Restore, Sink, Writer};
use crate::value::{ERROR, NotCopied, OBJECT, OwnedValue};

/// What is asked about a queue.
#[derive(Clone, Copy)]
pub enum QueueAct<'a> {
    /// A new one: its id is not known yet.
    New {
        capacity: i64,
    },
    /// Whether there is one with this id.
    Find,
    Get(Patience),
    Put(&'a OwnedValue, Patience),
    /// What was taken is the first one again.
    PutBack(&'a OwnedValue),
    /// Until there is room, or something to get.
    Wait {
        room: bool,
        patience: Patience,
    },
    Len,
    Capacity,
    IsClosed,
    Close,
    /// A descriptor that tells whether there is room, or something to get. It comes beside, with the number that is replied
    /// (`Note::Event`).
    Event {
        room: bool,
    },
    /// It is given up: how often it was given, and named to the host.
    Free {
        given: u64,
        named: u64,
    },
}

/// How long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// None: for ever.
    pub time: Option<Duration>,
    /// So many looks (`Note::Look`) are over: a further one ends it.
    pub looks: u64,
}

/// What came of it: the reply's word. Numbers that are asked for are its value, as items are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// It is full, or empty.
    Now,
    Closed,
    /// Whoever waits is to look around.
    Look,
    NoMemory,
    /// There is no such queue.
    Gone,
    /// An errno: no descriptor is left.
    NoEvent(i32),
}

const NEW: u64 = 0;
const FIND: u64 = 1;
const GET: u64 = 2;
const PUT: u64 = 3;
const PUT_BACK: u64 = 4;
const WAIT: u64 = 5;
const LEN: u64 = 6;
const CAPACITY: u64 = 7;
const IS_CLOSED: u64 = 8;
const CLOSE: u64 = 9;
const EVENT: u64 = 10;
const FREE: u64 = 11;

/// Numbers as they are written: what is asked, and three of its own.
pub(super) type Numbers = [u64; 4];

const FOR_EVER: u64 = u64::MAX;

impl Patience {
    fn to_numbers(self) -> [u64; 2] {
        let time = self.time.map_or(FOR_EVER, |time| u64::try_from(time.as_nanos()).unwrap_or(FOR_EVER));
        [time, self.looks]
    }

    fn of_numbers(time: u64, looks: u64) -> Patience {
        Patience { time: (time != FOR_EVER).then(|| Duration::from_nanos(time)), looks }
    }
}

impl QueueAct<'_> {
    pub(super) fn write<S: Sink>(&self, writer: &mut Writer<S>, describe: &mut Describe) -> Result<(), NotCopied> {
        let patient = |act, room: bool, patience: Patience| {
            let [time, looks] = patience.to_numbers();
            [act, u64::from(room), time, looks]
        };
        let (numbers, item) = match *self {
            QueueAct::New { capacity } => ([NEW, capacity.cast_unsigned(), 0, 0], None),
            QueueAct::Find => ([FIND, 0, 0, 0], None),
            QueueAct::Get(patience) => (patient(GET, false, patience), None),
            QueueAct::Put(item, patience) => (patient(PUT, false, patience), Some(item)),
            QueueAct::PutBack(item) => ([PUT_BACK, 0, 0, 0], Some(item)),
            QueueAct::Wait { room, patience } => (patient(WAIT, room, patience), None),
            QueueAct::Len => ([LEN, 0, 0, 0], None),
            QueueAct::Capacity => ([CAPACITY, 0, 0, 0], None),
            QueueAct::IsClosed => ([IS_CLOSED, 0, 0, 0], None),
            QueueAct::Close => ([CLOSE, 0, 0, 0], None),
            QueueAct::Event { room } => ([EVENT, room.into(), 0, 0], None),
            QueueAct::Free { given, named } => ([FREE, given, named, 0], None),
        };
        numbers.iter().try_for_each(|number| writer.number(*number))?;
        item.map_or(Ok(()), |item| writer.block(item, describe))
    }

    /// The numbers, and the item that is to be put.
    pub(super) fn read(reader: &mut Reader, restore: &mut Restore) -> Result<(Numbers, OwnedValue), NotRead> {
        let mut numbers = [0; 4];
        for number in &mut numbers {
            *number = reader.number()? as u64;
        }
        if !matches!(numbers[0], PUT | PUT_BACK) {
            return Ok((numbers, OwnedValue::none()));
        }
        let item = reader.value(&mut |kind, got, builder| match kind {
            OBJECT | ERROR => {
                let message = "an object belongs to its interpreter and cannot be put into a queue";
                Err(NotCopied::NotShareable(message.into()))
            }
            kind => restore(kind, got, builder),
        })?;
        Ok((numbers, item))
    }

    pub(super) fn of(numbers: Numbers, item: &OwnedValue) -> Option<QueueAct<'_>> {
        let [act, first, second, third] = numbers;
        let (room, patience) = (first != 0, Patience::of_numbers(second, third));
        Some(match act {
            NEW => QueueAct::New { capacity: first.cast_signed() },
            FIND => QueueAct::Find,
            GET => QueueAct::Get(patience),
            PUT => QueueAct::Put(item, patience),
            PUT_BACK => QueueAct::PutBack(item),
            WAIT => QueueAct::Wait { room, patience },
            LEN => QueueAct::Len,
            CAPACITY => QueueAct::Capacity,
            IS_CLOSED => QueueAct::IsClosed,
            CLOSE => QueueAct::Close,
            EVENT => QueueAct::Event { room },
            FREE => QueueAct::Free { given: first, named: second },
            _ => return None,
        })
    }
}

impl Outcome {
    pub fn to_word(self) -> u64 {
        match self {
            Outcome::Done => 0,
            Outcome::Now => 1,
            Outcome::Closed => 2,
            Outcome::Look => 3,
            Outcome::NoMemory => 4,
            Outcome::Gone => 5,
            Outcome::NoEvent(errno) => 6 | u64::from(errno.cast_unsigned()) << 32,
        }
    }

    /// A host is believed.
    pub fn of_word(word: u64) -> Outcome {
        match word as u32 {
            0 => Outcome::Done,
            1 => Outcome::Now,
            2 => Outcome::Closed,
            3 => Outcome::Look,
            4 => Outcome::NoMemory,
            5 => Outcome::Gone,
            _ => Outcome::NoEvent(((word >> 32) as u32).cast_signed()),
        }
    }
}
