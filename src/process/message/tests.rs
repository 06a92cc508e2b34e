use super::super::fuzzing::written;
use super::super::wire::{Reader, Sent, Source, none_to_get, none_to_send};
use super::*;
use crate::value::{
    Args, BUFFER, Buffers, DICT, ERROR, Exception, Frame, LIST, OwnedValue, Results, Rows, STR, Syntax, TUPLE, View,
    subpy_pair, subpy_value,
};

use std::time::Duration;

fn text(text: &str) -> subpy_value {
    subpy_value::pointing(STR, text.as_ptr(), text.len())
}

fn crossed(request: Request, run: Run) -> ToRun {
    let (header, bytes) = written(|writer| request.write(&run, writer, &mut none_to_send).unwrap());
    let read = ToRun::read(header, bytes.as_slice(), &mut none_to_get).unwrap();
    assert!(read.run() == run);
    read
}

/// What a request says, to be compared.
fn said(request: Request) -> String {
    let args = |args: Args| {
        let items: Vec<_> = args.items.iter().map(|value| (value.kind, value.as_int())).collect();
        let names: Vec<_> = args.keywords().map(|(name, value)| (name.to_owned(), number(value.view()))).collect();
        format!("{items:?} {names:?} {}", args.buffers.are_passed())
    };
    match request {
        Request::Exec { source, filename, keep_indent } => format!("exec {source:?} {filename:?} {keep_indent}"),
        Request::Eval { expression, filename } => format!("eval {expression:?} {filename:?}"),
        Request::Call { callable, args: it } => format!("call {callable} {}", args(it)),
        Request::Function { function, args: it } => format!("function {function} {}", args(it)),
        Request::Many { function, rows, collect } => {
            let values: Vec<_> = rows.values().iter().map(subpy_value::as_int).collect();
            format!("many {function} {} {} {values:?} {collect}", rows.count(), rows.width())
        }
        Request::PrepareMain { names } => format!("prepare {}", args(Args { items: &[], kwargs: names, ..EMPTY })),
        Request::Find { callable } => format!("find {callable}"),
        Request::Object { object, act } => {
            let act = match act {
                Act::Attribute(name) => format!("attribute {name}"),
                Act::Item(key) => format!("item {}", args(key)),
                Act::Method(name, it) => format!("method {name} {}", args(it)),
                Act::Iter => "iter".into(),
                Act::Next => "next".into(),
                Act::Value => "value".into(),
                Act::Text => "text".into(),
            };
            format!("object {object} {act}")
        }
        Request::Free { handle } => format!("free {handle}"),
        Request::Define { code, name, signature, doc } => {
            format!("define {code} {name} {signature:?} {doc:?}")
        }
        Request::Enter => "enter".into(),
        Request::Leave => "leave".into(),
        Request::SetOutput { captured } => format!("set output {captured}"),
        Request::Memory => "memory".into(),
        Request::LockInfo => "lock info".into(),
        Request::Look { stop } => format!("look {stop}"),
        Request::End { timeout, interrupt } => format!("end {timeout:?} {interrupt}"),
        Request::Ending => "ending".into(),
        Request::Serve => "serve".into(),
        Request::Release { code } => format!("release {code}"),
        Request::Output { of_run, stream, text } => format!("output {of_run} {stream} {text}"),
        Request::Queue { queue, act } => format!("queue {queue} {}", queue_act(&act)),
        Request::Host { code, args: it } => format!("host {code} {}", args(it)),
    }
}

fn queue_act(act: &QueueAct) -> String {
    match act {
        QueueAct::New { capacity } => format!("new {capacity}"),
        QueueAct::Find => "find".into(),
        QueueAct::Get(patience) => format!("get {patience:?}"),
        QueueAct::Put(item, patience) => format!("put {} {patience:?}", number(item.as_ref().view())),
        QueueAct::PutBack(item) => format!("put back {}", number(item.as_ref().view())),
        QueueAct::Wait { room, patience } => format!("wait {room} {patience:?}"),
        QueueAct::Len => "len".into(),
        QueueAct::Capacity => "capacity".into(),
        QueueAct::IsClosed => "is closed".into(),
        QueueAct::Close => "close".into(),
        QueueAct::Event { room } => format!("event {room}"),
        QueueAct::Free { given, named } => format!("free {given} {named}"),
    }
}

const EMPTY: Args = Args { items: &[], kwargs: &[], buffers: Buffers::None };

fn number(view: View) -> i64 {
    if let View::Int(number) = view { number } else { -1 }
}

