//! conformance/cases.json, run through the Rust crate, the C interface and the C++ header, in interpreters of this process
//! and in those with processes of their own. For C and C++ a program is written, with a function for each case. The other
//! bindings read the table themselves, in their own tests.

mod support;

use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::Value as Json;
use subpy::{
    Awaited, Buffer, Buffers, Cancel, Config, DefineOptions, Error, FromValue, HostCall, Interpreter, Isolation, Kind,
    Limits, Object, Objects, Options, Pool, PoolOptions, ProcessOptions, Queue, Raise, Stream, Tag, TaskOptions, Value,
};
use support::packages::{self, IN_PROCESSES};
use support::{build_folder, command, compiler, expect_success, library_folder, root};

fn table() -> Json {
    let text = std::fs::read_to_string(root().join("conformance/cases.json")).expect("the table");
    serde_json::from_str(&text).expect("JSON")
}

/// What a list of cases is of, besides running something.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Running,
    Host,
    Limits,
    Output,
    Data,
}

const LISTS: [(&str, Of); 5] =
    [("cases", Of::Running), ("host", Of::Host), ("limits", Of::Limits), ("output", Of::Output), ("data", Of::Data)];

/// Members of the cases of data, besides those of limits.
const OF_DATA: [&str; 9] =
    ["tagged_values", "memory_limit", "flags", "object", "object_in", "queue", "queue_closed", "queue_after", "pool"];

/// All cases but those of many calls at once.
fn all_cases() -> Vec<(Of, Json)> {
    let table = table();
    let list =
        |(name, of): (&str, Of)| items(&table[name]).iter().map(|case| (of, case.clone())).collect::<Vec<(Of, Json)>>();
    LISTS.into_iter().flat_map(list).collect()
}

/// The times of a case, and what it is to print.
fn number(case: &Json, member: &str) -> Option<i64> {
    case.get(member).map(|number| number.as_i64().expect("a number"))
}

/// Those of many calls at once.
fn many() -> Vec<Json> {
    table()["many"].as_array().expect("many").clone()
}

fn text<'a>(case: &'a Json, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_default()
}

fn items(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// `{"tag": "set", "value": ...}`
fn with_tag(value: &Json) -> Option<(&str, &Json)> {
    Some((value.get("tag")?.as_str().expect("a tag"), &value["value"]))
}

/// The one member of `{"int": "12"}`.
fn tagged(value: &Json) -> (&str, &Json) {
    let object = value.as_object().expect("a value");
    let (tag, inner) = object.iter().next().expect("one member");
    assert_eq!(object.len(), 1, "{value}");
    (tag, inner)
}

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().expect("hexadecimal");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn bits(hex: &Json) -> u64 {
    u64::from_str_radix(hex.as_str().expect("hexadecimal"), 16).expect("the bits of a double")
}

#[test]
fn the_table_makes_sense() {
    let members = ["name", "setup", "do", "text", "args", "kwargs", "filename", "keep_indent", "result", "error"];
    let errors = [
        "status",
        "message",
        "type_name",
        "type_qualname",
        "type_module",
        "exception_message",
        "formatted",
        "display",
        "frames",
        "syntax",
        "exit_status",
    ];
    let unknown = |object: &Json, known: &[&str]| {
        object.as_object().expect("an object").keys().find(|key| !known.contains(&key.as_str())).cloned()
    };
    let mut names = std::collections::BTreeSet::new();
    for (of, case) in all_cases() {
        let name = text(&case, "name");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(["exec", "eval", "call", "prepare_main"].contains(&text(&case, "do")), "{name}");
        let more: &[&str] = match of {
            Of::Running | Of::Host => &[],
            Of::Limits => &["interp_timeout_ms", "timeout_ms", "cancel_ms"],
            Of::Output => &["output", "stdout", "stdout_length", "stderr", "no_stdin"],
            Of::Data => &[&OF_DATA[..], &["timeout_ms"]].concat(),
        };
        assert_eq!(unknown(&case, &[&members[..], more].concat()), None, "{name}");
        if of == Of::Output {
            assert!(["interpreter", "run"].contains(&text(&case, "output")), "{name}");
            assert!(case.get("stdout").is_some() != case.get("stdout_length").is_some(), "{name}");
        }
        if let Some(error) = case.get("error") {
            assert_eq!(unknown(error, &errors), None, "{name}");
            assert!(case.get("result").is_none() && error["status"].is_string(), "{name}");
        }
    }
    assert!(names.len() >= 40);
    for case in many() {
        let name = text(&case, "name");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert_eq!(unknown(&case, &["name", "setup", "text", "rows", "outcomes", "ends"]), None, "{name}");
        assert!(case["rows"].is_array() && case.get("ends").is_none() == case["outcomes"].is_array(), "{name}");
        if let Some(error) = case.get("ends") {
            assert_eq!(unknown(error, &[&errors[..], &["row"]].concat()), None, "{name}");
            assert!(error["status"].is_string(), "{name}");
        }
        assert!(case.get("ends").is_some() || items(&case["outcomes"]).len() == items(&case["rows"]).len(), "{name}");
        for outcome in items(&case["outcomes"]) {
            let (what, of) = tagged(outcome);
            assert!(what == "result" || what == "error" && unknown(of, &errors).is_none(), "{name}");
        }
    }
}

// ---- Rust ----

thread_local! {
    /// This test's interpreters have processes of their own.
    static HAVE_PROCESSES: Cell<bool> = const { Cell::new(false) };
}

/// Longer than what the table stops takes to end, on a busy machine: none of it is to be killed.
const GRACE: Duration = Duration::from_secs(5);

/// With a process where that is wanted.
fn located(options: Options) -> Options {
    if HAVE_PROCESSES.get() { options.process(ProcessOptions::new().grace(GRACE)) } else { options }
}

fn create(options: Options) -> Result<Interpreter, Error> {
    Interpreter::with_options(&located(options))
}

const TAGS: [(&str, Tag); 11] = [
    ("set", Tag::Set),
    ("frozenset", Tag::FrozenSet),
    ("complex", Tag::Complex),
    ("date", Tag::Date),
    ("time", Tag::Time),
    ("datetime", Tag::DateTime),
    ("timedelta", Tag::TimeDelta),
    ("decimal", Tag::Decimal),
    ("uuid", Tag::Uuid),
    ("enum", Tag::Enum),
    ("dataclass", Tag::Dataclass),
];

fn value(json: &Json) -> Value {
    match json {
        Json::Null => return Value::None,
        Json::Bool(value) => return Value::Bool(*value),
        Json::String(text) => return Value::Str(text.clone()),
        _ => {}
    }
    if let Some((name, inner)) = with_tag(json) {
        let tag = TAGS.iter().find(|(known, _)| *known == name).expect("a tag").1;
        return Value::Tagged(tag, Box::new(value(inner)));
    }
    let (tag, inner) = tagged(json);
    let values = || items(inner).iter().map(value).collect();
    match tag {
        "int" => Value::Int(inner.as_str().expect("an int").parse().expect("an int")),
        "bigint" => Value::BigInt(inner.as_str().expect("an int").into()),
        "float" => Value::Float(f64::from_bits(bits(inner))),
        "bytes" => Value::Bytes(bytes(inner)),
        "tuple" => Value::Tuple(values()),
        "list" => Value::List(values()),
        "dict" => Value::Dict(items(inner).iter().map(|pair| (value(&pair[0]), value(&pair[1]))).collect()),
        "object" => described_object(inner.as_str().expect("a text")),
        "buffer" => {
            let shape: Vec<usize> =
                items(&inner["shape"]).iter().map(|len| len.as_u64().expect("a length") as usize).collect();
            described_buffer(text(inner, "format"), &shape, &bytes(&inner["bytes"]))
        }
        _ => panic!("no value: {json}"),
    }
}

/// What stands for an object or a buffer when values are compared.
fn described_object(text: &str) -> Value {
    Value::Str(format!("object {text}"))
}

fn described_buffer(format: &str, shape: &[usize], bytes: &[u8]) -> Value {
    Value::Str(format!("buffer {format} {shape:?} {bytes:?}"))
}

/// The same value, in which objects and buffers are described.
fn described(value: Value) -> Result<Value, Error> {
    let all = |values: Vec<Value>| values.into_iter().map(described).collect::<Result<Vec<Value>, Error>>();
    Ok(match value {
        Value::Object(object) => described_object(&object.text()?),
        Value::Buffer(buffer) => {
            described_buffer(buffer.format(), buffer.shape(), buffer.as_bytes().expect("nobody writes to it"))
        }
        Value::List(items) => Value::List(all(items)?),
        Value::Tuple(items) => Value::Tuple(all(items)?),
        Value::Dict(pairs) => {
            let pair = |(key, value)| Ok((described(key)?, described(value)?));
            Value::Dict(pairs.into_iter().map(pair).collect::<Result<_, Error>>()?)
        }
        Value::Tagged(tag, value) => Value::Tagged(tag, Box::new(described(*value)?)),
        other => other,
    })
}

/// A value as an argument.
fn argument(json: &Json) -> Value {
    let Some(buffer) = json.get("buffer") else { return value(json) };
    assert_eq!((text(buffer, "format"), items(&buffer["shape"]).len()), ("h", 1), "{json}");
    let bytes = bytes(&buffer["bytes"]);
    let items = bytes.chunks(2).map(|pair| i16::from_ne_bytes([pair[0], pair[1]])).collect::<Vec<i16>>();
    Buffer::new(items).into()
}

/// Equal, floats bit for bit.
fn same(one: &Value, other: &Value) -> bool {
    let all =
        |one: &[Value], other: &[Value]| one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b));
    match (one, other) {
        (Value::Float(one), Value::Float(other)) => one.to_bits() == other.to_bits(),
        (Value::Tagged(one, inner), Value::Tagged(other, its)) => one == other && same(inner, its),
        (Value::Tuple(one), Value::Tuple(other)) | (Value::List(one), Value::List(other)) => all(one, other),
        (Value::Dict(one), Value::Dict(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(&a.0, &b.0) && same(&a.1, &b.1))
        }
        _ => one == other,
    }
}

