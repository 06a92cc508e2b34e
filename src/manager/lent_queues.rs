//! The host's queues that an interpreter's process has, and who waits at one for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::platform::Event;
use crate::process::child::Look;
use crate::python::lock;
use crate::python::queue::{For, Not, Place, Queue, Waiting, Waits, by_id};

/// Those of one process.
pub struct LentQueues {
    /// It may have any queue whose id it knows.
    finds_all: bool,
    known: Mutex<HashMap<u64, Lent>>,
    waits: Waits,
    /// How often the process had those look around who wait for it.
    looks: AtomicU64,
    is_gone: AtomicBool,
    last_event: AtomicU64,
}

/// A queue that the process has. When it gives it up it says how often it has got it, and how often it has named it: more
/// of both may be on its way through other channels.
struct Lent {
    queue: Arc<Queue>,
    given: u64,
    named: i64,
    events: [Option<Arc<Event>>; 2],
}

impl Lent {
    fn is_over(&self) -> bool {
        self.given == 0 && self.named == 0
    }
}

impl LentQueues {
    pub fn new(finds_all: bool) -> LentQueues {
        LentQueues {
            finds_all,
            known: Mutex::default(),
            waits: Waits::default(),
            looks: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
            last_event: AtomicU64::new(0),
        }
    }

    /// The process gets it once more. None: no memory.
    pub fn give(&self, queue: &Arc<Queue>) -> Option<u64> {
        let mut known = lock(&self.known);
        known.try_reserve(1).ok()?;
        let new = || Lent { queue: Arc::clone(queue), given: 0, named: 0, events: [None, None] };
        known.entry(queue.id).or_insert_with(new).given += 1;
        Some(queue.id)
    }

    /// The process gets the queue that has this id, if it may. None: there is none for it, or no memory.
    pub fn find(&self, id: u64) -> Option<u64> {
        let queue = if self.finds_all { by_id(id) } else { self.get(id) };
        self.give(&queue?)
    }

    /// A queue that it has.
    pub fn get(&self, id: u64) -> Option<Arc<Queue>> {
        lock(&self.known).get(&id).map(|lent| Arc::clone(&lent.queue))
    }

    /// A queue that it has named.
    pub fn named(&self, id: u64) -> Option<Arc<Queue>> {
        let mut known = lock(&self.known);
        let lent = known.get_mut(&id)?;
        lent.named = lent.named.wrapping_add(1);
        let queue = Arc::clone(&lent.queue);
        let over = if lent.is_over() { known.remove(&id) } else { None };
        // It has a share in the queue, which is the other one's now.
        drop(known);
        drop(over);
        Some(queue)
    }

    /// It has given it up; or it did not get it after all. What is returned is to be dropped where a host's code may run.
    pub fn free(&self, id: u64, given: u64, named: u64) -> Option<Arc<Queue>> {
        let mut known = lock(&self.known);
        let lent = known.get_mut(&id)?;
        lent.given = lent.given.saturating_sub(given);
        lent.named = lent.named.wrapping_sub_unsigned(named);
        if lent.is_over() { known.remove(&id).map(|lent| lent.queue) } else { None }
    }

    /// A descriptor for the process, and a number for it.
    pub fn event(&self, id: u64, wanted: For) -> Result<(u64, Arc<Event>), Option<Not>> {
        let queue = self.get(id).ok_or(None)?;
        let mut known = lock(&self.known);
        let place = &mut known.get_mut(&id).ok_or(None)?.events[wanted as usize];
        let event = match place {
            Some(event) => Arc::clone(event),
            None => Arc::clone(place.insert(queue.event(wanted)?)),
        };
        // The last share in the queue may be this one.
        drop(known);
        Ok((self.last_event.fetch_add(1, Ordering::Relaxed) + 1, event))
    }

