//! Workers as their hosts see them, without the manager of a host. This test program is the zygote, too
//! (`process::tests`).

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::process::channel::Stop;
use crate::process::child::{Child, Watch};
use crate::process::message::{Act, Done, Failed, Raised, Reply, Request, Run, ToRun};
use crate::process::settings::Settings;
use crate::process::spawn::{Options, Spawner};
use crate::process::talk::{Said, Talk, Unheard};
use crate::process::wire::{Got, Sent};
use crate::value::{
    Args, Buffers, Builder, ERROR, NotCopied, OBJECT, OwnedValue, Results, Rows, STR, ValueRef, View, subpy_pair,
    subpy_value,
};

/// Longer than anything takes; nothing is asserted about how long it does take.
const LONG: Duration = Duration::from_secs(30);

const PLAIN: Run = Run { wanted: Some(Results::VALUE), number: 0, captured: false };

fn spawner() -> Spawner {
    let python = std::env::var_os("SUBPY_TEST_PYTHON").expect("the CPython to test with");
    let options = Options {
        program: Some(std::env::current_exe().expect("a path")),
        library: Some("this test".into()),
        python: Some(python.into()),
        flags: 0,
        path: Vec::new(),
        preload: Vec::new(),
    };
    Spawner::new(options).expect("a reaper")
}

fn create(spawner: &Spawner) -> Arc<Child> {
    Arc::new(spawner.create(&Settings::default(), LONG).expect("a worker"))
}

fn text(text: &str) -> subpy_value {
    subpy_value::pointing(STR, text.as_ptr(), text.len())
}

fn passing(items: &[subpy_value]) -> Args<'_> {
    let some = items.iter().any(|item| item.kind == OBJECT);
    Args { items, kwargs: &[], buffers: if some { Buffers::Passed } else { Buffers::None } }
}

/// What a host does when it is asked.
enum Answer {
    Value(OwnedValue),
    Raise(Raised),
}

/// One channel of a worker.
struct Channel {
    talk: Talk,
    _watch: Watch,
    /// Errors that came among results.
    errors: RefCell<Vec<Failed>>,
}

type Asked<'a> = &'a mut dyn FnMut(&Channel, &Request) -> Answer;

fn to_number(value: &subpy_value) -> Result<Sent, NotCopied> {
    Ok(Sent::Word(value.as_int() as u64))
}

impl Channel {
    fn new(child: &Child) -> Channel {
        let (talk, file) = Talk::create().expect("memory");
        let watch = child.watch(talk.caller()).expect("memory");
        child.add_channel(&file).expect("it lives");
        Channel { talk, _watch: watch, errors: RefCell::default() }
    }

    fn hear(&self) -> Result<Said, Unheard> {
        let mut restore = |kind, got: Got, _: &mut Builder| match got {
            Got::Word(word) => Ok(subpy_value::handle(kind, word)),
            Got::Value(value) => {
                let mut errors = self.errors.borrow_mut();
                errors.push(Failed::of_value(value).expect("an error"));
                Ok(subpy_value::handle(ERROR, errors.len() as u64 - 1))
            }
        };
        self.talk.hear(Some(Instant::now() + LONG), &mut restore)
    }

    fn answer(&self, asked: &ToRun, on: Asked) {
        match on(self, &asked.request()) {
            Answer::Value(value) => {
                let done = Done { value: Some(value), word: 0 };
                self.talk.reply(&done, &mut to_number).expect("it lives");
            }
            Answer::Raise(raised) => self.talk.raise(&raised).expect("it lives"),
        }
    }

    fn ask_with(&self, request: &Request, run: Run, on: Asked) -> Result<Done, Failed> {
        self.talk.ask(request, &run, &mut to_number).expect("it lives");
        loop {
            match self.hear().expect("it lives") {
                Said::Reply(Reply::Done(done)) => return Ok(done),
                Said::Reply(Reply::Failed(failed)) => return Err(*failed),
                Said::Reply(Reply::Raised(_)) => panic!("only hosts raise"),
                Said::Done => panic!("it was not asked for"),
                Said::Request(asked) => self.answer(&asked, on),
            }
        }
    }

