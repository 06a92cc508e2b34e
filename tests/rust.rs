//! The crate as Rust programs use it.

#[path = "support/even.rs"]
mod even;
mod support;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use even::Even;
use subpy::{
    Busy, Cancel, CloseOptions, Config, DefineOptions, Error, FromValue, Function, HostCall, Interpreter, Isolation,
    Kind, Limits, Object, Options, Pool, PoolOptions, ProcessOptions, Queue, Raise, RuntimeOptions, Startup, Stream,
    Tag, TaskOptions, Thread, Value,
};

/// The CPython of the tests, for all tests of this process: the first that comes chooses it.
fn start() {
    let options = RuntimeOptions::new().python(support::python()).startup(Startup::new());
    subpy::init(&options).expect("CPython starts");
}

fn create() -> Interpreter {
    start();
    Interpreter::create().expect("an interpreter")
}

/// The same, without owning it.
fn unowned(interp: &Interpreter) -> Interpreter {
    Interpreter::from_handle(interp.handle())
}

#[track_caller]
fn message<T: std::fmt::Debug>(result: subpy::Result<T>) -> String {
    result.expect_err("it fails").to_string()
}

#[test]
fn values_come_back_as_they_went_in() {
    let interp = create();
    interp.exec("def same(value): return value").unwrap();
    let value = Value::Dict(vec![
        ("none".into(), Value::None),
        (1.into(), Value::List(vec![Value::Tuple(vec![]), true.into(), i64::MIN.into(), u64::MAX.into()])),
        (Value::Bytes(vec![0, 255]), Value::Dict(vec![])),
        (Value::Tuple(vec!["h\u{e9}\0llo".into()]), Value::Float(-0.0)),
        ("big".into(), i128::MIN.into()),
    ]);
    assert_eq!(interp.call::<Value>("same", (value.clone(),)).unwrap(), value);
    let nan = f64::from_bits(0x7ff8_0000_0000_1234);
    assert_eq!(interp.call::<f64>("same", (nan,)).unwrap().to_bits(), nan.to_bits());

    fn same<T: FromValue + Into<Value> + Clone + PartialEq + std::fmt::Debug>(interp: &Interpreter, value: T) {
        assert_eq!(interp.call::<T>("same", (value.clone(),)).unwrap(), value);
    }
    same(&interp, ());
    same(&interp, u128::MAX);
    same(&interp, 'x');
    same(&interp, vec![Some(1.5f32), None]);
    same(&interp, (1u8, String::from("two"), 3.0, false, vec![(4i16,)]));
    same(&interp, HashMap::from([(String::from("a"), vec![1]), (String::from("b"), vec![])]));
    same(&interp, BTreeMap::from([((1, 2), 'c')]));
    same(&interp, [1.5, 2.5]);
    same(&interp, [Box::<[i8]>::from([1, -1])]);
    same(&interp, vec![0u8, 255]);
    same(&interp, [0u8, 255]);
    same(&interp, Box::<[u8]>::from([0, 255]));
    same(&interp, BTreeMap::from([('x', vec![vec![0u8], vec![]])]));
}

#[test]
fn tagged_values_come_back_as_they_went_in() {
    let plain = create();
    let options = Options::new().config(Config::new().tagged_values(true));
    let interp = Interpreter::with_options(&options).unwrap();
    interp.exec("def same(value): return value").unwrap();
    let tagged = |tag, value| Value::Tagged(tag, Box::new(value));
    let date = tagged(Tag::Date, "2026-02-28".into());
    let values = Value::List(vec![
        date.clone(),
        tagged(Tag::FrozenSet, Value::Tuple(vec![date.clone()])),
        tagged(Tag::Complex, Value::Tuple(vec![(-0.0).into(), 1.5.into()])),
        Value::Dict(vec![(date, tagged(Tag::Decimal, "1.50".into()))]),
    ]);
    assert_eq!(interp.call::<Value>("same", (values.clone(),)).unwrap(), values);
    let type_name: String = interp.call("builtins:repr", (&values,)).unwrap();
    assert!(type_name.starts_with("[datetime.date(2026, 2, 28), frozenset({"), "{type_name}");
    assert_eq!(message(interp.eval::<Vec<i32>>("{1, 2}")), "result: set is not list");
    assert_eq!(message(plain.eval::<Value>("{1, 2}")), "result: set cannot be shared");
}

#[test]
fn arguments_may_be_references_and_sequences() {
    let interp = create();
    interp.exec("def kinds(*args, **kwargs): return [type(it).__name__ for it in [*args, *kwargs.values()]]").unwrap();
    let (number, text, list) = (7u16, String::from("text"), vec![1.5]);
    let value = Value::from(BTreeMap::from([("a", 1)]));
    let args = (&number, &text, &list, &value, b"bytes", &[1, 2], Cow::Borrowed("text"), text.as_bytes());
    let expected = ["int", "str", "list", "dict", "bytes", "list", "str", "bytes"];
    assert_eq!(interp.call::<[String; 8]>("kinds", args).unwrap(), expected);
    let bytes = vec![1u8, 2];
    let boxed = bytes.clone().into_boxed_slice();
    let args = (&bytes, &bytes[..], [1u8, 2], &[1u8, 2], bytes.clone(), boxed, [1u16], vec![1i8]);
    let expected = ["bytes", "bytes", "bytes", "bytes", "bytes", "bytes", "list", "list"];
    assert_eq!(interp.call::<[String; 8]>("kinds", args).unwrap(), expected);
    for kinds in [
        interp.call::<Vec<String>>("kinds", [1, 2]),
        interp.call("kinds", vec![1u8, 2]),
        interp.call("kinds", &[1, 2][..]),
        interp.call("kinds", &[Value::from(1), Value::from(2)][..]),
    ] {
        assert_eq!(kinds.unwrap(), ["int", "int"]);
    }
    let kwargs = [("a", Value::from(1)), ("b", Value::from("text"))];
    assert_eq!(interp.call_kw::<Vec<String>>("kinds", (), kwargs).unwrap(), ["int", "str"]);
}

#[test]
fn depth_has_a_limit_and_needs_no_stack() {
    let interp = create();
    interp.exec("def same(value): return value").unwrap();
    let same = interp.function("same").unwrap();
    let nested = |depth| (0..depth).fold(Value::Int(1), |inner, _| Value::List(vec![inner]));
    assert_eq!(interp.call::<Value>("same", (nested(1000),)).unwrap(), nested(1000));
    for depth in [1001, 1_000_000] {
        let deep = || nested(depth);
        let thread = |started: subpy::Result<Thread<()>>| started.map(drop);
        for refused in [
            interp.call("same", (deep(),)),
            interp.call_kw("same", (deep(),), [("value", deep())]),
            thread(interp.call_in_thread("same", (deep(),))),
            interp.prepare_main([("value", deep())]),
            same.call((deep(),)),
            thread(same.call_in_thread((deep(),))),
        ] {
            assert!(matches!(&refused.as_ref().unwrap_err().kind, Kind::InvalidArgument(_)), "{refused:?}");
            assert_eq!(message(refused), "a value is nested deeper than 1000 levels");
        }
    }
}

