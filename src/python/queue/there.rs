//! A queue that is in another process: this one is an interpreter's, and its host has the queue. The host is asked for
//! everything; here is what it is asked by, and who has the queue.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use super::super::by_handle::ByHandle;
use super::super::fork::{forked, is_unlocked};
use super::super::lock;
use super::core::{For, Not};
use crate::platform::fd::{AsRawFd, OwnedFd};
use crate::value::OwnedValue;

/// How the host is asked: without any GIL, and not by many threads at once on one and the same.
pub trait Host: Send + Sync {
    /// A new queue. Its id, which counts as given once.
    fn make(&self, capacity: i64) -> Result<u64, Refused>;
    /// Whether there is such a queue, which counts as given once.
    fn find(&self, id: u64) -> Result<(), Refused>;
    fn get(&self, id: u64, patience: Patience) -> Result<OwnedValue, Refused>;
    fn put(&self, id: u64, item: &OwnedValue, patience: Patience) -> Result<(), Refused>;
    /// What has come is not needed: it is the first one again.
    fn put_back(&self, id: u64, item: &OwnedValue) -> Result<(), Refused>;
    fn wait(&self, id: u64, wanted: For, patience: Patience) -> Result<(), Refused>;
    fn count(&self, id: u64, what: Count) -> Result<i64, Refused>;
    fn close(&self, id: u64) -> Result<(), Refused>;
    /// A descriptor that is readable while there is what is wanted, or the queue is closed.
    fn event(&self, id: u64, wanted: For) -> Result<OwnedFd, Refused>;
    /// Whoever waits there for this process comes back (`Refused::Look`). It may be called with others' locks held.
    fn look(&self);
    /// Nobody has it here any more. It was given so many times, and named to the host so many times. The host need not
    /// hear of that at once. It may be called with the GIL.
    fn free(&self, id: u64, given: u64, named: u64);
}

/// How long something may take.
#[derive(Clone, Copy)]
pub struct Patience {
    /// None: for ever.
    pub time: Option<Duration>,
    /// How often this process had its waits end (`looks`) before it was looked whether there is a reason.
    pub looks: u64,
}

impl Patience {
    /// It must not wait.
    pub const NONE: Patience = Patience { time: Some(Duration::ZERO), looks: 0 };
}

/// A number that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Items,
    Capacity,
    /// 1: it is.
    Closed,
}

/// Why the host has not done it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    Not(Not),
    /// Whoever waits is to look around.
    Look,
    /// It has no such queue.
    Gone,
    /// The item cannot go from one process to the other.
    Unshareable(String),
    Failed(String),
}

static HOST: OnceLock<Box<dyn Host>> = OnceLock::new();
static LOOKS: AtomicU64 = AtomicU64::new(0);
static KNOWN: Mutex<Option<ByHandle<Weak<There>>>> = Mutex::new(None);

/// Nobody is in the middle of something here.
pub fn are_unlocked() -> bool {
    is_unlocked(&KNOWN)
}

/// From now on, this process's queues are its host's.
pub fn are_there(host: Box<dyn Host>) {
    let _ = HOST.set(host);
}

/// The host that has this process's queues, if it is not itself.
#[inline]
pub fn host() -> Option<&'static dyn Host> {
    HOST.get().map(|host| &**host)
}

/// Whoever waits at one looks around.
pub fn look() {
    if let Some(host) = host() {
        LOOKS.fetch_add(1, Ordering::SeqCst);
        host.look();
    }
}

/// How often that was.
pub fn looks() -> u64 {
    LOOKS.load(Ordering::SeqCst)
}

/// A queue of the host's.
pub struct There {
    pub id: u64,
    pub host: &'static dyn Host,
    /// How often the host has given it, and how often it was named to the host.
    given: AtomicU64,
    named: AtomicU64,
    /// It never changes.
    capacity: OnceLock<i64>,
    descriptors: [OnceLock<OwnedFd>; 2],
}

impl There {
    /// The host has given it once more. None: no memory, or the queues are here.
    pub fn given(id: u64) -> Option<Arc<There>> {
        let host = host()?;
        let mut known = lock(&KNOWN);
        let known = known.get_or_insert_default();
        if let Some(there) = known.get(&id).and_then(Weak::upgrade) {
            there.given.fetch_add(1, Ordering::Relaxed);
            return Some(there);
        }
        if known.try_reserve(1).is_err() {
            host.free(id, 1, 0);
            return None;
        }
        let (given, named) = (AtomicU64::new(1), AtomicU64::new(0));
        let (capacity, descriptors) = (OnceLock::new(), [const { OnceLock::new() }; 2]);
        let there = Arc::new(There { id, host, given, named, capacity, descriptors });
        known.insert(id, Arc::downgrade(&there));
        Some(there)
    }

    pub fn make(capacity: i64) -> Result<Arc<There>, Refused> {
        let host = host().ok_or(Refused::Gone)?;
        let there = There::given(host.make(capacity)?).ok_or(Refused::Not(Not::NoMemory))?;
        let _ = there.capacity.set(capacity);
        Ok(there)
    }

    pub fn find(id: u64) -> Result<Arc<There>, Refused> {
        let known = lock(&KNOWN).as_ref().and_then(|known| known.get(&id)?.upgrade());
        if let Some(there) = known {
            return Ok(there);
        }
        host().ok_or(Refused::Gone)?.find(id)?;
        There::given(id).ok_or(Refused::Not(Not::NoMemory))
    }

    pub fn count(&self, what: Count) -> Result<i64, Refused> {
        if what == Count::Capacity
            && let Some(capacity) = self.capacity.get()
        {
            return Ok(*capacity);
        }
        let count = self.host.count(self.id, what)?;
        if what == Count::Capacity {
            let _ = self.capacity.set(count);
        }
        Ok(count)
    }

    /// It stays open as long as this is there.
    pub fn descriptor(&self, wanted: For) -> Result<i32, Refused> {
        let place = &self.descriptors[wanted as usize];
        if place.get().is_none() {
            // Another thread may have been faster.
            let _ = place.set(self.host.event(self.id, wanted)?);
        }
        Ok(place.get().map_or(-1, AsRawFd::as_raw_fd))
    }
}

impl Drop for There {
    fn drop(&mut self) {
        if forked() {
            // A lock may be held by a thread that does not exist here; and the host hears of the parent alone.
            return;
        }
        if let Some(known) = &mut *lock(&KNOWN)
            && known.get(&self.id).is_some_and(|there| ptr::eq(there.as_ptr(), self))
        {
            known.remove(&self.id);
        }
        self.host.free(self.id, *self.given.get_mut(), *self.named.get_mut());
    }
}

/// It is named to the host in a message. When that was not sent after all, this is dropped.
pub struct Named(Option<Arc<There>>);

impl Named {
    pub fn new(there: Arc<There>) -> Named {
        there.named.fetch_add(1, Ordering::Relaxed);
        Named(Some(there))
    }

    /// The message has gone. Now the host waits for it before it gives the queue up.
    pub fn sent(mut self) {
        self.0 = None;
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Some(there) = &self.0 {
            there.named.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
