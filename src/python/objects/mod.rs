//! Objects of Python's by their handles. A handle holds a reference (`kept`); its number is never used again.

mod act;

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use super::Failure;
use super::by_handle::ByHandle;
use super::fork::{forked, is_free};
use super::kept::{Hold, Kept, KeptObjects};
use super::object::{Obj, Py, PyResult};
use super::own::Own;
use super::queue;
use crate::value::{self, Args, Builder, NotCopied, OwnedValue, subpy_pair, subpy_value};
pub use act::{Act, act};

/// The kind of these handles (`manager/handle.rs`).
pub const KIND: u64 = 5;
const KIND_SHIFT: u32 = 48;
const SHARDS: usize = 16;

type Shard = RwLock<Option<ByHandle<Hold>>>;

/// Neighbours are in different shards, so that threads do not wait for each other.
static HANDLES: [Shard; SHARDS] = [const { RwLock::new(None) }; SHARDS];
/// How many there are. Where there is none, nobody looks: a process may be forked while others do, and its child would find a
/// lock that nobody gives back.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn shard(handle: u64) -> &'static Shard {
    &HANDLES[handle as usize % SHARDS]
}

/// Gives something that is kept a handle. None: no memory.
pub fn new_handle(hold: Hold) -> Option<u64> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    if !value::enough() {
        return None;
    }
    let handle = KIND << KIND_SHIFT | (LAST.fetch_add(1, Ordering::Relaxed) + 1);
    register(handle, hold).then_some(handle)
}

/// The same for a handle of another kind: a function's. False: no memory.
pub fn register(handle: u64, hold: Hold) -> bool {
    let mut shard = shard(handle).write().unwrap_or_else(PoisonError::into_inner);
    let shard = shard.get_or_insert_default();
    if shard.try_reserve(1).is_err() {
        return false;
    }
    if shard.insert(handle, hold).is_none() {
        COUNT.fetch_add(1, Ordering::Release);
    }
    true
}

/// Nobody is in the middle of something here.
pub fn are_unlocked() -> bool {
    HANDLES.iter().all(is_free)
}

fn is_none() -> bool {
    COUNT.load(Ordering::Acquire) == 0
}

/// What a handle is of.
pub fn find(handle: u64) -> Option<Hold> {
    if is_none() {
        return None;
    }
    let shard = shard(handle).read().unwrap_or_else(PoisonError::into_inner);
    Hold::of(shard.as_ref()?.get(&handle)?.kept())
}

/// Gives a handle up. Never blocks for long, and runs no Python.
pub fn free(handle: u64) {
    if is_none() {
        return;
    }
    let hold = {
        let mut shard = shard(handle).write().unwrap_or_else(PoisonError::into_inner);
        let hold = shard.as_mut().and_then(|shard| shard.remove(&handle));
        COUNT.fetch_sub(usize::from(hold.is_some()), Ordering::Release);
        hold
    };
    drop(hold);
}

/// A handle that belongs to a value.
struct Claim(u64);

impl Drop for Claim {
    fn drop(&mut self) {
        // In a fork a lock may be held by a thread that does not exist there.
        if !forked() {
            free(self.0);
        }
    }
}

/// The value of what is kept, in a block that keeps it, too. None: no memory.
pub fn append(hold: Hold, builder: &mut Builder) -> Option<subpy_value> {
    let handle = new_handle(hold)?;
    // Nobody knows the handle before the claim has it.
    builder.attach(Box::new(Claim(handle)))?;
    Some(subpy_value::handle(value::OBJECT, handle))
}

/// The value of an object that stays in Python, in a block that keeps it. Attached to the interpreter. None: no memory.
pub fn keep_object(own: &Own, object: Obj, builder: &mut Builder) -> Option<subpy_value> {
    append(own.kept.keep(object)?, builder)
}

/// The same, as a value of its own.
#[cold]
pub fn stay(py: Py, own: &Own, object: &Obj) -> Result<OwnedValue, Failure> {
    let mut builder = Builder::of_bytes();
    let root = stay_in(py, own, object, &mut builder)?;
    Ok(builder.finish_bytes(root))
}

/// The same, in a block that is being built.
#[cold]
pub fn stay_in(py: Py, own: &Own, object: &Obj, builder: &mut Builder) -> Result<subpy_value, Failure> {
    // SAFETY: a live object.
    let object = unsafe { py.borrowed(object.as_ptr()) }.map_err(|_| Failure::NoMemory)?;
    keep_object(own, object, builder).ok_or(Failure::NoMemory)
}