#[test]
fn a_result_of_another_type_is_an_error_that_names_the_place() {
    let interp = create();
    let wrong = interp.eval::<Vec<(u8, String)>>("[(1, 'a'), (2, 3)]").unwrap_err();
    assert!(matches!(wrong.kind, Kind::WrongType(_)));
    assert_eq!(wrong.to_string(), "result[1][1]: int is not str");
    assert_eq!(message(interp.eval::<u8>("-1")), "result: int -1 does not fit u8");
    assert_eq!(message(interp.eval::<()>("0")), "result: int is not None");
    assert_eq!(message(interp.eval::<Vec<u8>>("[1]")), "result: list is not bytes");
    assert_eq!(interp.eval::<f64>("2**53").unwrap(), 9_007_199_254_740_992.0);
    let beyond = "is beyond 2^53, where f64 is not exact";
    assert_eq!(message(interp.eval::<f64>("2**53 + 1")), format!("result: int 9007199254740993 {beyond}"));
    assert_eq!(message(interp.eval::<f64>("2**64")), format!("result: int 0x10000000000000000 {beyond}"));
    assert_eq!(message(interp.eval::<Vec<u16>>("b'ab'")), "result: bytes is not list");
    assert_eq!(message(interp.eval::<[u8; 3]>("b'a'")), "result: bytes has 1 items, not 3");
    assert_eq!(message(interp.eval::<[u16; 3]>("[1]")), "result: list has 1 items, not 3");
    let error = interp.eval::<Value>("[object()]").unwrap_err();
    assert!(matches!(error.kind, Kind::NotShareable(_)), "{error}");
    assert_eq!(message(interp.call::<Value>("len", (Value::BigInt("12".into()),))).split(':').next(), Some("args[0]"));
}

#[test]
fn every_error_has_its_kind() {
    let interp = create();
    let kind = |result: subpy::Result<()>| result.expect_err("it fails").kind;
    let Kind::Syntax(syntax) = kind(interp.exec("1 +")) else { panic!() };
    assert_eq!(syntax.syntax.as_ref().map(|position| position.line), Some(1));
    let Kind::ExecutionFailed(exit) = kind(interp.exec("raise SystemExit(3)")) else { panic!() };
    assert_eq!(exit.exit_status, Some(3));
    let Kind::ExecutionFailed(missing) = kind(interp.call("missing", ())) else { panic!() };
    assert_eq!(missing.type_name, "AttributeError");
    let Kind::ExecutionFailed(failed) = kind(interp.exec_file("def f():\n  1 / 0\nf()", "job.py")) else { panic!() };
    assert_eq!(failed.formatted, "ZeroDivisionError: division by zero");
    let frames: Vec<_> = failed.frames.iter().map(|it| (it.file.as_str(), it.line, it.function.as_str())).collect();
    assert_eq!(frames, [("job.py", 3, "<module>"), ("job.py", 2, "f")]);
    assert!(matches!(kind(interp.prepare_main([("a\0", 1)])), Kind::InvalidArgument(_)));
    assert!(matches!(kind(interp.prepare_main([("", 1); 0])), Kind::InvalidArgument(_)));
    let options = Options::new().config(Config::new().no_extension_check(true));
    assert!(matches!(Interpreter::with_options(&options).unwrap_err().kind, Kind::InvalidArgument(_)));
    assert!(matches!(subpy::find(-1).unwrap_err().kind, Kind::InvalidArgument(_)));
    assert!(matches!(subpy::find(1 << 40).unwrap_err().kind, Kind::NotFound(_)));
    assert!(matches!(subpy::get_current().unwrap_err().kind, Kind::NotFound(_)));
    assert!(matches!(kind(subpy::get_main().unwrap().close()), Kind::Interpreter(_)));

    let gone = unowned(&interp);
    interp.close().unwrap();
    for result in [gone.exec(""), gone.close(), gone.is_running().map(drop), gone.id().map(drop), gone.eval("1")] {
        let Err(Error { kind: Kind::NotFound(message), .. }) = result else { panic!("{result:?}") };
        assert!(message.starts_with("unrecognized interpreter ID"), "{message}");
    }
    assert!(matches!(
        gone.call_in_thread::<()>("len", ()).map(drop).map_err(|error| error.kind),
        Err(Kind::NotFound(_))
    ));
}

#[test]
fn texts_with_a_nul_are_refused_where_python_would_cut_them() {
    let interp = create();
    #[track_caller]
    fn refused<T: std::fmt::Debug>(result: subpy::Result<T>, what: &str) {
        let error = result.expect_err("it is refused");
        assert!(matches!(error.kind, Kind::InvalidArgument(_)), "{error:?}");
        assert_eq!(error.to_string(), format!("{what} has an embedded NUL character"));
    }
    refused(interp.exec_file("x = 1", "a\0b"), "filename");
    assert!(interp.eval::<i64>("x").is_err(), "nothing ran");
    let path = Options::new().config(Config::new().path(["/tmp", "a\0b"]));
    refused(Interpreter::with_options(&path), "Config.path[1]");
    refused(subpy::init(&RuntimeOptions::new().python("a\0b")), "RuntimeOptions.python");
}

#[test]
fn options_do_what_they_say() {
    start();
    let config = Config::new().allow_fork(true).allow_exec(true).allow_daemon_threads(true).path(["/first", "/second"]);
    let interp = Interpreter::with_options(&Options::new().config(config)).unwrap();
    assert_eq!(interp.eval::<Vec<String>>("__import__('sys').path[:2]").unwrap(), ["/first", "/second"]);
    interp.exec("import threading; threading.Thread(target=print, args=('',), daemon=True)").unwrap();
    let config = Config::new().shared_gil(true).no_extension_check(true).no_threads(true);
    let interp = Interpreter::with_options(&Options::new().config(config)).unwrap();
    let error = interp.exec("import threading; threading.Thread(target=print).start()").unwrap_err();
    assert_eq!(error.exception().map(|it| it.type_name.as_str()), Some("RuntimeError"), "{error}");
    let other = RuntimeOptions::new().startup(Startup::new().use_environment(true).keep_sigpipe(true));
    assert!(matches!(subpy::init(&other).unwrap_err().kind, Kind::WrongState(_)));
}

#[test]
fn an_interpreter_has_the_packages_of_a_virtual_environment() {
    let maker = create();
    maker
        .exec(
            "import os, shutil, sys, tempfile\n\
             folder = tempfile.mkdtemp()\n\
             os.makedirs(folder + '/lib/python%d.%d/site-packages' % sys.version_info[:2])\n\
             open(folder + '/pyvenv.cfg', 'w').close()",
        )
        .unwrap();
    let folder: String = maker.eval("folder").unwrap();
    let options = || Options::new().config(Config::new().venv(&folder));
    for options in [options(), options().process(ProcessOptions::new())] {
        let interp = Interpreter::with_options(&options).unwrap();
        assert_eq!(interp.eval::<String>("__import__('sys').prefix").unwrap(), folder);
    }
    maker.exec("shutil.rmtree(folder)").unwrap();
    let gone = message(Interpreter::with_options(&options()));
    assert!(gone.contains("is no folder; make one with: python3."), "{gone}");
    let nul = Options::new().config(Config::new().venv("a\0b"));
    assert_eq!(message(Interpreter::with_options(&nul)), "Config.venv has an embedded NUL character");
}

