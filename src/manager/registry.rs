//! Handles: numbers for things that may be gone. A stale or invented one finds nothing; none is ever given twice.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex};

use crate::python::lock;

/// Bits 50 to 52 say what a handle is of, so all are below 2^53 (exact in a double) and above CPython's own ids.
const KIND_SHIFT: u32 = 50;
const GENERATION_SHIFT: u32 = 32;
const INTERPRETER: u64 = 1;
const FUNCTION: u64 = 2;
const THREAD: u64 = 3;

/// The handle of the interpreter that CPython calls `id`, in the n-th runtime of this process. CPython begins with 0
/// again in every runtime.
pub fn interpreter_handle(generation: u32, id: i64) -> Option<u64> {
    let fits = generation < 1 << (KIND_SHIFT - GENERATION_SHIFT) && (0..1 << GENERATION_SHIFT).contains(&id);
    fits.then(|| INTERPRETER << KIND_SHIFT | u64::from(generation) << GENERATION_SHIFT | id as u64)
}

/// CPython's id that is part of an interpreter's handle.
pub fn interpreter_id(handle: u64) -> Option<u64> {
    (handle >> KIND_SHIFT == INTERPRETER).then_some(handle & ((1 << GENERATION_SHIFT) - 1))
}

/// The handle of the n-th prepared function of this process.
pub fn function_handle(count: u64) -> u64 {
    FUNCTION << KIND_SHIFT | (count & ((1 << KIND_SHIFT) - 1))
}

/// The handle of the n-th thread of this process.
pub fn thread_handle(count: u64) -> u64 {
    THREAD << KIND_SHIFT | (count & ((1 << KIND_SHIFT) - 1))
}

/// Handles are spread well enough by themselves.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("handles are u64");
    }
    fn write_u64(&mut self, handle: u64) {
        // hashbrown takes its control bits from the top.
        self.0 = handle.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

type Shard<T> = Mutex<HashMap<u64, Arc<T>, BuildHasherDefault<Identity>>>;

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

    pub fn insert(&self, handle: u64, thing: Arc<T>) {
        lock(self.shard(handle)).insert(handle, thing);
    }

    /// What is there already, or else what `make` makes.
    pub fn get_or_insert(&self, handle: u64, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        Arc::clone(lock(self.shard(handle)).entry(handle).or_insert_with(make))
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
    fn handles_say_their_kind_fit_a_double_and_are_no_small_ids() {
        let first = interpreter_handle(0, 0).unwrap();
        let last = interpreter_handle((1 << 18) - 1, (1 << 32) - 1).unwrap();
        assert!(first > 1 << 49 && last < 1 << 53);
        assert_eq!(interpreter_id(last), Some((1 << 32) - 1));
        assert_eq!(interpreter_handle(0, 1 << 32), None);
        assert_eq!(interpreter_handle(1 << 18, 0), None);
        assert_ne!(interpreter_handle(0, 7), interpreter_handle(1, 7));
        assert_eq!(interpreter_id(thread_handle(7)), None);
        assert!(thread_handle(u64::MAX) < 1 << 53);
    }

    #[test]
    fn a_removed_handle_finds_nothing() {
        let registry = Registry::new();
        let handle = thread_handle(1);
        registry.insert(handle, Arc::new(5));
        assert_eq!(registry.get(handle).as_deref(), Some(&5));
        assert_eq!(registry.all().len(), 1);
        assert!(registry.remove(handle).is_some());
        assert!(registry.get(handle).is_none() && registry.remove(handle).is_none());
    }
}