    /// Somebody waits there for the process, until what is returned is dropped. None: no memory.
    pub fn at(&self, queue: &Arc<Queue>) -> Option<Waiting<'_>> {
        self.waits.at(Place::Here(Arc::clone(queue))).ok()
    }

    /// Whether there was a further look, or there will be none.
    pub fn is_to_look(&self, looks: u64) -> bool {
        self.looks.load(Ordering::SeqCst) > looks || self.is_gone.load(Ordering::SeqCst)
    }

    /// Those who wait for the process look around.
    pub fn look(&self, look: Look) {
        match look {
            Look::Wanted => drop(self.looks.fetch_add(1, Ordering::SeqCst)),
            Look::Gone => self.is_gone.store(true, Ordering::SeqCst),
        }
        self.waits.wake();
    }

    /// The process has ended. What it was woken for is for others.
    pub fn end(&self) {
        let known = std::mem::take(&mut *lock(&self.known));
        for lent in known.values() {
            lent.queue.pass_on(For::Item);
            lent.queue.pass_on(For::Room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_there(id: u64) -> bool {
        by_id(id).is_some()
    }

    #[test]
    fn it_has_what_it_was_given_and_has_not_given_up() {
        let (lent, queue) = (LentQueues::new(true), Queue::new(0).expect("memory"));
        let id = queue.id;
        assert!(lent.get(id).is_none() && lent.named(id).is_none());
        for _ in 0..3 {
            assert_eq!(lent.give(&queue), Some(id));
        }
        assert_eq!(lent.find(id), Some(id));
        drop(queue);
        assert!(lent.free(id, 3, 0).is_none() && is_there(id));
        assert!(lent.free(id, 1, 0).is_some() && !is_there(id));
        assert_eq!(lent.find(id), None);
    }

    /// It is named on one channel, and given up on another one, in whatever order that comes.
    #[test]
    fn it_stays_until_all_that_name_it_have_come() {
        for first in [true, false] {
            let (lent, queue) = (LentQueues::new(true), Queue::new(0).expect("memory"));
            let id = queue.id;
            lent.give(&queue);
            drop(queue);
            let mut named = Vec::new();
            if first {
                named.extend(lent.named(id));
            }
            assert!(lent.free(id, 1, 2).is_none() && is_there(id));
            while named.len() < 2 {
                named.push(lent.named(id).expect("it waits for it"));
            }
            assert!(lent.get(id).is_none() && is_there(id));
            drop(named);
            assert!(!is_there(id));
        }
    }

    #[test]
    fn one_that_is_locked_down_finds_only_what_it_was_given() {
        let (lent, queue, other) = (LentQueues::new(false), Queue::new(0), Queue::new(0));
        let (queue, other) = (queue.expect("memory"), other.expect("memory"));
        lent.give(&queue);
        assert_eq!(lent.find(queue.id), Some(queue.id));
        assert_eq!(lent.find(other.id), None);
        assert!(lent.event(other.id, For::Item).is_err());
    }

    /// What it says without sense costs it its own queues and nothing else.
    #[test]
    fn nonsense_is_its_own() {
        let (lent, queue) = (LentQueues::new(true), Queue::new(0).expect("memory"));
        lent.give(&queue);
        assert!(lent.free(queue.id, u64::MAX, u64::MAX).is_none());
        assert!(lent.named(queue.id).is_some());
        assert!(lent.free(queue.id, 7, 7).is_none());
        assert!(lent.free(77, 1, 1).is_none());
        lent.end();
        assert!(lent.get(queue.id).is_none() && is_there(queue.id));
    }

    #[test]
    fn it_looks_when_it_is_told_and_when_the_process_is_gone() {
        let lent = LentQueues::new(true);
        assert!(!lent.is_to_look(0));
        lent.look(Look::Wanted);
        assert!(lent.is_to_look(0) && !lent.is_to_look(1));
        lent.look(Look::Gone);
        assert!(lent.is_to_look(u64::MAX));
    }
}
