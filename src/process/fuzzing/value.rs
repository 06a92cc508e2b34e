//! Values that a program passes, as they go to Python and to another process.

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::message::{Request, Run, SharedBuffer, ToRun};
use super::super::wire::{Got, Sent};
use super::{Input, describe, look, memory, read, restore, share, written};
use crate::value::{
    Args, BIGINT, BUFFER, BYTES, Builder, DICT, LIST, NotCopied, OBJECT, QUEUE, Rows, STR, TAG_BITS, TUPLE, ValueRef,
    element_size, subpy_buffer, subpy_finalize_fn, subpy_value,
};

/// How many values there may be in one: those that are in it several times count as often.
const MOST: usize = 1 << 12;

/// Values, and memory for what they point to.
#[derive(Default)]
struct Memory {
    values: Vec<Box<[subpy_value]>>,
    bytes: Vec<Box<[u8]>>,
    numbers: Vec<Box<[u64]>>,
    // The values point to them.
    #[allow(clippy::vec_box)]
    buffers: Vec<Box<subpy_buffer>>,
    /// How often the buffers were given back.
    released: Box<AtomicUsize>,
}

/// A value, how many there are in it, and how many of them are buffers.
#[derive(Clone, Copy)]
struct Made {
    value: subpy_value,
    size: usize,
    buffers: usize,
}

unsafe extern "C-unwind" fn release(released: *mut c_void) {
    // SAFETY: the counter of the memory, which is there until all is over.
    unsafe { &*released.cast::<AtomicUsize>() }.fetch_add(1, Ordering::Relaxed);
}

impl Memory {
    fn text(&mut self, kind: i32, bytes: &[u8]) -> subpy_value {
        self.bytes.push(bytes.into());
        let bytes = self.bytes.last().expect("one");
        subpy_value::pointing(kind, bytes.as_ptr(), bytes.len())
    }

    /// The last values of the stack, in a container.
    fn container(&mut self, kind: i32, stack: &mut Vec<Made>, len: usize) -> Made {
        let count = if kind == DICT { 2 * (len.min(stack.len() / 2)) } else { len.min(stack.len()) };
        let parts = stack.split_off(stack.len() - count);
        self.values.push(parts.iter().map(|part| part.value).collect());
        let values = self.values.last().expect("one");
        let len = if kind == DICT { count / 2 } else { count };
        Made {
            value: subpy_value::pointing(kind, values.as_ptr().cast(), len),
            size: 1 + parts.iter().map(|part| part.size).sum::<usize>(),
            buffers: parts.iter().map(|part| part.buffers).sum(),
        }
    }

    /// A buffer, whose memory and lists are as it says; all else may be anything.
    fn buffer(&mut self, input: &mut Input) -> subpy_value {
        const FORMATS: [&CStr; 8] = [c"B", c"d", c"@i", c"<H", c"3s", c"T{i:x:}", c"", c"\xff"];
        let data = self.text(BYTES, &vec![3; input.byte()]);
        let dimensions = input.byte() % 80;
        let mut list = |input: &mut Input| {
            let each = |_| if input.byte() < 250 { input.byte() as i8 as u64 } else { input.number() };
            // No dimensions are one.
            self.numbers.push((0..dimensions.max(1)).map(each).collect());
            self.numbers.last().expect("one").as_ptr()
        };
        let has = input.byte();
        let shape = if has & 1 != 0 { list(input) } else { std::ptr::null() };
        let strides = if has & 2 != 0 { list(input) } else { std::ptr::null() };
        let format = FORMATS[input.byte() % FORMATS.len()].as_ptr();
        self.buffers.push(Box::new(subpy_buffer {
            size: size_of::<subpy_buffer>() + usize::from(has & 4 != 0),
            data: data.pointer().cast_mut().cast(),
            len: data.len - usize::from(has & 8 != 0).min(data.len),
            format: if has & 16 != 0 { std::ptr::null() } else { format },
            itemsize: if has & 32 != 0 { input.byte() } else { 0 },
            shape: shape.cast(),
            strides: strides.cast(),
            ndim: if has & 64 != 0 { dimensions as i32 } else { i32::from(has & 3 != 0) * dimensions as i32 },
            flags: (input.byte() % 4) as u32,
            release: Some(release),
            userdata: std::ptr::from_ref(&*self.released).cast_mut().cast(),
        }));
        let buffer: *const subpy_buffer = &**self.buffers.last().expect("one");
        subpy_value::pointing(BUFFER, buffer.cast(), 0)
    }

