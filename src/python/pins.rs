//! Objects whose memory a result shares: their buffers, held until the result is freed.
//!
//! The reference is dropped when the interpreter is entered next. One that is left when the interpreter ends is never
//! dropped: CPython then keeps the object's memory, and that around it, until the process ends.

use std::iter;
use std::mem;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::object::Py;
use super::own::Own;
use super::types::Py_buffer;

/// A buffer that CPython has filled in, at an address that does not change.
pub struct View {
    pub buffer: Py_buffer,
    next: *mut View,
}

// SAFETY: the pointers are used only with the GIL of their interpreter, but for that to the memory, which nobody frees
// before.
unsafe impl Send for View {}

impl View {
    /// An empty one.
    pub fn new() -> Box<View> {
        // SAFETY: all bytes zero is a Py_buffer that nothing was put into.
        Box::new(View { buffer: unsafe { mem::zeroed() }, next: ptr::null_mut() })
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
        if let Some(view) = self.view.take() {
            self.own.pins.put(view);
            self.own.kept.some_are_dropped();
        }
    }
}

/// Those of one interpreter that nobody needs any more. No lock: in a forked child another thread may have it, which is not
/// there.
#[derive(Default)]
pub struct Pins(AtomicPtr<View>);

impl Pins {
    fn put(&self, view: Box<View>) {
        let new = Box::into_raw(view);
        let mut last = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: nobody else knows of it yet.
            unsafe { (*new).next = last };
            match self.0.compare_exchange_weak(last, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => last = now,
            }
        }
    }

    /// All of them, out of here.
    fn take(&self) -> impl Iterator<Item = Box<View>> {
        let mut next = self.0.swap(ptr::null_mut(), Ordering::Acquire);
        iter::from_fn(move || {
            // SAFETY: `put` has left it, and nobody else has got it.
            let view = (!next.is_null()).then(|| unsafe { Box::from_raw(next) })?;
            next = view.next;
            Some(view)
        })
    }

    /// Attached to the interpreter.
    pub fn give_back(&self, py: Py) {
        for mut view in self.take() {
            // SAFETY: attached; a buffer that was filled in, once. It may run Python code.
            unsafe { (py.api.PyBuffer_Release)(&mut view.buffer) }
        }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        self.take().for_each(drop);
    }
}
