//! Things by handle. A stale or invented one finds nothing.

use std::sync::{Arc, Mutex};

use super::error::{Kind, Result};
use crate::python::by_handle::ByHandle;
use crate::python::lock;

type Shard<T> = Mutex<ByHandle<Arc<T>>>;

const SHARDS: usize = 64;

/// Things by handle. Neighbouring handles lie in different shards, so calls into different interpreters share no lock.
pub struct Registry<T> {
    shards: std::sync::LazyLock<Box<[Shard<T>; SHARDS]>>,
}

impl<T> Registry<T> {
    /// An empty one.
    pub const fn new() -> Registry<T> {
        Registry { shards: std::sync::LazyLock::new(|| Box::new(std::array::from_fn(|_| Mutex::default()))) }
    }

    fn shard(&self, handle: u64) -> &Shard<T> {
        &self.shards[handle as usize % SHARDS]
    }

    pub fn get(&self, handle: u64) -> Option<Arc<T>> {
        lock(self.shard(handle)).get(&handle).cloned()
    }

    /// On failure, for lack of memory, it is not there.
    pub fn insert(&self, handle: u64, thing: Arc<T>) -> Result<()> {
        let mut things = lock(self.shard(handle));
        things.try_reserve(1).map_err(|_| Kind::NoMemory)?;
        things.insert(handle, thing);
        Ok(())
    }

    /// What was removed is there again.
    pub fn put_back(&self, handle: u64, thing: Arc<T>) {
        lock(self.shard(handle)).insert(handle, thing);
    }

    /// One operation: looks at what is there and decides what is to be there. Returns that.
    pub fn settle(&self, handle: u64, decide: impl FnOnce(Option<Arc<T>>) -> Option<Arc<T>>) -> Option<Arc<T>> {
        let mut things = lock(self.shard(handle));
        let settled = decide(things.get(&handle).cloned());
        match &settled {
            Some(thing) => things.insert(handle, Arc::clone(thing)),
            None => things.remove(&handle),
        };
        settled
    }

    pub fn remove(&self, handle: u64) -> Option<Arc<T>> {
        lock(self.shard(handle)).remove(&handle)
    }

    /// All of them, in no order.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.shards.iter().flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Removes and returns all.
    pub fn drain(&self) -> Vec<Arc<T>> {
        self.shards.iter().flat_map(|shard| lock(shard).drain().map(|(_, thing)| thing).collect::<Vec<_>>()).collect()
    }
}

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
        assert_eq!(registry.settle(handle, |there| there).as_deref(), None);
        assert_eq!(registry.settle(handle, |there| there.or(Some(Arc::new(6)))).as_deref(), Some(&6));
        assert_eq!(registry.settle(handle, |there| there.or(Some(Arc::new(7)))).as_deref(), Some(&6));
        assert_eq!(registry.settle(handle, |_| None).as_deref(), None);
        assert!(registry.get(handle).is_none());
    }
}