    fn ask(&self, request: &Request, run: Run) -> Result<Done, Failed> {
        self.ask_with(request, run, &mut |_, asked| match asked {
            Request::Release { .. } | Request::Ending => Answer::Value(OwnedValue::none()),
            _ => panic!("nothing is asked here"),
        })
    }

    fn exec(&self, source: &str) {
        self.ask(&exec(source), Run::default()).expect("it is executed");
    }

    fn eval(&self, expression: &str) -> Result<Done, Failed> {
        self.ask(&eval(expression), PLAIN)
    }

    fn int(&self, expression: &str) -> i64 {
        int(&self.eval(expression).expect("a value"))
    }
}

fn exec(source: &str) -> Request<'_> {
    Request::Exec { source, filename: None, keep_indent: false }
}

fn eval(expression: &str) -> Request<'_> {
    Request::Eval { expression, filename: None }
}

fn view(done: &Done) -> ValueRef<'_> {
    done.value.as_ref().expect("a value").as_ref()
}

fn int(done: &Done) -> i64 {
    if let View::Int(number) = view(done).view() { number } else { panic!("no int") }
}

fn string(done: &Done) -> String {
    if let View::Str(text) = view(done).view() { text.to_owned() } else { panic!("no str") }
}

/// The kind of an error, and what type of exception it has.
fn what(failed: &Failed) -> (u32, &str) {
    (failed.kind, failed.exception.as_ref().map_or("", |exception| &exception.type_name))
}

const NOT_FOUND: u32 = 2;
const FAILED: u32 = 4;
const NOT_SHAREABLE: u32 = 5;
const SYNTAX: u32 = 9;
const INTERRUPTED: u32 = 13;

fn object(handle: u64) -> subpy_value {
    subpy_value::handle(OBJECT, handle)
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < LONG, "in vain: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn code_runs_there() {
    let spawner = spawner();
    let child = create(&spawner);
    let channel = Channel::new(&child);
    channel.exec("import os\ndef add(a, b=2):\n    return a + b\nx = 5");
    assert_eq!(channel.int("x + 1"), 6);
    assert_eq!(channel.int("os.getpid()"), i64::from(child.id()));
    assert_ne!(child.id(), std::process::id() as i32);
    // What comes out may be of any kind and size.
    let large = channel.eval("'a' * 3_000_000").expect("a value");
    assert_eq!(string(&large), "a".repeat(3_000_000));
    let twelve: Vec<_> = (0..2).map(|_| subpy_value::int(6)).collect();
    let kwargs = [subpy_pair { key: text("b"), value: subpy_value::int(30) }];
    let named = Args { items: &twelve[..1], kwargs: &kwargs, buffers: Buffers::None };
    for (args, sum) in [(passing(&twelve), 12), (passing(&twelve[..1]), 8), (named, 36)] {
        let called = channel.ask(&Request::Call { callable: "add", args }, PLAIN).expect("a sum");
        assert_eq!(int(&called), sum);
    }
    let names = [subpy_pair { key: text("y"), value: subpy_value::int(70) }];
    channel.ask(&Request::PrepareMain { names: &names }, Run::default()).expect("a name");
    assert_eq!(channel.int("y"), 70);
    // Nothing that is not wanted is converted.
    assert!(channel.ask(&eval("object()"), Run::default()).expect("it runs").value.is_none());
    let refused = |expression| channel.eval(expression).map(drop).expect_err("no value");
    assert_eq!(what(&refused("object()")).0, NOT_SHAREABLE);
    assert_eq!(what(&refused("1 / 0")), (FAILED, "ZeroDivisionError"));
    assert_eq!(what(&refused("1 /")), (SYNTAX, "SyntaxError"));
    let traced = refused("add(1, 'a')");
    let frames = &traced.exception.as_ref().expect("an exception").frames;
    assert_eq!(frames.last().map(|frame| (frame.function.as_str(), frame.line)), Some(("add", 3)));
    let unknown = channel.ask(&Request::Memory, Run::default()).map(drop).expect_err("it is not counted");
    assert!(unknown.message.contains("not counted"), "{}", unknown.message);
    let wrong = channel.ask(&Request::Serve, Run::default()).map(drop).expect_err("it is no worker's");
    assert!(wrong.message.contains("worker"), "{}", wrong.message);
    assert_eq!(channel.int("x"), 5);
}