/// What was printed.
#[derive(Default)]
struct Printed {
    stdout: String,
    stderr: String,
}

impl Printed {
    fn push(&mut self, stream: Stream, text: &str) {
        match stream {
            Stream::Stdout => self.stdout.push_str(text),
            Stream::Stderr => self.stderr.push_str(text),
        }
    }
}

fn milliseconds(case: &Json, member: &str) -> Option<Duration> {
    number(case, member).map(|number| Duration::from_millis(number.try_into().expect("a time")))
}

/// The functions of the module `host`.
fn define_host(interp: &Interpreter) -> Result<(), Error> {
    let with = DefineOptions::new();
    interp.define("host:echo", |any: Value| any)?;
    interp.define_with("host:arguments", &with, |call: HostCall| {
        let pairs = call.kwargs().iter().map(|(name, value)| (Value::Str(name.clone()), value.clone()));
        Ok(Value::Tuple(vec![Value::List(call.args().to_vec()), Value::Dict(pairs.collect())]))
    })?;
    interp.define("host:nothing", || ())?;
    interp.define("host:fail", |class: String, message: String| -> Result<(), Raise> {
        Err(Raise::new(class, message))
    })?;
    interp.define_with("host:again", &with, |call: HostCall| {
        let [Value::Str(code)] = call.args() else { return Err(Raise::new("TypeError", "one str")) };
        Ok(call.interpreter().eval(code)?)
    })
}

/// Fires the token when its time has come, unless the run has ended before.
fn cancelled_after<R>(after: Option<Duration>, cancel: &Cancel, run: impl FnOnce() -> R) -> R {
    let Some(after) = after else { return run() };
    if after.is_zero() {
        cancel.fire();
        return run();
    }
    std::thread::scope(|scope| {
        let (running, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            if ended.recv_timeout(after) == Err(mpsc::RecvTimeoutError::Timeout) {
                cancel.fire();
            }
        });
        let outcome = run();
        drop(running);
        outcome
    })
}

fn run_with_limits<T: Wanted>(interp: &Interpreter, case: &Json, way: usize) -> Result<Value, Error> {
    let cancel = Cancel::new();
    let after = milliseconds(case, "cancel_ms");
    let limits = Limits::new().timeout(milliseconds(case, "timeout_ms").unwrap_or_default());
    let limits = if after.is_some() { limits.cancel(&cancel) } else { limits };
    let (limited, what) = (interp.with_limits(limits), text(case, "text"));
    let args = values_in_rust(case);
    cancelled_after(after, &cancel, || match (text(case, "do"), way) {
        ("exec", _) => limited.exec(what).map(|()| Value::None),
        ("eval", _) => limited.eval::<T>(what).map(Into::into),
        (_, 0) => limited.call::<T>(what, args).map(Into::into),
        _ => limited.call_in_thread::<T>(what, args)?.join().map(Into::into),
    })
}

/// How many ways there are to run a case.
fn ways_in_rust(of: Of, case: &Json) -> usize {
    match (of, text(case, "do")) {
        (Of::Limits, "call") => 2,
        (Of::Data, _) if case["pool"] == true => 1,
        (_, "call") => 4,
        _ => 1,
    }
}

