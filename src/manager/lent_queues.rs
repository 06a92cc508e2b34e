//! The host's queues that an interpreter's process has, and who waits at one for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::process::child::Look;
use crate::python::lock;
use crate::python::queue::{Event, For, Not, Place, Queue, Waiting, Waits, by_id};

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