    /// Puts one more on the stack.
    fn step(&mut self, input: &mut Input, stack: &mut Vec<Made>) {
        let value = match input.byte() % 16 {
            0 => subpy_value::none(),
            1 => subpy_value::bool(input.byte() % 2 == 1),
            2 => subpy_value::int(input.byte() as i64),
            3 => subpy_value::float(f64::from_bits(input.number())),
            4 => {
                let len = input.byte();
                self.text(STR, input.bytes(len))
            }
            5 => {
                let len = input.byte();
                self.text(BYTES, input.bytes(len))
            }
            6 => {
                let len = input.byte() % 32;
                self.text(BIGINT, input.bytes(len))
            }
            kind @ 7..=9 => {
                let made = self.container([TUPLE, LIST, DICT][kind - 7], stack, input.byte() % 64);
                return stack.push(made);
            }
            10 => subpy_value::handle([OBJECT, QUEUE][input.byte() % 2], input.number()),
            11 => {
                let value = self.buffer(input);
                return stack.push(Made { value, size: 1, buffers: 1 });
            }
            // In many containers, one in the other.
            12 => {
                for _ in 0..8 * input.byte() {
                    let inner = self.container(LIST, stack, 1);
                    stack.push(inner);
                }
                return;
            }
            // What stands for something else, or has bits that nobody knows.
            13 => {
                if let Some(made) = stack.last_mut() {
                    let flags = if input.byte() < 200 { input.byte() as u64 } else { input.number() } as u32;
                    // Marks of the library's own say what a buffer points to.
                    made.value.flags |= if made.value.kind == BUFFER { flags & TAG_BITS } else { flags & !0x300 };
                }
                return;
            }
            // The same value again, which points to the same.
            14 => {
                let index = input.byte() % stack.len().max(1);
                return stack.extend(stack.get(index).copied().filter(|made| made.size < MOST));
            }
            // What points nowhere, of any kind.
            _ => {
                let (kind, len) = (input.byte() as i8, input.number() as usize);
                subpy_value { kind: kind.into(), len, ..subpy_value::none() }
            }
        };
        stack.push(Made { value, size: 1, buffers: 0 });
    }
}

/// Whether two complete values are the same, what they point to included.
fn same(one: &subpy_value, other: &subpy_value) -> bool {
    let mut open = vec![(*one, *other)];
    while let Some((one, other)) = open.pop() {
        let is_boxed = |value: &subpy_value| value.kind == BUFFER;
        if one.kind != other.kind || one.flags & TAG_BITS != other.flags & TAG_BITS {
            return false;
        }
        if is_boxed(&one) {
            continue;
        }
        // SAFETY: complete values.
        unsafe {
            match element_size(one.kind) {
                0 if one.kind == crate::value::NONE => {}
                0 if one.kind == crate::value::BOOL && one.as_bool() == other.as_bool() => {}
                0 if one.as_int() == other.as_int() => {}
                1 if one.bytes() == other.bytes() => {}
                2.. if one.len == other.len => {
                    open.extend(one.elements().iter().copied().zip(other.elements().iter().copied()))
                }
                _ => return false,
            }
        }
    }
    true
}

fn keep(value: &subpy_value, _: &mut Builder) -> Result<subpy_value, NotCopied> {
    Ok(*value)
}

fn tell(release: subpy_finalize_fn, userdata: *mut c_void) {
    // SAFETY: the buffers' own.
    release.into_iter().for_each(|release| unsafe { release(userdata) });
}

/// Elements that lie on top of each other, with strides of 0, are as many as a shape says.
const MOST_SENT: usize = 64 << 20;

/// As a host sends what was passed.
fn send(value: &subpy_value) -> Result<Sent, NotCopied> {
    match ValueRef::of_checked(value).claim() {
        Some(claim) => {
            let (start, len) = claim.extent();
            assert!(len >= claim.len().min(1) && start.checked_add(len).is_some());
            if claim.len() > MOST_SENT {
                return Err(NotCopied::NoMemory);
            }
            share(&claim.gathered().ok_or(NotCopied::NoMemory)?).map(Sent::Value)
        }
        None => describe(value),
    }
}

