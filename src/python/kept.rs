//! Python objects that outlive the run that found them: what prepared functions hold, and what hosts have handles of.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::lock;
use super::object::{Obj, Py, PyResult};
use super::types::{self, PyObject};

/// A strong reference to an object of one interpreter. Anybody may say at any time that it is no longer needed; when
/// nobody needs it any more, it is given back by whoever enters the interpreter next.
pub struct Kept {
    /// NULL: it is in another process, which has this number for it.
    object: *mut PyObject,
    number: u64,
    /// Those who need it. Once it is 0, it stays 0.
    holders: AtomicUsize,
    /// Where it is among all that the interpreter keeps.
    place: usize,
    /// The next one on the list of those that nobody needs.
    next: AtomicPtr<Kept>,
    /// Each interpreter has its own, so it says whose this is.
    keeper: Arc<Keeper>,
}

// SAFETY: the pointer is used only with the GIL of its interpreter.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

impl Kept {
    /// The handle of the interpreter that it is of.
    pub fn interp(&self) -> u64 {
        self.keeper.interp.load(Ordering::Relaxed)
    }
}

/// What an interpreter and all that it keeps know of each other.
struct Keeper {
    /// The handle of the interpreter, when it has one.
    interp: AtomicU64,
    /// The list of those that nobody needs, each a count of its Arc. Neither to put one there takes memory or a lock, nor
    /// to find those that are there time for the others.
    dropped: AtomicPtr<Kept>,
    /// Something is on the list, or is needed no more and kept elsewhere (`pins`).
    some_dropped: AtomicBool,
}

/// The end of the list when the interpreter takes nothing back any more: it has.
fn closed() -> *mut Kept {
    ptr::without_provenance_mut(align_of::<Kept>())
}

impl Keeper {
    fn new() -> Keeper {
        Keeper {
            interp: AtomicU64::new(0),
            dropped: AtomicPtr::new(ptr::null_mut()),
            some_dropped: AtomicBool::new(false),
        }
    }

    fn put(&self, kept: Arc<Kept>) {
        let mut first = self.dropped.load(Ordering::Relaxed);
        while first != closed() {
            kept.next.store(first, Ordering::Relaxed);
            // Release: whoever takes the list sees what was done with the object before.
            let new = Arc::as_ptr(&kept).cast_mut();
            match self.dropped.compare_exchange_weak(first, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => {
                    // The list has this count now.
                    let _ = Arc::into_raw(kept);
                    // A swap and no store: whoever takes the flag away then sees all that was put there before.
                    self.some_dropped.swap(true, Ordering::Release);
                    return;
                }
                Err(other) => first = other,
            }
        }
    }

    /// Takes the list away, and leaves an empty one.
    fn take(&self) -> Dropped {
        let open = |first: *mut Kept| (first != closed()).then_some(ptr::null_mut());
        Dropped(self.dropped.fetch_update(Ordering::Acquire, Ordering::Relaxed, open).unwrap_or(ptr::null_mut()))
    }

    /// Takes the list away for good.
    fn close(&self) -> Dropped {
        Dropped(self.dropped.swap(closed(), Ordering::Acquire))
    }
}

/// A list that was taken away.
struct Dropped(*mut Kept);

impl Iterator for Dropped {
    type Item = Arc<Kept>;