#[test]
fn options_of_a_process_are_refused_when_they_make_no_sense() {
    start();
    let refused = |process: ProcessOptions, config: Config| {
        let options = Options::new().process(process).config(config);
        let error = Interpreter::with_options(&options).unwrap_err();
        assert!(matches!(error.kind, Kind::InvalidArgument(_)), "{error:?}");
        error.to_string()
    };
    let process = ProcessOptions::new;
    let all = Config::new;
    assert!(refused(process(), all().shared_gil(true)).starts_with("SUBPY_INTERP_PROCESS needs SUBPY_GIL_OWN: "));
    let no_check = refused(process(), all().no_extension_check(true));
    assert!(no_check.starts_with("SUBPY_INTERP_NO_EXTENSION_CHECK is not for SUBPY_INTERP_PROCESS: "), "{no_check}");
    for config in [all().allow_fork(true), all().allow_exec(true)] {
        assert!(refused(process().locked(true), config).contains("are not for SUBPY_INTERP_LOCKED"));
    }
    assert!(refused(process().readable(["/usr"]), all()).starts_with("readable folders need SUBPY_INTERP_LOCKED: "));
    assert!(refused(process().writable(["/tmp"]), all()).starts_with("writable folders need SUBPY_INTERP_LOCKED: "));
    let relative = process().locked(true).readable(["/usr", "here"]);
    assert_eq!(refused(relative, all()), "readable[1] is \"here\", must be an absolute path");
    let nul = process().locked(true).writable(["/a\0b"]);
    assert_eq!(refused(nul, all()), "ProcessOptions.writable[0] has an embedded NUL character");
    assert_eq!(
        message(subpy::init(&RuntimeOptions::new().worker("/a\0b"))),
        "RuntimeOptions.worker has an embedded NUL character"
    );
    assert_eq!(
        message(subpy::init(&RuntimeOptions::new().preload(["json", "a\0b"]))),
        "RuntimeOptions.preload[1] has an embedded NUL character"
    );
}

#[test]
fn handles_are_the_librarys_numbers() {
    let interp = create();
    let error = interp.exec("1 / 0").unwrap_err();
    assert_eq!(error.interp, interp.handle());
    assert_eq!(error.clone().to_string(), error.to_string());
    assert_eq!(Interpreter::from_handle(error.interp).eval::<i64>("6 * 7").unwrap(), 42);
    for number in [0, 1, u64::MAX] {
        let nothing = Interpreter::from_handle(number);
        assert_eq!(nothing.handle(), number);
        let kinds = [nothing.exec(""), nothing.close(), nothing.function("len").map(drop), nothing.enter().map(drop)];
        for result in kinds {
            assert!(matches!(&result, Err(Error { kind: Kind::NotFound(_), .. })), "{result:?}");
        }
    }
}

#[test]
fn functions_hold_what_was_found() {
    fn any_thread<T: Send + Sync>(_: &T) {}
    let interp = create();
    interp.exec("def scale(number, *, by=1): return number * by").unwrap();
    let scale = interp.function("scale").unwrap();
    any_thread(&scale);
    assert_eq!(scale.interpreter(), unowned(&interp));
    interp.exec("scale = None").unwrap();
    assert_eq!(scale.call::<i64>((7,)).unwrap(), 7);
    assert_eq!(scale.call_kw::<i64>((7,), [("by", 6)]).unwrap(), 42);
    assert_eq!(scale.call_in_thread::<i64>((7,)).unwrap().join().unwrap(), 7);
    assert_eq!(scale.call_kw_in_thread::<i64>((7,), [("by", 6)]).unwrap().join().unwrap(), 42);
    assert_eq!(message(scale.call::<String>((7,))), "result: int is not str");
    assert!(matches!(scale.call::<()>(()).unwrap_err().kind, Kind::ExecutionFailed(_)));
    let bad = Value::BigInt("12".into());
    assert!(matches!(scale.call::<()>((bad.clone(),)).unwrap_err().kind, Kind::InvalidArgument(_)));
    assert!(matches!(scale.call_in_thread::<()>((bad,)).unwrap_err().kind, Kind::InvalidArgument(_)));

    for (name, exception) in
        [("missing", "AttributeError"), ("no_module:x", "ModuleNotFoundError"), ("__name__", "TypeError")]
    {
        let error = interp.function(name).unwrap_err();
        assert_eq!(error.exception().map(|it| it.type_name.as_str()), Some(exception), "{error}");
    }

    let running = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| scale.call::<i64>((1,)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(running.iter().any(Result::is_ok));
    assert!(running.iter().all(|it| matches!(it, Ok(1) | Err(Error { kind: Kind::Busy(_), .. }))), "{running:?}");

    interp.close().unwrap();
    assert!(matches!(scale.call::<i64>((7,)).unwrap_err().kind, Kind::NotFound(_)));
    assert!(matches!(scale.call_in_thread::<()>((7,)).unwrap_err().kind, Kind::NotFound(_)));
}

#[test]
fn many_calls_are_one_crossing() {
    let interp = create();
    interp
        .exec("def f(a, b=0):\n  if a == 3: raise ValueError(a)\n  if a == 4: raise SystemExit(a)\n  return a + b")
        .unwrap();
    let f = interp.function("f").unwrap();
    assert_eq!(f.call_many::<i64>([(1, 2), (5, 6)]).unwrap(), [3, 11]);
    assert_eq!(f.call_many::<f64>(vec![vec![1.5, 2.0], vec![0.5, 0.25]]).unwrap(), [3.5, 0.75]);
    assert_eq!(f.call_many::<String>(["a", "b"].map(|text| [text, "c"])).unwrap(), ["ac", "bc"]);
    assert_eq!(f.call_many::<i64>(Vec::<(i64,)>::new()).unwrap(), [0i64; 0]);
    assert_eq!(f.call_each::<i64>(Vec::<()>::new()).unwrap().len(), 0);
    let thousand = f.call_many::<i64>((10..1010).map(|number| (number, 1))).unwrap();
    assert!(thousand.iter().zip(11..1011).all(|(found, expected)| *found == expected));

    let error = f.call_many::<i64>([(1,), (2,), (3,)]).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.row()), ("row 2: ValueError: 3", Some(2)));
    assert_eq!(error.exception().map(|it| it.formatted.as_str()), Some("ValueError: 3"));
    assert_eq!(f.call::<i64>((3,)).unwrap_err().row(), None);
    let error = f.call_many::<String>([(1,)]).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.row()), ("row 0: result: int is not str", Some(0)));
    assert!(matches!(error.kind, Kind::WrongType(_)));

    let each = f.call_each::<u8>([(1, 1), (3, 0), (255, 1), (7, 7)]).unwrap();
    let each: Vec<_> = each.into_iter().map(|it| it.map_err(|error| (error.row(), error.to_string()))).collect();
    let wrong = |row, text: &str| Err((Some(row), text.to_owned()));
    let too_large = "row 2: result: int 256 does not fit u8";
    assert_eq!(each, [Ok(2), wrong(1, "row 1: ValueError: 3"), wrong(2, too_large), Ok(14)]);
    let error = f.call_each::<i64>([[3], [4], [5]]).unwrap_err();
    assert_eq!((error.row(), error.exception().and_then(|it| it.exit_status)), (Some(1), Some(4)));

    // All rows are checked before the first one runs.
    interp.exec("calls = 0\ndef count(*args):\n  global calls; calls += 1").unwrap();
    let count = interp.function("count").unwrap();
    let rows = [vec![1], vec![2, 3]];
    assert_eq!(message(count.call_many::<()>(rows.clone())), "row 1: 2 arguments, those before have 1");
    assert!(matches!(count.call_each::<()>(rows).unwrap_err().kind, Kind::InvalidArgument(_)));
    let bad = [(Value::Int(1),), (Value::List(vec![Value::BigInt("12".into())]),)];
    assert!(message(count.call_many::<()>(bad)).starts_with("rows[1][0][0]: SUBPY_KIND_BIGINT must be hexadecimal"));
    let deep = || (0..1_000_000).fold(Value::None, |inner, _| Value::List(vec![inner]));
    let rows = [vec![deep()], vec![deep(), deep()], vec![deep()]];
    assert!(matches!(count.call_many::<()>(rows).unwrap_err().kind, Kind::InvalidArgument(_)));
    assert_eq!(interp.eval::<i64>("calls").unwrap(), 0);
    interp.close().unwrap();
    assert!(matches!(f.call_many::<i64>([(1,)]).unwrap_err().kind, Kind::NotFound(_)));
}

