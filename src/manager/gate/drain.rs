//! Closing with time: nobody comes in any more, and who is in or waits gets as long as there is. Until it is decided the
//! gate can be as it was before.

use std::time::Duration;

use super::sync::{Moment, Ordering, lock, sleep};
use super::word::{
    AWAITED, CLOSED, DRAIN, DRAINING, NOT_OPEN, RUNS, SESSIONS, TELL, TURN_AWAY, UNDECIDED, VISIT, VISITS,
};
use super::{Gate, Refused, Visiting, in_the_way, refused};

/// Who is in the way of a close.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct InTheWay {
    pub runs: bool,
    pub sessions: bool,
}

/// Why a thread waits no longer for its turn.
pub fn turned_away(word: usize) -> Option<Refused> {
    refused(word).or_else(|| (word & TURN_AWAY != 0).then_some(Refused::Closing))
}

impl Gate {
    /// From now on newcomers are refused, but for those who are inside: `begin_close_drained` or `end_drain` follows. One
    /// thread at a time drains a gate. With `idle`, only if nobody is in, waits, or has a session. Another close, which
    /// has begun and is not decided, is waited for within the limit.
    pub fn begin_drain(&self, idle: bool, limit: Option<Duration>) -> Result<(), Refused> {
        let until = limit.map(Moment::after);
        loop {
            let queue = lock(&self.queue);
            let may = |word| word & (NOT_OPEN | DRAINING) == 0 && (!idle || word & !VISITS == 0);
            let begin = |word| may(word).then_some(word | DRAINING | TELL);
            let Err(word) = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin) else {
                return Ok(());
            };
            drop(queue);
            if word & UNDECIDED == 0 {
                return Err(in_the_way(word));
            }
            self.decided_until(word, None, until)?;
        }
    }

    /// Those who wait for their turn do not get it; if it drains still.
    pub fn turn_away(&self) {
        self.decide(|word| if word & DRAINING != 0 { word | TURN_AWAY } else { word });
    }

    /// Waits until the last one has left. False: not in time, or it drains no more. An error when somebody else ends the interpreter.
    pub fn wait_drained(&self, limit: Option<Duration>) -> Result<bool, Refused> {
        let until = limit.map(Moment::after);
        let mut queue = lock(&self.queue);
        loop {
            let word = self.load();
            if let Some(refused) = refused(word) {
                return Err(refused);
            }
            if word & !DRAIN == 0 {
                return Ok(true);
            }
            if word & DRAINING == 0 {
                return Ok(false);
            }
            let is_over;
            (queue, is_over) = sleep(queue, &self.changed, until);
            if is_over {
                return Ok(self.load() & !DRAIN == 0);
            }
        }
    }

    /// Lets the thread that drains it in for a moment, whatever runs.
    pub fn visit_drained(&self) -> Result<Visiting<'_>, Refused> {
        match self.add_unless(NOT_OPEN, VISIT) {
            Ok(()) => Ok(Visiting { gate: self }),
            Err(word) => Err(refused(word).unwrap_or(Refused::Closing)),
        }
    }

    pub fn in_the_way(&self) -> InTheWay {
        let word = self.load();
        InTheWay { runs: word & (RUNS | AWAITED) != 0, sessions: word & SESSIONS != 0 }
    }

    /// As `begin_close`, by the thread that drains it.
    pub fn begin_close_drained(&self) -> Result<(), Refused> {
        let begin = |word| (word & !DRAIN == 0).then_some(word | UNDECIDED);
        let begun = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin);
        begun.map(drop).map_err(|word| refused(word).unwrap_or(Refused::Running))
    }

    /// The gate is as it was before.
    pub fn end_drain(&self) {
        let queue = lock(&self.queue);
        // Whoever is the first in the queue waits to be told.
        let told = if queue.is_empty() { 0 } else { TELL };
        self.update(|word| if word & CLOSED != 0 { word } else { word & !DRAIN | told });
        self.changed.notify_all();
    }
}
