//! What stays in one of the two processes, and is a number in the other. An object stays here: its number is a handle of
//! this process's, which the host gives up (`Free`). A queue stays with the host (`queues`).

use super::control::Control;
use super::host::Number;
use crate::manager::{self, Error, NamedQueue};
use crate::process::mapped::Mapped;
use crate::process::message::{Failed, Memory, Shared, SharedBuffer};
use crate::process::wire::{Got, Sent};
use crate::value::{
    BUFFER, Builder, ERROR, Export, Form, NotCopied, OBJECT, OwnedValue, Place, QUEUE, ValueRef, subpy_value,
};

/// The value that a number stands for.
pub fn restore(mapped: &Mapped, kind: i32, got: Got, builder: &mut Builder) -> Result<subpy_value, NotCopied> {
    match (kind, got) {
        (BUFFER, Got::Value(value)) => buffer(mapped, value, builder),
        (OBJECT, Got::Word(handle)) => {
            manager::append_object(handle, builder).ok_or(NotCopied::NotFound(handle, "an object"))
        }
        (QUEUE, Got::Word(id)) => manager::append_given_queue(id, builder).ok_or(NotCopied::NoMemory),
        (kind, _) => Err(stays(kind)),
    }
}

/// The host's memory, or a copy of it.
fn buffer(mapped: &Mapped, value: ValueRef, builder: &mut Builder) -> Result<subpy_value, NotCopied> {
    let read = SharedBuffer::of_value(value)?;
    let shared = read.get();
    let number = Number::new(shared.number).ok_or(NotCopied::NoMemory)?;
    let (memory, place) = match shared.memory {
        Memory::Bytes(bytes) => (Export::of_copied(bytes, number), Place { start: 0, len: bytes.len() }),
        Memory::Copy(id, len) => (mapped.bytes(id, number), Place { start: 0, len }),
        Memory::Region(id, place) => (mapped.bytes(id, number), place),
    };
    let memory = memory.ok_or(NotCopied::NoMemory)?;
    manager::append_part(&memory, place, shared.form, (shared.writable, shared.lent), builder)
}

/// What a message has for memory of this process: it is the host's, or goes as a copy.
fn share(control: &Control, value: &subpy_value) -> Result<OwnedValue, NotCopied> {
    let export = ValueRef::of_checked(value).export().ok_or(NotCopied::NoMemory)?;
    let form = Form { format: export.c_format(), itemsize: export.itemsize(), shape: export.shape(), strides: None };
    let writable = export.is_offered_for_writing();
    let shared = Shared { number: 0, memory: Memory::Bytes(&[]), form, writable, lent: false };
    if let Some((id, start)) = control.mapped.find(&export) {
        let memory = Memory::Region(id, Place { start, len: export.len() });
        return Shared { memory, ..shared }.to_value();
    }
    if export.len() >= manager::LARGE
        && let Ok(id) = control.send_copy(&export)
    {
        return Shared { memory: Memory::Copy(id, export.len()), ..shared }.to_value();
    }
    // Or the process must not make files, or is short of them.
    let bytes = export.copy_bytes().ok_or(NotCopied::NoMemory)?;
    Shared { memory: Memory::Bytes(&bytes), ..shared }.to_value()
}

fn stays(kind: i32) -> NotCopied {
    let what = match kind {
        OBJECT => "an object",
        BUFFER => "a buffer",
        _ => "an error",
    };
    NotCopied::NotShareable(format!("{what} cannot go to another process yet"))
}

/// What is said of values in one message.
#[derive(Default)]
pub struct Given {
    /// Handles that are the host's, when the message has gone.
    handles: Vec<u64>,
    /// Errors among results.
    errors: Vec<Failed>,
    /// Queues that are named to the host, which has them.
    queues: Vec<NamedQueue>,
}

impl Given {
    /// What the message has for a value.
    pub fn describe(&mut self, control: &Control, value: &subpy_value) -> Result<Sent, NotCopied> {
        let number = value.as_int().cast_unsigned();
        match value.kind {
            OBJECT => {
                self.handles.try_reserve(1).map_err(|_| NotCopied::NoMemory)?;
                let handle = manager::object_keep(number).map_err(|_| NotCopied::NotFound(number, "an object"))?;
                self.handles.push(handle);
                Ok(Sent::Word(handle))
            }
            QUEUE => {
                self.queues.try_reserve(1).map_err(|_| NotCopied::NoMemory)?;
                let (id, named) = manager::name_queue(number).ok_or(NotCopied::NotFound(number, "a queue"))?;
                self.queues.push(named);
                Ok(Sent::Word(id))
            }
            ERROR => {
                let failed = usize::try_from(number).ok().and_then(|index| self.errors.get(index));
                failed.ok_or_else(|| stays(ERROR))?.to_value().map(Sent::Value)
            }
            BUFFER => share(control, value).map(Sent::Value),
            kind => Err(stays(kind)),
        }
    }

    /// The value of an error among results. None: no memory.
    pub fn error(&mut self, error: Error) -> Option<subpy_value> {
        self.errors.try_reserve(1).ok()?;
        self.errors.push(error.into());
        Some(subpy_value::handle(ERROR, self.errors.len() as u64 - 1))
    }

    /// The message has gone.
    #[inline]
    pub fn are_there(&mut self) {
        self.handles.clear();
        if !self.queues.is_empty() {
            self.queues.drain(..).for_each(NamedQueue::sent);
        }
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.handles.iter().for_each(|handle| manager::object_free(*handle));
    }
}