#[test]
fn functions_are_called_often() {
    let spawner = spawner();
    let child = create(&spawner);
    let channel = Channel::new(&child);
    channel.exec("def add(a, b):\n    return a + b\ndef both(a, b):\n    return [a, b]");
    let find = |callable| channel.ask(&Request::Find { callable }, Run::default());
    let add = find("add").expect("it is there").word;
    let two = [subpy_value::int(1), subpy_value::int(41)];
    for _ in 0..1000 {
        let sum = channel.ask(&Request::Function { function: add, args: passing(&two) }, PLAIN).expect("a sum");
        assert_eq!(int(&sum), 42);
    }
    assert_eq!(what(&find("nothing").map(drop).expect_err("there is none")), (FAILED, "AttributeError"));
    // Rows, of which one fails.
    let values = [1, 2, 3, 4].map(subpy_value::int);
    let mut values = values.to_vec();
    values.extend([text("a"), subpy_value::int(5)]);
    let owned = OwnedValue::copy_of(&subpy_value::pointing(crate::value::TUPLE, values.as_ptr().cast(), 6)).unwrap();
    let rows = Rows::check_owned(&owned, 3, 2).expect("rows");
    let many = |collect, run| channel.ask(&Request::Many { function: add, rows, collect }, run);
    let failed = many(false, PLAIN).map(drop).expect_err("a row fails");
    assert_eq!((what(&failed), failed.row), ((FAILED, "TypeError"), Some(2)));
    let results = many(true, PLAIN).expect("results");
    let sums: Vec<i64> =
        (0..2).map(|row| view(&results).element(row).map_or(0, |value| int_of(value.view()))).collect();
    assert_eq!(sums, [3, 7]);
    let errors = channel.errors.borrow();
    assert_eq!((errors.len(), what(&errors[0]), errors[0].row), (1, (FAILED, "TypeError"), Some(2)));
    drop(errors);
    channel.ask(&Request::Free { handle: add }, Run::default()).expect("it is free");
    let freed = channel.ask(&Request::Function { function: add, args: passing(&two) }, PLAIN);
    assert_eq!(what(&freed.map(drop).expect_err("it was freed")).0, NOT_FOUND);
}

fn int_of(view: View) -> i64 {
    if let View::Int(number) = view { number } else { panic!("no int") }
}

#[test]
fn objects_stay_there() {
    let spawner = spawner();
    let child = create(&spawner);
    let channel = Channel::new(&child);
    channel.exec("class C:\n    def __init__(self, n):\n        self.n = n\n    def __getitem__(self, key):\n        return self.n + key\n    def more(self, by):\n        self.n += by\n        return self\ndef n_of(it, *others):\n    return it.n");
    let objects = Run { wanted: Some(Results::OBJECTS), ..PLAIN };
    let objects_in = |done: &Done| done.value.as_ref().expect("a value").as_value().as_int() as u64;
    let made = objects_in(&channel.ask(&eval("C(7)"), objects).expect("an object"));
    let call = |items: &[subpy_value]| channel.ask(&Request::Call { callable: "n_of", args: passing(items) }, PLAIN);
    assert_eq!(int(&call(&[object(made)]).expect("it is known")), 7);
    let numbers = [1, 3].map(subpy_value::int);
    let act = |handle, act, run| channel.ask(&Request::Object { object: handle, act }, run);
    assert_eq!(int(&act(made, Act::Attribute("n"), PLAIN).expect("a value")), 7);
    assert_eq!(int(&act(made, Act::Item(passing(&numbers[1..])), PLAIN).expect("a value")), 10);
    let more = act(made, Act::Method("more", passing(&numbers[..1])), objects).expect("itself");
    let again = objects_in(&more);
    assert_ne!(again, made, "each handle is its own");
    assert_eq!(int(&act(again, Act::Attribute("n"), PLAIN).expect("a value")), 8);
    assert!(string(&act(made, Act::Text, PLAIN).expect("a text")).contains("C object"));
    assert_eq!(what(&act(made, Act::Value, PLAIN).map(drop).expect_err("no value")).0, NOT_SHAREABLE);
    // Freed: the other one stays.
    let free = |handle| channel.ask(&Request::Free { handle }, Run::default()).expect("it is free");
    free(made);
    assert_eq!(what(&call(&[object(made)]).map(drop).expect_err("it was freed")).0, NOT_FOUND);
    assert_eq!(int(&call(&[object(again), subpy_value::int(1)]).expect("it is known")), 8);
    // In a container, both ways.
    let listed = channel.ask(&eval("[C(1), C(2)]"), objects).expect("objects");
    let View::Object(second) = view(&listed).element(1).expect("one").view() else { panic!("no object") };
    assert_eq!(int(&call(&[object(second)]).expect("it is known")), 2);
    // An iterator.
    let list = objects_in(&channel.ask(&eval("[10, 20]"), Run { wanted: Some(Results::OBJECT), ..PLAIN }).unwrap());
    let object_itself = Run { wanted: Some(Results::OBJECT), ..PLAIN };
    let iterator = objects_in(&act(list, Act::Iter, object_itself).expect("an iterator"));
    let next = || act(iterator, Act::Next, PLAIN).map(|done| (done.word, done.value.map(|it| it.as_value().as_int())));
    assert_eq!(next().unwrap(), (1, Some(10)));
    assert_eq!(next().unwrap(), (1, Some(20)));
    assert_eq!(next().unwrap().0, 0);
    // What nobody has any more is gone.
    channel.exec("import weakref\nkept = C(1)\nalive = weakref.ref(kept)");
    let kept = objects_in(&channel.ask(&eval("kept"), objects).expect("an object"));
    channel.exec("del kept");
    assert_eq!(channel.int("int(alive() is not None)"), 1);
    free(kept);
    channel.exec("pass");
    assert_eq!(channel.int("int(alive() is None)"), 1);
}

