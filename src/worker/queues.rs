//! Queues, which are the host's: it is asked for all that is done with them.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::control::Control;
use super::line::ask;
use crate::manager::{Error, For, HostQueues, Kind, NotQueued, QueueCount, QueuePatience, QueueRefused};
use crate::process::message::{Done, Outcome, Patience, QueueAct, Reply, Request};
use crate::value::{OwnedValue, View};

/// The queues that nobody has here any more: what the host is to be told.
static FREED: Mutex<VecDeque<(u64, u64, u64)>> = Mutex::new(VecDeque::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn freed() -> MutexGuard<'static, VecDeque<(u64, u64, u64)>> {
    FREED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the host of those.
pub fn tell_freed() {
    while COUNT.load(Ordering::Relaxed) > 0 {
        let next = {
            let mut freed = freed();
            let next = freed.pop_front();
            COUNT.store(freed.len(), Ordering::Relaxed);
            next
        };
        let Some((queue, given, named)) = next else { return };
        // When it cannot be told, the host hears of it at the end of this process; for lack of memory, the next time.
        let told = ask(&Request::Queue { queue, act: QueueAct::Free { given, named } });
        if matches!(told, Err(Error { kind: Kind::NoMemory, .. })) {
            let mut freed = freed();
            if freed.try_reserve(1).is_ok() {
                freed.push_front((queue, given, named));
                COUNT.store(freed.len(), Ordering::Relaxed);
            }
            return;
        }
    }
}

/// The host, as queues ask it.
pub struct Queues(pub Arc<Control>);

fn act(queue: u64, act: QueueAct) -> Result<Done, QueueRefused> {
    tell_freed();
    let done = match ask(&Request::Queue { queue, act }) {
        Ok(Reply::Done(done)) => done,
        Ok(Reply::Failed(failed)) => return Err(refused(&(*failed).into())),
        // It had no memory for what it was asked.
        Ok(Reply::Raised(raised)) if raised.kind == "MemoryError" => {
            return Err(QueueRefused::Not(NotQueued::NoMemory));
        }
        Ok(Reply::Raised(raised)) => return Err(QueueRefused::Failed(raised.message)),
        Err(error) => return Err(refused(&error)),
    };
    Err(match Outcome::of_word(done.word) {
        Outcome::Done => return Ok(done),
        Outcome::Now => QueueRefused::Not(NotQueued::Now),
        Outcome::Closed => QueueRefused::Not(NotQueued::Open),
        Outcome::NoMemory => QueueRefused::Not(NotQueued::NoMemory),
        Outcome::NoEvent(errno) => QueueRefused::Not(NotQueued::Event(errno)),
        Outcome::Look => QueueRefused::Look,
        Outcome::Gone => QueueRefused::Gone,
    })
}

fn refused(error: &Error) -> QueueRefused {
    match error.kind {
        Kind::NoMemory => QueueRefused::Not(NotQueued::NoMemory),
        Kind::NotShareable(_) | Kind::NotFound(_) | Kind::Elsewhere(_) => QueueRefused::Unshareable(error.to_string()),
        _ => QueueRefused::Failed(error.to_string()),
    }
}

fn number(queue: u64, of: QueueAct) -> Result<i64, QueueRefused> {
    let done = act(queue, of)?;
    match done.value.as_ref().map(|value| value.as_ref().view()) {
        Some(View::Int(number)) => Ok(number),
        _ => Err(QueueRefused::Failed("the host has replied with no number".into())),
    }
}

fn patience(patience: QueuePatience) -> Patience {
    Patience { time: patience.time, looks: patience.looks }
}

impl HostQueues for Queues {
    fn make(&self, capacity: i64) -> Result<u64, QueueRefused> {
        number(0, QueueAct::New { capacity }).map(i64::cast_unsigned)
    }

    fn find(&self, id: u64) -> Result<(), QueueRefused> {
        act(id, QueueAct::Find).map(drop)
    }

    fn get(&self, id: u64, how_long: QueuePatience) -> Result<OwnedValue, QueueRefused> {
        let done = act(id, QueueAct::Get(patience(how_long)))?;
        done.value.ok_or_else(|| QueueRefused::Failed("the host has replied with no item".into()))
    }

    fn put(&self, id: u64, item: &OwnedValue, how_long: QueuePatience) -> Result<(), QueueRefused> {
        act(id, QueueAct::Put(item, patience(how_long))).map(drop)
    }

    fn put_back(&self, id: u64, item: &OwnedValue) -> Result<(), QueueRefused> {
        act(id, QueueAct::PutBack(item)).map(drop)
    }

    fn wait(&self, id: u64, wanted: For, how_long: QueuePatience) -> Result<(), QueueRefused> {
        act(id, QueueAct::Wait { room: wanted == For::Room, patience: patience(how_long) }).map(drop)
    }

    fn count(&self, id: u64, what: QueueCount) -> Result<i64, QueueRefused> {
        number(
            id,
            match what {
                QueueCount::Items => QueueAct::Len,
                QueueCount::Capacity => QueueAct::Capacity,
                QueueCount::Closed => QueueAct::IsClosed,
            },
        )
    }

    fn close(&self, id: u64) -> Result<(), QueueRefused> {
        act(id, QueueAct::Close).map(drop)
    }

    fn event(&self, id: u64, wanted: For) -> Result<OwnedFd, QueueRefused> {
        let event = number(id, QueueAct::Event { room: wanted == For::Room })?;
        let descriptor = self.0.event(event.cast_unsigned());
        descriptor.ok_or_else(|| QueueRefused::Failed("no descriptor is left in this process".into()))
    }

    fn look(&self) {
        self.0.look();
    }

    fn free(&self, id: u64, given: u64, named: u64) {
        let mut freed = freed();
        // Without memory for it the host keeps the queue until this process ends.
        if freed.try_reserve(1).is_ok() {
            freed.push_back((id, given, named));
            COUNT.store(freed.len(), Ordering::Relaxed);
        }
    }
}
