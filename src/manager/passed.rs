//! Buffers that an interpreter's process has of its host, or the host of it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::error::{Kind, Result};
use crate::process::child::Child;
use crate::process::message::{Memory, Shared, SharedBuffer};
use crate::process::region::{self, Region};
use crate::python::fork;
use crate::python::lock;
use crate::value::{Access, Claim, Export, Form, NotCopied, OwnedValue, Place, ValueRef};

/// What is larger goes in a file of its own, beside the message.
pub const LARGE: usize = 256 << 10;

const WRITABLE: &str = "memory that Python may write to is seen by an interpreter in a process of its own only when it was made by \
                        subpy_buffer_new(): pass a part of such memory, or pass it read-only, as a copy";
const READ_ONLY: &str = "the memory was made by subpy_buffer_new() without SUBPY_BUFFER_WRITABLE, so nobody can write to it in an \
                         interpreter's process";

/// Memory that interpreters in processes see.
pub fn region_new(len: usize, writable: bool) -> Result<Arc<Region>> {
    fork::mind(region::are_unlocked);
    Region::new(len, writable).map_err(|error| match error.kind() {
        io::ErrorKind::OutOfMemory | io::ErrorKind::StorageFull => Kind::NoMemory.into(),
        _ => Kind::Interpreter(format!("no memory that processes share could be made: {error}")).into(),
    })
}

/// Those that the process has.
#[derive(Default)]
pub struct Passed(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By the numbers that it knows them by.
    all: HashMap<u64, One>,
    /// Those that it has no more, but which a result may share that is on its way here: until all have ended that had
    /// asked before, so many times.
    late: Vec<(u64, One)>,
    /// Who waits for results that may share memory: how many had asked before.
    waiting: Vec<u64>,
    asked: u64,
}

/// Somebody who waits for a result that may share memory, until this is dropped.
pub struct Waiting<'a> {
    passed: &'a Passed,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut over = Vec::new();
        {
            let mut known = lock(&self.passed.0);
            let Known { late, waiting, .. } = &mut *known;
            waiting.retain(|number| *number != self.number);
            let first = waiting.iter().min().copied().unwrap_or(u64::MAX);
            // Without memory they wait for the next one.
            if over.try_reserve(late.len()).is_ok() {
                over.extend(late.extract_if(.., |(asked, _)| *asked <= first));
            }
        }
        drop(over);
    }
}

struct One {
    claim: Arc<Claim>,
    /// Where it lies, if both see it.
    region: Option<Arc<Region>>,
}

impl Passed {
    /// What a message has for it. From now on the process has it, until `release`.
    fn describe(&self, child: &Child, number: u64, buffer: ValueRef) -> Result<OwnedValue, NotCopied> {
        let claim = buffer.claim().ok_or_else(|| NotCopied::NotShareable("the buffer was not taken over".into()))?;
        let (address, len) = claim.extent();
        let found = if len == 0 { None } else { Region::find(address, len) };
        let shared = Shared {
            number,
            memory: Memory::Bytes(&[]),
            form: Form { format: claim.c_format(), itemsize: claim.itemsize(), shape: &[], strides: None },
            writable: claim.is_writable(),
            lent: claim.is_lent(),
        };
        let shape = claim.shape().iter().map(|len| len.cast_unsigned()).collect::<Vec<_>>();
        let shape = &shape[..];
        let described = match &found {
            Some((region, start)) => {
                if claim.is_writable() && !region.is_writable() {
                    return Err(NotCopied::NotShareable(READ_ONLY.into()));
                }
                if let Err(error) = region.show(child) {
                    failed(child, &error)?;
                }
                let form = Form { shape, strides: Some(claim.strides()), ..shared.form };
                let memory = Memory::Region(region.id(), Place { start: *start, len });
                Shared { memory, form, ..shared }.to_value()?
            }
            None if claim.is_writable() && len > 0 => return Err(NotCopied::NotShareable(WRITABLE.into())),
            None => {
                let gathered = claim.gathered().ok_or(NotCopied::NoMemory)?;
                let form = Form { shape, ..shared.form };
                if gathered.len() < LARGE {
                    let bytes = gathered.copy_bytes().ok_or(NotCopied::NoMemory)?;
                    Shared { memory: Memory::Bytes(&bytes), form, ..shared }.to_value()?
                } else {
                    let id = match region::send_copy(&gathered, child) {
                        Ok(id) => id,
                        Err(error) => failed(child, &error).map(|()| 0)?,
                    };
                    Shared { memory: Memory::Copy(id, gathered.len()), form, ..shared }.to_value()?
                }
            }
        };
        let all = &mut lock(&self.0).all;
        all.try_reserve(1).map_err(|_| NotCopied::NoMemory)?;
        all.insert(number, One { claim, region: found.map(|(region, _)| region) });
        Ok(described)
    }

    /// The process has it.
    pub fn has(&self, number: u64) -> bool {
        lock(&self.0).all.contains_key(&number)
    }