// ---- the host is asked ----

fn define(channel: &Channel, code: u64, name: &str) -> Result<Done, Failed> {
    let defined = Request::Define { code, name, signature: Some("(a)"), doc: Some("of the host") };
    channel.ask(&defined, Run::default())
}

#[test]
fn the_host_is_called_and_calls_back() {
    let spawner = spawner();
    let child = create(&spawner);
    let channel = Channel::new(&child);
    define(&channel, 7, "half").expect("it is defined");
    channel.exec("def twice(n):\n    return 2 * n\ndef both(n):\n    return half(n) + 1");
    let mut calls = 0;
    let mut host = |channel: &Channel, asked: &Request| {
        let Request::Host { code: 7, args } = asked else { panic!("something else is asked") };
        let number = int_of(ValueRef::of_checked(&args.items[0]).view());
        calls += 1;
        if number == 13 {
            return Answer::Raise(Raised {
                kind: "LookupError".into(),
                message: "13".into(),
                notes: vec!["a note".into()],
                tag: 99,
            });
        }
        // Deeper and deeper, on the same channel.
        if number > 0 {
            let one = [subpy_value::int(number - 1)];
            let request = Request::Call { callable: "both", args: passing(&one) };
            let mut inner = |channel: &Channel, asked: &Request| halve(channel, asked);
            let done = channel.ask_with(&request, PLAIN, &mut inner).expect("it goes on");
            return Answer::Value(OwnedValue::int(int(&done) * 2));
        }
        Answer::Value(OwnedValue::int(0))
    };
    let both = |number, host: Asked| {
        let one = [subpy_value::int(number)];
        channel.ask_with(&Request::Call { callable: "both", args: passing(&one) }, PLAIN, host)
    };
    assert_eq!(int(&both(0, &mut host).expect("a number")), 1);
    assert_eq!(int(&both(5, &mut host).expect("a number")), 7);
    let failed = both(13, &mut host).map(drop).expect_err("it raises");
    assert_eq!(what(&failed), (FAILED, "LookupError"));
    let exception = failed.exception.expect("an exception");
    assert_eq!((exception.tag, exception.message.as_str()), (99, "13"));
    assert!(exception.display.contains("a note"), "{}", exception.display);
    assert_eq!(calls, 3);
    // What has no value cannot be told.
    let refused = channel.ask(&exec("try:\n    half(half)\nexcept TypeError as error:\n    text = str(error)"), PLAIN);
    refused.expect("it is caught");
    assert!(string(&channel.eval("text").expect("a text")).contains("half"));
}

fn halve(_: &Channel, asked: &Request) -> Answer {
    let Request::Host { args, .. } = asked else { panic!("something else is asked") };
    Answer::Value(OwnedValue::int(int_of(ValueRef::of_checked(&args.items[0]).view()) / 2))
}