    fn next(&mut self) -> Option<Arc<Kept>> {
        if self.0.is_null() || self.0 == closed() {
            return None;
        }
        // SAFETY: `put` has left this count to the list, which nobody else has any more.
        let kept = unsafe { Arc::from_raw(self.0) };
        self.0 = kept.next.load(Ordering::Relaxed);
        Some(kept)
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// One who needs what is kept, until dropped; which never blocks.
pub struct Hold(Arc<Kept>);

impl Hold {
    /// One more, unless everybody who needed it is gone.
    pub fn of(kept: &Arc<Kept>) -> Option<Hold> {
        let more = |holders: usize| (holders > 0).then_some(holders + 1);
        let held = kept.holders.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        held.is_ok().then(|| Hold(Arc::clone(kept)))
    }

    pub fn kept(&self) -> &Arc<Kept> {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.0.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.keeper.put(Arc::clone(&self.0));
        }
    }
}

/// All that one interpreter keeps.
pub struct KeptObjects {
    all: Mutex<Places>,
    keeper: Arc<Keeper>,
    /// A Python function that does nothing: a call of it is a step of Python's loop (`many`).
    step: OnceLock<Hold>,
}

/// What is kept, each at its place, and the places that are free.
#[derive(Default)]
struct Places {
    list: Vec<Option<Arc<Kept>>>,
    free: Vec<usize>,
}

impl Places {
    /// Makes its place free. False: all were given back since it was dropped.
    fn free(&mut self, kept: &Arc<Kept>) -> bool {
        let Some(place) = self.list.get_mut(kept.place) else { return false };
        if !place.as_ref().is_some_and(|there| Arc::ptr_eq(there, kept)) {
            return false;
        }
        *place = None;
        self.free.push(kept.place);
        true
    }
}

impl Default for KeptObjects {
    fn default() -> KeptObjects {
        KeptObjects { all: Mutex::default(), keeper: Arc::new(Keeper::new()), step: OnceLock::new() }
    }
}

impl KeptObjects {
    /// The interpreter has this handle from now on.
    pub fn belong_to(&self, interp: u64) {
        self.keeper.interp.store(interp, Ordering::Relaxed);
    }

    /// None: no memory.
    pub fn keep(&self, object: Obj) -> Option<Hold> {
        let hold = self.keep_what(object.as_ptr(), 0)?;
        // It has the reference now.
        let _ = object.into_ptr();
        Some(hold)
    }

    /// An object in another process, which has this number for it. None: no memory.
    pub fn keep_number(&self, number: u64) -> Option<Hold> {
        self.keep_what(ptr::null_mut(), number)
    }

    fn keep_what(&self, object: *mut PyObject, number: u64) -> Option<Hold> {
        let mut all = lock(&self.all);
        // Room for the place when it is free again, too.
        let most = all.list.len() + 1;
        let more = most.saturating_sub(all.free.len());
        all.free.try_reserve(more).ok()?;
        let place = match all.free.pop() {
            Some(place) => place,
            None => {
                all.list.try_reserve(1).ok()?;
                all.list.push(None);
                most - 1
            }
        };
        let kept = Arc::new(Kept {
            object,
            number,
            holders: AtomicUsize::new(1),
            place,
            next: AtomicPtr::new(ptr::null_mut()),
            keeper: Arc::clone(&self.keeper),
        });
        all.list[place] = Some(Arc::clone(&kept));
        Some(Hold(kept))
    }

