//! Things by handle. A stale or invented one finds nothing.

#[cfg(not(all(test, loom)))]
use std::hash::BuildHasherDefault;
use std::sync::Arc;
#[cfg(not(all(test, loom)))]
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::{Kind, Result};
use crate::python::by_handle::ByHandle;
#[cfg(all(test, loom))]
use crate::python::model::{Mutex, lock};
#[cfg(not(all(test, loom)))]
use crate::python::{fork::is_unlocked, lock};

type Shard<T> = Mutex<ByHandle<Arc<T>>>;

/// The model checker has no room for more.
const SHARDS: usize = if cfg!(all(test, loom)) { 2 } else { 64 };

/// Things by handle. Neighbouring handles lie in different shards, so calls into different interpreters share no lock.
pub struct Registry<T> {
    shards: Shards<T>,
    /// How many there are. Where there is none, nobody looks: a process may be forked while others do, and its child would
    /// find a lock that nobody gives back.
    count: AtomicUsize,
}

#[cfg(not(all(test, loom)))]
type Shards<T> = [Shard<T>; SHARDS];
#[cfg(all(test, loom))]
type Shards<T> = std::sync::LazyLock<Box<[Shard<T>; SHARDS]>>;

impl<T> Registry<T> {
    /// An empty one.
    pub const fn new() -> Registry<T> {
        #[cfg(not(all(test, loom)))]
        let shards = [const { Mutex::new(ByHandle::with_hasher(BuildHasherDefault::new())) }; SHARDS];
        #[cfg(all(test, loom))]
        let shards: Shards<T> = std::sync::LazyLock::new(|| Box::new(std::array::from_fn(|_| Mutex::default())));
        Registry { shards, count: AtomicUsize::new(0) }
    }

    fn shard(&self, handle: u64) -> &Shard<T> {
        &self.shards[handle as usize % SHARDS]
    }

    fn change<R>(&self, handle: u64, act: impl FnOnce(&mut ByHandle<Arc<T>>) -> R) -> R {
        let mut things = lock(self.shard(handle));
        let before = things.len();
        let result = act(&mut things);
        // More or fewer.
        self.count.fetch_add(things.len().wrapping_sub(before), Ordering::Release);
        result
    }

    /// Nobody is in the middle of something here.
    #[cfg(not(all(test, loom)))]
    pub fn is_unlocked(&self) -> bool {
        self.shards.iter().all(is_unlocked)
    }

    /// No model forks.
    #[cfg(all(test, loom))]
    pub fn is_unlocked(&self) -> bool {
        true
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    pub fn get(&self, handle: u64) -> Option<Arc<T>> {
        if self.is_empty() {
            return None;
        }
        lock(self.shard(handle)).get(&handle).cloned()
    }

    /// On failure, for lack of memory, it is not there.
    pub fn insert(&self, handle: u64, thing: Arc<T>) -> Result<()> {
        self.change(handle, |things| {
            things.try_reserve(1).map_err(|_| Kind::NoMemory)?;
            things.insert(handle, thing);
            Ok(())
        })
    }

    /// What was removed is there again.
    pub fn put_back(&self, handle: u64, thing: Arc<T>) {
        self.change(handle, |things| things.insert(handle, thing));
    }

    /// What is known still, or else what `make` makes. What is not known any more goes. One operation: nothing that another
    /// thread puts in meanwhile is removed or replaced.
    pub fn find(
        &self,
        handle: u64,
        is_known: impl FnOnce(&T) -> bool,
        make: impl FnOnce() -> Option<Arc<T>>,
    ) -> Option<Arc<T>> {
        self.change(handle, |things| {
            if let Some(thing) = things.get(&handle) {
                if is_known(thing) {
                    return Some(Arc::clone(thing));
                }
                things.remove(&handle);
                return None;
            }
            make().inspect(|made| drop(things.insert(handle, Arc::clone(made))))
        })
    }

    /// Puts a thing in, if `announce` agrees; whatever was there goes. One operation: nobody finds it before it is announced,
    /// and nobody who looks for it meanwhile takes it for gone.
    pub fn register(&self, handle: u64, thing: &Arc<T>, announce: impl FnOnce() -> bool) -> bool {
        self.change(handle, |things| {
            let agreed = announce();
            match agreed {
                true => things.insert(handle, Arc::clone(thing)),
                false => things.remove(&handle),
            };
            agreed
        })
    }

    pub fn remove(&self, handle: u64) -> Option<Arc<T>> {
        if self.is_empty() {
            return None;
        }
        self.change(handle, |things| things.remove(&handle))
    }

    /// All of them, in no order.
    pub fn all(&self) -> Vec<Arc<T>> {
        if self.is_empty() {
            return Vec::new();
        }
        self.shards.iter().flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Removes and returns all.
    pub fn drain(&self) -> Vec<Arc<T>> {
        let shards = (0..SHARDS as u64).filter(|_| !self.is_empty());
        shards
            .flat_map(|at| self.change(at, |things| things.drain().map(|(_, thing)| thing).collect::<Vec<_>>()))
            .collect()
    }
}

#[cfg(all(test, loom))]
mod model;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_handle_finds_nothing() {
        let registry = Registry::new();
        let handle = 1;
        registry.insert(handle, Arc::new(5)).unwrap();
        assert_eq!(registry.get(handle).as_deref(), Some(&5));
        assert_eq!(registry.all().len(), 1);
        assert!(registry.remove(handle).is_some());
        assert!(registry.get(handle).is_none() && registry.remove(handle).is_none());
        assert_eq!(registry.find(handle, |_| true, || None).as_deref(), None);
        assert_eq!(registry.find(handle, |_| true, || Some(Arc::new(6))).as_deref(), Some(&6));
        assert_eq!(registry.find(handle, |_| true, || Some(Arc::new(7))).as_deref(), Some(&6));
        assert!(registry.register(handle, &Arc::new(8), || true));
        assert_eq!(registry.get(handle).as_deref(), Some(&8));
        assert_eq!(registry.find(handle, |_| false, || Some(Arc::new(9))).as_deref(), None);
        assert!(registry.get(handle).is_none(), "what is not known goes");
        registry.put_back(handle, Arc::new(8));
        assert!(!registry.register(handle, &Arc::new(9), || false));
        assert!(registry.get(handle).is_none());
    }

    #[test]
    fn all_are_all_and_are_gone_when_they_were_drained() {
        let (registry, count) = (Registry::new(), 3 * SHARDS as u64);
        let sorted = |mut things: Vec<Arc<u64>>| {
            things.sort_unstable();
            things.into_iter().map(|thing| *thing).collect::<Vec<_>>()
        };
        (0..count).for_each(|handle| registry.insert(handle, Arc::new(handle)).unwrap());
        assert_eq!(sorted(registry.all()), (0..count).collect::<Vec<_>>());
        assert_eq!(sorted(registry.drain()), (0..count).collect::<Vec<_>>());
        assert!(registry.all().is_empty() && registry.get(1).is_none());
    }
}
