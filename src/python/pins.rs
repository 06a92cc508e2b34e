//! Objects whose memory a result shares: their buffers, held until the result is freed.
//!
//! The reference is dropped when the interpreter is entered next. One that is left when the interpreter ends is never
//! dropped: CPython then keeps the object's memory, and that around it, until the process ends.

use std::mem;
use std::sync::{Arc, Mutex};

use super::lock;
use super::object::Py;
use super::own::Own;
use super::types::Py_buffer;

/// A buffer that CPython has filled in, at an address that does not change.
pub struct View {
    pub buffer: Py_buffer,
    next: Option<Box<View>>,
}

// SAFETY: the pointers are used only with the GIL of their interpreter, but for that to the memory, which nobody frees
// before.
unsafe impl Send for View {}

impl View {
    /// An empty one.
    pub fn new() -> Box<View> {
        // SAFETY: all bytes zero is a Py_buffer that nothing was put into.
        Box::new(View { buffer: unsafe { mem::zeroed() }, next: None })
    }
}

/// One who needs the memory, until dropped; which never blocks, and needs no memory.
pub struct Pin {
    own: Arc<Own>,
    view: Option<Box<View>>,
}

impl Pin {
    pub fn new(view: Box<View>, own: &Arc<Own>) -> Pin {
        Pin { own: Arc::clone(own), view: Some(view) }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        if let Some(mut view) = self.view.take() {
            let mut dropped = lock(&self.own.pins.0);
            view.next = dropped.take();
            *dropped = Some(view);
            drop(dropped);
            self.own.kept.some_are_dropped();
        }
    }
}

/// Those of one interpreter that nobody needs any more.
#[derive(Default)]
pub struct Pins(Mutex<Option<Box<View>>>);

impl Pins {
    /// Attached to the interpreter.
    pub fn give_back(&self, py: Py) {
        let mut next = lock(&self.0).take();
        while let Some(mut view) = next {
            // SAFETY: attached; a buffer that was filled in, once. It may run Python code, so nothing is locked.
            unsafe { (py.api.PyBuffer_Release)(&mut view.buffer) }
            next = view.next.take();
        }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        // One by one, and not each within the one before it.
        let mut next = lock(&self.0).take();
        while let Some(mut view) = next {
            next = view.next.take();
        }
    }
}