#[test]
fn a_function_that_is_gone_is_released_once() {
    let spawner = spawner();
    let child = create(&spawner);
    let channel = Channel::new(&child);
    let released = RefCell::new(Vec::new());
    let note = |_: &Channel, asked: &Request| {
        match asked {
            Request::Release { code } => released.borrow_mut().push(*code),
            Request::Ending => {}
            _ => panic!("something else is asked"),
        }
        Answer::Value(OwnedValue::none())
    };
    let defines = |code, name| {
        let request = Request::Define { code, name, signature: None, doc: None };
        channel.ask_with(&request, Run::default(), &mut { note })
    };
    defines(1, "f").expect("it is defined");
    defines(2, "f").expect("it is defined");
    assert_eq!(*released.borrow(), [1]);
    defines(3, "not a.name").map(drop).expect_err("that is no name");
    assert_eq!(*released.borrow(), [1, 3]);
    channel.ask_with(&exec("del f"), Run::default(), &mut { note }).expect("it is deleted");
    assert_eq!(*released.borrow(), [1, 3, 2]);
    defines(4, "g").expect("it is defined");
    // All are released in the end.
    let end = Request::End { timeout: None, interrupt: false };
    channel.ask_with(&end, Run::default(), &mut { note }).expect("it ends");
    assert_eq!(*released.borrow(), [1, 3, 2, 4]);
    assert_eq!(child.wait(LONG).expect("it ends").exit_code, Some(0));
}