#[test]
fn no_error_is_among_arguments() {
    let came = |kind| {
        let handle = subpy_value::pointing(kind, std::ptr::null(), 0);
        let request = Request::Function { function: 1, args: Args { items: &[handle], ..EMPTY } };
        let mut send = |_: &subpy_value| Ok(Sent::Value(OwnedValue::int(1)));
        let (header, bytes) = written(|writer| request.write(&Run::default(), writer, &mut send).unwrap());
        let mut taken = 0;
        let read = ToRun::none().fill(header, bytes.as_slice(), &mut |_, _, _| {
            taken += 1;
            Ok(subpy_value::none())
        });
        (read.is_ok(), taken)
    };
    assert_eq!((came(BUFFER), came(ERROR)), ((true, 1), (false, 0)));
}

#[test]
fn requests_come_as_they_were_sent() {
    let items: Vec<subpy_value> = (0..12).map(subpy_value::int).collect();
    let kwargs = [subpy_pair { key: text("key"), value: subpy_value::int(5) }];
    let few = Args { items: &items[..2], ..EMPTY };
    let many = Args { items: &items, kwargs: &kwargs, ..EMPTY };
    // SAFETY: as many values as are said.
    let rows = unsafe { Rows::check(items.as_ptr(), 4, 3) }.unwrap();
    // SAFETY: no values.
    let empty = unsafe { Rows::check(std::ptr::null(), 7, 0) }.unwrap();
    let object = |act| Request::Object { object: 8, act };
    let plain = Run::default();
    let all = Results::OBJECTS.and(Results::BUFFER).and(Results::ARRAY).and(Results::ASYNC);
    let special = Run { wanted: Some(all), number: 1500, captured: true };
    let item = OwnedValue::int(77);
    let queue = |act| Request::Queue { queue: 1 << 40, act };
    let waits = Patience { time: Some(Duration::new(5, 7)), looks: u64::MAX };
    for request in [
        Request::Exec { source: "x = 1", filename: None, keep_indent: true },
        Request::Exec { source: "", filename: Some("f\u{fc}r.py"), keep_indent: false },
        Request::Eval { expression: "x", filename: Some("") },
        Request::Call { callable: "m:f", args: EMPTY },
        Request::Call { callable: "m:f", args: many },
        Request::Function { function: 1 << 50, args: few },
        Request::Function { function: 1, args: many },
        Request::Many { function: 3, rows, collect: true },
        Request::Many { function: 3, rows: empty, collect: false },
        Request::PrepareMain { names: &kwargs },
        Request::Find { callable: "f" },
        object(Act::Attribute("name")),
        object(Act::Item(few)),
        object(Act::Method("name", many)),
        object(Act::Iter),
        object(Act::Next),
        object(Act::Value),
        object(Act::Text),
        Request::Free { handle: u64::MAX },
        queue(QueueAct::New { capacity: -3 }),
        queue(QueueAct::Find),
        queue(QueueAct::Get(waits)),
        queue(QueueAct::Put(&item, Patience { time: None, looks: 3 })),
        queue(QueueAct::PutBack(&item)),
        queue(QueueAct::Wait { room: true, patience: waits }),
        queue(QueueAct::Wait { room: false, patience: Patience { time: Some(Duration::ZERO), looks: 0 } }),
        queue(QueueAct::Len),
        queue(QueueAct::Capacity),
        queue(QueueAct::IsClosed),
        queue(QueueAct::Close),
        queue(QueueAct::Event { room: true }),
        queue(QueueAct::Free { given: u64::MAX, named: 2 }),
        Request::Define { code: 9, name: "m:f", signature: Some("(a)"), doc: None },
        Request::Enter,
        Request::Leave,
        Request::SetOutput { captured: true },
        Request::SetOutput { captured: false },
        Request::Memory,
        Request::LockInfo,
        Request::Look { stop: 0 },
        Request::Look { stop: u32::MAX },
        Request::End { timeout: None, interrupt: true },
        Request::End { timeout: Some(Duration::ZERO), interrupt: false },
        Request::Ending,
        Request::Serve,
        Request::Host { code: 9, args: few },
        Request::Release { code: 9 },
        Request::Output { of_run: true, stream: 2, text: "text\n" },
    ] {
        for run in [plain, special, Run { wanted: Some(Results::VALUE), ..plain }] {
            assert_eq!(said(crossed(request, run).request()), said(request));
        }
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let list = subpy_value::pointing(LIST, std::ptr::null(), 0);
    let tuple = subpy_value { kind: TUPLE, ..list };
    let numbered = [subpy_pair { key: subpy_value::int(1), value: subpy_value::none() }];
    let dict = |pairs: &[subpy_pair]| subpy_value::pointing(DICT, pairs.as_ptr().cast(), pairs.len());
    let (none, int) = (subpy_value::none(), subpy_value::int(2));
    let tagged = subpy_value { flags: crate::value::tag::DATE, ..text("x") };
    let refused = |op: u16, values: &[subpy_value]| {
        let (_, bytes) = written(|writer| {
            for value in values {
                // SAFETY: the tests' values are what they say.
                unsafe { writer.value(value, &mut none_to_send) }.unwrap();
            }
        });
        ToRun::read(Header { op, ..Header::default() }, bytes.as_slice(), &mut none_to_get).is_err()
    };
    let (exec, call, function, many, prepare, next) = (1, 3, 4, 5, 6, 12);
    assert!(!refused(exec, &[text("x"), none]) && !refused(next, &[]));
    for (op, values) in [
        (0, &[][..]),
        (99, &[]),
        (exec, &[]),
        (exec, &[text("x")]),
        (exec, &[none, none]),
        (exec, &[int, none]),
        (exec, &[text("x"), int]),
        (exec, &[tagged, none]),
        (exec, &[text("x"), none, none]),
        (call, &[text("f"), tuple]),
        (call, &[text("f"), list, none]),
        (call, &[text("f"), tuple, tuple]),
        (call, &[text("f"), tuple, dict(&numbered)]),
        (function, &[text("f"), none]),
        (many, &[int, int, tuple]),
        (many, &[int, none, tuple]),
        (many, &[subpy_value::int(-1), int, tuple]),
        (many, &[subpy_value::int(i64::MIN), subpy_value::int(0), tuple]),
        (prepare, &[dict(&[])]),
        (prepare, &[dict(&numbered)]),
        (prepare, &[tuple]),
        (next, &[none]),
    ] {
        assert!(refused(op, values), "{op} with {} values", values.len());
    }
}

#[test]
fn handles_among_arguments_are_not_missed() {
    let object = [subpy_value::handle(crate::value::OBJECT, 4)];
    let args = Args { items: &object, buffers: Buffers::Passed, ..EMPTY };
    let request = Request::Function { function: 1, args };
    let mut describe = |value: &subpy_value| Ok(super::super::wire::Sent::Word(value.as_int() as u64));
    let (header, bytes) = written(|writer| request.write(&Run::default(), writer, &mut describe).unwrap());
    let read = ToRun::read(header, bytes.as_slice(), &mut |kind, got, _| match got {
        super::super::wire::Got::Word(word) => Ok(subpy_value::handle(kind, word)),
        super::super::wire::Got::Value(_) => unreachable!("a word was sent"),
    });
    let read = read.unwrap();
    let Request::Function { args, .. } = read.request() else { panic!("a function was called") };
    assert!(args.buffers.are_passed() && args.items[0].as_int() == 4);
}

/// With something in each of its fields.
fn exception() -> Exception {
    let frame = |line| Frame {
        file: "<script>".into(),
        function: "f\u{fc}r".into(),
        source: (line % 2 == 0).then(|| format!("line {line}")),
        line,
        end_line: line + 1,
        column: 3,
        end_column: 4,
    };
    Exception {
        type_name: "E".into(),
        type_qualname: "A.E".into(),
        type_module: "m".into(),
        message: "of\0it".into(),
        formatted: "m.A.E: of\0it".into(),
        display: "Traceback".into(),
        frames: (1..2000).map(frame).collect(),
        syntax: Some(Syntax { line: 7, column: -1, text: Some("x x".into()) }),
        exit_status: Some(-3),
        tag: u64::MAX,
        hint: Some("; do this".into()),
    }
}

fn reply(header: Header, bytes: &[u8]) -> Reply {
    Reply::read(header, bytes, &mut none_to_get).unwrap()
}

#[test]
fn errors_cross_field_by_field() {
    let plain = Exception { frames: vec![], syntax: None, exit_status: None, hint: None, ..exception() };
    let without_text = Exception { syntax: Some(Syntax::default()), tag: 0, ..exception() };
    let message = "a \u{2260} b".to_owned();
    for exception in [None, Some(exception()), Some(plain), Some(without_text)] {
        for row in [None, Some(0), Some(u64::MAX)] {
            let failed = Failed { kind: 4, message: message.clone(), exception: exception.clone().map(Box::new), row };
            let (header, bytes) = written(|writer| failed.write(writer).unwrap());
            let Reply::Failed(back) = reply(header, &bytes) else { panic!("it failed") };
            // `Debug` shows every field that there is.
            assert_eq!(format!("{back:?}"), format!("{failed:?}"));
            let value = failed.to_value().unwrap();
            assert_eq!(format!("{:?}", Failed::of_value(value.as_ref()).unwrap()), format!("{failed:?}"));
        }
    }
}

#[test]
fn results_cross() {
    let items = [subpy_value::int(1), text("a")];
    let many = subpy_value::pointing(LIST, items.as_ptr().cast(), 2);
    for value in [None, Some(subpy_value::int(7)), Some(many)] {
        let value = value.map(|value| OwnedValue::copy_of(&value).unwrap());
        let done = Done { value, word: 12 };
        for hidden in [false, true] {
            let (header, bytes) = written(|writer| match hidden {
                true => done.write_hidden(writer, &mut none_to_send).unwrap(),
                false => done.write(writer, &mut none_to_send).unwrap(),
            });
            let Reply::Done(back) = reply(header, &bytes) else { panic!("it was done") };
            let kind = |done: &Done| done.value.as_ref().map(|value| (value.as_value().kind, value.as_value().len));
            assert_eq!((back.word, kind(&back)), (12, kind(&done)));
        }
    }
    assert!(Reply::read(Header { op: 3, ..Header::default() }, &[][..], &mut none_to_get).is_err());
}

#[test]
fn what_is_raised_crosses() {
    let texts = |count| (0..count).map(|number| format!("note {number} \u{fc}")).collect();
    for notes in [vec![], texts(1), texts(300)] {
        let raised = Raised { kind: "m:E".into(), message: "of\0it".into(), notes, tag: u64::MAX };
        let (header, bytes) = written(|writer| raised.write(writer).unwrap());
        let Reply::Raised(back) = reply(header, &bytes) else { panic!("it was raised") };
        assert_eq!(*back, raised);
        assert!(Reply::read(header, &bytes[..bytes.len() - 8], &mut none_to_get).is_err());
    }
}

/// A worker may send anything. What it sends is an error, or a reply that can be read.
#[test]
fn a_reply_that_is_none_is_an_error() {
    let mut short = exception();
    short.frames.truncate(2);
    let small = Failed { exception: Some(Box::new(short)), ..Failed::default() };
    let (header, good) = written(|writer| small.write(writer).unwrap());
    let (mut seed, mut accepted, mut refused) = (1u64, 0, 0);
    let mut below = |limit: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % limit
    };
    for _ in 0..100_000 {
        let mut bytes = good.clone();
        for _ in 0..=below(3) {
            let word = below(bytes.len() / 8) * 8;
            match below(3) {
                0 => bytes[word + below(8)] ^= 1 << below(8),
                1 => bytes[word..word + 8].copy_from_slice(&(below(16) as u64).to_ne_bytes()),
                _ => bytes.copy_within(word / 2 / 8 * 8..word / 2 / 8 * 8 + 8, word),
            }
        }
        match Reply::read(header, bytes.as_slice(), &mut none_to_get) {
            Ok(Reply::Failed(failed)) => {
                let all: usize = failed.exception.iter().flat_map(|it| &it.frames).map(|it| it.file.len()).sum();
                assert!(all <= bytes.len());
                accepted += 1;
            }
            Ok(Reply::Done(_) | Reply::Raised(_)) => panic!("it was a failure"),
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} were accepted, {refused} refused");
    // Requests of a worker's to its host are no safer.
    let items = [subpy_value::int(1), text("abc")];
    let args = Args { items: &items, ..EMPTY };
    let (header, good) =
        written(|writer| Request::Host { code: 1, args }.write(&Run::default(), writer, &mut none_to_send).unwrap());
    for round in 0..20_000 {
        let mut bytes = good.clone();
        let word = below(bytes.len() / 8) * 8;
        bytes[word..word + 8].copy_from_slice(&(below(300) as u64).to_ne_bytes());
        let header = Header { op: if round % 3 == 0 { below(20) as u16 } else { header.op }, ..header };
        // SAFETY: the bytes are there.
        let source = unsafe { Source::shared(bytes.as_ptr(), bytes.len()) };
        if let Ok(read) = ToRun::read(header, source, &mut none_to_get) {
            said(read.request());
        }
    }
    assert!(Reader::new(&[][..]).end().is_ok());
}

#[test]
fn outcomes_are_words() {
    let all = [Outcome::Done, Outcome::Now, Outcome::Closed, Outcome::Look, Outcome::NoMemory, Outcome::Gone];
    for outcome in all.into_iter().chain([Outcome::NoEvent(24), Outcome::NoEvent(i32::MAX)]) {
        assert_eq!(Outcome::of_word(outcome.to_word()), outcome);
    }
}