    /// The process has it no more. Whoever passed it is told, if nobody else has it.
    pub fn release(&self, number: u64) {
        let one = {
            let mut known = lock(&self.0);
            let one = known.all.remove(&number);
            one.and_then(|one| known.keep_late(one))
        };
        drop(one);
    }

    /// Somebody is about to ask for a result that may share memory. None: no memory.
    pub fn wait(&self) -> Option<Waiting<'_>> {
        let mut known = lock(&self.0);
        known.waiting.try_reserve(1).ok()?;
        let number = known.asked;
        known.asked += 1;
        known.waiting.push(number);
        Some(Waiting { passed: self, number })
    }

    /// The process has ended.
    pub fn release_all(&self) {
        let all = std::mem::take(&mut lock(&self.0).all);
        for one in all.into_values() {
            one.claim.over();
            let one = lock(&self.0).keep_late(one);
            drop(one);
        }
    }

    /// What a message of the process has for a buffer of its own, or for memory of the host's.
    pub fn restore(&self, child: &Child, value: ValueRef) -> Result<Arc<Export>, NotCopied> {
        let read = SharedBuffer::of_value(value)?;
        let shared = read.get();
        let copied = if shared.writable { Access::Copied } else { Access::Fixed };
        let (memory, place, access) = match shared.memory {
            Memory::Bytes(bytes) => (Export::of_copied(bytes, ()), Place { start: 0, len: bytes.len() }, copied),
            Memory::Copy(id, len) => {
                let none = || NotCopied::NotShareable("the interpreter's process has not sent the buffer".into());
                let file = child.copy(id).ok_or_else(none)?;
                let wrong =
                    |error| NotCopied::NotShareable(format!("the interpreter's process has sent no buffer: {error}"));
                let memory = region::open_copy(&file, len).map_err(wrong)?;
                (memory, Place { start: 0, len }, copied)
            }
            Memory::Region(id, place) => {
                let (region, claims) = self.region(id, place)?;
                let access = if shared.writable && region.is_writable() { Access::Writable } else { Access::ReadOnly };
                (region.bytes(claims), place, access)
            }
        };
        memory.ok_or(NotCopied::NoMemory)?.part(place, shared.form, access)
    }

    /// Memory that it was passed, and the buffers there that this is a part of.
    fn region(&self, id: u64, place: Place) -> Result<(Arc<Region>, Vec<Arc<Claim>>), NotCopied> {
        let known = lock(&self.0);
        let mut found = None;
        let mut claims = Vec::new();
        for One { claim, region } in known.all.values().chain(known.late.iter().map(|(_, one)| one)) {
            let Some(region) = region.as_ref().filter(|region| region.id() == id) else { continue };
            found.get_or_insert_with(|| Arc::clone(region));
            let (address, len) = claim.extent();
            let start = region.start().addr().wrapping_add(place.start);
            if address <= start && start - address <= len && place.len <= len - (start - address) {
                claims.try_reserve(1).map_err(|_| NotCopied::NoMemory)?;
                claims.push(Arc::clone(claim));
            }
        }
        let none = || NotCopied::NotShareable("the interpreter's process does not have this memory".into());
        found.map(|region| (region, claims)).ok_or_else(none)
    }
}

impl Known {
    /// Somebody may need it still; otherwise it comes back.
    fn keep_late(&mut self, one: One) -> Option<One> {
        if self.waiting.is_empty() || one.region.is_none() || self.late.try_reserve(1).is_err() {
            return Some(one);
        }
        self.late.push((self.asked, one));
        None
    }
}

/// Those of one message, which go back unless it was sent.
pub struct Sending<'a> {
    passed: &'a Passed,
    numbers: Vec<u64>,
}

impl<'a> Sending<'a> {
    pub fn new(passed: &'a Passed) -> Sending<'a> {
        Sending { passed, numbers: Vec::new() }
    }

    /// What the message has for it.
    pub fn describe(&mut self, child: &Child, number: u64, buffer: ValueRef) -> Result<OwnedValue, NotCopied> {
        self.numbers.try_reserve(1).map_err(|_| NotCopied::NoMemory)?;
        let described = self.passed.describe(child, number, buffer)?;
        self.numbers.push(number);
        Ok(described)
    }

    pub fn sent(&mut self) {
        self.numbers.clear();
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.numbers.iter().for_each(|number| self.passed.release(*number));
    }
}

/// It was not sent. Fine when the process has ended, or takes nothing: then it is ended, as what comes next will say.
fn failed(child: &Child, error: &io::Error) -> Result<(), NotCopied> {
    match error.kind() {
        io::ErrorKind::OutOfMemory | io::ErrorKind::StorageFull => Err(NotCopied::NoMemory),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::TimedOut => {
            child.kill();
            Ok(())
        }
        _ => {
            Err(NotCopied::NotShareable(format!("the buffer could not be sent to the interpreter's process: {error}")))
        }
    }
}