#[test]
fn a_thread_keeps_the_function_that_it_runs() {
    let interp = create();
    interp.exec("def f(): return 7").unwrap();
    for _ in 0..50 {
        let thread = interp.function("f").unwrap().call_in_thread::<i64>(()).unwrap();
        assert_eq!(thread.join().unwrap(), 7);
    }
    interp.exec("import weakref\nalive = weakref.ref(f)\ndel f").unwrap();
    assert!(interp.eval::<bool>("alive() is None").unwrap());
}

#[test]
fn a_dropped_function_gives_its_object_back() {
    let interp = create();
    interp.exec("import weakref\ndef gone(): pass\nalive = weakref.ref(gone)").unwrap();
    let gone: Function = interp.function("gone").unwrap();
    interp.exec("del gone").unwrap();
    assert!(interp.eval::<bool>("alive() is not None").unwrap());
    drop(gone);
    assert!(interp.eval::<bool>("alive() is None").unwrap());
}

const COUNT: &str = "
import threading
local = threading.local()
def count():
    local.calls = getattr(local, 'calls', 0) + 1
    return local.calls
";

#[test]
fn a_thread_stays_in_an_interpreter() -> subpy::Result<()> {
    let interp = create();
    interp.exec(COUNT).unwrap();
    // The same thread to Python in all its calls, from enter to leave.
    let count = interp.function("count")?;
    assert_eq!((count.call::<u32>(())?, count.call::<u32>(())?), (1, 1));
    let session = interp.enter()?;
    assert_eq!((count.call::<u32>(())?, interp.call::<u32>("count", ())?), (1, 2));
    assert_eq!(session.interpreter(), interp);
    session.leave()?;
    assert_eq!(count.call::<u32>(())?, 1);

    let outer = interp.enter().unwrap();
    let inner = interp.enter().unwrap();
    assert!(!interp.is_running().unwrap());
    drop(outer);
    assert_eq!(count.call::<u32>(()).unwrap(), 1);
    assert_eq!(count.call::<u32>(()).unwrap(), 2);
    let reference = unowned(&interp);
    let its_own = reference.clone();
    let other = thread::spawn(move || (its_own.call::<u32>("count", ()), its_own.close()));
    let (counted, closed) = other.join().unwrap();
    assert_eq!(counted.unwrap(), 1);
    assert!(matches!(closed.unwrap_err().kind, Kind::Busy(_)));
    assert!(matches!(reference.close().unwrap_err().kind, Kind::Busy(_)));
    drop(interp);
    assert_eq!(inner.interpreter().call::<u32>("count", ()).unwrap(), 3);
    drop(inner);
    assert_eq!(count.call::<u32>(()).unwrap(), 1);
    reference.close().unwrap();
    assert!(matches!(reference.enter().unwrap_err().kind, Kind::NotFound(_)));
    Ok(())
}

#[test]
fn a_thread_that_ends_has_left() {
    let interp = create();
    let reference = unowned(&interp);
    thread::spawn(move || std::mem::forget(reference.enter().unwrap())).join().unwrap();
    interp.close().unwrap();
}

/// Rust code that Python code calls, with the interpreter's handle: enters and leaves inside of the run.
extern "C" fn enter_inside(handle: u64) -> i32 {
    let interp = Interpreter::from_handle(handle);
    let left = interp.enter().and_then(|session| session.leave());
    drop(interp.enter());
    interp.exec("import decimal").unwrap();
    left.map_or_else(|error| error.status(), |()| 0)
}

#[test]
fn a_session_inside_of_a_run_ends_with_the_run() {
    let interp = create();
    interp.exec(COUNT).unwrap();
    let call = "import ctypes\ndef call(address, handle):\n  \
                return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64)(address)(handle)";
    interp.exec(call).unwrap();
    let address = enter_inside as extern "C" fn(u64) -> i32 as usize;
    let args = || (address, interp.handle());
    let wrong_state = -14;
    assert_eq!(interp.call::<i32>("call", args()).unwrap(), wrong_state);
    assert_eq!(interp.function("call").unwrap().call::<i32>(args()).unwrap(), wrong_state);
    assert_eq!(interp.call::<u32>("count", ()).unwrap(), 1);
    assert_eq!(interp.call::<u32>("count", ()).unwrap(), 1);

    // Further out there is a session already: nothing is in the way.
    let session = interp.enter().unwrap();
    assert_eq!(interp.call::<u32>("count", ()).unwrap(), 1);
    assert_eq!(interp.call::<i32>("call", args()).unwrap(), 0);
    assert_eq!(interp.call::<u32>("count", ()).unwrap(), 2);
    session.leave().unwrap();
    interp.close().unwrap();
}

#[test]
fn an_interpreter_knows_itself_and_is_listed_until_it_is_dropped() {
    let interp = create();
    let reference = unowned(&interp);
    let id = interp.id().unwrap();
    assert_eq!(subpy::find(id).unwrap(), reference);
    assert_eq!(interp.whence().unwrap(), "C-API");
    assert!(!interp.is_running().unwrap());
    assert!(subpy::list_all().unwrap().contains(&reference));
    assert_eq!(subpy::get_main().unwrap().id().unwrap(), 0);
    drop(interp);
    assert!(!subpy::list_all().unwrap().contains(&reference));
    let kept = create().leak();
    assert_eq!(kept.eval::<i64>("6 * 7").unwrap(), 42);
    kept.close().unwrap();
}

#[test]
fn the_last_clone_closes() {
    fn any_thread<T: Send + Sync + 'static>(_: &T) {}
    let interp = create();
    any_thread(&interp);
    let unowned = unowned(&interp);
    let clones = [interp.clone(), interp.clone()];
    assert!(clones.iter().all(|clone| *clone == interp && clone.cmp(&unowned).is_eq()));
    assert_eq!(format!("{interp:?}"), format!("Interpreter({})", interp.handle()));
    assert_eq!(std::collections::HashSet::from([interp.clone(), unowned.clone()]).len(), 1);
    drop(interp);
    let [first, last] = clones;
    thread::spawn(move || drop(first)).join().unwrap();
    drop(unowned.clone());
    drop((
        subpy::find(last.id().unwrap()).unwrap(),
        subpy::list_all().unwrap(),
        last.function("builtins:len").unwrap(),
    ));
    assert_eq!(unowned.eval::<i64>("6 * 7").unwrap(), 42);
    drop(last);
    assert!(matches!(unowned.eval::<i64>("6 * 7").unwrap_err().kind, Kind::NotFound(_)));

    let interp = create();
    let clone = interp.clone();
    let kept = interp.leak();
    drop(clone);
    drop(kept.clone());
    assert_eq!(kept.eval::<i64>("6 * 7").unwrap(), 42);
    kept.close().unwrap();
    assert_eq!(Interpreter::from_handle(7).leak().handle(), 7);
}

#[test]
fn a_close_that_failed_is_made_up_for() {
    let interp = create();
    let unowned = unowned(&interp);
    let session = interp.enter().unwrap();
    assert!(matches!(interp.close().unwrap_err().kind, Kind::Busy(_)));
    assert_eq!(interp.eval::<i64>("6 * 7").unwrap(), 42);
    session.leave().unwrap();
    drop(interp);
    assert!(matches!(unowned.id().unwrap_err().kind, Kind::NotFound(_)));
}

