//! Memory of the host's that a worker has mapped, by the numbers that the host has given it.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::child::lock;
use super::mapping::{self, Mapping};
use crate::value::{Access, Export};

/// A mapping, or none where there was no room for it.
struct Known {
    mapping: Option<Arc<Mapping>>,
    /// It is for one value.
    once: bool,
}

#[derive(Default)]
pub struct Mapped {
    known: Mutex<HashMap<u64, Known>>,
    changed: Condvar,
}

impl Mapped {
    /// The host has sent it: it comes before what refers to it, but on another way.
    pub fn add(&self, id: u64, len: u64, file: Option<OwnedFd>, writable: bool, once: bool) {
        let mapping = file.and_then(|file| mapping::open(file.as_fd(), usize::try_from(len).ok()?, writable).ok());
        lock(&self.known).insert(id, Known { mapping: mapping.map(Arc::new), once });
        self.changed.notify_all();
    }

    /// The host needs it no more.
    pub fn forget(&self, id: u64) {
        let known = lock(&self.known).remove(&id);
        drop(known);
    }

    /// Its bytes, which are kept with `keeps`; waits until they are there. None: no memory.
    pub fn bytes<T: Send + 'static>(&self, id: u64, keeps: T) -> Option<Arc<Export>> {
        let mut all = lock(&self.known);
        let mapping = loop {
            match all.get(&id) {
                Some(Known { once: true, .. }) => break all.remove(&id)?.mapping?,
                Some(Known { mapping, .. }) => break mapping.clone()?,
                None => all = self.changed.wait(all).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(all);
        let (start, len) = (mapping.start(), mapping.len());
        Export::of_bytes(start, len, Access::ReadOnly, Box::new((mapping, keeps)))
    }

    /// The one that all of this lies in, and where.
    pub fn find(&self, export: &Export) -> Option<(u64, usize)> {
        let (address, len) = (export.data().addr(), export.len());
        let all = lock(&self.known);
        let shared = all.iter().filter(|(_, known)| !known.once);
        let mut places = shared.filter_map(|(id, known)| Some((*id, known.mapping.as_ref()?.offset_of(address, len)?)));
        places.next()
    }
}

/// A copy of memory for the host. It can be changed no more. An error: no memory.
pub fn copy(export: &Export) -> std::io::Result<OwnedFd> {
    // SAFETY: an export keeps its memory.
    unsafe { mapping::copy(export.data(), export.len()) }
}