/// A copy of a value that is an object.
pub fn keep(value: &subpy_value, builder: &mut Builder) -> Result<subpy_value, NotCopied> {
    let handle = value.as_int().cast_unsigned();
    let hold = find(handle).ok_or(NotCopied::NotFound(handle, "an object"))?;
    append(hold, builder).ok_or(NotCopied::NoMemory)
}

/// The value of a handle that somebody holds, in a block that keeps the object, too. None: no memory.
pub fn append_handle(handle: u64, builder: &mut Builder) -> Option<subpy_value> {
    append(find(handle)?, builder)
}

/// The object that a handle is of, which must be one of this interpreter's.
pub fn to_python<'py>(py: Py<'py>, own: &Own, handle: u64) -> PyResult<Obj<'py>> {
    let found = find(handle);
    // SAFETY: attached to the interpreter that `own` is of, for a run or a call that it is not about to end.
    match found.as_ref().and_then(|hold| unsafe { own.kept.get(py, hold.kept()) }) {
        Some(object) => object,
        None => {
            let message = found.map_or_else(|| gone(handle), |hold| elsewhere(hold.kept()));
            Err(py.raise(py.api.PyExc_TypeError.get(), &message))
        }
    }
}

fn gone(handle: u64) -> String {
    format!("{handle} is not the handle of an object, or it was freed")
}

pub fn elsewhere(kept: &Kept) -> String {
    format!(
        "the object is of another interpreter ({}): only there can it be passed, elsewhere pass a value of it \
         (subpy_object_value)",
        kept.interp()
    )
}

/// Refuses arguments among which is an object of another interpreter, or a handle of nothing. Whoever passes them keeps their handles: a claim in C,
/// the block itself in Rust.
pub fn check_args(kept: &KeptObjects, args: Args) -> Result<(), Failure> {
    check_items(kept, args.items)?;
    for pair in args.kwargs {
        // SAFETY: the keys were checked: they are text.
        check(kept, &pair.value, || format!("kwargs['{}']", value::printable(unsafe { pair.key.text() })))?;
    }
    Ok(())
}

/// The same, of positional arguments.
pub fn check_items(kept: &KeptObjects, items: &[subpy_value]) -> Result<(), Failure> {
    items.iter().enumerate().try_for_each(|(index, item)| check(kept, item, || format!("args[{index}]")))
}

/// The same, of what is to be bound to names.
pub fn check_names(kept: &KeptObjects, names: &[subpy_pair]) -> Result<(), Failure> {
    names.iter().try_for_each(|pair| {
        // SAFETY: a checked text.
        let name = || format!("names['{}']", value::printable(unsafe { pair.key.text() }));
        check(kept, &pair.value, name)
    })
}

/// The same, of one value.
pub fn check(kept: &KeptObjects, root: &subpy_value, name: impl Fn() -> String) -> Result<(), Failure> {
    if !root.is_container() && !root.is_handle() {
        return Ok(());
    }
    let mut pending = vec![(root, String::new())];
    while let Some((value, path)) = pending.pop() {
        if value.kind == value::OBJECT {
            let handle = value.as_int().cast_unsigned();
            match find(handle) {
                Some(hold) if kept.has(hold.kept()) => {}
                Some(hold) => {
                    return Err(Failure::Elsewhere(format!("{}{path}: {}", name(), elsewhere(hold.kept()))));
                }
                None => return Err(Failure::NotFound(format!("{}{path}: {}", name(), gone(handle)))),
            }
        } else if value.kind == value::QUEUE {
            let handle = value.as_int().cast_unsigned();
            if queue::place_of(handle).is_none() {
                return Err(Failure::NotFound(format!("{}{path}: {}", name(), queue::gone(handle))));
            }
        } else if value.is_container() {
            // SAFETY: a checked value, whose elements are borrowed as it is.
            for (index, element) in unsafe { value.elements() }.iter().enumerate() {
                if element.is_handle() || element.is_container() {
                    let mut path = path.clone();
                    let at = if value.kind == value::DICT { index / 2 } else { index };
                    let _ = write!(path, "[{at}]");
                    pending.try_reserve(1).map_err(|_| Failure::NoMemory)?;
                    pending.push((element, path));
                }
            }
        }
    }
    Ok(())
}