/// As a process takes it.
fn take(kind: i32, got: Got, builder: &mut Builder) -> Result<subpy_value, NotCopied> {
    match (kind, got) {
        (BUFFER, Got::Value(value)) => {
            let read = SharedBuffer::of_value(value)?;
            let shared = read.get();
            let (memory, place) = memory(&shared)?;
            memory.pass_part(place, shared.form, (shared.writable, shared.lent), tell, builder)
        }
        (kind, got) => restore(kind, got, builder),
    }
}

/// A program that makes values, of which not all are what they say: those that are refused get a reason, and all others
/// are the same on the other side, as copies, as arguments, and as rows.
pub fn value(data: &[u8]) {
    let mut input = Input(data);
    let (mut memory, mut stack) = (Memory::default(), Vec::new());
    while !input.is_over() && stack.iter().map(|made: &Made| made.size).sum::<usize>() < MOST {
        memory.step(&mut input, &mut stack);
    }
    let mut good = Vec::new();
    for Made { value, buffers, .. } in &stack {
        // SAFETY: what it points to is in the memory; what is not as it says points nowhere.
        match unsafe { Args::check(value, 1, std::ptr::null()) } {
            Ok(args) => {
                good.push(*value);
                copied(&args, *buffers, &memory);
            }
            Err(why) => assert!(!why.is_empty()),
        }
    }
    arguments(&good);
    rows(&good);
}

fn copied(args: &Args, buffers: usize, memory: &Memory) {
    let before = memory.released.load(Ordering::Relaxed);
    let owned = Args::to_owned(*args, keep, tell).expect("there is memory");
    let value = owned.args().items[0];
    assert!(same(&args.items[0], &value) && !look(&value));
    // SAFETY: a complete value.
    unsafe { Args::check(&value, 1, std::ptr::null()) }.expect("a copy is what it says");
    // SAFETY: it was checked.
    let (sent, bytes) = written(|writer| unsafe { writer.value(&value, &mut send) });
    if let Err(why) = sent {
        assert!(matches!(why, NotCopied::NoMemory), "it can be sent: {why:?}");
        drop(owned);
        assert_eq!(memory.released.load(Ordering::Relaxed) - before, buffers, "each is given back once");
        return;
    }
    let there = read(&bytes, &mut take).expect("what was sent can be read");
    assert!(same(&value, there.as_value()) && !look(there.as_value()));
    // SAFETY: it was read.
    let (sent, again) = written(|writer| unsafe { writer.value(there.as_value(), &mut send) });
    sent.expect("it can be sent back");
    assert!(again == bytes);
    drop((owned, there));
    assert_eq!(memory.released.load(Ordering::Relaxed) - before, buffers, "each is given back once");
}

/// Plain values, and those that need no hands to keep them.
fn arguments(items: &[subpy_value]) {
    // SAFETY: they were checked.
    let Ok(args) = (unsafe { Args::check(items.as_ptr(), items.len(), std::ptr::null()) }) else { return };
    let owned = Args::to_owned(args, keep, tell).expect("there is memory");
    let request = Request::Function { function: 7, args: owned.args() };
    crossed(&request, |request| {
        let Request::Function { function: 7, args: there } = request else { panic!("another request") };
        assert_eq!(there.items.len(), items.len());
        assert!(there.items.iter().zip(items).all(|(there, item)| same(there, item)));
    });
}

/// The same as rows, of which each has as many.
fn rows(items: &[subpy_value]) {
    for width in 1..=items.len().min(3) {
        let count = items.len() / width;
        // SAFETY: they were checked.
        let rows = unsafe { Rows::check(items.as_ptr(), count, width) }.expect("they were checked");
        let owned = Rows::to_owned(rows, keep, tell).expect("there is memory");
        crossed(&Request::Many { function: 7, rows: owned.rows(), collect: false }, |request| {
            let Request::Many { rows, .. } = request else { panic!("another request") };
            assert_eq!((rows.count(), rows.width()), (count, width));
            assert!(rows.values().iter().zip(items).all(|(there, item)| same(there, item)));
        });
    }
}

fn crossed(request: &Request, check: impl Fn(&Request)) {
    let (header, bytes) = written(|writer| request.write(&Run::default(), writer, &mut send));
    let header = match header {
        Ok(header) => header,
        Err(why) => return assert!(matches!(why, NotCopied::NoMemory), "it can be sent: {why:?}"),
    };
    let mut read = ToRun::none();
    read.fill(header, bytes.as_slice(), &mut take).expect("what was sent can be read");
    check(&read.request());
}
