//! How much memory interpreters use, and who goes beyond the limit.

use super::error::{Kind, Result};
use super::interpreter::INTERPRETERS;
use super::timer::{NEVER, Time};
use crate::python::interp::Interp;
use crate::python::{counted, memory};

pub use crate::python::memory::Memory;

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
