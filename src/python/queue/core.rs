//! A queue: owned values in order, and those who wait for one, or for room. It knows nothing of Python, but that its end
//! may come where a GIL is held.
//!
//! Nobody is woken unless he sleeps, and then without the lock. Who waits looks out for a change first (`spin`). Who is woken looks again and takes what is there himself,
//! so nothing has to be handed over, nor taken back from one who does not come.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::super::attach::{detached, in_host};
use super::super::fork::forked;
use super::super::loaded_api;
use super::handles;
use super::spin::Spin;
use super::sync::{Condvar, Mutex, MutexGuard, SPINS, lock, sleep};
use crate::platform::Event;
use crate::value::OwnedValue;

/// Why something did not go in, or nothing came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Not {
    /// It is full, or empty.
    Now,
    /// It is closed; and empty, for who wants something out of it.
    Open,
    NoMemory,
    /// No descriptor is left.
    Event(i32),
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Something to get.
    Item,
    /// Room.
    Room,
}

/// Why a wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It may be there now.
    Look,
    Late,
    Stopped,
}

pub struct Queue {
    pub id: u64,
    /// No bound when it is not above 0.
    capacity: i64,
    state: Mutex<State>,
    item: Condvar,
    room: Condvar,
    /// How often something has come in, gone out, or all were woken: for those who look out for that without the lock.
    changes: AtomicUsize,
    /// Of those who wait for an item, and for room.
    spins: [Spin; 2],
}

#[derive(Default)]
struct State {
    items: VecDeque<OwnedValue>,
    /// How many sleep until there is an item, and until there is room.
    takers: usize,
    putters: usize,
    closed: bool,
    /// How often all were woken.
    wakes: u64,
    /// Made when they are asked for first.
    has_item: Option<Event>,
    has_room: Option<Event>,
    /// Those of other processes, and what they are readable for.
    others: Vec<(For, Weak<Event>)>,
}

impl Queue {
    /// None: no memory.
    pub fn new(capacity: i64) -> Option<Arc<Queue>> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let id = IDS.fetch_add(1, Ordering::Relaxed) + 1;
        let queue = Arc::new(Queue {
            id,
            capacity,
            state: Mutex::default(),
            item: Condvar::new(),
            room: Condvar::new(),
            changes: AtomicUsize::new(0),
            spins: [const { Spin::new() }; 2],
        });
        handles::know(&queue)?;
        Some(queue)
    }

    pub fn capacity(&self) -> i64 {
        self.capacity
    }

    pub fn len(&self) -> usize {
        lock(&self.state).items.len()
    }

    fn is_full(&self, state: &State) -> bool {
        self.capacity > 0 && state.items.len() as i64 >= self.capacity
    }

    /// What nobody can do now, or why it will never be possible; None: it can be done.
    fn not(&self, state: &State, wanted: For) -> Option<Not> {
        match wanted {
            For::Item if !state.items.is_empty() => None,
            _ if state.closed => Some(Not::Open),
            For::Room if !self.is_full(state) => None,
            _ => Some(Not::Now),
        }
    }

    /// Puts one in, if there is room: `item` is then taken.
    pub fn put(&self, item: &mut Option<OwnedValue>) -> Result<(), Not> {
        let mut state = lock(&self.state);
        if let Some(not) = self.not(&state, For::Room) {
            return Err(not);
        }
        state.items.try_reserve(1).map_err(|_| Not::NoMemory)?;
        state.items.extend(item.take());
        self.changed(state, For::Item);
        Ok(())
    }

    /// Takes the first one out.
    pub fn get(&self) -> Result<OwnedValue, Not> {
        let mut state = lock(&self.state);
        let Some(item) = state.items.pop_front() else { return Err(self.not(&state, For::Item).unwrap_or(Not::Now)) };
        // What was put back may be beyond the bound.
        if self.is_full(&state) {
            state.update(self);
        } else {
            self.changed(state, For::Room);
        }
        Ok(item)
    }

    /// What was taken out could not be delivered: it is the first one again, also beyond the bound.
    pub fn put_back(&self, item: OwnedValue) {
        let mut state = lock(&self.state);
        // There was room for it, but others may have filled that.
        if state.items.try_reserve(1).is_ok() {
            state.items.push_front(item);
        }
        self.changed(state, For::Item);
    }

    /// Something has come in, or there is room: one who waits for it is woken.
    fn changed(&self, mut state: MutexGuard<State>, what: For) {
        state.update(self);
        let sleeping = *state.sleeping(what);
        drop(state);
        self.tell();
        if sleeping > 0 {
            self.signal(what).notify_one();
        }
    }

    fn tell(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Waits until there may be what is wanted, or until it is late. `stop` is asked at first, and when all were woken
    /// (`wake_all`); without the lock, because it takes others.
    pub fn wait(&self, wanted: For, until: Option<Instant>, stop: &dyn Fn() -> bool) -> Waited {
        let mut state = lock(&self.state);
        let (mut asked, mut spun) = (None, !SPINS);
        loop {
            if self.not(&state, wanted) != Some(Not::Now) {
                return Waited::Look;
            }
            if asked != Some(state.wakes) {
                asked = Some(state.wakes);
                drop(state);
                let stopped = stop();
                state = lock(&self.state);
                if stopped {
                    return Waited::Stopped;
                }
                continue;
            }
            if !spun {
                spun = true;
                let before = self.changes.load(Ordering::Acquire);
                drop(state);
                self.spins[wanted as usize].until(|| self.changes.load(Ordering::Acquire) != before);
                state = lock(&self.state);
                continue;
            }
            *state.sleeping(wanted) += 1;
            let late;
            (state, late) = sleep(state, self.signal(wanted), until);
            *state.sleeping(wanted) -= 1;
            // It has looked since it was asleep last: it was not woken for what it does not take.
            if late {
                return Waited::Late;
            }
        }
    }

    fn signal(&self, wanted: For) -> &Condvar {
        match wanted {
            For::Item => &self.item,
            For::Room => &self.room,
        }
    }

    /// One who was woken has not taken what is there: it is for another one.
    pub fn pass_on(&self, wanted: For) {
        let state = lock(&self.state);
        if self.not(&state, wanted) != Some(Not::Now) {
            self.changed(state, wanted);
        }
    }

    /// All who wait look whether they are to stop.
    pub fn wake_all(&self) {
        lock(&self.state).wakes += 1;
        self.tell();
        self.item.notify_all();
        self.room.notify_all();
    }

    /// Nothing goes in any more.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.update(self);
        drop(state);
        self.tell();
        self.item.notify_all();
        self.room.notify_all();
    }

    pub fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// A descriptor that is readable while there is what is wanted, or the queue is closed.
    pub fn descriptor(&self, wanted: For) -> Result<i32, Not> {
        let mut state = lock(&self.state);
        if state.event(wanted).is_none() {
            *state.event(wanted) = Some(Event::new().map_err(Not::Event)?);
            state.update(self);
        }
        Ok(state.event(wanted).as_ref().map_or(-1, Event::descriptor))
    }

    /// Such a descriptor of one's own, for as long as it is kept: another process could write to the one that all have.
    pub fn event(&self, wanted: For) -> Result<Arc<Event>, Not> {
        let event = Arc::new(Event::new().map_err(Not::Event)?);
        let mut state = lock(&self.state);
        state.others.try_reserve(1).map_err(|_| Not::NoMemory)?;
        state.others.push((wanted, Arc::downgrade(&event)));
        state.update(self);
        Ok(event)
    }
}

