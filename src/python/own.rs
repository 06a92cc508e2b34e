//! What an interpreter has of its own, for values that go in and come out.

use super::buffers::Buffers;
use super::kept::KeptObjects;
use super::names::Names;
use super::object::Py;

/// Shared by the interpreter and its host functions.
#[derive(Default)]
pub struct Own {
    pub names: Names,
    /// What prepared functions hold.
    pub kept: KeptObjects,
    /// The host's memory.
    pub buffers: Buffers,
}

impl Own {
    /// Gives the references to its objects back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        self.kept.give_back_all(py);
        self.names.give_back_all(py);
        self.buffers.give_back_all(py);
    }
}
