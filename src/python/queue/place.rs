//! Where a queue is: in this process, or in that of the host, which has this one for an interpreter.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::core::Queue;
use super::there::{self, There};

#[derive(Clone)]
pub enum Place {
    Here(Arc<Queue>),
    There(Arc<There>),
}

impl Place {
    pub fn id(&self) -> u64 {
        match self {
            Place::Here(queue) => queue.id,
            Place::There(there) => there.id,
        }
    }

    /// Whoever waits there looks around.
    pub fn wake_all(&self) {
        match self {
            Place::Here(queue) => queue.wake_all(),
            Place::There(_) => there::look(),
        }
    }

    pub fn is(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::Here(one), Place::Here(other)) => Arc::ptr_eq(one, other),
            (Place::There(one), Place::There(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// What an object of Python's keeps: one of the two is NULL.
    pub fn into_raw(self) -> [*const (); 2] {
        match self {
            Place::Here(queue) => [Arc::into_raw(queue).cast(), std::ptr::null()],
            Place::There(there) => [std::ptr::null(), Arc::into_raw(there).cast()],
        }
    }

    /// The same count again. None: there is none.
    ///
    /// # Safety
    /// They come from `into_raw`, or are both NULL. There is no more than one that is not a copy.
    pub unsafe fn from_raw([here, there]: [*const (); 2]) -> Option<ManuallyDrop<Place>> {
        // SAFETY: promised by the caller.
        unsafe {
            if !here.is_null() {
                return Some(ManuallyDrop::new(Place::Here(Arc::from_raw(here.cast()))));
            }
            (!there.is_null()).then(|| ManuallyDrop::new(Place::There(Arc::from_raw(there.cast()))))
        }
    }
}