#[test]
fn busy_as_it_was_asked_for() {
    start();
    for busy in [Busy::Refuse, Busy::Wait, Busy::Share] {
        let interp = Interpreter::with_options(&Options::new().busy(busy)).unwrap();
        let door = support::build_folder().join(format!("door-{}-{busy:?}", std::process::id()));
        interp
            .exec("import os, time\ndef wait_for(door):\n  while not os.path.exists(door): time.sleep(0.001)")
            .unwrap();
        let waiting = interp.call_in_thread::<()>("wait_for", (door.display().to_string(),)).unwrap();
        while !interp.is_running().unwrap() {
            thread::sleep(Duration::from_millis(1));
        }

        let reference = unowned(&interp);
        drop(interp);
        assert!(reference.is_running().unwrap(), "something runs in it, so dropping it does not end it");
        assert_eq!(message(reference.close()), "interpreter running");

        let (sender, second) = mpsc::channel();
        let its_own = reference.clone();
        thread::spawn(move || sender.send(its_own.eval::<i64>("6 * 7")).unwrap());
        match busy {
            Busy::Refuse => assert_eq!(message(second.recv().unwrap()), "interpreter already running"),
            Busy::Share => assert_eq!(second.recv().unwrap().unwrap(), 42),
            _ => assert!(second.recv_timeout(Duration::from_millis(100)).is_err()),
        }
        fs::write(&door, "").unwrap();
        waiting.join().unwrap();
        if busy == Busy::Wait {
            assert_eq!(second.recv().unwrap().unwrap(), 42);
        }
        reference.close().unwrap();
        fs::remove_file(door).unwrap();
    }
}

#[test]
fn a_thread_has_one_outcome() {
    let interp = create();
    let sum = interp.call_in_thread::<i64>("builtins:sum", (vec![1, 2, 3],)).unwrap();
    assert_eq!(sum.join().unwrap(), 6);
    let text = interp.call_kw_in_thread::<String>("json:dumps", (vec![1],), [("indent", 1)]).unwrap();
    assert_eq!(text.join().unwrap(), "[\n 1\n]");
    let failed = interp.call_in_thread::<()>("missing", ()).unwrap();
    assert!(matches!(failed.join().unwrap_err().kind, Kind::ExecutionFailed(_)));
    let twice = interp.call_in_thread::<()>("builtins:len", ((Value::BigInt("no number".into())),)).map(drop);
    assert!(matches!(twice.unwrap_err().kind, Kind::InvalidArgument(_)));
}

#[test]
fn a_thread_can_be_waited_for() {
    let interp = create();
    let door = support::build_folder().join(format!("waited-{}", std::process::id()));
    interp.exec("import os, time\ndef wait_for(door):\n  while not os.path.exists(door): time.sleep(0.001)").unwrap();
    let running: Thread<()> = interp.call_in_thread("wait_for", (door.display().to_string(),)).unwrap();
    assert!(!running.wait_timeout(Duration::ZERO).unwrap());
    assert!(!running.wait_timeout(Duration::from_millis(10)).unwrap());
    fs::write(&door, "").unwrap();
    running.wait().unwrap();
    assert!(running.wait_timeout(Duration::MAX).unwrap());
    assert!(running.wait_timeout(Duration::ZERO).unwrap());
    running.join().unwrap();
    fs::remove_file(door).unwrap();

    let failed = interp.call_in_thread::<()>("missing", ()).unwrap();
    failed.wait().unwrap();
    assert!(matches!(failed.join().unwrap_err().kind, Kind::ExecutionFailed(_)));
}

#[test]
fn an_argument_that_has_no_value_is_an_error() {
    let interp = create();
    interp.exec("def total(*args, **kwargs): return sum([*args, *kwargs.values()])").unwrap();
    let total = interp.function("total").unwrap();
    assert_eq!(interp.call_kw::<i64>("total", (Even(2), 3), [("by", Even(4))]).unwrap(), 9);
    assert_eq!(total.call::<i64>([Even(2), Even(4)]).unwrap(), 6);
    assert_eq!(total.call::<i64>(&[Even(2), Even(4)][..]).unwrap(), 6);
    // What is nested deep, and was made before the error or after it, is dropped with no stack for each level.
    let deep = || (0..1_000_000).fold(Value::Int(1), |inner, _| Value::List(vec![inner]));
    for (refused, place) in [
        (interp.call::<()>("total", (1, Even(3))), "args[1]"),
        (interp.call("total", vec![Even(3)]), "args[0]"),
        (interp.call("total", (deep(), Even(3), deep())), "args[1]"),
        (total.call([Even(2), Even(3)]), "args[1]"),
        (interp.call_kw("total", (), [("a\n", Even(3))]), "kwargs['a\\n']"),
        (interp.call_in_thread::<()>("total", (Even(3),)).map(drop), "args[0]"),
        (total.call_in_thread::<()>((Even(3),)).map(drop), "args[0]"),
        (interp.prepare_main([("x", Even(3))]), "names['x']"),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error.kind, Kind::InvalidArgument(_)), "{error:?}");
        assert_eq!(error.to_string(), format!("{place}: 3 is odd"));
    }
}

#[test]
fn many_threads_and_a_close_in_between() {
    start();
    let interp = Interpreter::with_options(&Options::new().busy(Busy::Share)).unwrap();
    let reference = unowned(&interp);
    let ended = thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        match reference.call::<i64>("operator:add", (1, 2)) {
                            Ok(sum) => assert_eq!(sum, 3),
                            Err(error) => break error.kind,
                        }
                        // A close succeeds in a moment in which nobody runs; without pauses there may never be one.
                        thread::sleep(Duration::from_micros(200));
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(20));
        while let Err(error) = reference.close() {
            assert!(matches!(error.kind, Kind::Busy(_)), "{error}");
            thread::sleep(Duration::from_micros(50));
        }
        callers.into_iter().map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(ended.iter().all(|kind| matches!(kind, Kind::NotFound(_) | Kind::Busy(_))), "{ended:?}");
    drop(interp);
}

