//! Entries for the fuzzing targets (`fuzz/`): what another process sends, and values in both directions.

mod value;
mod wire;

use std::sync::Arc;

use super::message::{Failed, Memory, Shared, SharedBuffer};
use super::wire::{Got, NotRead, Reader, Sent, Writer};
use crate::value::{
    Access, BUFFER, Builder, ERROR, Export, Form, NotCopied, OBJECT, OwnedValue, Place, QUEUE, ValueRef, View,
    subpy_value,
};

pub use value::value;
pub use wire::wire;

/// The bytes of an input, from the first to the last. Behind the last there are zeros.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// As many bytes, or those that are left.
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let bytes = self.bytes(N);
        array[..bytes.len()].copy_from_slice(bytes);
        array
    }

    fn byte(&mut self) -> usize {
        let [byte] = self.array();
        byte.into()
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }
}

/// The bytes of a message.
pub(super) fn written<R>(write: impl FnOnce(&mut Writer<Vec<u64>>) -> R) -> (R, Vec<u8>) {
    let mut sink = Vec::new();
    let mut writer = Writer::new(&mut sink);
    let written = write(&mut writer);
    let len = writer.finish();
    (written, sink.iter().flat_map(|word| word.to_ne_bytes()).take(len).collect())
}

/// What is sent for memory that is shared.
fn share(export: &Arc<Export>) -> Result<OwnedValue, NotCopied> {
    let form = Form { format: export.c_format(), itemsize: export.itemsize(), shape: export.shape(), strides: None };
    let bytes = export.copy_bytes().ok_or(NotCopied::NoMemory)?;
    let writable = export.is_offered_for_writing();
    Shared { number: 0, memory: Memory::Bytes(&bytes), form, writable, lent: false }.to_value()
}

/// The memory that a message names, of which only what comes with it is there.
fn memory(shared: &Shared) -> Result<(Arc<Export>, Place), NotCopied> {
    const SEEN: [u8; 4096] = [7; 4096];
    let (bytes, place) = match shared.memory {
        Memory::Bytes(bytes) => (bytes, Place { start: 0, len: bytes.len() }),
        Memory::Copy(_, len) => (&SEEN[..len.min(SEEN.len())], Place { start: 0, len }),
        Memory::Region(_, place) => (&SEEN[..], place),
    };
    Ok((Export::of_copied(bytes, ()).ok_or(NotCopied::NoMemory)?, place))
}

/// As a host makes what its processes send.
fn restore(kind: i32, got: Got, builder: &mut Builder) -> Result<subpy_value, NotCopied> {
    match (kind, got) {
        (OBJECT | QUEUE, Got::Word(number)) => Ok(subpy_value::handle(kind, number)),
        (BUFFER, Got::Value(value)) => {
            let read = SharedBuffer::of_value(value)?;
            let shared = read.get();
            let (memory, place) = memory(&shared)?;
            let access = if shared.writable { Access::Copied } else { Access::Fixed };
            memory.part(place, shared.form, access)?.attach(builder).ok_or(NotCopied::NoMemory)
        }
        (ERROR, Got::Value(value)) => {
            let failed = Failed::of_value(value).map_err(|why| NotCopied::NotShareable(why.to_string()))?;
            let failed = builder.attach(Box::new(failed)).ok_or(NotCopied::NoMemory)?;
            Ok(subpy_value::pointing(ERROR, failed.cast(), 0))
        }
        _ => Err(NotCopied::NotShareable("it stays where it is".into())),
    }
}

/// The same in the other direction, of what `restore` has made.
fn describe(value: &subpy_value) -> Result<Sent, NotCopied> {
    match value.kind {
        BUFFER => share(&ValueRef::of_checked(value).export().ok_or(NotCopied::NoMemory)?).map(Sent::Value),
        // SAFETY: it is the one that `restore` has attached.
        ERROR => unsafe { &*value.pointer().cast::<Failed>() }.to_value().map(Sent::Value),
        _ => Ok(Sent::Word(value.as_int().cast_unsigned())),
    }
}

/// Looks at all that there is in a complete value, at the NULs behind texts, too. Whether there is an ERROR among it.
fn look(root: &subpy_value) -> bool {
    let mut open = vec![*root];
    let mut errors = false;
    while let Some(value) = open.pop() {
        match ValueRef::of_checked(&value).view() {
            View::Str(text) | View::BigInt(text) => {
                assert!(std::str::from_utf8(text.as_bytes()).is_ok());
                // SAFETY: texts of the library's own end with a NUL.
                assert_eq!(unsafe { value.pointer().add(value.len).read() }, 0);
            }
            View::Bytes(bytes) => drop(bytes.to_vec()),
            View::Tuple | View::List | View::Dict => {
                // SAFETY: a complete value.
                open.extend(unsafe { value.elements() });
            }
            View::Buffer => {
                if let Some(export) = ValueRef::of_checked(&value).export() {
                    assert!(export.copy_bytes().is_some_and(|bytes| bytes.len() == export.len()));
                }
            }
            View::Unknown(kind) => {
                assert_eq!(kind, ERROR);
                errors = true;
            }
            _ => {}
        }
    }
    errors
}

/// Reads one value and nothing else.
fn read(bytes: &[u8], restore: &mut super::wire::Restore) -> Result<OwnedValue, NotRead> {
    let mut reader = Reader::new(bytes);
    let value = reader.values(restore)?;
    reader.end().map(|()| value)
}