/// Gives threads of Python's the channels that they want, each on a thread that answers with `on`.
fn grants(child: &Arc<Child>, on: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Arc<AtomicUsize> {
    let (ended, weak, on) = (Arc::new(AtomicUsize::new(0)), Arc::downgrade(child), Arc::new(on));
    let counted = Arc::clone(&ended);
    child.on_wanted(Arc::new(move || {
        let (weak, on, ended) = (weak.clone(), Arc::clone(&on), Arc::clone(&counted));
        std::thread::spawn(move || {
            let (talk, file) = Talk::create().expect("memory");
            let watch = {
                let Some(child) = weak.upgrade() else { return };
                child.granted(&file).expect("it lives");
                child.watch(talk.caller()).expect("memory")
            };
            let channel = Channel { talk, _watch: watch, errors: RefCell::default() };
            channel.ask_with(&Request::Serve, Run::default(), &mut |_, asked| on(asked)).expect("it ends");
            ended.fetch_add(1, Ordering::SeqCst);
        });
    }));
    ended
}

#[test]
fn threads_of_python_call_the_host() {
    let spawner = spawner();
    let child = create(&spawner);
    let channel = Channel::new(&child);
    define(&channel, 1, "half").expect("it is defined");
    let ended = grants(&child, |asked| {
        let Request::Host { code: 1, args } = asked else { panic!("something else is asked") };
        Answer::Value(OwnedValue::int(int_of(ValueRef::of_checked(&args.items[0]).view()) / 2))
    });
    channel.exec(
        "import threading\nresults = []\ndef run():\n    results.extend(half(2 * n) for n in range(100))\n\
         threads = [threading.Thread(target=run) for _ in range(4)]\nfor thread in threads: thread.start()\n\
         for thread in threads: thread.join()",
    );
    assert_eq!(channel.int("sum(results)"), 4 * 99 * 50);
    until("threads give their channels back", || ended.load(Ordering::SeqCst) == 4);
}

#[test]
fn a_thread_may_get_no_channel() {
    let spawner = spawner();
    let child = create(&spawner);
    let channel = Channel::new(&child);
    define(&channel, 1, "half").expect("it is defined");
    // Wanted before anybody listens.
    channel.exec(
        "import threading\nraised = []\ndef run():\n    try:\n        half(1)\n    except RuntimeError as error:\n        \
         raised.append(str(error))\nthread = threading.Thread(target=run)\nthread.start()",
    );
    std::thread::sleep(Duration::from_millis(20));
    let weak = Arc::downgrade(&child);
    child.on_wanted(Arc::new(move || weak.upgrade().expect("it is there").refused().expect("it lives")));
    channel.exec("thread.join()");
    assert_eq!(string(&channel.eval("raised[0]").expect("a text")), "there is no channel to the host for this thread");
}

#[test]
fn output_comes_to_the_host() {
    let spawner = spawner();
    let child = create(&spawner);
    let channel = Channel::new(&child);
    let heard = RefCell::new(Vec::new());
    let listen = |_: &Channel, asked: &Request| {
        let Request::Output { of_run, stream, text } = asked else { panic!("something else is asked") };
        heard.borrow_mut().push((*of_run, *stream, (*text).to_owned()));
        Answer::Value(OwnedValue::none())
    };
    let set = |captured| channel.ask_with(&Request::SetOutput { captured }, Run::default(), &mut { listen });
    set(true).expect("it is set");
    let prints = exec("import sys\nprint('out')\nprint('err', file=sys.stderr)");
    channel.ask_with(&prints, Run::default(), &mut { listen }).expect("it prints");
    let expected = |of_run| vec![(of_run, 1, "out\n".to_owned()), (of_run, 2, "err\n".to_owned())];
    assert_eq!(heard.take(), expected(false));
    channel.ask_with(&prints, Run { captured: true, ..PLAIN }, &mut { listen }).expect("it prints");
    assert_eq!(heard.take(), expected(true));
    // A thread of Python's.
    let elsewhere = Arc::new(Mutex::new(String::new()));
    let theirs = Arc::clone(&elsewhere);
    grants(&child, move |asked| {
        let Request::Output { of_run: false, stream: 1, text } = asked else { panic!("something else is asked") };
        theirs.lock().unwrap().push_str(text);
        Answer::Value(OwnedValue::none())
    });
    let thread = exec(
        "import threading, time\nt = threading.Thread(target=lambda: (time.sleep(0.05), print('there')))\nt.start()",
    );
    channel.ask_with(&thread, Run::default(), &mut { listen }).expect("it starts");
    until("a thread's output comes", || *elsewhere.lock().unwrap() == "there\n");
    channel.ask_with(&exec("t.join()"), Run::default(), &mut { listen }).expect("it ends");
    channel.ask_with(&Request::SetOutput { captured: false }, Run::default(), &mut { listen }).expect("it is set");
    assert_eq!(heard.take(), []);
    channel.exec("print(end='')");
}

// ---- threads, stops, the end ----

#[test]
fn a_session_keeps_what_the_thread_has() {
    let spawner = spawner();
    let child = create(&spawner);
    // The main thread of the process has the first, another one the second.
    for channel in [Channel::new(&child), Channel::new(&child)] {
        channel.exec("import threading\nlocal = threading.local()");
        let has = || channel.int("int(hasattr(local, 'x'))");
        channel.exec("local.x = 1");
        assert_eq!(has(), 0);
        channel.ask(&Request::Enter, Run::default()).expect("it enters");
        channel.exec("local.x = 1");
        assert_eq!(has(), 1);
        channel.ask(&Request::Leave, Run::default()).expect("it leaves");
        assert_eq!(has(), 0);
        channel.ask(&Request::Leave, Run::default()).map(drop).expect_err("it has left");
    }
}

const LOOP: &str = "while True: pass";

#[test]
fn runs_are_stopped() {
    let spawner = spawner();
    let child = create(&spawner);
    let channels = [Channel::new(&child), Channel::new(&child)];
    for (index, channel) in channels.iter().enumerate() {
        let first = 1 + 100 * index as u64;
        for number in first..first + 20 {
            let run = Run { number, ..PLAIN };
            // At once, before it may have come, or later.
            if number % 3 == 0 {
                child.stop(number).expect("it lives");
            }
            channel.talk.ask(&exec(LOOP), &run, &mut to_number).expect("it lives");
            if number % 3 == 1 {
                std::thread::sleep(Duration::from_millis(2));
            }
            child.stop(number).expect("it lives");
            let Ok(Said::Reply(Reply::Failed(failed))) = channel.hear() else { panic!("it is stopped") };
            assert_eq!(failed.kind, INTERRUPTED, "{failed:?}");
            // The next one is another.
            assert_eq!(int(&channel.ask(&eval("1"), Run { number: number + 50, ..PLAIN }).expect("it runs")), 1);
            assert_eq!(channel.int("2"), 2);
        }
    }
    // One in another.
    define(&channels[0], 1, "f").expect("it is defined");
    let run = Run { number: 500, ..PLAIN };
    let mut host = |channel: &Channel, _: &Request| {
        channel.talk.ask(&exec(LOOP), &Run { number: 501, ..PLAIN }, &mut to_number).expect("it lives");
        child.stop(500).expect("it lives");
        let Ok(Said::Reply(Reply::Failed(failed))) = channel.hear() else { panic!("it is stopped") };
        assert_eq!(failed.kind, INTERRUPTED);
        Answer::Value(OwnedValue::none())
    };
    let outer = channels[0].ask_with(&exec("f(1)\nwhile True: pass"), run, &mut host);
    assert_eq!(outer.map(drop).expect_err("it is stopped").kind, INTERRUPTED);
}

#[test]
fn all_is_interrupted() {
    let spawner = spawner();
    let child = create(&spawner);
    let channels = [Channel::new(&child), Channel::new(&child), Channel::new(&child)];
    let other = Channel::new(&child);
    other.exec("begun = []");
    for channel in &channels {
        channel.exec("pass");
        // It catches the first one.
        let source = "import time\nbegun.append(1)\ntry:\n    while True: time.sleep(0.001)\nexcept KeyboardInterrupt: pass\nwhile True: time.sleep(0.001)";
        channel.talk.ask(&exec(source), &Run::default(), &mut to_number).expect("it lives");
    }
    until("all run", || other.int("len(begun)") == 3);
    child.interrupt().expect("it lives");
    for channel in &channels {
        let Ok(Said::Reply(Reply::Failed(failed))) = channel.hear() else { panic!("it is interrupted") };
        assert_eq!(failed.kind, INTERRUPTED, "{failed:?}");
    }
}

#[test]
fn it_ends_when_nothing_is_in_the_way() {
    let spawner = spawner();
    let child = create(&spawner);
    let [main, other] = [Channel::new(&child), Channel::new(&child)];
    let folder = std::env::temp_dir().join(format!("subpy-end-{}", child.id()));
    main.exec("import threading, atexit\nevent = threading.Event()\nthread = threading.Thread(target=event.wait)\nthread.start()");
    main.exec(&format!("atexit.register(lambda: open({:?}, 'w').write('ended'))", folder.display().to_string()));
    other.exec("pass");
    let end = |timeout, interrupt| main.ask(&Request::End { timeout, interrupt }, Run::default()).map(drop);
    let refused = end(Some(Duration::from_millis(10)), false).expect_err("a thread is in the way");
    assert!(refused.message.contains("thread"), "{}", refused.message);
    assert_eq!(main.int("1") + other.int("1"), 2);
    main.exec("event.set()\nthread.join()");
    end(Some(LONG), false).expect("it ends");
    let death = child.wait(LONG).expect("it ends");
    assert_eq!((death.exit_code, death.traceback.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read_to_string(&folder).expect("it is written at the end"), "ended");
    std::fs::remove_file(&folder).expect("it is there");
    // Nobody waits for it any more.
    for channel in [main, other] {
        let said = channel.talk.ask(&eval("1"), &PLAIN, &mut to_number);
        assert!(said.is_ok() && matches!(channel.hear(), Err(Unheard::Stop(Stop::Ended))));
    }
}

#[test]
fn what_is_printed_at_the_end_comes() {
    let spawner = spawner();
    let child = create(&spawner);
    let [main, other] = [Channel::new(&child), Channel::new(&child)];
    let heard = Arc::new(Mutex::new(String::new()));
    let theirs = Arc::clone(&heard);
    let listen = move |asked: &Request| {
        match asked {
            Request::Output { of_run: false, stream: 1, text } => theirs.lock().unwrap().push_str(text),
            Request::Ending => {}
            _ => panic!("something else is asked"),
        }
        Answer::Value(OwnedValue::none())
    };
    grants(&child, listen.clone());
    main.ask(&Request::SetOutput { captured: true }, Run::default()).expect("it is set");
    main.exec("import atexit\natexit.register(lambda: print('bye'))");
    other.exec("pass");
    let end = Request::End { timeout: Some(LONG), interrupt: false };
    main.ask_with(&end, Run::default(), &mut |_, asked| listen(asked)).expect("it ends");
    assert_eq!(child.wait(LONG).expect("it ends").exit_code, Some(0));
    assert_eq!(*heard.lock().unwrap(), "bye\n");
}

#[test]
fn what_is_in_the_way_of_its_end_is_interrupted() {
    let spawner = spawner();
    let child = create(&spawner);
    let [main, other] = [Channel::new(&child), Channel::new(&child)];
    main.exec("import threading, time\ndef run():\n    while True: time.sleep(0.001)\nthreading.excepthook = lambda _: None\nthreading.Thread(target=run).start()");
    main.exec("begun = False");
    other.talk.ask(&exec("begun = True\nwhile True: pass"), &Run::default(), &mut to_number).expect("it lives");
    until("it runs", || main.int("int(begun)") == 1);
    let end = Request::End { timeout: Some(LONG), interrupt: true };
    main.ask(&end, Run::default()).expect("it ends");
    let Ok(Said::Reply(Reply::Failed(failed))) = other.hear() else { panic!("it is interrupted") };
    assert_eq!(failed.kind, INTERRUPTED, "{failed:?}");
    assert_eq!(child.wait(LONG).expect("it ends").exit_code, Some(0));
}

#[test]
fn whoever_waits_hears_of_its_death() {
    let spawner = spawner();
    for _ in 0..20 {
        let child = create(&spawner);
        let channels = [Channel::new(&child), Channel::new(&child)];
        for channel in &channels {
            channel.exec("import time");
            channel.talk.ask(&exec("time.sleep(1000)"), &Run::default(), &mut to_number).expect("it lives");
        }
        child.kill();
        for channel in &channels {
            assert!(matches!(channel.hear(), Err(Unheard::Stop(Stop::Ended))));
        }
        // So does who comes later.
        let late = Talk::create().expect("memory").0;
        let _watch = child.watch(late.caller()).expect("memory");
        late.ask(&eval("1"), &PLAIN, &mut to_number).expect("there is room");
        assert!(matches!(late.hear(None, &mut crate::process::wire::none_to_get), Err(Unheard::Stop(Stop::Ended))));
    }
}

/// What forks itself there replies once.
#[test]
fn a_fork_of_it_says_nothing() {
    let spawner = spawner();
    let child = create(&spawner);
    let channel = Channel::new(&child);
    define(&channel, 1, "f").expect("it is defined");
    channel.exec("import os\nread, write = os.pipe()\nfork = os.fork()\nif not fork:\n    try:\n        f(1)\n    except RuntimeError as error:\n        os.write(write, str(error).encode())");
    assert!(string(&channel.eval("os.read(read, 1000).decode()").expect("a text")).contains("forked"));
    assert_eq!(channel.int("os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])"), 0);
    assert_eq!(channel.int("1"), 1);
}

#[test]
fn figures() {
    let spawner = spawner();
    drop(create(&spawner));
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (mut created, mut first, mut second) = (vec![], vec![], vec![]);
    for _ in 0..50 {
        let since = Instant::now();
        let child = create(&spawner);
        created.push(since.elapsed());
        let since = Instant::now();
        let channel = Channel::new(&child);
        assert_eq!(channel.int("1 + 1"), 2);
        first.push(since.elapsed());
        let since = Instant::now();
        let other = Channel::new(&child);
        assert_eq!(other.int("1 + 1"), 2);
        second.push(since.elapsed());
    }
    let [created, first, second] = [created, first, second].map(median);
    eprintln!("a worker is there after {created:?}, evaluates after {first:?}, on another thread after {second:?}");
    let child = create(&spawner);
    let channel = Channel::new(&child);
    channel.exec("def add(a, b):\n    return a + b");
    let add = channel.ask(&Request::Find { callable: "add" }, Run::default()).expect("it is there").word;
    let two = [subpy_value::int(1), subpy_value::int(41)];
    for (what, run) in [("a call", PLAIN), ("one that can be stopped", Run { number: 1, ..PLAIN })] {
        let times = (0..20).map(|_| {
            let since = Instant::now();
            for _ in 0..5_000 {
                channel.ask(&Request::Function { function: add, args: passing(&two) }, run).expect("a sum");
            }
            since.elapsed() / 5_000
        });
        eprintln!("{what} takes {:?}", median(times.collect()));
    }
}