/// Builds the crate in tests/downstream where nothing of this repository's configuration reaches it, with Pythons on
/// PATH that say so when they are asked for anything.
#[test]
fn a_crate_that_uses_it_builds_without_python() {
    let folder = std::env::temp_dir().join(format!("subpy-downstream-{}", std::process::id()));
    let (source, fakes) = (folder.join("downstream"), folder.join("bin"));
    fs::create_dir_all(source.join("src")).unwrap();
    fs::create_dir_all(&fakes).unwrap();
    let original = support::root().join("tests/downstream");
    let manifest = fs::read_to_string(original.join("Cargo.toml")).unwrap();
    // The crate as cargo packs it, and nothing else of the repository.
    let packed = support::build_folder().join("packed");
    let mut package = Command::new(env!("CARGO"));
    package.args(["package", "--quiet", "--no-verify", "--allow-dirty", "--target-dir"]).arg(&packed);
    support::expect_success({
        package.current_dir(support::root());
        package
    });
    let mut tar = Command::new("tar");
    let name = format!("subpy-{}", env!("CARGO_PKG_VERSION"));
    tar.arg("-xf").arg(packed.join(format!("package/{name}.crate"))).arg("-C").arg(&folder);
    support::expect_success(tar);
    let here = format!("{:?}", folder.join(name));
    assert!(manifest.contains("\"/path/to/subpy\""));
    fs::write(source.join("Cargo.toml"), manifest.replace("\"/path/to/subpy\"", &here)).unwrap();
    for name in ["Cargo.lock", "src/main.rs"] {
        fs::copy(original.join(name), source.join(name)).unwrap();
    }
    let asked = folder.join("asked");
    for name in ["python", "python3", "python3.14"] {
        let fake = fakes.join(name);
        fs::write(&fake, format!("#!/bin/sh\necho \"$0 $*\" >>{}\nexit 1\n", asked.display())).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&fake, mode).unwrap();
    }

    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(fakes).chain(std::env::split_paths(&path))).unwrap();
    let target = support::build_folder().join("downstream");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet"]).current_dir(&source).env("PATH", path).stdin(Stdio::null());
    cargo.env("CARGO_TARGET_DIR", &target).env_remove("PYO3_CONFIG_FILE");
    support::expect_success(cargo);
    assert!(!asked.exists(), "a Python was asked for: {}", fs::read_to_string(&asked).unwrap());

    let program = target.join("debug/downstream");
    let mut nm = Command::new("nm");
    nm.arg(&program);
    let symbols = String::from_utf8(support::expect_success(nm).stdout).unwrap();
    assert!(!symbols.contains(" subpy_exec"), "a Rust program exports no function of the C interface");

    let output = support::expect_success(support::command(&program));
    let expected = "To be or not to be: {\"be\": 2, \"not\": 1, \"or\": 1, \"to\": 2}\n\
                    that is the question: {\"is\": 1, \"question\": 1, \"that\": 1, \"the\": 1}\n\
                    Traceback (most recent call last):\n  File \"<script>\", line 5, in count\n    \
                    words = collections.Counter(text.lower().split())\n                                ^^^^^^^^^^\n\
                    AttributeError: 'int' object has no attribute 'lower'\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn output_goes_to_a_closure_until_it_is_replaced() {
    let interp = create();
    let taken: Arc<Mutex<Vec<(Stream, String)>>> = Arc::default();
    let sees = |taken: &Arc<Mutex<Vec<(Stream, String)>>>| {
        let taken = Arc::clone(taken);
        move |stream, text: &str| taken.lock().unwrap().push((stream, text.to_owned()))
    };
    interp.set_output(sees(&taken)).unwrap();
    interp.exec("import sys\nprint('\u{20ac}')\nprint('err', file=sys.stderr)").unwrap();
    assert_eq!(*taken.lock().unwrap(), [(Stream::Stdout, "\u{20ac}\n".into()), (Stream::Stderr, "err\n".into())]);
    assert_eq!(Arc::strong_count(&taken), 2);

    // It may run something, and print. A panic is its own affair.
    let nested = interp.clone().leak();
    let mut calls = 0;
    let again = sees(&taken);
    interp
        .set_output(move |stream, text| {
            again(stream, text);
            calls += 1;
            if calls == 1 {
                nested.exec("print('nested')").unwrap();
                std::panic::resume_unwind(Box::new("on purpose"));
            }
        })
        .unwrap();
    taken.lock().unwrap().clear();
    interp.exec("print('outer')").unwrap();
    let texts = taken.lock().unwrap().iter().map(|(_, text)| text.clone()).collect::<String>();
    assert_eq!(texts, "outer\nnested\n");
    interp.reset_output().unwrap();
    assert_eq!(Arc::strong_count(&taken), 1);

    // Dropped at the end, and when it cannot be set.
    interp.set_output(sees(&taken)).unwrap();
    interp.close().unwrap();
    assert_eq!(Arc::strong_count(&taken), 1);
    assert!(matches!(interp.set_output(sees(&taken)).unwrap_err().kind, Kind::NotFound(_)));
    assert_eq!(Arc::strong_count(&taken), 1);
}

#[test]
fn closing_within_a_time() {
    let interp = create();
    interp
        .exec("import threading\nstop = threading.Event()\nthreading.Thread(target=stop.wait, name='waits').start()")
        .unwrap();
    let error = interp.close_with(CloseOptions::new()).unwrap_err();
    assert!(matches!(error.kind, Kind::Busy(_)) && error.to_string().contains("thread 'waits' at "), "{error}");
    interp.exec("stop.set()").unwrap();
    interp.close_with(CloseOptions::new().timeout(Duration::from_secs(60))).unwrap();

    let interp = create();
    let runs = interp.clone();
    let runaway = thread::spawn(move || runs.exec("while True: pass"));
    while !interp.is_running().unwrap() {
        thread::yield_now();
    }
    let error = interp.close_with(CloseOptions::new().timeout(Duration::from_millis(1)).drain(true)).unwrap_err();
    assert!(matches!(error.kind, Kind::Busy(_)), "{error}");
    interp.close_with(CloseOptions::new().no_timeout().interrupt(true)).unwrap();
    assert!(matches!(runaway.join().unwrap().unwrap_err().kind, Kind::Interrupted(_)));
    assert!(matches!(interp.close_with(CloseOptions::new()).unwrap_err().kind, Kind::NotFound(_)));
}

// ---- functions that Python calls ----

#[test]
fn functions_of_any_fitting_signature() {
    let interp = create();
    interp.define("host:none", || ()).unwrap();
    interp.define("host:seven", || 7).unwrap();
    interp.define("host:add", |a: i64, b: i64| a + b).unwrap();
    interp
        .define("host:join", |texts: Vec<String>, sep: Option<char>| {
            texts.join(&sep.map_or(String::new(), String::from))
        })
        .unwrap();
    interp.define("host:parse", |text: String| text.parse::<u16>()).unwrap();
    interp.define("host:fails", || Err::<(), _>(Raise::new("json:JSONDecodeError", "x"))).unwrap();
    interp.define("host:key", |key: String| Err::<(), _>(Raise::new("KeyError", key).with_note("a note"))).unwrap();
    interp.define("host:panics", || -> i64 { panic!("on purpose") }).unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    interp
        .exec(
            "
        import host
        def raised(f, *args, **kwargs):
            try: f(*args, **kwargs)
            except Exception as e: return type(e).__name__, str(e), getattr(e, '__notes__', [])
        assert host.none() is None and host.seven() == 7 and host.add(2, 3) == 5
        assert host.join(['a', 'b'], '-') == 'a-b' and host.join(['a', 'b'], None) == 'ab' and host.parse('77') == 77
        assert raised(host.parse, 'x') == ('RuntimeError', 'invalid digit found in string', [])
        assert raised(host.key, 'k') == ('KeyError', \"'k'\", ['a note'])
        assert raised(host.panics) == ('RuntimeError', 'the function panicked: on purpose', [])
        assert raised(host.add, 1) == ('TypeError', 'the function takes 2 arguments, got 1', [])
        assert raised(host.seven, a=1) == ('TypeError', 'the function takes no keyword arguments, got \"a\"', [])
        assert raised(host.add, 1, 'x') == ('TypeError', 'argument 2: str is not int', [])
        assert raised(host.join, ['a', 1], None) == ('TypeError', 'argument 1[1]: int is not str', [])
        assert raised(host.fails)[0] == 'TypeError'
    ",
        )
        .unwrap();
    let _ = std::panic::take_hook();
    interp.close().unwrap();
}

#[test]
fn a_function_is_dropped_once_and_may_run_more() {
    let alive = Arc::new(());
    let interp = create();
    let held = Arc::clone(&alive);
    let call = move |call: HostCall| {
        let _held = &held;
        let inner: i64 = call.interpreter().eval("x + 1")?;
        assert!(!call.is_cancelled());
        let failed = call.interpreter().exec("raise LookupError('inside')");
        if call.kwarg("fail").is_some() {
            failed?;
        }
        Ok(Value::from(inner + call.args().len() as i64))
    };
    let options = DefineOptions::new().signature("(*args, fail=False)").doc("Runs more.");
    interp.define_with("more", &options, call).unwrap();
    interp.exec("x = 1").unwrap();
    assert_eq!(interp.eval::<i64>("more(1, 2, 3)").unwrap(), 5);
    let error = interp.exec("more(fail=True)").unwrap_err();
    let exception = error.exception().unwrap();
    assert_eq!(exception.formatted, "LookupError: inside");
    assert!(
        exception.display.contains(
            "Traceback (most recent call last):\n  File \"<script>\", line 1, in <module>\n    raise LookupError"
        ),
        "{}",
        exception.display
    );
    assert_eq!(std::sync::Arc::strong_count(&alive), 2);
    interp.define("more", || 1).unwrap();
    assert_eq!(std::sync::Arc::strong_count(&alive), 1);
    assert!(matches!(interp.define("a.b", || 1), Err(Error { kind: Kind::InvalidArgument(_), .. })));
    interp.close().unwrap();
}

fn pool(options: PoolOptions) -> Pool {
    Pool::with_options(options.setup("def double(n): return 2 * n\ndef spin():\n  while True: pass")).unwrap()
}

#[test]
fn a_pool_runs_tasks() {
    start();
    let pool = pool(PoolOptions::new().workers(2));
    let outcomes: Vec<_> = (0..50).map(|n| pool.call::<i64>("double", (n,)).unwrap()).collect();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome.join().unwrap(), 2 * n as i64);
    }
    pool.exec("x = 1").unwrap().join().unwrap();
    assert_eq!(pool.eval::<String>("'a' * 3").unwrap().join().unwrap(), "aaa");
    let failed = pool.eval::<i64>("1 / 0").unwrap().join();
    assert!(matches!(failed.unwrap_err().kind, Kind::ExecutionFailed(_)));
    let limits = Limits::new().timeout(Duration::from_millis(20));
    let spins = pool.with(TaskOptions::new().limits(&limits).submitter(3)).call::<()>("spin", ()).unwrap();
    assert!(matches!(spins.join().unwrap_err().kind, Kind::Timeout(_)));
    let stats = pool.stats().unwrap();
    assert_eq!((stats.submitted, stats.done, stats.failed, stats.queued), (54, 54, 2, 0));
    let blocked = pool.call::<()>("time:sleep", (0.2,)).unwrap();
    assert!(matches!(pool.close_with(CloseOptions::new()), Err(error) if matches!(error.kind, Kind::Busy(_))));
    pool.close_with(CloseOptions::new().timeout(Duration::from_secs(60)).drain(true)).unwrap();
    blocked.join().unwrap();
    assert!(matches!(pool.exec("1").unwrap_err().kind, Kind::NotFound(_)));
}

