//! Memory that a host shares with interpreters in processes: they see what it writes, and it sees what they write.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError, Weak};

use super::child::{Child, Life, lock};
use super::control::Note;
use super::mapping::{self, Mapping, Writers};
use crate::value::{Access, Claim, Export};

/// Memory of the host's that processes can map.
pub struct Region {
    id: u64,
    mapping: Mapping,
    file: OwnedFd,
    is_writable: bool,
    /// The process that has made it. What a fork of it drops is still there.
    owner: u32,
    /// The processes that have it.
    users: Mutex<Vec<Weak<Life>>>,
}

struct Known {
    id: u64,
    region: Weak<Region>,
    /// A caller's, who gives it back by its address.
    owned: Option<Arc<Region>>,
}

/// All of them, by where they begin.
static REGIONS: Mutex<BTreeMap<usize, Known>> = Mutex::new(BTreeMap::new());

/// Nobody is in the middle of something here.
pub fn are_unlocked() -> bool {
    !matches!(REGIONS.try_lock(), Err(TryLockError::WouldBlock))
}

/// What processes know regions and copies by. None is used twice.
fn next_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl Region {
    /// So many bytes of zeros, at least one, which Python may write to or not.
    pub fn new(len: usize, is_writable: bool) -> io::Result<Arc<Region>> {
        let (mapping, file) = mapping::zeros(len, if is_writable { Writers::All } else { Writers::None })?;
        let (id, start) = (next_id(), mapping.start().addr());
        let region =
            Arc::new(Region { id, mapping, file, is_writable, owner: std::process::id(), users: Mutex::default() });
        lock(&REGIONS).insert(start, Known { id, region: Arc::downgrade(&region), owned: None });
        Ok(region)
    }

    /// The one that these bytes lie in, and where.
    pub fn find(address: usize, len: usize) -> Option<(Arc<Region>, usize)> {
        let region = {
            let regions = lock(&REGIONS);
            let (_, known) = regions.range(..=address).next_back()?;
            known.region.upgrade()?
        };
        let offset = region.mapping.offset_of(address, len)?;
        Some((region, offset))
    }

    /// Keeps it until `give_back`; where it begins.
    pub fn hand_out(self: Arc<Region>) -> *mut u8 {
        let start = self.mapping.start();
        if let Some(known) = lock(&REGIONS).get_mut(&start.addr()) {
            known.owned = Some(self);
        }
        start
    }

    /// What was handed out with this address is needed no more by who has it. It stays as long as others need it. False:
    /// there is none.
    pub fn give_back(start: *mut u8) -> bool {
        let owned = lock(&REGIONS).get_mut(&start.addr()).and_then(|known| known.owned.take());
        owned.is_some()
    }

    /// What processes know it by.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it begins.
    pub fn start(&self) -> *mut u8 {
        self.mapping.start()
    }

    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Its elements, and who keeps them beside it. None: no memory.
    pub fn export(self: &Arc<Region>, format: &CStr, itemsize: usize) -> Option<Arc<Export>> {
        let (memory, count) = ((self.mapping.start().cast(), self.mapping.len()), self.mapping.len() / itemsize);
        let access = if self.is_writable { Access::Writable } else { Access::ReadOnly };
        Export::new(memory, format, itemsize, &[count.cast_signed()], access, Box::new(Arc::clone(self)))
    }

    /// Its bytes, which stay, and with them what is claimed of them. None: no memory.
    pub fn bytes(self: &Arc<Region>, claims: Vec<Arc<Claim>>) -> Option<Arc<Export>> {
        let keeps = Box::new((Arc::clone(self), claims));
        Export::of_bytes(self.mapping.start(), self.mapping.len(), Access::ReadOnly, keeps)
    }

    /// Lets a process see it, if it does not yet.
    pub fn show(self: &Arc<Region>, child: &Child) -> io::Result<()> {
        let mut users = lock(&self.users);
        if users.iter().any(|user| user.as_ptr() == Arc::as_ptr(&child.life)) {
            return Ok(());
        }
        users.retain(|user| user.strong_count() > 0);
        users.try_reserve(1).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let note = Note::Region { id: self.id, len: self.mapping.len() as u64, writable: self.is_writable };
        child.life.tell(&note, &[self.file.as_fd()])?;
        users.push(Arc::downgrade(&child.life));
        Ok(())
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        {
            let mut regions = lock(&REGIONS);
            let start = self.mapping.start().addr();
            if regions.get(&start).is_some_and(|known| known.id == self.id) {
                regions.remove(&start);
            }
        }
        if std::process::id() != self.owner {
            return;
        }
        for user in lock(&self.users).drain(..).filter_map(|user| user.upgrade()) {
            // One that takes no notes keeps it until it ends.
            let _ = user.tell(&Note::Forget(self.id), &[]);
        }
    }
}

/// Sends a process a copy of memory; what it knows that by. It is for one value.
pub fn send_copy(export: &Export, child: &Child) -> io::Result<u64> {
    // SAFETY: an export keeps its memory.
    let file = unsafe { mapping::copy(export.data(), export.len()) }?;
    let id = next_id();
    child.life.tell(&Note::Copy { id, len: export.len() as u64 }, &[file.as_fd()])?;
    Ok(id)
}

/// Bytes that another process has copied into this file, for this one to have. None: no memory.
pub fn open_copy(file: &OwnedFd, len: usize) -> io::Result<Option<Arc<Export>>> {
    let mapping = mapping::open_copy(file, len)?;
    Ok(Export::of_bytes(mapping.start(), len, Access::Copied, Box::new(mapping)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_found_by_address_until_nobody_has_them() {
        let region = Region::new(10_000, true).unwrap();
        let (start, id) = (region.start().addr(), region.id());
        let found = |at: usize, len: usize| Region::find(at, len).map(|(region, offset)| (region.id(), offset));
        assert_eq!((found(start, 10_000), found(start + 9_999, 1)), (Some((id, 0)), Some((id, 9_999))));
        assert_eq!((found(start, 10_001), found(start + 10_001, 0), found(start - 1, 1)), (None, None, None));
        let other = Region::new(1, true).unwrap();
        assert_ne!(other.id(), id);
        let kept = Arc::clone(&region);
        let data = region.hand_out();
        assert!(Region::give_back(data) && !Region::give_back(data));
        assert_eq!(found(start, 1), Some((id, 0)));
        drop(kept);
        assert_eq!(found(start, 1), None);
        assert!(!Region::give_back(std::ptr::null_mut()));
    }
}