thread_local! {
    /// What is in queues that are being dropped on this thread. A queue may be in a queue, and so on.
    static DROPPING: RefCell<Option<Vec<VecDeque<OwnedValue>>>> = const { RefCell::new(None) };
}

impl Drop for Queue {
    fn drop(&mut self) {
        if forked() {
            // A lock may be held by a thread that does not exist here.
            return;
        }
        handles::forget(self.id);
        let items = std::mem::take(&mut lock(&self.state).items);
        if items.is_empty() {
            return;
        }
        // One in the other they would need as much stack as there are. Who drops the first one drops all.
        let rest = DROPPING.try_with(|dropping| match &mut *dropping.borrow_mut() {
            Some(others) => {
                others.push(items);
                None
            }
            none => {
                *none = Some(Vec::new());
                Some(items)
            }
        });
        let mut next = rest.unwrap_or(None);
        while let Some(items) = next {
            // The end of a buffer calls the host, without any GIL.
            let items = Cell::new(items);
            if detached(loaded_api(), || in_host(|| drop(items.take()))).is_none() {
                // Without memory it is never told: its code must not run here.
                std::mem::forget(items);
            }
            next = DROPPING.with_borrow_mut(|dropping| {
                let next = dropping.as_mut().and_then(Vec::pop);
                if next.is_none() {
                    *dropping = None;
                }
                next
            });
        }
    }
}

impl State {
    fn sleeping(&mut self, wanted: For) -> &mut usize {
        match wanted {
            For::Item => &mut self.takers,
            For::Room => &mut self.putters,
        }
    }

    fn event(&mut self, wanted: For) -> &mut Option<Event> {
        match wanted {
            For::Item => &mut self.has_item,
            For::Room => &mut self.has_room,
        }
    }

    /// The descriptors say what is so now.
    fn update(&mut self, queue: &Queue) {
        for wanted in [For::Item, For::Room] {
            let so = queue.not(self, wanted) != Some(Not::Now);
            if let Some(event) = self.event(wanted) {
                event.set(so);
            }
        }
        if !self.others.is_empty() {
            self.update_others(queue);
        }
    }

    #[cold]
    fn update_others(&mut self, queue: &Queue) {
        let so = [For::Item, For::Room].map(|wanted| queue.not(self, wanted) != Some(Not::Now));
        self.others.retain(|(wanted, event)| {
            let event = event.upgrade();
            event.inspect(|event| event.set(so[*wanted as usize])).is_some()
        });
    }
}