    /// A Python function that does nothing, made when it is needed first. Attached to this interpreter.
    pub fn step<'py>(&self, py: Py<'py>) -> PyResult<Obj<'py>> {
        if let Some(hold) = self.step.get() {
            // SAFETY: held as long as the interpreter is not about to end.
            return unsafe { py.borrowed(hold.kept().object) };
        }
        let step = py.evaluate(&py.compile_own(c"lambda: None", types::Py_eval_input)?, &py.own_namespace()?)?;
        // SAFETY: a live object.
        let kept = self.keep(unsafe { py.borrowed(step.as_ptr())? }).ok_or_else(|| py.no_memory())?;
        // When another thread was faster, this one's is given back like all that nobody needs.
        let _ = self.step.set(kept);
        Ok(step)
    }

    /// Whether it is kept here.
    pub fn has(&self, kept: &Kept) -> bool {
        Arc::ptr_eq(&self.keeper, &kept.keeper)
    }

    /// The object, if it is kept here and somebody needs it.
    ///
    /// # Safety
    /// Attached to this interpreter, which has not begun to end.
    pub unsafe fn get<'py>(&self, py: Py<'py>, kept: &Kept) -> Option<PyResult<Obj<'py>>> {
        let here = self.has(kept) && kept.holders.load(Ordering::Acquire) > 0;
        // What is needed now stays until this thread gives the GIL away, and the new reference beyond that.
        // SAFETY: promised by the caller; the object is one of this interpreter's.
        here.then(|| unsafe { py.borrowed(kept.object) })
    }

    /// The number of what is kept here, in another process, if somebody needs it.
    pub fn number(&self, kept: &Kept) -> Option<u64> {
        (self.has(kept) && kept.holders.load(Ordering::Acquire) > 0).then_some(kept.number)
    }

    /// The numbers of what nobody needs any more.
    pub fn take_dropped_numbers(&self) -> impl Iterator<Item = u64> {
        self.keeper.take().filter_map(|kept| lock(&self.all).free(&kept).then_some(kept.number))
    }

    /// The other process is gone, and takes nothing back.
    pub fn forget_all(&self) {
        drop(self.keeper.close());
        drop(std::mem::take(&mut *lock(&self.all)));
    }

    /// Something of this interpreter is needed no more.
    pub fn some_are_dropped(&self) {
        self.keeper.some_dropped.swap(true, Ordering::Release);
    }

    /// Whether something is, since this was asked last.
    #[inline(always)]
    pub fn take_some_dropped(&self) -> bool {
        let some = &self.keeper.some_dropped;
        some.load(Ordering::Relaxed) && some.swap(false, Ordering::Acquire)
    }

    /// Gives back what nobody needs. Attached to the interpreter.
    pub fn give_back_dropped(&self, py: Py) {
        for kept in self.keeper.take() {
            let had = lock(&self.all).free(&kept);
            if had {
                // SAFETY: attached; the reference that was kept, once: whoever makes the place free gives it back. It may
                // run Python code, so nothing is locked.
                unsafe { (py.api.Py_DecRef)(kept.object) }
            }
        }
    }

    /// Gives everything back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        drop(self.keeper.close());
        let all = std::mem::take(&mut *lock(&self.all));
        for kept in all.list.into_iter().flatten() {
            // SAFETY: as above; what is given back here is on no list any more.
            unsafe { (py.api.Py_DecRef)(kept.object) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_needs_is_given_up_once() {
        let objects = KeptObjects::default();
        objects.belong_to(5);
        let (one, two) = (objects.keep_number(1).unwrap(), objects.keep_number(2).unwrap());
        let kept = Arc::clone(one.kept());
        assert_eq!((kept.interp(), objects.number(&kept)), (5, Some(1)));
        let more = Hold::of(&kept).unwrap();
        drop(one);
        assert!(!objects.take_some_dropped() && objects.number(&kept) == Some(1));
        drop(more);
        assert!(objects.take_some_dropped() && !objects.take_some_dropped());
        assert!(Hold::of(&kept).is_none() && objects.number(&kept).is_none());
        drop(two);
        assert_eq!(objects.take_dropped_numbers().collect::<Vec<_>>(), [2, 1]);
        assert_eq!(objects.take_dropped_numbers().count(), 0);

        let again = objects.keep_number(3).unwrap();
        assert_eq!(lock(&objects.all).list.len(), 2, "places are free again");
        assert!(objects.has(again.kept()) && !KeptObjects::default().has(again.kept()));
        objects.forget_all();
        drop(again);
        assert_eq!(objects.take_dropped_numbers().count(), 0, "nothing is taken back any more");
    }

    #[test]
    fn a_process_may_be_gone_while_something_is_given_back() {
        let objects = KeptObjects::default();
        drop((objects.keep_number(1).unwrap(), objects.keep_number(2).unwrap()));
        let mut dropped = objects.take_dropped_numbers();
        assert_eq!(dropped.next(), Some(2));
        objects.forget_all();
        let late = objects.keep_number(3).unwrap();
        assert_eq!(dropped.next(), None, "it has gone with all others, and its place is another's");
        assert_eq!(lock(&objects.all).free, []);
        assert_eq!(objects.take_dropped_numbers().count(), 0);
        let left = Arc::downgrade(late.kept());
        drop((dropped, late));
        drop(objects);
        assert!(left.upgrade().is_none(), "nothing is put on a list that nobody takes");
    }
}
