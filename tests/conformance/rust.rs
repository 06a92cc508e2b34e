//! The table through the Rust crate. It needs nothing but the crate and the table: tests/dist/crate runs it where there is no more.

use std::cell::Cell;
use std::sync::{Arc, Mutex, Once, mpsc};
use std::time::Duration;

use serde_json::Value as Json;
use subpy::{
    Awaited, Buffer, Buffers, Cancel, Config, DefineOptions, Error, FromValue, HostCall, Interpreter, Isolation, Kind,
    Limits, Object, Objects, Options, Pool, PoolOptions, ProcessOptions, Queue, Raise, Stream, Tag, TaskOptions, Value,
};

use crate::table::*;

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

/// The CPython to test with, if one is named.
fn take_python() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Some(python) = std::env::var_os("SUBPY_TEST_PYTHON") {
            // SAFETY: once, before any test of this process has an interpreter: each begins with this.
            unsafe { std::env::set_var("SUBPY_PYTHON", python) };
        }
    });
}

#[test]
fn in_rust() {
    here_and_in_processes(check_cases);
}

fn check_cases(where_: &str) {
    take_python();
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

#[test]
fn many_in_rust() {
    here_and_in_processes(check_many);
}

fn check_many(where_: &str) {
    take_python();
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
