//! How much memory interpreters use, and who goes beyond the limit.

use super::error::{Error, Kind, Result};
use super::here::here;
use super::interpreter::{INTERPRETERS, driven};
use super::timer::{NEVER, Time};
use crate::python::interp::Interp;
use crate::python::{counted, memory};

pub use crate::python::memory::Memory;

/// What an interpreter uses.
pub fn memory(handle: u64) -> Result<Memory> {
    let interpreter = driven(handle, "count the memory of")?;
    if let Some(elsewhere) = interpreter.elsewhere() {
        return here(|here| here.visit_elsewhere(&interpreter, elsewhere, |asked| asked.memory()));
    }
    let memory = interpreter.python().and_then(Interp::memory);
    memory.ok_or_else(|| {
        let kind = Kind::WrongState(
            "the interpreter's memory is not counted: that takes SUBPY_INTERP_COUNT_MEMORY or a memory_limit".into(),
        );
        Error::from(kind).of(handle)
    })
}

/// To be asked before an interpreter is created whose memory is counted.
pub fn check_countable() -> Result<()> {
    counted::count().map_err(|reason| Kind::WrongState(format!("memory cannot be counted: {reason}")).into())
}

/// When something is due next.
pub fn next() -> Time {
    if memory::is_asked() { 0 } else { NEVER }
}

/// Has MemoryError raised where there was no memory left.
pub fn run() {
    if memory::take_asked() {
        INTERPRETERS.all().iter().filter_map(|it| it.python()).for_each(Interp::refuse_memory);
    }
}
