//! What an interpreter's process asks about queues, which are the host's.

use std::sync::Arc;
use std::time::Instant;

use super::super::error::Error;
use super::{Conversation, Given};
use crate::process::channel::Stop;
use crate::process::message::{Done, Outcome, Patience, QueueAct};
use crate::process::talk::Unsaid;
use crate::python::attach::detached;
use crate::python::loaded_api;
use crate::python::output::waiting;
use crate::python::queue::{For, Not, Queue, Waited};
use crate::value::OwnedValue;

/// What is replied, or the conversation is over.
type Served = Result<(Outcome, Option<OwnedValue>), Box<Error>>;

impl From<Not> for Outcome {
    fn from(not: Not) -> Outcome {
        match not {
            Not::Now => Outcome::Now,
            Not::Open => Outcome::Closed,
            Not::NoMemory => Outcome::NoMemory,
            Not::Event(errno) => Outcome::NoEvent(errno),
        }
    }
}

/// A limit beyond what the clock can tell is none.
fn end(patience: Patience) -> Option<Instant> {
    patience.time.and_then(|time| Instant::now().checked_add(time))
}

fn done() -> Served {
    Ok((Outcome::Done, None))
}

fn int(number: i64) -> Served {
    Ok((Outcome::Done, Some(OwnedValue::int(number))))
}

impl Conversation<'_> {
    /// `item` is what is to be put.
    pub(super) fn serve_queue(&self, id: u64, act: QueueAct, item: OwnedValue) -> Result<(), Box<Error>> {
        let queues = &self.elsewhere.queues;
        let served = match act {
            QueueAct::New { capacity } => {
                let id = Queue::new(capacity).and_then(|queue| queues.give(&queue));
                id.map_or(Ok((Outcome::NoMemory, None)), |id| int(id as i64))
            }
            QueueAct::Find => Ok((queues.find(id).map_or(Outcome::Gone, |_| Outcome::Done), None)),
            QueueAct::Free { given, named } => {
                drop(queues.free(id, given, named));
                done()
            }
            QueueAct::Event { room } => self.event(id, if room { For::Room } else { For::Item }),
            act => match queues.get(id) {
                Some(queue) => self.with_queue(&queue, act, item),
                None => Ok((Outcome::Gone, None)),
            },
        };
        let (outcome, value) = served?;
        let item = matches!(act, QueueAct::Get(_)) && value.is_some();
        let mut done = Done { value, word: outcome.to_word() };
        let mut given = Given::to(self.elsewhere);
        let said = self.line.talk.reply(&done, &mut |value| self.describe(value, &mut given));
        match said {
            Ok(()) => {
                given.are_there();
                Ok(())
            }
            Err(Unsaid::Stop(stop)) => Err(self.over(stop)),
            Err(Unsaid::NotWritten(why)) => {
                if let (true, Some(queue), Some(value)) = (item, queues.get(id), done.value.take()) {
                    queue.put_back(value);
                }
                let failed = Error::from(why).into();
                self.say(|this| this.line.talk.fail(&failed))
            }
        }
    }

    fn event(&self, id: u64, wanted: For) -> Served {
        match self.elsewhere.queues.event(id, wanted) {
            // The process gets it at any time from now on.
            Ok((number, event)) if self.elsewhere.event(number, &event) => int(number as i64),
            Ok(_) => Err(self.over(Stop::Broken)),
            Err(not) => Ok((not.map_or(Outcome::Gone, Outcome::from), None)),
        }
    }

    fn with_queue(&self, queue: &Arc<Queue>, act: QueueAct, item: OwnedValue) -> Served {
        match act {
            QueueAct::Get(patience) => Ok(match self.until(queue, For::Item, patience, || queue.get())? {
                // For whom it has waited may be dead by now: then it is for others.
                Ok(item) if self.elsewhere.has_ended() => {
                    queue.put_back(item);
                    (Outcome::Look, None)
                }
                Ok(item) => (Outcome::Done, Some(item)),
                Err(outcome) => (outcome, None),
            }),
            QueueAct::Put(_, patience) => {
                let mut item = Some(item);
                let put = self.until(queue, For::Room, patience, || queue.put(&mut item))?;
                Ok((put.err().unwrap_or(Outcome::Done), None))
            }
            QueueAct::PutBack(_) => {
                queue.put_back(item);
                done()
            }
            QueueAct::Wait { room, patience } => {
                let wanted = if room { For::Room } else { For::Item };
                let waited = self.wait(queue, wanted, end(patience), patience.looks)?;
                Ok((waited.unwrap_or(Outcome::Done), None))
            }
            QueueAct::Len => int(queue.len() as i64),
            QueueAct::Capacity => int(queue.capacity()),
            QueueAct::IsClosed => int(queue.is_closed().into()),
            QueueAct::Close => {
                queue.close();
                done()
            }
            QueueAct::New { .. } | QueueAct::Find | QueueAct::Free { .. } | QueueAct::Event { .. } => {
                Err(self.breaks("a queue is not asked for that"))
            }
        }
    }

    /// Tries until it is done, or the wait is over.
    fn until<R>(
        &self,
        queue: &Arc<Queue>,
        wanted: For,
        patience: Patience,
        mut attempt: impl FnMut() -> Result<R, Not>,
    ) -> Result<Result<R, Outcome>, Box<Error>> {
        let mut until = None;
        loop {
            match attempt() {
                Ok(done) => return Ok(Ok(done)),
                Err(Not::Now) if patience.time.is_some_and(|time| time.is_zero()) => return Ok(Err(Outcome::Now)),
                Err(Not::Now) => {}
                Err(not) => return Ok(Err(not.into())),
            }
            let until = *until.get_or_insert_with(|| end(patience));
            if let Some(outcome) = self.wait(queue, wanted, until, patience.looks)? {
                return Ok(Err(outcome));
            }
        }
    }

    /// Waits until there may be what is wanted. What is replied if there is not.
    fn wait(
        &self,
        queue: &Arc<Queue>,
        wanted: For,
        until: Option<Instant>,
        looks: u64,
    ) -> Result<Option<Outcome>, Box<Error>> {
        let queues = &self.elsewhere.queues;
        let Some(_waiting) = queues.at(queue) else { return Ok(Some(Outcome::NoMemory)) };
        self.woken_by(queue, || {
            loop {
                let given_up = self.given_up();
                let next = until.into_iter().chain(given_up).min();
                let stop = || queues.is_to_look(looks) || self.is_to_tell();
                match queue.wait(wanted, next, &stop) {
                    Waited::Look => return Ok(None),
                    Waited::Stopped if queues.is_to_look(looks) => return Ok(Some(Outcome::Look)),
                    // The process has its run end, and so this wait.
                    Waited::Stopped => self.tell(),
                    Waited::Late if next == until => return Ok(Some(Outcome::Now)),
                    Waited::Late => return Err(self.over(Stop::Late)),
                }
            }
        })
    }

    /// Waits without any GIL, and is woken when the run is to end.
    fn woken_by<R>(&self, queue: &Arc<Queue>, wait: impl FnOnce() -> R) -> R {
        let wait = || detached(loaded_api(), || waiting(wait));
        match self.limited {
            Some((limited, _)) => limited.here.waiting(queue, format_args!("a queue"), |_| wait()),
            None => wait(),
        }
    }
}