/// Runs it as a task of a pool of one worker.
fn run_in_pool<T: Wanted>(case: &Json) -> Result<Value, Error> {
    let isolation = if HAVE_PROCESSES.get() { Isolation::Process } else { Isolation::OwnGil };
    let options = PoolOptions::new().workers(1).setup(text(case, "setup")).isolation(isolation);
    let pool = Pool::with_options(options.interpreters(located(Options::new())))?;
    let limits = Limits::new().timeout(milliseconds(case, "timeout_ms").unwrap_or_default());
    let (tasks, what) = (pool.with(TaskOptions::new().limits(&limits)), text(case, "text"));
    match text(case, "do") {
        "exec" => tasks.exec(what)?.join().map(|()| Value::None),
        _ => tasks.call_kw::<T>(what, values_in_rust(case), kwargs_in_rust(case))?.join().map(Into::into),
    }
}

fn values_in_rust(case: &Json) -> Vec<Value> {
    items(&case["args"]).iter().map(argument).collect()
}

fn kwargs_in_rust(case: &Json) -> Vec<(String, Value)> {
    let pair = |pair: &Json| (pair[0].as_str().expect("a name").to_owned(), value(&pair[1]));
    items(&case["kwargs"]).iter().map(pair).collect()
}

/// What results of a case are wanted as.
trait Wanted: FromValue + Into<Value> {}
impl<T: FromValue + Into<Value>> Wanted for T {}

fn run_in_rust(of: Of, case: &Json, way: usize, printed: &Arc<Mutex<Printed>>) -> Result<Value, Error> {
    match items(&case["flags"]).first().map(|flag| flag.as_str().expect("a flag")) {
        None => run_for::<Value>(of, case, way, printed),
        Some("async") => run_for::<Awaited>(of, case, way, printed),
        Some("object") => run_for::<Object>(of, case, way, printed),
        Some("objects") => run_for::<Objects>(of, case, way, printed),
        Some("buffer" | "array") => run_for::<Buffers>(of, case, way, printed),
        Some(other) => panic!("no flag: {other}"),
    }
}

fn run_for<T: Wanted>(of: Of, case: &Json, way: usize, printed: &Arc<Mutex<Printed>>) -> Result<Value, Error> {
    if case["pool"] == true {
        return run_in_pool::<T>(case);
    }
    let config = Config::new().no_stdin(case["no_stdin"] == true).tagged_values(case["tagged_values"] == true);
    let mut options = Options::new().config(config);
    if let Some(limit) = case["memory_limit"].as_u64() {
        options = options.memory_limit(limit);
    }
    if let Some(limit) = milliseconds(case, "interp_timeout_ms") {
        options = options.timeout(limit);
    }
    let interp = create(options)?;
    if of == Of::Host {
        define_host(&interp)?;
    }
    interp.exec(text(case, "setup"))?;
    let to = Arc::clone(printed);
    let push = move |stream: Stream, text: &str| to.lock().expect("no panic").push(stream, text);
    match text(case, "output") {
        "run" => return interp.capture(push, || perform_in_rust::<T>(&interp, case, way))?,
        "interpreter" => interp.set_output(push)?,
        _ => {}
    }
    described(if of == Of::Limits {
        run_with_limits::<T>(&interp, case, way)?
    } else {
        perform_in_rust::<T>(&interp, case, way)?
    })
}

fn queue_of(items: &[Json]) -> Queue {
    let queue = Queue::new().expect("a queue");
    items.iter().for_each(|item| queue.put(value(item)).expect("room"));
    queue
}

fn perform_in_rust<T: Wanted>(interp: &Interpreter, case: &Json, way: usize) -> Result<Value, Error> {
    let mut args = values_in_rust(case);
    let queue = case.get("queue").map(|queue| queue_of(items(queue)));
    if let Some(queue) = &queue {
        if case["queue_closed"] == true {
            queue.close()?;
        }
        args.insert(0, Value::Queue(queue.clone()));
    }
    let another = case.get("object_in").map(|_| create(Options::new())).transpose()?;
    if let Some(expression) = case.get("object") {
        let expression = expression.as_str().expect("an expression");
        args.insert(0, another.as_ref().unwrap_or(interp).eval::<Object>(expression)?.into());
    }
    let outcome = perform_with_args::<T>(interp, case, way, args);
    if let Some(queue) = queue.filter(|_| case.get("queue_after").is_some()) {
        for expected in items(&case["queue_after"]) {
            let item: Value = queue.try_get()?;
            assert!(same(&item, &value(expected)), "{}: {item:?}", text(case, "name"));
        }
        assert!(queue.is_empty(), "{}", text(case, "name"));
    }
    outcome
}

fn perform_with_args<T: Wanted>(
    interp: &Interpreter,
    case: &Json,
    way: usize,
    args: Vec<Value>,
) -> Result<Value, Error> {
    let kwargs = kwargs_in_rust(case);
    let what = text(case, "text");
    match (text(case, "do"), way) {
        ("exec", _) => match case.get("filename") {
            Some(name) => interp.exec_file(what, name.as_str().expect("a name")),
            None if case["keep_indent"] == true => interp.exec_file(what, "<script>"),
            None => interp.exec(what),
        }
        .map(|()| Value::None),
        ("eval", _) => interp.eval::<T>(what).map(Into::into),
        ("prepare_main", _) => interp.prepare_main(kwargs).and_then(|()| interp.eval(what)),
        (_, 0) => interp.call_kw::<T>(what, args, kwargs).map(Into::into),
        (_, 1) => interp.function(what)?.call_kw::<T>(args, kwargs).map(Into::into),
        (_, 2) => interp.call_kw_in_thread::<T>(what, args, kwargs)?.join().map(Into::into),
        _ => {
            let session = interp.enter()?;
            let result = interp.call_kw::<T>(what, args, kwargs);
            session.leave()?;
            result.map(Into::into)
        }
    }
}