#[test]
fn a_pool_is_prepared_and_what_prepares_it_is_dropped() {
    start();
    let answer = Arc::new(42);
    let weak = Arc::downgrade(&answer);
    let prepare = move |interp: &Interpreter| {
        let answer = Arc::clone(&answer);
        interp.define("answer", move || *answer).unwrap();
    };
    let pool = pool(PoolOptions::new().workers(1).spares(0).prepare(prepare));
    assert_eq!(pool.call::<i64>("answer", ()).unwrap().join().unwrap(), 42);
    let printed = Arc::new(Mutex::new(String::new()));
    let to = Arc::clone(&printed);
    let output = TaskOptions::new().output(move |_, _, text| to.lock().unwrap().push_str(text));
    pool.with(output).call::<()>("builtins:print", (1,)).unwrap().join().unwrap();
    assert_eq!(*printed.lock().unwrap(), "1\n");
    pool.close().unwrap();
    assert_eq!(weak.strong_count(), 0);
    let failed = Pool::with_options(PoolOptions::new().setup("1 / 0"));
    assert!(matches!(failed.unwrap_err().kind, Kind::ExecutionFailed(_)));
}

#[test]
fn a_pool_says_where_its_interpreters_live() {
    start();
    let auto = || PoolOptions::new().workers(1).isolation(Isolation::Auto);
    let pool = Pool::with_options(auto().setup("import json")).unwrap();
    let stats = pool.stats().unwrap();
    assert_eq!((stats.crashed, stats.isolation, stats.reason.as_str()), (0, Isolation::OwnGil, ""));
    assert_eq!(pool.call::<u32>("os:getpid", ()).unwrap().join().unwrap(), std::process::id());
    pool.close().unwrap();
    let both = auto().interpreters(Options::new().process(ProcessOptions::new()));
    let refused = message(Pool::with_options(both));
    assert!(refused.starts_with("SUBPY_ISOLATION_AUTO is not for SUBPY_INTERP_PROCESS"), "{refused}");
    let shared = auto().interpreters(Options::new().config(Config::new().shared_gil(true)));
    let refused = message(Pool::with_options(shared));
    assert!(refused.starts_with("SUBPY_ISOLATION_AUTO needs SUBPY_GIL_OWN"), "{refused}");
}

#[test]
fn a_pool_maps_rows_as_they_are_asked_for() {
    start();
    let pool = pool(PoolOptions::new().workers(2));
    let asked = std::cell::Cell::new(0);
    let rows = (0..).map(|n: i64| {
        asked.set(n + 1);
        (n,)
    });
    let mut results = pool.with(TaskOptions::new().chunk(3)).map::<i64, _>("double", rows).unwrap();
    assert_eq!(asked.get(), 0);
    assert!((0..100).all(|n| results.next().unwrap().unwrap() == 2 * n));
    assert!((100..200).contains(&asked.get()), "{}", asked.get());
    drop(results);
    let rows = [("1",), ("x",), ("3",)];
    let mut results = pool.map::<i64, _>("builtins:int", rows).unwrap();
    assert_eq!(results.next().unwrap().unwrap(), 1);
    assert_eq!(results.next().unwrap().unwrap_err().row(), Some(1));
    assert_eq!(results.next().unwrap().unwrap(), 3);
    assert!(results.next().is_none() && results.next().is_none());
    assert_eq!((pool.stats().unwrap().queued, pool.stats().unwrap().running), (0, 0));
}

/// The least executor: parks until it is woken.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let (mut future, mut context) = (std::pin::pin!(future), std::task::Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => return result,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn an_outcome_is_a_future() {
    start();
    let pool = pool(PoolOptions::new().workers(2));
    let sum = async {
        let (one, two) = (pool.call::<i64>("double", (1,))?, pool.call::<i64>("double", (2,))?);
        pool.call::<()>("time:sleep", (0.05,))?.await?;
        Ok::<i64, Error>(one.await? + two.await?)
    };
    assert_eq!(block_on(sum).unwrap(), 6);
    for n in 0..1000 {
        assert_eq!(block_on(pool.call::<i64>("double", (n,)).unwrap()).unwrap(), 2 * n);
    }
    let cancel = subpy::Cancel::new();
    let spins = pool.with(TaskOptions::new().limits(&Limits::new().cancel(&cancel))).call::<()>("spin", ()).unwrap();
    let fire = std::thread::spawn(move || cancel.fire());
    assert!(matches!(block_on(spins).unwrap_err().kind, Kind::Interrupted(_)));
    fire.join().unwrap();
}

