//! Queues by their handles, and by the ids that Python code sees. A handle is a reference: the queue goes with the last
//! one, when no value and no Python object has it either.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use super::super::by_handle::ByHandle;
use super::super::fork::{forked, is_free, is_unlocked};
use super::super::lock;
use super::core::Queue;
use super::place::Place;
use super::there::{self, Named, There};
use crate::value::{self, Builder, NotCopied, subpy_value};

/// The kind of these handles (`manager/handle.rs`).
pub const KIND: u64 = 6;
const KIND_SHIFT: u32 = 48;

static HANDLES: RwLock<Option<ByHandle<Place>>> = RwLock::new(None);
static KNOWN: Mutex<Option<ByHandle<Weak<Queue>>>> = Mutex::new(None);

/// Python code may ask for it by its id. None: no memory.
pub fn know(queue: &Arc<Queue>) -> Option<()> {
    let mut known = lock(&KNOWN);
    let known = known.get_or_insert_default();
    known.try_reserve(1).ok()?;
    known.insert(queue.id, Arc::downgrade(queue));
    Some(())
}

/// It is gone.
pub fn forget(id: u64) {
    if let Some(known) = &mut *lock(&KNOWN) {
        known.remove(&id);
    }
}

/// The queue that has this id.
pub fn by_id(id: u64) -> Option<Arc<Queue>> {
    lock(&KNOWN).as_ref()?.get(&id)?.upgrade()
}

/// All there are.
pub fn all() -> Vec<Arc<Queue>> {
    let known = lock(&KNOWN);
    known.iter().flatten().filter_map(|(_, queue)| queue.upgrade()).collect()
}

/// A new handle of a queue. None: no memory.
#[cfg(feature = "capi")]
pub fn new_handle(queue: &Arc<Queue>) -> Option<u64> {
    handle_of(&Place::Here(Arc::clone(queue)))
}

fn handle_of(place: &Place) -> Option<u64> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    if !value::enough() {
        return None;
    }
    let handle = KIND << KIND_SHIFT | (LAST.fetch_add(1, Ordering::Relaxed) + 1);
    let mut handles = HANDLES.write().unwrap_or_else(PoisonError::into_inner);
    let handles = handles.get_or_insert_default();
    handles.try_reserve(1).ok()?;
    handles.insert(handle, place.clone());
    Some(handle)
}

/// Nobody is in the middle of something here.
pub fn are_unlocked() -> bool {
    is_free(&HANDLES) && is_unlocked(&KNOWN) && there::are_unlocked()
}

/// The queue that a handle is of, in a process that has its queues itself.
pub fn find(handle: u64) -> Option<Arc<Queue>> {
    match place_of(handle)? {
        Place::Here(queue) => Some(queue),
        Place::There(_) => None,
    }
}

/// The queue that a handle is of, and where it is.
pub fn place_of(handle: u64) -> Option<Place> {
    HANDLES.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(&handle).cloned()
}

/// Gives a handle up. What is returned is to be dropped where a host's code may run.
pub fn free(handle: u64) -> Option<Place> {
    HANDLES.write().unwrap_or_else(PoisonError::into_inner).as_mut()?.remove(&handle)
}

/// A handle that belongs to a value.
struct Claim(u64);

impl Drop for Claim {
    fn drop(&mut self) {
        // In a fork a lock may be held by a thread that does not exist there.
        if !forked() {
            drop(free(self.0));
        }
    }
}

/// The value of a queue, in a block that keeps it.
pub fn append(queue: &Arc<Queue>, builder: &mut Builder) -> Option<subpy_value> {
    append_place(&Place::Here(Arc::clone(queue)), builder)
}

/// The same, wherever it is.
pub fn append_place(place: &Place, builder: &mut Builder) -> Option<subpy_value> {
    let handle = handle_of(place)?;
    builder.attach(Box::new(Claim(handle)))?;
    Some(subpy_value::handle(value::QUEUE, handle))
}

/// A copy of a value that is a queue.
pub fn keep(value: &subpy_value, builder: &mut Builder) -> Result<subpy_value, NotCopied> {
    let handle = value.as_int().cast_unsigned();
    let place = place_of(handle).ok_or(NotCopied::NotFound(handle, "a queue"))?;
    append_place(&place, builder).ok_or(NotCopied::NoMemory)
}

/// The value of a queue that this process's host has given to it. None: no memory.
pub fn append_given(id: u64, builder: &mut Builder) -> Option<subpy_value> {
    append_place(&Place::There(There::given(id)?), builder)
}

/// A queue of the host's is named to it by this id. None: it is not the host's.
pub fn name(handle: u64) -> Option<(u64, Named)> {
    match place_of(handle)? {
        Place::There(there) => Some((there.id, Named::new(there))),
        Place::Here(_) => None,
    }
}
