//! Handles: 64-bit numbers for things that may be gone, below 2^53 so that a double holds them exactly.
//!
//! | bits | what |
//! |---|---|
//! | 48 to 52 | the kind of thing, 1 to 31: so no handle is 0, nor one of CPython's small ids |
//! | 0 to 47 | which one, never given twice in a process |
//!
//! An interpreter's lower bits are the number of the runtime (32 to 47) and CPython's id (0 to 31), so that a message
//! about one that is gone can name it. Those of other things count up. The tests in C read the constants below from
//! this file.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::error::{Kind, Result};
use crate::python::{objects, queue};
use crate::value::enough;

pub const KIND_SHIFT: u32 = 48;
pub const RUNTIME_SHIFT: u32 = 32;

pub const INTERPRETER: u64 = 1;
pub const FUNCTION: u64 = 2;
pub const THREAD: u64 = 3;
#[cfg(feature = "capi")]
pub const CANCEL: u64 = 4;
pub const OBJECT: u64 = 5;
pub const QUEUE: u64 = 6;
pub const POOL: u64 = 7;

const LAST_NUMBER: u64 = (1 << KIND_SHIFT) - 1;

// Values and Python's objects of queues make handles too, below this.
const _: () = assert!(QUEUE == queue::KIND && OBJECT == objects::KIND);

// There is room for 31 kinds.
const _: () = assert!((31 << KIND_SHIFT) + LAST_NUMBER < 1 << 53);

/// Counts the runtimes of this process: CPython gives the same ids again in the next.
static RUNTIME: AtomicU32 = AtomicU32::new(0);

/// The number of the runtime that is up, or comes next.
pub fn runtime() -> u32 {
    RUNTIME.load(Ordering::Relaxed)
}

/// A runtime has ended.
pub fn next_runtime() {
    RUNTIME.fetch_add(1, Ordering::Relaxed);
}

/// The handle of the interpreter that CPython calls `id`, in the n-th runtime of this process. CPython begins with 0
/// again in every runtime.
pub fn interpreter_handle(runtime: u32, id: i64) -> Option<u64> {
    let fits = runtime < 1 << (KIND_SHIFT - RUNTIME_SHIFT) && (0..1 << RUNTIME_SHIFT).contains(&id);
    fits.then(|| INTERPRETER << KIND_SHIFT | u64::from(runtime) << RUNTIME_SHIFT | id.cast_unsigned())
}

/// Whether a handle of an interpreter is of the runtime that is up.
pub fn is_of_this_runtime(interpreter: u64) -> bool {
    let number = (interpreter >> RUNTIME_SHIFT) & ((1 << (KIND_SHIFT - RUNTIME_SHIFT)) - 1);
    number == u64::from(runtime())
}

/// CPython's id that is part of an interpreter's handle.
pub fn interpreter_id(handle: u64) -> Option<u64> {
    (handle >> KIND_SHIFT == INTERPRETER).then_some(handle & ((1 << RUNTIME_SHIFT) - 1))
}

/// Gives the things of one kind their handles.
pub struct Numbers {
    kind: u64,
    last: AtomicU64,
}

impl Numbers {
    pub const fn new(kind: u64) -> Numbers {
        Numbers { kind, last: AtomicU64::new(0) }
    }

    /// The next number, from 1, and the handle that has it. Fails when all were given (after 281 million million), and when
    /// there is no memory for what gets it.
    pub fn next(&self) -> Result<(u64, u64)> {
        if !enough() {
            return Err(Kind::NoMemory.into());
        }
        let next = |last| (last < LAST_NUMBER).then_some(last + 1);
        match self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(last) => Ok((last + 1, self.kind << KIND_SHIFT | (last + 1))),
            Err(_) => Err(Kind::Interpreter("this process has used up its handles".into()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_say_their_kind_fit_a_double_and_are_no_small_ids() {
        let first = interpreter_handle(0, 0).unwrap();
        let last = interpreter_handle((1 << 16) - 1, (1 << 32) - 1).unwrap();
        assert!(first > 1 << 47 && last < 1 << 53);
        assert_eq!(interpreter_id(last), Some((1 << 32) - 1));
        assert_eq!(interpreter_handle(0, 1 << 32), None);
        assert_eq!(interpreter_handle(1 << 16, 0), None);
        assert_eq!(interpreter_handle(0, -1), None);
        assert_ne!(interpreter_handle(0, 7), interpreter_handle(1, 7));
    }

    #[test]
    fn numbers_are_given_once_and_end() {
        let numbers = Numbers::new(THREAD);
        let (one, handle) = numbers.next().unwrap();
        assert_eq!((one, handle >> KIND_SHIFT), (1, THREAD));
        assert_eq!(interpreter_id(handle), None);
        assert_eq!(numbers.next().unwrap(), (2, handle + 1));
        numbers.last.store(LAST_NUMBER - 1, Ordering::Relaxed);
        assert_eq!(numbers.next().unwrap().1 >> KIND_SHIFT, THREAD);
        assert!(numbers.next().is_err() && numbers.next().is_err());
    }
}