fn check_in_rust(name: &str, error: &Error, expected: &Json) {
    let status = match &error.kind {
        Kind::ExecutionFailed(_) => "SUBPY_ERROR_EXECUTION_FAILED",
        Kind::Syntax(_) => "SUBPY_ERROR_SYNTAX",
        Kind::NotShareable(_) | Kind::Elsewhere(_) => "SUBPY_ERROR_NOT_SHAREABLE",
        Kind::InvalidArgument(_) => "SUBPY_ERROR_INVALID_ARGUMENT",
        Kind::Timeout(_) => "SUBPY_ERROR_TIMEOUT",
        Kind::Interrupted(_) => "SUBPY_ERROR_INTERRUPTED",
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(status, text(expected, "status"), "{name}: {error}");
    let is = |member: &str, found: &str| {
        if let Some(expected) = expected.get(member) {
            assert_eq!(Some(found), expected.as_str(), "{name}: {member}");
        }
    };
    is("message", &error.to_string());
    let Some(exception) = error.exception() else {
        assert!(expected.get("type_name").is_none(), "{name}: no exception: {error}");
        return;
    };
    is("type_name", &exception.type_name);
    is("type_qualname", &exception.type_qualname);
    is("type_module", &exception.type_module);
    is("exception_message", &exception.message);
    is("formatted", &exception.formatted);
    is("display", &exception.display);
    if let Some(frames) = expected.get("frames") {
        assert_eq!(exception.frames.len(), items(frames).len(), "{name}");
        for (frame, expected) in exception.frames.iter().zip(items(frames)) {
            let found = (frame.file.as_str(), i64::from(frame.line), frame.function.as_str());
            let expected_frame =
                (text(expected, "file"), expected["line"].as_i64().expect("a line"), text(expected, "function"));
            assert_eq!(found, expected_frame, "{name}");
            if let Some(source) = expected.get("source") {
                assert_eq!(frame.source.as_deref(), source.as_str(), "{name}");
            }
        }
    }
    if let Some(expected) = expected.get("exit_status") {
        assert_eq!(exception.exit_status.map(i64::from), expected.as_i64(), "{name}");
    }
    if let Some(expected) = expected.get("syntax") {
        let syntax = exception.syntax.as_ref().expect("a place in the source");
        assert_eq!(i64::from(syntax.line), expected["line"].as_i64().expect("a line"), "{name}");
        assert_eq!(i64::from(syntax.column), expected["column"].as_i64().expect("a column"), "{name}");
        assert_eq!(syntax.text.as_deref(), expected["text"].as_str(), "{name}");
    }
}

fn here_and_in_processes(check: impl Fn(&str)) {
    check("");
    HAVE_PROCESSES.set(true);
    check(IN_PROCESSES);
}

#[test]
fn in_rust() {
    here_and_in_processes(check_cases);
}

fn check_cases(where_: &str) {
    // SAFETY: the variable is set before anything of this process reads it.
    unsafe { std::env::set_var("SUBPY_PYTHON", support::python()) };
    let mut count = 0;
    for (of, case) in &all_cases() {
        let name = text(case, "name");
        count += 1;
        for way in 0..ways_in_rust(*of, case) {
            let printed = Arc::default();
            match (run_in_rust(*of, case, way, &printed), case.get("error")) {
                (Ok(result), None) => {
                    if let Some(expected) = case.get("result") {
                        assert!(same(&result, &value(expected)), "{name}: {result:?}");
                    }
                }
                (Err(error), Some(expected)) => check_in_rust(name, &error, expected),
                (outcome, _) => panic!("{name}: {outcome:?}"),
            }
            let printed = printed.lock().expect("no panic");
            for (member, found) in [("stdout", &printed.stdout), ("stderr", &printed.stderr)] {
                if let Some(expected) = case.get(member) {
                    assert_eq!(Some(found.as_str()), expected.as_str(), "{name}: {member}");
                }
            }
            if let Some(expected) = case.get("stdout_length") {
                assert_eq!(Some(printed.stdout.chars().count() as u64), expected.as_u64(), "{name}");
            }
        }
    }
    say(count, &format!("Rust{where_}"));
}

/// The first error among the outcomes of many calls, and its row.
fn first_error(case: &Json) -> Option<(usize, &Json)> {
    let errors = items(&case["outcomes"]).iter().enumerate();
    errors.filter_map(|(row, outcome)| Some((row, outcome.get("error")?))).next()
}

#[test]
fn many_in_rust() {
    here_and_in_processes(check_many);
}

fn check_many(where_: &str) {
    // SAFETY: as above.
    unsafe { std::env::set_var("SUBPY_PYTHON", support::python()) };
    let cases = many();
    for case in &cases {
        let name = text(case, "name");
        let check = |error: &Error, row: Option<usize>, expected: &Json| {
            check_in_rust(name, error, expected);
            assert_eq!(error.row(), row, "{name}");
        };
        let interp = create(Options::new()).unwrap();
        interp.exec(text(case, "setup")).unwrap();
        let function = interp.function(text(case, "text")).unwrap();
        let rows = || items(&case["rows"]).iter().map(|row| items(row).iter().map(value).collect::<Vec<Value>>());
        let (stopped, each) = (function.call_many::<Value>(rows()), function.call_each::<Value>(rows()));
        if let Some(expected) = case.get("ends") {
            let row = expected.get("row").map(|row| row.as_u64().expect("a row") as usize);
            check(&stopped.expect_err(name), row, expected);
            check(&each.expect_err(name), row, expected);
            continue;
        }
        let outcomes = items(&case["outcomes"]);
        match (stopped, first_error(case)) {
            (Err(error), Some((row, expected))) => check(&error, Some(row), expected),
            (Ok(results), None) => {
                assert_eq!(results.len(), outcomes.len(), "{name}");
                assert!(results.iter().zip(outcomes).all(|(found, it)| same(found, &value(&it["result"]))), "{name}");
            }
            (stopped, _) => panic!("{name}: {stopped:?}"),
        }
        let each = each.expect(name);
        assert_eq!(each.len(), outcomes.len(), "{name}");
        for (row, (found, expected)) in each.iter().zip(outcomes).enumerate() {
            match (found, expected.get("error")) {
                (Err(error), Some(expected)) => check(error, Some(row), expected),
                (Ok(found), None) => assert!(same(found, &value(&expected["result"])), "{name}: {found:?}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }
    say(cases.len(), &format!("Rust, of many calls{where_}"));
}

fn say(count: usize, language: &str) {
    tell(&format!("conformance: {count} cases in {language}\n"));
}

fn tell(line: &str) {
    // Not with println!, which is shown for failed tests alone.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}

// ---- C and C++ ----

/// A literal of these bytes, and their number.
fn literal(bytes: &[u8]) -> (String, usize) {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' | b'?' => write!(text, "\\{}", char::from(*byte)),
            b' '..=b'~' => write!(text, "{}", char::from(*byte)),
            // Three digits always: what follows may be a digit.
            other => write!(text, "\\{other:03o}"),
        }
        .expect("memory");
    }
    text.push('"');
    (text, bytes.len())
}

/// Literal and length, as two arguments.
fn literals(text: &str) -> String {
    let (literal, len) = literal(text.as_bytes());
    format!("{literal}, {len}")
}

fn int(json: &Json) -> String {
    match json.as_str().expect("an int") {
        "-9223372036854775808" => "INT64_MIN".into(),
        other => format!("INT64_C({other})"),
    }
}

fn c_value(json: &Json) -> String {
    match json {
        Json::Null => return "subpy_none()".into(),
        Json::Bool(value) => return format!("subpy_bool({value})"),
        Json::String(text) => return format!("subpy_str({})", literals(text)),
        _ => {}
    }
    if let Some((tag, value)) = with_tag(json) {
        return format!("with_tag({}, SUBPY_TAG_{})", c_value(value), tag.to_uppercase());
    }
    let (tag, inner) = tagged(json);
    let array = |kind: &str| {
        let values: Vec<String> = items(inner).iter().map(c_value).collect();
        match values.len() {
            0 => format!("subpy_{kind}(NULL, 0)"),
            len => format!("subpy_{kind}((subpy_value[]){{{}}}, {len})", values.join(", ")),
        }
    };
    match tag {
        "int" => format!("subpy_int({})", int(inner)),
        "bigint" => format!("subpy_bigint({})", literals(inner.as_str().expect("an int"))),
        "float" => format!("subpy_float(from_bits(UINT64_C({})))", bits(inner)),
        "bytes" => {
            let (literal, len) = literal(&bytes(inner));
            format!("subpy_bytes((const uint8_t *){literal}, {len})")
        }
        "dict" => c_dict(items(inner)),
        "object" => format!("object_with_text({})", literals(inner.as_str().expect("a text"))),
        "buffer" => {
            let (literal, len) = literal(&bytes(&inner["bytes"]));
            let shape: Vec<String> = items(&inner["shape"]).iter().map(Json::to_string).collect();
            format!(
                "subpy_value_from_buffer(&(subpy_buffer){{.size = sizeof(subpy_buffer), .data = {literal}, .len = {len}, .format = \"{}\", \
                 .shape = (size_t[]){{{}}}, .ndim = {}}})",
                text(inner, "format"),
                shape.join(", "),
                shape.len()
            )
        }
        kind => array(kind),
    }
}

/// A dict of pairs, whose keys are values or names.
fn c_dict(pairs: &[Json]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|pair| format!("{{{}, {}}}", c_value(&pair[0]), c_value(&pair[1]))).collect();
    match pairs.len() {
        0 => "subpy_dict(NULL, 0)".into(),
        len => format!("subpy_dict((subpy_pair[]){{{}}}, {len})", pairs.join(", ")),
    }
}

fn c_case(number: usize, of: Of, case: &Json) -> String {
    let name = literal(text(case, "name").as_bytes()).0;
    let time = |member: &str, or: i64| self::number(case, member).unwrap_or(or);
    let mut body = format!(
        "static void case_{number}(void) {{\n  const struct wanted wanted = {{.host = {}, .captured = {}, .interp_timeout_ms = {}, \
         .interp_flags = {} | {}, .memory_limit = {}, .cancel_ms = {}}};\n  subpy_interp interp = begin_wanted({}, &wanted);\n  \
         subpy_error *error = NULL;\n",
        of == Of::Host,
        case["output"] == "interpreter",
        time("interp_timeout_ms", 0),
        if case["no_stdin"] == true { "SUBPY_INTERP_NO_STDIN" } else { "0" },
        if case["tagged_values"] == true { "SUBPY_INTERP_TAGGED_VALUES" } else { "0" },
        time("memory_limit", 0),
        time("cancel_ms", -1),
        literals(text(case, "setup"))
    );
    let what = match text(case, "do") {
        "exec" => "EXEC",
        "call" => "CALL",
        _ => "EVAL",
    };
    let (script, len) = literal(text(case, "text").as_bytes());
    body += &format!(
        "  subpy_run_request request = {{.size = sizeof request, .interp = interp, .what = SUBPY_RUN_{what}, .text = {script}, .text_len = {len}}};\n"
    );
    if let Some(filename) = case.get("filename").and_then(Json::as_str) {
        body += &format!("  request.filename = {};\n", literal(filename.as_bytes()).0);
    }
    if case["keep_indent"] == true {
        body += "  request.flags = SUBPY_KEEP_INDENT;\n";
    }
    for flag in items(&case["flags"]) {
        let flag = flag.as_str().expect("a flag");
        let of = if flag == "async" { "RUN" } else { "RESULT" };
        body += &format!("  request.flags |= SUBPY_{of}_{};\n", flag.to_uppercase());
    }
    if let Some(limit) = case.get("timeout_ms") {
        body += &format!("  request.timeout_ms = {limit};\n");
    }
    if case["output"] == "run" {
        body += "  request.output = print_to, request.output_data = &printed;\n";
    }
    let kwargs = items(&case["kwargs"]);
    if case["do"] == "prepare_main" {
        body +=
            &format!("  subpy_value names = {};\n  OK(subpy_prepare_main(interp, &names, &error));\n", c_dict(kwargs));
    } else if !kwargs.is_empty() {
        body += &format!("  subpy_value kwargs = {};\n  request.kwargs = &kwargs;\n", c_dict(kwargs));
    }
    let mut args: Vec<String> = items(&case["args"]).iter().map(c_value).collect();
    if let Some(expression) = case.get("object") {
        let of = if case.get("object_in").is_some() { "another" } else { "interp" };
        body += &format!(
            "  subpy_interp another = begin(\"\", 0);\n  subpy_value object = object_of({of}, {});\n",
            literals(expression.as_str().expect("an expression"))
        );
        args.insert(0, "object".into());
    }
    let queue = case.get("queue").map(|queue| items(queue).iter().map(c_value).collect::<Vec<String>>());
    if queue.is_some() {
        args.insert(0, "subpy_none()".into());
    }
    if !args.is_empty() {
        body += &format!(
            "  subpy_value args[] = {{{}}};\n  request.args = args, request.nargs = {};\n",
            args.join(", "),
            args.len()
        );
    }
    let ways = if what == "CALL" && case["pool"] != true { "WAYS" } else { "1" };
    body += &format!("  for (int way = 0; way < {ways}; way++) {{\n");
    if let Some(queue) = &queue {
        body += &format!(
            "    subpy_queue queue = queue_of({}, {}, {});\n    args[0] = subpy_value_from_queue(queue);\n",
            c_array(queue),
            queue.len(),
            case["queue_closed"] == true
        );
    }
    body += &match case["pool"] == true {
        true => format!("    struct outcome out = perform_in_pool(request, {});\n", literals(text(case, "setup"))),
        false => "    struct outcome out = perform_wanted(way, request, &wanted);\n".into(),
    };
    match (case.get("error"), case.get("result")) {
        (Some(error), _) => body += &format!("{}    subpy_error_free(out.error);\n", c_error(&name, error)),
        (None, Some(result)) => {
            body +=
                &format!("    subpy_value expected = {};\n    expect_ok({name}, &out, &expected);\n", c_value(result));
        }
        (None, None) => body += &format!("    expect_ok({name}, &out, NULL);\n"),
    }
    for (stream, member) in [(1, "stdout"), (2, "stderr")] {
        if let Some(expected) = case.get(member).and_then(Json::as_str) {
            body += &format!("    expect_printed({name}, {stream}, {});\n", literals(expected));
        }
    }
    if let Some(length) = case.get("stdout_length") {
        body += &format!("    CHECK(characters(1) == {length});\n");
    }
    if let Some(after) = case.get("queue_after") {
        let after: Vec<String> = items(after).iter().map(c_value).collect();
        body += &format!("    expect_queue({name}, queue, {}, {});\n", c_array(&after), after.len());
    }
    if queue.is_some() {
        body += "    subpy_queue_free(queue);\n";
    }
    body += "  }\n";
    if case.get("object").is_some() {
        body += "  subpy_value_free(&object);\n  OK(subpy_close(another, &error));\n";
    }
    body + "  OK(subpy_close(interp, &error));\n}\n\n"
}

const TEXTS: [&str; 7] =
    ["message", "type_name", "type_qualname", "type_module", "exception_message", "formatted", "display"];

fn c_error(name: &str, error: &Json) -> String {
    let mut body = format!("    expect_status({name}, &out, {});\n", text(error, "status"));
    for member in TEXTS {
        if let Some(expected) = error.get(member).and_then(Json::as_str) {
            body += &format!("    expect_text({name}, out.error, subpy_error_{member}, {});\n", literals(expected));
        }
    }
    if let Some(frames) = error.get("frames") {
        body += &format!("    CHECK(subpy_error_frame_count(out.error) == {});\n", items(frames).len());
        for (index, frame) in items(frames).iter().enumerate() {
            let (file, function) =
                (literal(text(frame, "file").as_bytes()).0, literal(text(frame, "function").as_bytes()).0);
            let source = frame.get("source").and_then(Json::as_str).map(|source| literal(source.as_bytes()).0);
            let source = source.unwrap_or_else(|| "NULL".into());
            body +=
                &format!("    expect_frame(out.error, {index}, {file}, {}, {function}, {source});\n", frame["line"]);
        }
    }
    if let Some(syntax) = error.get("syntax") {
        let source = literal(text(syntax, "text").as_bytes()).0;
        body += &format!(
            "    int32_t line, column;\n    const char *source;\n    CHECK(subpy_error_syntax(out.error, &line, &column, &source));\n    \
             CHECK(line == {} && column == {} && strcmp(source, {source}) == 0);\n",
            syntax["line"], syntax["column"]
        );
    }
    if let Some(status) = error.get("exit_status") {
        body += &format!(
            "    int32_t exits;\n    CHECK(subpy_error_exit_status(out.error, &exits) && exits == {status});\n"
        );
    }
    body
}

/// The literal of an array, and its length; C has no empty ones.
fn c_array(values: &[String]) -> String {
    if values.is_empty() { "NULL".into() } else { format!("(subpy_value[]){{{}}}", values.join(", ")) }
}

fn c_many(number: usize, case: &Json) -> String {
    let name = literal(text(case, "name").as_bytes()).0;
    let rows = items(&case["rows"]);
    let values: Vec<String> = rows.iter().flat_map(items).map(c_value).collect();
    let mut body = format!(
        "static void many_{number}(void) {{\n  subpy_interp interp = begin({});\n  subpy_error *error = NULL;\n  \
         const subpy_value *rows = {};\n  for (uint32_t flags = 0; flags <= SUBPY_RETURN_ERRORS; flags++) {{\n    \
         struct outcome out = perform_many(interp, {}, rows, {}, {}, flags);\n",
        literals(text(case, "setup")),
        c_array(&values),
        literals(text(case, "text")),
        rows.len(),
        rows.first().map_or(0, |row| items(row).len()),
    );
    let fails = |error: &Json, row: Option<u64>| {
        let row = row.map_or("no_row(out.error)".into(), |row| format!("is_of_row(out.error, {row})"));
        format!("{}    CHECK({row});\n    subpy_error_free(out.error);\n", c_error(&name, error))
    };
    if let Some(error) = case.get("ends") {
        body += &fails(error, error.get("row").map(|row| row.as_u64().expect("a row")));
        return body + "  }\n  OK(subpy_close(interp, &error));\n}\n\n";
    }
    if let Some((row, error)) = first_error(case) {
        body += &format!("    if (flags == 0) {{\n{}      continue;\n    }}\n", fails(error, Some(row as u64)));
    }
    let outcomes = items(&case["outcomes"]);
    body += &format!(
        "    CHECK(out.status == SUBPY_OK && out.result.kind == SUBPY_KIND_LIST && out.result.len == {});\n    \
         subpy_value list = out.result;\n",
        outcomes.len()
    );
    for (row, outcome) in outcomes.iter().enumerate() {
        body += &match outcome.get("error") {
            Some(error) => {
                format!(
                    "    out = failed_row(&list.u.as_items[{row}]);\n{}    CHECK(is_of_row(out.error, {row}));\n",
                    c_error(&name, error)
                )
            }
            None => {
                let expected = c_value(&outcome["result"]);
                format!("    CHECK(same(&list.u.as_items[{row}], (subpy_value[]){{{expected}}}));\n")
            }
        };
    }
    body + "    subpy_value_free(&list);\n  }\n  OK(subpy_close(interp, &error));\n}\n\n"
}

fn cpp_value(json: &Json) -> String {
    match json {
        Json::Null => return "value(nullptr)".into(),
        Json::Bool(truth) => return format!("value({truth})"),
        Json::String(text) => return format!("value(std::string({}))", literals(text)),
        _ => {}
    }
    if let Some((tag, value)) = with_tag(json) {
        let tag = if tag == "enum" { "enumeration" } else { tag };
        return format!("value::tagged(subpy::tag::{tag}, {})", cpp_value(value));
    }
    let (tag, inner) = tagged(json);
    match tag {
        "object" => format!("object_with_text(std::string({}))", literals(inner.as_str().expect("a text"))),
        "buffer" => format!("buffer_with(\"{}\", {})", text(inner, "format"), shape_and_bytes(inner)),
        "int" => format!("value(std::int64_t({}))", int(inner)),
        "bigint" => format!("value(subpy::bigint{{{}}})", literal(inner.as_str().expect("an int").as_bytes()).0),
        "float" => format!("number({}U)", bits(inner)),
        "bytes" => {
            let (literal, len) = literal(&bytes(inner));
            format!("value(subpy::bytes_view({literal}, {len}))")
        }
        "dict" => {
            let pair = |pair: &Json| format!("{{{}, {}}}", cpp_value(&pair[0]), cpp_value(&pair[1]));
            format!("value::dict({{{}}})", items(inner).iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        kind => format!("value::{kind}({{{}}})", items(inner).iter().map(cpp_value).collect::<Vec<_>>().join(", ")),
    }
}

/// The arguments of buffer_with() and buffer_of().
fn shape_and_bytes(buffer: &Json) -> String {
    let shape: Vec<String> = items(&buffer["shape"]).iter().map(Json::to_string).collect();
    let (literal, len) = literal(&bytes(&buffer["bytes"]));
    format!("{{{}}}, std::string({literal}, {len})", shape.join(", "))
}

/// A value as an argument: memory of the program's is none that a value owns.
fn cpp_argument(json: &Json) -> String {
    let Some(buffer) = json.get("buffer") else { return cpp_value(json) };
    let item = match text(buffer, "format") {
        "h" => "std::int16_t",
        other => panic!("no C++ type for {other}"),
    };
    format!("buffer_of<{item}>({})", shape_and_bytes(buffer))
}

fn cpp_case(number: usize, of: Of, case: &Json) -> String {
    let name = literal(text(case, "name").as_bytes()).0;
    let string = |text: &str| format!("std::string({})", literals(text));
    let time = |member: &str| Some(format!("std::chrono::milliseconds({})", self::number(case, member)?));
    let mut body = format!("void case_{number}() {{\n  subpy::interpreter_options made_with;\n");
    if let Some(limit) = time("interp_timeout_ms") {
        body += &format!("  made_with.timeout = {limit};\n");
    }
    for flag in ["no_stdin", "tagged_values"] {
        if case[flag] == true {
            body += &format!("  made_with.{flag} = true;\n");
        }
    }
    if let Some(limit) = self::number(case, "memory_limit") {
        body += &format!("  made_with.memory_limit = {limit};\n");
    }
    body +=
        &format!("  const auto interp = prepared({}, made_with, {});\n", string(text(case, "setup")), of == Of::Host);
    let script = string(text(case, "text"));
    let named = |pair: &Json| format!("kw({}, {})", string(pair[0].as_str().expect("a name")), cpp_value(&pair[1]));
    let mut arguments: Vec<String> = items(&case["args"]).iter().map(cpp_argument).collect();
    if let Some(expression) = case.get("object") {
        let of = if case.get("object_in").is_some() { "another" } else { "interp" };
        body += &format!(
            "  const auto another = prepared(\"\");\n  const auto object = {of}.eval<subpy::object>({});\n",
            string(expression.as_str().expect("an expression"))
        );
        arguments.insert(0, "object".into());
    }
    if case.get("queue").is_some() {
        arguments.insert(0, "queue".into());
    }
    arguments.extend(items(&case["kwargs"]).iter().map(named));
    let list = arguments.join(", ");
    let after = if list.is_empty() { String::new() } else { format!(", {list}") };
    let mut options = String::new();
    if let Some(filename) = case.get("filename").and_then(Json::as_str) {
        options += &format!("options.filename = {}; ", literal(filename.as_bytes()).0);
    }
    if case["keep_indent"] == true {
        options += "options.keep_indent = true; ";
    }
    if let Some(limit) = time("timeout_ms") {
        options += &format!("options.timeout = {limit}; ");
    }
    for flag in items(&case["flags"]) {
        let option = match flag.as_str().expect("a flag") {
            "object" => "keep_object",
            "buffer" => "buffers",
            "array" => "arrays",
            "async" => "run_async",
            same => same,
        };
        options += &format!("options.{option} = true; ");
    }
    body += &format!("  subpy::run_options options;\n  {options}\n");
    match text(case, "output") {
        "run" => body += "  printed printed;\n  options.output = printed.to();\n",
        "interpreter" => body += "  printed printed;\n  interp.set_output(printed.to());\n",
        _ => {}
    }
    // Calls take options only where there are some.
    let with = if of == Of::Limits || of == Of::Data { "options, " } else { "" };
    let first = if with.is_empty() || !list.is_empty() { with } else { "options" };
    let task = |task: &str| format!("pool_with({}).{task}.value().try_get()", string(text(case, "setup")));
    let outcomes = match text(case, "do") {
        "call" if case["pool"] == true => vec![task(&format!("try_submit<value>(options, {script}{after})"))],
        "exec" if case["pool"] == true => vec![task(&format!("try_submit_exec({script}, options)"))],
        "exec" => vec![format!("interp.try_exec({script}, options)")],
        "eval" => vec![format!("interp.try_eval<value>({script}, options)")],
        "prepare_main" => {
            body += &format!("  interp.prepare_main({list});\n");
            vec![format!("interp.try_eval<value>({script}, options)")]
        }
        _ => vec![
            format!("interp.try_call<value>({with}{script}{after})"),
            format!(
                "[&]() -> subpy::result<value> {{ auto f = interp.try_function({script}); if (!f) return f.error(); return \
                 f->try_call<value>({first}{list}); }}()"
            ),
            format!(
                "[&]() -> subpy::result<value> {{ auto t = interp.try_call_in_thread({with}{script}{after}); if (!t) return t.error(); \
                 return t->template try_join<value>(); }}()"
            ),
            format!(
                "[&] {{ const auto session = interp.enter(); return interp.try_call<value>({with}{script}{after}); }}()"
            ),
        ],
    };
    for mut outcome in outcomes {
        if let Some(after) = time("cancel_ms") {
            outcome = format!("cancelled_after({after}, options, [&] {{ return {outcome}; }})");
        }
        body += "  {\n";
        let values = |values: &Json| items(values).iter().map(cpp_value).collect::<Vec<_>>().join(", ");
        if let Some(queue) = case.get("queue") {
            body +=
                &format!("    const auto queue = queue_of({{{}}}, {});\n", values(queue), case["queue_closed"] == true);
        }
        match (case.get("error"), case.get("result")) {
            (Some(error), _) => {
                body += &format!("    const auto error = failed({name}, {outcome}, \"{}\");\n", text(error, "status"));
                body += &cpp_error(error);
            }
            (None, Some(result)) => body += &format!("    expect({name}, {outcome}, {});\n", cpp_value(result)),
            (None, None) => body += &format!("    expect_ok({name}, {outcome});\n"),
        }
        for (member, found) in [("stdout", "printed.out"), ("stderr", "printed.err")] {
            if let Some(expected) = case.get(member).and_then(Json::as_str) {
                body += &format!("    CHECK_TEXT({found}, std::string_view({}));\n", literals(expected));
            }
        }
        if let Some(length) = case.get("stdout_length") {
            body += &format!("    CHECK(characters(printed.out) == {length});\n");
        }
        if let Some(after) = case.get("queue_after") {
            body += &format!("    expect_queue(queue, {{{}}});\n", values(after));
        }
        body += "  }\n";
    }
    body + "}\n\n"
}

fn cpp_error(error: &Json) -> String {
    let mut body = String::new();
    for member in TEXTS {
        let Some(expected) = error.get(member).and_then(Json::as_str) else { continue };
        let found = match member {
            "message" => "error.message()".into(),
            "exception_message" => "error.excinfo()->msg()".into(),
            "display" => "error.excinfo()->errdisplay()".into(),
            other => format!("error.excinfo()->{other}()"),
        };
        body += &format!("    CHECK_TEXT({found}, std::string_view({}));\n", literals(expected));
    }
    if let Some(frames) = error.get("frames") {
        body += &format!(
            "    const auto frames = error.excinfo()->frames();\n    CHECK(frames.size() == {});\n",
            items(frames).len()
        );
        for (index, frame) in items(frames).iter().enumerate() {
            let (file, function) =
                (literal(text(frame, "file").as_bytes()).0, literal(text(frame, "function").as_bytes()).0);
            body += &format!(
                "    CHECK(frames[{index}].file == {file} && frames[{index}].line == {} && frames[{index}].function == {function});\n",
                frame["line"]
            );
            if let Some(source) = frame.get("source").and_then(Json::as_str) {
                body += &format!("    CHECK_TEXT(frames[{index}].source, std::string_view({}));\n", literals(source));
            }
        }
    }
    if let Some(syntax) = error.get("syntax") {
        body += &format!(
            "    CHECK(error.syntax()->line == {} && error.syntax()->column == {});\n    CHECK_TEXT(error.syntax()->text, {});\n",
            syntax["line"],
            syntax["column"],
            literal(text(syntax, "text").as_bytes()).0
        );
    }
    if let Some(status) = error.get("exit_status") {
        body += &format!("    CHECK(error.excinfo()->exit_status() == {status});\n");
    }
    body
}

fn cpp_many(number: usize, case: &Json) -> String {
    let name = literal(text(case, "name").as_bytes()).0;
    let string = |text: &str| format!("std::string({})", literals(text));
    let row = |row: &Json| format!("{{{}}}", items(row).iter().map(cpp_value).collect::<Vec<_>>().join(", "));
    let rows: Vec<String> = items(&case["rows"]).iter().map(row).collect();
    let mut body = format!(
        "void many_{number}() {{\n  const auto interp = prepared({});\n  const auto f = interp.function({});\n  \
         const std::vector<std::vector<value>> lists{{{}}};\n  const auto rows = unpacked_all(lists);\n  \
         const auto stopped = f.try_call_many<value>(rows);\n  const auto each = f.try_call_each<value>(rows);\n",
        string(text(case, "setup")),
        string(text(case, "text")),
        rows.join(", "),
    );
    let fails = |outcome: &str, error: &Json, row: Option<u64>| {
        let row = row.map_or("!error.row()".into(), |row| format!("error.row() == {row}U"));
        format!(
            "  {{\n    const auto error = failed({name}, {outcome}, \"{}\");\n{}    CHECK({row});\n  }}\n",
            text(error, "status"),
            cpp_error(error)
        )
    };
    if let Some(error) = case.get("ends") {
        let row = error.get("row").map(|row| row.as_u64().expect("a row"));
        return body + &fails("stopped", error, row) + &fails("each", error, row) + "}\n\n";
    }
    let outcomes = items(&case["outcomes"]);
    let first = first_error(case);
    match first {
        Some((row, error)) => body += &fails("stopped", error, Some(row as u64)),
        None => body += &format!("  expect_ok({name}, stopped);\n  CHECK(stopped->size() == {});\n", outcomes.len()),
    }
    body += &format!("  expect_ok({name}, each);\n  CHECK(each->size() == {});\n", outcomes.len());
    for (row, outcome) in outcomes.iter().enumerate() {
        if let Some(error) = outcome.get("error") {
            body += &fails(&format!("(*each)[{row}]"), error, Some(row as u64));
            continue;
        }
        let expected = cpp_value(&outcome["result"]);
        body += &format!("  expect({name}, (*each)[{row}], {expected});\n");
        if first.is_none() {
            body += &format!("  expect({name}, (*stopped)[{row}], {expected});\n");
        }
    }
    body + "}\n\n"
}

/// What makes the function of a case.
type MakeCase = fn(usize, Of, &Json) -> String;
type MakeMany = fn(usize, &Json) -> String;

/// Writes the program, builds it and runs it.
fn run_program(runner: &str, main: &str, case: MakeCase, many_case: MakeMany, standard: &str) {
    let (cases, many) = (all_cases(), &many());
    let mut program = format!("#include \"{}\"\n\n", root().join("tests/conformance").join(runner).display());
    for (number, (of, json)) in cases.iter().enumerate() {
        program += &case(number, *of, json);
    }
    for (number, json) in many.iter().enumerate() {
        program += &many_case(number, json);
    }
    program += main;
    for number in 0..cases.len() {
        program += &format!("  case_{number}();\n");
    }
    for number in 0..many.len() {
        program += &format!("  many_{number}();\n");
    }
    program += "  return 0;\n}\n";
    let cpp = Path::new(runner).extension().is_some_and(|extension| extension == "hpp");
    let source = build_folder().join(if cpp { "conformance.cpp" } else { "conformance.c" });
    std::fs::write(&source, program).expect("the program can be written");
    let path = source.with_extension(if cpp { "cpp.out" } else { "c.out" });
    let mut compile: Command = compiler(cpp);
    compile.arg("-O0").arg(standard).arg("-D_GNU_SOURCE").arg("-I").arg(root().join("bindings/cpp")).arg(&source);
    compile.arg("-o").arg(&path).arg("-L").arg(library_folder()).arg("-lsubpy").arg("-pthread");
    compile.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", library_folder().display()));
    expect_success(compile);
    let (count, language) = (cases.len() + many.len(), if cpp { "C++" } else { "C" });
    expect_success(command(&path));
    say(count, language);
    let mut again = command(&path);
    again.env(packages::PROCESS, "1");
    expect_success(again);
    say(count, &format!("{language}{IN_PROCESSES}"));
}

#[test]
fn in_c() {
    run_program("runner.h", "int main(void) {\n", c_case, c_many, "-std=c11");
}

#[test]
fn in_cpp() {
    run_program("runner.hpp", "int main() {\n", cpp_case, cpp_many, "-std=c++17");
}
