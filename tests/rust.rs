//! The crate as Rust programs use it.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use subpy::{Busy, Config, Error, FromValue, Interpreter, Kind, Options, Value};

/// The CPython of the tests, for all tests of this process: the first that comes chooses it.
fn start() {
    let options = subpy::RuntimeOptions { python: Some(support::python()), ..Default::default() };
    subpy::init(&options).expect("CPython starts");
}

fn create() -> Interpreter {
    start();
    Interpreter::create().expect("an interpreter")
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
}

#[test]
fn a_result_of_another_type_is_an_error_that_names_the_place() {
    let interp = create();
    let wrong = interp.eval::<Vec<(u8, String)>>("[(1, 'a'), (2, 3)]").unwrap_err();
    assert!(matches!(wrong.kind, Kind::WrongType(_)));
    assert_eq!(wrong.to_string(), "result[1][1]: int is not str");
    assert_eq!(message(interp.eval::<u8>("-1")), "result: int -1 does not fit u8");
    assert_eq!(message(interp.eval::<()>("0")), "result: int is not None");
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
    let options = Options { config: Config { no_extension_check: true, ..Default::default() }, ..Default::default() };
    assert!(matches!(Interpreter::with_options(&options).unwrap_err().kind, Kind::InvalidArgument(_)));
    assert!(matches!(subpy::find(-1).unwrap_err().kind, Kind::InvalidArgument(_)));
    assert!(matches!(subpy::find(1 << 40).unwrap_err().kind, Kind::NotFound(_)));
    assert!(matches!(subpy::get_current().unwrap_err().kind, Kind::NotFound(_)));
    assert!(matches!(kind(subpy::get_main().unwrap().close()), Kind::Interpreter(_)));

    let gone = interp.as_ref();
    interp.close().unwrap();
    for result in [gone.exec(""), gone.close(), gone.is_running().map(drop), gone.id().map(drop), gone.eval("1")] {
        let Err(Error { kind: Kind::NotFound(message), .. }) = result else { panic!("{result:?}") };
        assert!(message.starts_with("unrecognized interpreter ID"), "{message}");
    }
    assert!(matches!(gone.call_in_thread("len", ()).map(drop).map_err(|error| error.kind), Err(Kind::NotFound(_))));
}

#[test]
fn an_interpreter_knows_itself_and_is_listed_until_it_is_dropped() {
    let interp = create();
    let reference = interp.as_ref();
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
fn busy_as_it_was_asked_for() {
    start();
    for busy in [Busy::Error, Busy::Wait, Busy::Share] {
        let interp = Interpreter::with_options(&Options { busy, ..Default::default() }).unwrap();
        let door = support::build_folder().join(format!("door-{}-{busy:?}", std::process::id()));
        interp
            .exec("import os, time\ndef wait_for(door):\n  while not os.path.exists(door): time.sleep(0.001)")
            .unwrap();
        let waiting = interp.call_in_thread("wait_for", (door.display().to_string(),)).unwrap();
        while !interp.is_running().unwrap() {
            thread::sleep(Duration::from_millis(1));
        }

        let reference = interp.as_ref();
        drop(interp);
        assert!(reference.is_running().unwrap(), "something runs in it, so dropping it does not end it");
        assert_eq!(message(reference.close()), "interpreter running");

        let (sender, second) = mpsc::channel();
        thread::spawn(move || sender.send(reference.eval::<i64>("6 * 7")).unwrap());
        match busy {
            Busy::Error => assert_eq!(message(second.recv().unwrap()), "interpreter already running"),
            Busy::Share => assert_eq!(second.recv().unwrap().unwrap(), 42),
            Busy::Wait => assert!(second.recv_timeout(Duration::from_millis(100)).is_err()),
        }
        fs::write(&door, "").unwrap();
        waiting.join::<()>().unwrap();
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
    let sum = interp.call_in_thread("builtins:sum", (vec![1, 2, 3],)).unwrap();
    assert_eq!(sum.join::<i64>().unwrap(), 6);
    let text = interp.call_kw_in_thread("json:dumps", (vec![1],), [("indent", 1)]).unwrap();
    assert_eq!(text.join::<String>().unwrap(), "[\n 1\n]");
    let failed = interp.call_in_thread("missing", ()).unwrap();
    assert!(matches!(failed.join::<()>().unwrap_err().kind, Kind::ExecutionFailed(_)));
    let twice = interp.call_in_thread("builtins:len", ((Value::BigInt("no number".into())),)).map(drop);
    assert!(matches!(twice.unwrap_err().kind, Kind::InvalidArgument(_)));
}

#[test]
fn many_threads_and_a_close_in_between() {
    start();
    let interp = Interpreter::with_options(&Options { busy: Busy::Share, ..Default::default() }).unwrap();
    let reference = interp.as_ref();
    let ended = thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    loop {
                        match reference.call::<i64>("operator:add", (1, 2)) {
                            Ok(sum) => assert_eq!(sum, 3),
                            Err(error) => break error.kind,
                        }
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(20));
        while reference.close().is_err() {
            thread::yield_now();
        }
        callers.into_iter().map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(ended.iter().all(|kind| matches!(kind, Kind::NotFound(_) | Kind::Busy(_))), "{ended:?}");
    drop(interp);
}

/// Builds the crate in tests/downstream where nothing of this repository's configuration reaches it, with Pythons on PATH
/// that say so when they are asked for anything.
#[test]
fn a_crate_that_uses_it_builds_without_python() {
    let folder = std::env::temp_dir().join(format!("subpy-downstream-{}", std::process::id()));
    let (source, fakes) = (folder.join("downstream"), folder.join("bin"));
    fs::create_dir_all(source.join("src")).unwrap();
    fs::create_dir_all(&fakes).unwrap();
    let original = support::root().join("tests/downstream");
    let manifest = fs::read_to_string(original.join("Cargo.toml")).unwrap();
    let here = format!("{:?}", support::root());
    fs::write(source.join("Cargo.toml"), manifest.replace("\"../..\"", &here)).unwrap();
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

    let output = support::expect_success(support::command(&target.join("debug/downstream")));
    let expected = "To be or not to be: {\"be\": 2, \"not\": 1, \"or\": 1, \"to\": 2}\n\
                    that is the question: {\"is\": 1, \"question\": 1, \"that\": 1, \"the\": 1}\n\
                    Traceback (most recent call last):\n  File \"<script>\", line 5, in count\n\
                    AttributeError: 'int' object has no attribute 'lower'\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    fs::remove_dir_all(folder).unwrap();
}
