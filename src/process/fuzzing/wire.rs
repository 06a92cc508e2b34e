//! What a process sends to its host, which believes nothing of it.

use super::super::control::Note;
use super::super::message::{Done, Failed, Header, Reply, Request, ToRun};
use super::super::wire::NotRead;
use super::{Input, describe, look, restore, written};
use crate::value::{Args, OwnedValue, subpy_value};

/// A message: what it is, its header, and what is behind that. What can be read of it can be written, and that reads as
/// it was written.
pub fn wire(data: &[u8]) {
    let mut input = Input(data);
    let what = input.byte() % 3;
    if what == 0 {
        return note(input.0);
    }
    let (op, flags) = (u16::from_le_bytes(input.array()), u16::from_le_bytes(input.array()));
    let header = Header { op, flags, a: input.number(), b: input.number() };
    // In memory of its own, whose end is known.
    let message = input.0.to_vec();
    if what == 1 { reply(header, &message) } else { request(header, &message) }
}

fn note(bytes: &[u8]) {
    let Some(note) = Note::from_bytes(bytes) else { return };
    let again = Note::from_bytes(&note.to_bytes());
    // A text is cut where it is too long.
    assert!(again == Some(note.clone()) || matches!(note, Note::Failed(_)), "{note:?}");
}

fn told(why: &NotRead) {
    assert!(!why.to_string().is_empty());
}

/// What was read is complete, it could be passed on, and it takes no more memory than what came: what was read of a few
/// bytes is not to fill the memory of those who copy it.
fn is_sound(value: &OwnedValue, message: &[u8]) {
    if look(value.as_value()) {
        return;
    }
    // SAFETY: a complete value.
    unsafe { Args::check(value.as_value(), 1, std::ptr::null()) }.expect("it is what it says");
    let copy = OwnedValue::copy_of(value.as_value()).expect("there is memory");
    let size = |value: &OwnedValue| {
        // SAFETY: the root of a result.
        unsafe { value.as_value().block() }.map_or(0, <[u8]>::len)
    };
    assert!(size(&copy) <= 8 * message.len() + 64, "{} of {}", size(&copy), message.len());
}

fn reply(header: Header, message: &[u8]) {
    let mut done = Done::default();
    let is_plain = done.fill(header, message);
    let reply = match Reply::read(header, message, &mut restore) {
        Ok(reply) => reply,
        Err(why) => {
            assert!(!is_plain);
            return told(&why);
        }
    };
    let write = |reply: &Reply, copied: bool| {
        written(|writer| match reply {
            Reply::Done(done) if copied => done.write(writer, &mut describe),
            Reply::Done(done) => done.write_hidden(writer, &mut describe),
            Reply::Failed(failed) => failed.write(writer),
            Reply::Raised(raised) => raised.write(writer),
        })
    };
    if let Reply::Done(Done { value: Some(value), .. }) = &reply {
        is_sound(value, message);
    }
    if let (true, Reply::Done(read)) = (is_plain, &reply) {
        let word = |done: &Done| done.value.as_ref().map(|value| (value.as_value().kind, value.as_value().as_int()));
        assert_eq!((word(&done), done.word), (word(read), read.word));
    }
    if let Reply::Failed(failed) = &reply {
        let value = failed.to_value().expect("there is memory");
        let again = Failed::of_value(value.as_ref()).expect("an error");
        assert_eq!(format!("{again:?}"), format!("{failed:?}"));
    }
    for copied in [false, true] {
        let (header, bytes) = write(&reply, copied);
        let header = header.expect("it can be written");
        let again = Reply::read(header, bytes.as_slice(), &mut restore).expect("it was written");
        let (header_again, bytes_again) = write(&again, false);
        assert_eq!(header_again.expect("it can be written"), header);
        assert!(copied || bytes_again == bytes);
    }
}

fn request(header: Header, message: &[u8]) {
    let mut read = ToRun::none();
    if let Err(why) = read.fill(header, message, &mut restore) {
        return told(&why);
    }
    let write = |read: &ToRun| {
        let (header, bytes) = written(|writer| read.request().write(&read.run(), writer, &mut describe));
        (header.expect("it can be written"), bytes)
    };
    let (header, bytes) = write(&read);
    let mut again = ToRun::none();
    again.fill(header, bytes.as_slice(), &mut restore).expect("it was written");
    assert_eq!(write(&again), (header, bytes));
    arguments(&read.request());
    read.clear();
}

/// All arguments that a host's function would get.
fn arguments(request: &Request) {
    let Request::Host { args, .. } = request else { return };
    let errors = args.items.iter().filter(|item| look(item)).count();
    let errors = errors + args.kwargs.iter().filter(|pair| look(&pair.key) | look(&pair.value)).count();
    assert!(args.keywords().all(|(name, _)| std::str::from_utf8(name.as_bytes()).is_ok()));
    if errors == 0 {
        let items = subpy_value::pointing(crate::value::TUPLE, args.items.as_ptr().cast(), args.items.len());
        // SAFETY: complete values.
        unsafe { Args::check(&items, 1, std::ptr::null()) }.expect("they are what they say");
    }
}