#[test]
fn queues_cross_and_wait() {
    let interp = create();
    let (tasks, results) = (Queue::new().unwrap(), Queue::bounded(2).unwrap());
    assert_eq!((tasks.capacity(), results.capacity(), results.is_closed()), (0, 2, false));
    interp.exec("def look(queue): return (queue.id, queue.maxsize, queue.closed)").unwrap();
    assert_eq!(interp.call::<(u64, usize, bool)>("look", (&results,)).unwrap(), (results.id(), 2, false));
    interp.exec("def work(tasks, results):\n  for task in tasks: results.put([task, results])").unwrap();
    let worker = interp.call_in_thread::<()>("work", (&tasks, results.clone())).unwrap();
    for task in 0..10 {
        tasks.put(task).unwrap();
    }
    tasks.close().unwrap();
    for task in 0..10 {
        let (number, queue): (i32, Queue) = match results.get().unwrap() {
            Value::List(items) => {
                (i32::from_value(items[0].clone()).unwrap(), Queue::from_value(items[1].clone()).unwrap())
            }
            other => panic!("{other:?}"),
        };
        assert!(number == task && queue == results && queue != tasks);
    }
    worker.join().unwrap();
    assert!(tasks.is_closed());
    assert_eq!(message(tasks.put(1)), "the queue is closed");
    assert_eq!(message(tasks.get::<i32>()), "the queue is closed and empty");

    // What is no such thing is still there.
    results.put("text").unwrap();
    assert_eq!(message(results.get::<i32>()), "result: str is not int");
    results.try_put(1).unwrap();
    assert_eq!(message(results.try_put(2)), "the queue is full");
    assert_eq!(
        message(results.put_with(2, &Limits::new().timeout(Duration::from_millis(5)))),
        "the queue was full for 5 ms"
    );
    assert_eq!(results.len(), 2);
    assert_eq!(results.get::<String>().unwrap(), "text");
    assert_eq!(results.try_get::<i32>().unwrap(), 1);
    assert_eq!(message(results.try_get::<i32>()), "the queue is empty");
    assert!(results.is_empty() && results.fd().unwrap() >= 0);

    let cancel = Cancel::new();
    let limits = Limits::new().cancel(&cancel);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| results.get_with::<i32>(&limits));
        cancel.fire();
        let error = waiting.join().unwrap().unwrap_err();
        assert!(matches!(error.kind, Kind::Interrupted(_)));
    });
    interp.close().unwrap();
}

#[test]
fn objects_stay_in_python() {
    let (interp, other) = (create(), create());
    interp
        .exec(
            "class Model:\n  size = 3\n  names = {'a': range(3)}\n  def predict(self, x, *, by=1): return x * by\n\
             \x20 def __call__(self, *args): return len(args)\n  def __str__(self): return 'the model'\n\
             model = Model()\ndef same(*objects, **named): return all(o is model for o in (*objects, *named.values()))\n\
             def broken():\n  yield 1\n  yield object()\n  yield 2\n  1 / 0",
        )
        .unwrap();
    let model: Object = interp.eval("model").unwrap();
    assert_eq!(model.interpreter().unwrap(), interp);
    assert_eq!(model.text().unwrap(), "the model");
    assert_eq!(model.attr::<i64>("size").unwrap(), 3);
    assert_eq!(model.call::<i64>((1, 2)).unwrap(), 2);
    assert_eq!(model.call_method::<i64>("predict", (21,)).unwrap(), 21);
    assert_eq!(model.call_method_kw::<i64>("predict", (21,), [("by", 2)]).unwrap(), 42);
    let names: Object = model.attr("names").unwrap();
    let range: Object = names.item("a").unwrap();
    assert_eq!(range.item::<i64>(2).unwrap(), 2);
    assert_eq!(message(names.value::<Value>()), "result['a']: range cannot be shared");
    assert!(message(model.attr::<()>("none")).starts_with("AttributeError: "));
    assert!(message(names.item::<()>("b")).starts_with("KeyError: "));

    // As an argument it is the object itself, wherever it is; in another interpreter it is none.
    assert!(interp.call_kw::<bool>("same", (&model, model.clone()), [("m", &model)]).unwrap());
    assert!(model == model.clone() && model != names);
    assert!(interp.call::<bool>("builtins:isinstance", (&model, interp.eval::<Object>("Model").unwrap())).unwrap());
    let pair = interp.call::<Object>("builtins:list", (vec![Value::from(&model), 1.into()],)).unwrap();
    assert!(pair.item::<Object>(0).unwrap() != model);
    assert!(interp.function("same").unwrap().call::<bool>((pair.item::<Object>(0).unwrap(),)).unwrap());
    let error = other.call::<()>("builtins:id", (vec![Value::from(&model)],)).unwrap_err();
    assert!(matches!(error.kind, Kind::Elsewhere(_)), "{error}");
    assert!(error.to_string().starts_with("args[0][0]: the object is of another interpreter"), "{error}");
    let error = model.call::<()>((other.eval::<Object>("1").unwrap(),)).unwrap_err();
    assert!(matches!(error.kind, Kind::Elsewhere(_)), "{error}");

    // An element that has no value is one error; what the generator raises is its end.
    assert_eq!(range.iter().unwrap().collect::<subpy::Result<Vec<i64>>>().unwrap(), [0, 1, 2]);
    let broken: Vec<subpy::Result<i64>> = interp.call::<Object>("broken", ()).unwrap().iter().unwrap().collect();
    assert!(matches!(broken[..], [Ok(1), Err(_), Ok(2), Err(_)]), "{broken:?}");
    assert!(message(model.iter::<Value>()).starts_with("TypeError: "));
    let limited = interp.with_limits(Limits::new().timeout(Duration::from_secs(60)));
    let elements: Vec<Object> =
        limited.eval::<Object>("[model, 1]").unwrap().iter().unwrap().map(subpy::Result::unwrap).collect();
    assert_eq!(elements[0].text().unwrap(), "the model");

    // Clones share it; the last one that is dropped frees it, on any thread.
    interp.exec("import weakref\ngone = weakref.ref(model)\ndel model").unwrap();
    drop((pair, elements));
    let clone = model.clone();
    thread::spawn(move || drop(model)).join().unwrap();
    assert!(!interp.eval::<bool>("gone() is None").unwrap());
    drop(clone);
    assert!(interp.eval::<bool>("gone() is None").unwrap());

    interp.close().unwrap();
    assert!(matches!(range.value::<Value>().unwrap_err().kind, Kind::NotFound(_)));
}

#[test]
fn what_ends_or_blocks_the_process_of_an_interpreter_is_an_error() {
    start();
    let limits = Limits::new().timeout(Duration::from_secs(2));
    let ended_by = |code: &str| {
        let process = ProcessOptions::new().grace(Duration::from_millis(50));
        let interp = Interpreter::with_options(&Options::new().process(process)).unwrap();
        let error = interp.with_limits(limits.clone()).exec(code).expect_err("it ends");
        assert_eq!(error.interp, interp.handle());
        assert!(matches!(interp.exec("1").unwrap_err().kind, Kind::NotFound(_)));
        assert!(!subpy::list_all().unwrap().iter().any(|other| other.handle() == interp.handle()));
        error
    };
    let crash = |error: Error| match error.kind {
        Kind::Crashed(crash) => crash,
        other => panic!("{other:?}"),
    };
    let aborted = crash(ended_by("import os\ndef fail():\n    os.abort()\nfail()"));
    assert_eq!(aborted.message, "the interpreter's process was killed by signal 6 (SIGABRT)");
    assert_eq!((aborted.signal, aborted.exit_code), (Some(6), None));
    assert!(aborted.traceback.starts_with("Fatal Python error: Aborted\n"), "{}", aborted.traceback);
    assert!(aborted.traceback.contains("\n  File \"<script>\", line 3 in fail\n"), "{}", aborted.traceback);
    let left = crash(ended_by("import os; os._exit(3)"));
    assert_eq!(left.message, "the interpreter's process has ended with exit code 3");
    assert_eq!((left.signal, left.exit_code, left.traceback.as_str()), (None, Some(3), ""));
    let late = ended_by("import ctypes\nctypes.CDLL(None).sleep(1000)");
    let expected = "timed out after 2000 ms, and the code did not end within 50 ms more: its process was killed";
    assert!(matches!(late.kind, Kind::Timeout(_)) && late.exception().is_none());
    assert_eq!(late.to_string(), expected);
}
