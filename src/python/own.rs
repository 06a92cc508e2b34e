//! What an interpreter has of its own, for values that go in and come out.

use std::sync::atomic::{AtomicBool, Ordering};

use super::buffers::Buffers;
use super::convert::Classes;
use super::kept::KeptObjects;
use super::loops::Loops;
use super::names::Names;
use super::object::Py;
use super::pins::Pins;

/// Shared by the interpreter and its host functions.
#[derive(Default)]
pub struct Own {
    pub names: Names,
    /// What prepared functions hold.
    pub kept: KeptObjects,
    /// The host's memory.
    pub buffers: Buffers,
    /// What results share.
    pub pins: Pins,
    pub classes: Classes,
    pub loops: Loops,
    /// What has no kind of its own goes out as a tagged value.
    tagged: AtomicBool,
}

impl Own {
    /// From now on. The interpreter is being set up.
    pub fn give_tags(&self) {
        self.tagged.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub fn gives_tags(&self) -> bool {
        self.tagged.load(Ordering::Relaxed)
    }

    /// Gives back what nobody needs. Attached to the interpreter.
    #[inline(always)]
    pub fn give_back_dropped(&self, py: Py) {
        if self.kept.take_some_dropped() {
            self.give_back(py);
        }
    }

    #[cold]
    fn give_back(&self, py: Py) {
        self.kept.give_back_dropped(py);
        self.pins.give_back(py);
    }

    /// Gives the references to its objects back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        self.kept.give_back_all(py);
        self.pins.give_back(py);
        self.names.give_back_all(py);
        self.buffers.give_back_all(py);
        self.classes.give_back_all(py);
    }
}
