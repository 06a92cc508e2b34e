//! The crate as Rust programs use it: what they use less often, and the end of everything.

#[path = "support/even.rs"]
mod even;
mod support;

use std::ffi::{CString, c_void};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use even::Even;
use subpy::{
    Array, Buffer, Cancel, CloseOptions, Config, DefineOptions, Error, HostCall, Interpreter, Isolation, Kind, Limits,
    Object, Options, Outcome, Pool, PoolOptions, ProcessOptions, Queue, Raise, RuntimeOptions, Stream, Tag,
    TaskOptions, Value,
};

/// No wait is longer, when something goes wrong.
const MINUTE: Duration = Duration::from_secs(60);

fn start() {
    subpy::init(&RuntimeOptions::new().python(support::python())).expect("CPython starts");
}

fn create() -> Interpreter {
    start();
    Interpreter::with_options(&Options::new().timeout(MINUTE)).expect("an interpreter")
}

/// The same, without owning it.
fn unowned(interp: &Interpreter) -> Interpreter {
    Interpreter::from_handle(interp.handle())
}

fn pool(options: PoolOptions) -> Pool {
    start();
    let interps = Options::new().timeout(MINUTE);
    Pool::with_options(options.interpreters(interps).setup("def double(n): return 2 * n")).expect("a pool")
}

#[track_caller]
fn message<T: std::fmt::Debug>(result: subpy::Result<T>) -> String {
    result.expect_err("it fails").to_string()
}

#[track_caller]
fn not_found<T: std::fmt::Debug>(result: subpy::Result<T>) {
    assert!(matches!(&result, Err(Error { kind: Kind::NotFound(_), .. })), "{result:?}");
}

/// What waits without a limit of its own.
#[track_caller]
fn in_time<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = mpsc::channel();
    thread::spawn(move || sender.send(act()));
    done.recv_timeout(MINUTE).expect("it ends, and does not panic")
}

#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < MINUTE, "it never was so");
        thread::yield_now();
    }
}

/// A function that Python code calls, and that returns when the test says so.
struct Door {
    begun: Receiver<()>,
    open: Sender<()>,
    /// Whether its run was cancelled.
    ended: Receiver<bool>,
    function: Arc<dyn Fn(HostCall) -> Result<Value, Raise> + Send + Sync>,
}

impl Door {
    fn new() -> Door {
        let ((begins, begun), (open, opened), (ends, ended)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
        let opened = Mutex::new(opened);
        let function = Arc::new(move |call: HostCall| {
            begins.send(())?;
            opened.lock().unwrap().recv_timeout(MINUTE)?;
            ends.send(call.is_cancelled())?;
            Ok(Value::None)
        });
        Door { begun, open, ended, function }
    }

    /// Gives it to interpreters, as `hold`.
    fn define(&self) -> impl Fn(&Interpreter) + Send + Sync + 'static {
        let function = Arc::clone(&self.function);
        move |interp| {
            let function = Arc::clone(&function);
            interp.define_with("hold", &DefineOptions::new(), move |call| function(call)).unwrap();
        }
    }

    #[track_caller]
    fn has_begun(&self) {
        self.begun.recv_timeout(MINUTE).expect("it is called");
    }
}

/// Whether a descriptor becomes readable.
fn is_readable(fd: RawFd, limit: Duration) -> bool {
    let mut asked = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one that is there.
    let found = unsafe { libc::poll(&mut asked, 1, limit.as_millis() as i32) };
    found == 1 && asked.revents & libc::POLLIN != 0
}

// ---- interpreters ----

#[test]
fn an_interrupt_stops_what_runs_and_nothing_that_comes_later() {
    let interp = create();
    let begun = Queue::new().unwrap();
    interp.exec("def spin(begun):\n  begun.put(1)\n  while True: pass").unwrap();
    let spins = interp.call_in_thread::<()>("spin", (&begun,)).unwrap();
    assert_eq!(begun.get_with::<i64>(&Limits::new().timeout(MINUTE)).unwrap(), 1);
    interp.interrupt().unwrap();
    let error = spins.join().unwrap_err();
    assert!(matches!(error.kind, Kind::Interrupted(_)), "{error:?}");
    interp.interrupt().unwrap();
    assert_eq!(interp.eval::<i64>("sum(range(1000))").unwrap(), 499_500);

    // What Python code has created is its own.
    let id: i64 = interp.eval("__import__('_interpreters').create()").unwrap();
    let theirs = subpy::find(id).unwrap();
    for refused in [theirs.interrupt(), theirs.memory().map(drop), theirs.lock_info().map(drop), theirs.reset_output()]
    {
        assert!(matches!(&refused, Err(Error { kind: Kind::Interpreter(_), .. })), "{refused:?}");
    }
    interp.call::<()>("_interpreters:destroy", (id,)).unwrap();
    not_found(theirs.interrupt());
    let gone = unowned(&interp);
    interp.close().unwrap();
    not_found(gone.interrupt());
}

#[test]
fn a_locked_interpreter_says_what_holds_it() {
    let plain = create();
    let create = |process| Interpreter::with_options(&Options::new().timeout(MINUTE).process(process)).unwrap();
    let (open, locked) = (create(ProcessOptions::new()), create(ProcessOptions::new().locked(true)));
    let info = locked.lock_info().unwrap();
    assert!(info.landlock >= 6 && info.seccomp, "{info:?}");
    let error = locked.exec("open('/etc/passwd')").unwrap_err();
    assert_eq!(error.exception().map(|it| it.type_name.as_str()), Some("PermissionError"), "{error}");
    for interp in [&plain, &open] {
        let error = interp.lock_info().unwrap_err();
        assert!(matches!(error.kind, Kind::WrongState(_)), "{error:?}");
        assert_eq!(error.to_string(), "the interpreter is not locked: that takes SUBPY_INTERP_LOCKED");
    }
    let gone = unowned(&locked);
    locked.close().unwrap();
    not_found(gone.lock_info());
}

#[test]
fn memory_is_told_where_it_is_counted() {
    let plain = create();
    let options = Options::new().timeout(MINUTE);
    for options in [options.clone().memory_limit(64 << 20), options.config(Config::new().count_memory(true))] {
        let interp = Interpreter::with_options(&options).unwrap();
        let before = interp.memory().unwrap();
        interp.exec("kept = bytearray(10_000_000)").unwrap();
        let kept = interp.memory().unwrap();
        assert!(kept.used >= before.used + 10_000_000, "{before:?} {kept:?}");
        interp.exec("del kept").unwrap();
        let after = interp.memory().unwrap();
        assert!(after.used <= kept.used - 9_000_000 && after.peak >= kept.used, "{kept:?} {after:?}");
        let gone = unowned(&interp);
        interp.close().unwrap();
        not_found(gone.memory());
    }
    let error = plain.memory().unwrap_err();
    assert!(matches!(error.kind, Kind::WrongState(_)), "{error:?}");
    assert!(error.to_string().starts_with("the interpreter's memory is not counted: "), "{error}");
}

#[test]
fn interpreters_are_in_the_order_of_their_handles() {
    let (first, second) = (create(), create());
    assert!(first < second && first <= first.clone());
    assert_eq!(second.partial_cmp(&first), Some(std::cmp::Ordering::Greater));
    let mut handles = [9, u64::MAX, 0, 8].map(Interpreter::from_handle);
    handles.sort();
    assert_eq!(handles.map(|it| it.handle()), [0, 8, 9, u64::MAX]);
}

#[test]
fn what_a_thread_prints_is_captured_and_nothing_else() {
    let interp = create();
    let rest: Arc<Mutex<String>> = Arc::default();
    let to = Arc::clone(&rest);
    interp.set_output(move |_, text| to.lock().unwrap().push_str(text)).unwrap();
    let mut printed = Vec::new();
    let answer = interp
        .capture(
            |stream, text| printed.push((stream, text.to_owned())),
            || {
                interp.exec("import sys\nprint('\u{20ac}')\nprint('err', file=sys.stderr)").unwrap();
                let its_own = interp.clone();
                in_time(move || its_own.exec("print('theirs')")).unwrap();
                let mut inner = String::new();
                interp.capture(|_, text| inner.push_str(text), || interp.exec("print('inner')")).unwrap().unwrap();
                assert_eq!(inner, "inner\n");
                // It has come when the capture ends, without a line end too.
                interp.eval::<i64>("print('last', end='') or 42")
            },
        )
        .unwrap();
    assert_eq!(answer.unwrap(), 42);
    let text = |stream| -> String { printed.iter().filter(|it| it.0 == stream).map(|it| it.1.as_str()).collect() };
    assert_eq!((text(Stream::Stdout).as_str(), text(Stream::Stderr).as_str()), ("\u{20ac}\nlast", "err\n"));
    interp.exec("print('after')").unwrap();
    assert_eq!(*rest.lock().unwrap(), "theirs\nafter\n");
    let gone = unowned(&interp);
    interp.close().unwrap();
    not_found(gone.capture(|_, _| panic!("nothing is printed"), || -> () { panic!("nothing is done") }));
}

#[test]
fn a_run_on_a_thread_has_limits() {
    let interp = create();
    interp.exec("def spin():\n  while True: pass").unwrap();
    let limited = interp.with_limits(Limits::new().timeout(MINUTE));
    assert_eq!(limited.call_in_thread::<i64>("builtins:sum", (vec![1, 2, 3],)).unwrap().join().unwrap(), 6);
    let error = limited.call_in_thread::<()>("builtins:len", (Value::BigInt("no number".into()),)).unwrap_err();
    assert!(matches!(error.kind, Kind::InvalidArgument(_)), "{error:?}");
    let short = interp.with_limits(Limits::new().timeout(Duration::from_millis(20)));
    let error = short.call_in_thread::<()>("spin", ()).unwrap().join().unwrap_err();
    assert!(matches!(error.kind, Kind::Timeout(_)), "{error:?}");
    assert!(error.to_string().starts_with("timed out after 20 ms"), "{error}");
    let gone = unowned(&interp);
    interp.close().unwrap();
    not_found(gone.with_limits(Limits::new()).call_in_thread::<()>("spin", ()));
}

const STILL_RUNS: &str = "cancelled, but the code has not ended: it still runs";

#[test]
fn a_run_that_does_not_end_can_be_given_up() {
    let (interp, door, cancel) = (create(), Door::new(), Cancel::new());
    door.define()(&interp);
    let limited = interp.with_limits(Limits::new().cancel(&cancel).abandon(true));
    let held = limited.call_in_thread::<()>("hold", ()).unwrap();
    door.has_begun();
    cancel.fire();
    let error = in_time(|| held.join()).unwrap_err();
    assert!(matches!(error.kind, Kind::Interrupted(_)), "{error:?}");
    assert_eq!(error.to_string(), STILL_RUNS);
    assert!(interp.is_running().unwrap());
    assert_eq!(message(interp.exec("1")), "interpreter already running");
    door.open.send(()).unwrap();
    assert!(door.ended.recv_timeout(MINUTE).unwrap(), "the function has seen that its run was cancelled");
    until(|| !interp.is_running().unwrap());
    assert_eq!(interp.eval::<i64>("6 * 7").unwrap(), 42);
    interp.close().unwrap();
}

#[test]
fn a_pool_replaces_the_worker_of_a_task_that_was_given_up() {
    let (door, cancel) = (Door::new(), Cancel::new());
    let pool = pool(PoolOptions::new().workers(1).prepare(door.define()));
    let given_up = TaskOptions::new().limits(&Limits::new().cancel(&cancel).abandon(true));
    let held = pool.with(given_up).call::<()>("hold", ()).unwrap();
    door.has_begun();
    cancel.fire();
    let error = in_time(|| held.join()).unwrap_err();
    assert!(matches!(error.kind, Kind::Interrupted(_)), "{error:?}");
    assert_eq!(error.to_string(), STILL_RUNS);
    let doubled = pool.call::<i64>("double", (21,)).unwrap();
    assert_eq!(in_time(|| doubled.join()).unwrap(), 42);
    assert_eq!(pool.stats().unwrap().replaced, 1);
    door.open.send(()).unwrap();
    assert!(door.ended.recv_timeout(MINUTE).unwrap());
    pool.close_with(CloseOptions::new().timeout(MINUTE).drain(true)).unwrap();
}

// ---- functions that Python calls ----

#[test]
fn a_function_sees_its_keyword_arguments_in_their_order() {
    let interp = create();
    let look = |call: HostCall| {
        assert_eq!(call.kwarg("none"), None);
        let pairs = call.kwargs().iter().map(|(name, value)| (name.as_str().into(), value.clone()));
        Ok(Value::Tuple(vec![Value::List(call.args().to_vec()), Value::Dict(pairs.collect())]))
    };
    interp.define_with("look", &DefineOptions::new(), look).unwrap();
    let named = Value::Dict(vec![("b".into(), 2.into()), ("a".into(), Value::List(vec![3.into()]))]);
    let seen = Value::Tuple(vec![Value::List(vec![1.into()]), named]);
    assert_eq!(interp.eval::<Value>("look(1, b=2, a=[3])").unwrap(), seen);
    let nothing = Value::Tuple(vec![Value::List(vec![]), Value::Dict(vec![])]);
    assert_eq!(interp.eval::<Value>("look()").unwrap(), nothing);
}

/// Whether this thread has a GIL, as CPython sees it.
fn has_gil() -> bool {
    let library = subpy::python_library().expect("it has started");
    let library = CString::new(library.as_os_str().as_bytes()).unwrap();
    // SAFETY: the library is loaded already; the function takes nothing and may be called at any time.
    unsafe {
        let library = libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD);
        let state = libc::dlsym(library, c"PyThreadState_GetUnchecked".as_ptr());
        assert!(!state.is_null());
        let state: extern "C" fn() -> *mut c_void = std::mem::transmute(state);
        !state().is_null()
    }
}

#[test]
fn a_function_keeps_the_gil_when_it_is_to() {
    let interp = create();
    for (options, keeps) in [(DefineOptions::new(), false), (DefineOptions::new().keep_gil(), true)] {
        let look = |call: HostCall| {
            // What needs a GIL itself is possible either way.
            let inside: i64 = call.interpreter().eval("6 * 7")?;
            Ok((has_gil(), inside).into())
        };
        interp.define_with("look", &options, look).unwrap();
        assert_eq!(interp.eval::<(bool, i64)>("look()").unwrap(), (keeps, 42));
    }
    assert!(!has_gil());
}

#[test]
fn a_function_of_one_thread_is_refused_to_others() {
    let interp = create();
    let options = DefineOptions::new().this_thread_only();
    interp.define_with("mine", &options, |call| Ok(call.args().len().into())).unwrap();
    assert_eq!(interp.eval::<i64>("mine(1, 2)").unwrap(), 2);
    let error = interp.call_in_thread::<i64>("mine", (1,)).unwrap().join().unwrap_err();
    let exception = error.exception().unwrap();
    assert_eq!(exception.type_name, "RuntimeError");
    assert_eq!(exception.message, "mine() may be called only on the thread that defined it");
    interp
        .exec(
            "import threading\nfound = []\ndef work():\n  try: found.append(mine())\n\
             \x20 except RuntimeError as e: found.append(str(e))\n\
             thread = threading.Thread(target=work)\nthread.start()\nthread.join()",
        )
        .unwrap();
    assert_eq!(interp.eval::<Vec<String>>("found").unwrap(), [exception.message.as_str()]);
    assert_eq!(interp.call::<i64>("mine", ()).unwrap(), 0);
}

// ---- pools ----

#[test]
fn a_pool_without_options_has_a_worker_for_each_core() {
    start();
    let pool = Pool::new().unwrap();
    let stats = pool.stats().unwrap();
    assert_eq!(stats.workers, thread::available_parallelism().unwrap().get() as u64);
    assert_eq!((stats.isolation, stats.submitted), (Isolation::OwnGil, 0));
    let sum = pool.call::<i64>("builtins:sum", (vec![1, 2, 3],)).unwrap();
    assert_eq!(in_time(|| sum.join()).unwrap(), 6);
    pool.close().unwrap();
}

#[test]
fn a_task_for_which_there_is_no_room_is_refused() {
    let door = Door::new();
    let pool = pool(PoolOptions::new().workers(1).backlog(2).refuse(true).prepare(door.define()));
    let held = pool.call::<()>("hold", ()).unwrap();
    door.has_begun();
    let waiting = [1, 2].map(|n| pool.call::<i64>("double", (n,)).unwrap());
    let error = pool.call::<i64>("double", (3,)).unwrap_err();
    assert!(matches!(error.kind, Kind::Busy(_)), "{error:?}");
    assert_eq!(error.to_string(), "2 tasks wait in the pool, there is no room for more");
    let stats = pool.stats().unwrap();
    assert_eq!((stats.submitted, stats.running, stats.queued), (3, 1, 2));
    door.open.send(()).unwrap();
    in_time(|| held.join()).unwrap();
    assert_eq!(waiting.map(|outcome| in_time(|| outcome.join()).unwrap()), [2, 4]);
    let after = pool.call::<i64>("double", (4,)).unwrap();
    assert_eq!(in_time(|| after.join()).unwrap(), 8);
    assert_eq!(pool.stats().unwrap().done, 4);
}

#[test]
fn a_worker_that_has_done_its_share_is_replaced() {
    let pool = pool(PoolOptions::new().workers(1).spares(0).runs_per_worker(2));
    let count = "globals().update(runs=globals().get('runs', 0) + 1) or runs";
    let counted: Vec<i64> = (0..5)
        .map(|_| {
            let outcome = pool.eval::<i64>(count).unwrap();
            in_time(|| outcome.join()).unwrap()
        })
        .collect();
    assert_eq!(counted, [1, 2, 1, 2, 1]);
    assert_eq!(pool.stats().unwrap().replaced, 2);
}

#[test]
fn an_outcome_can_be_waited_for() {
    let door = Door::new();
    let pool = pool(PoolOptions::new().workers(1).prepare(door.define()));
    let held: Outcome<()> = pool.call("hold", ()).unwrap();
    let next: Outcome<i64> = pool.call("double", (21,)).unwrap();
    door.has_begun();
    assert!(!held.wait_timeout(Duration::ZERO).unwrap());
    assert!(!next.wait_timeout(Duration::from_millis(1)).unwrap());
    let fd = held.fd().unwrap();
    assert_eq!(held.fd().unwrap(), fd);
    assert!(!is_readable(fd, Duration::ZERO));
    door.open.send(()).unwrap();
    assert!(is_readable(fd, MINUTE));
    assert!(held.wait_timeout(Duration::ZERO).unwrap() && next.wait_timeout(MINUTE).unwrap());
    // One that is asked for when the task has ended is readable from the beginning.
    assert!(is_readable(next.fd().unwrap(), Duration::ZERO));
    held.join().unwrap();
    assert_eq!(next.join().unwrap(), 42);
}

#[test]
fn a_row_of_a_map_that_has_no_value_ends_it() {
    // With room for one task the rows before it come first; else they are submitted before anything is waited for.
    for (chunk, backlog, before) in [(1, 1, 2), (1, 16, 0), (2, 1, 2), (2, 16, 0), (3, 1, 0), (4, 1, 0)] {
        let pool = pool(PoolOptions::new().workers(1).backlog(backlog));
        let rows = [(Even(2),), (Even(4),), (Even(5),), (Even(6),)];
        let mut map = pool.with(TaskOptions::new().chunk(chunk)).map::<i64, _>("double", rows).unwrap();
        for expected in &[4, 8][..before] {
            assert_eq!(map.next().unwrap().unwrap(), *expected);
        }
        let error = map.next().unwrap().unwrap_err();
        assert!(matches!(error.kind, Kind::InvalidArgument(_)), "{error:?}");
        assert_eq!((error.row(), error.to_string().as_str()), (Some(2), "row 2: args[0]: 5 is odd"));
        assert!(map.next().is_none() && map.next().is_none());
        let stats = pool.stats().unwrap();
        assert_eq!((stats.queued, stats.running), (0, 0));
        let after = pool.call::<i64>("double", (21,)).unwrap();
        assert_eq!(in_time(|| after.join()).unwrap(), 42);
    }
}

#[test]
fn a_row_of_a_map_that_cannot_be_submitted_ends_it() {
    let pool = pool(PoolOptions::new().workers(1));
    let rows = [vec![1], vec![2], vec![3, 4], vec![5]];
    let mut map = pool.with(TaskOptions::new().chunk(4)).map::<i64, _>("double", rows).unwrap();
    let error = map.next().unwrap().unwrap_err();
    assert!(matches!(error.kind, Kind::InvalidArgument(_)), "{error:?}");
    assert_eq!((error.row(), error.to_string().as_str()), (Some(2), "row 2: 2 arguments, those before have 1"));
    assert!(map.next().is_none());
    assert_eq!(pool.stats().unwrap().submitted, 0, "rows that are of one task are checked before it is submitted");

    for chunk in 1..=4 {
        let rows = [(Value::Int(1),), (Value::Int(2),), (Value::BigInt("12".into()),), (Value::Int(4),)];
        let mut map = pool.with(TaskOptions::new().chunk(chunk)).map::<Value, _>("builtins:abs", rows).unwrap();
        let error = map.find_map(Result::err).unwrap();
        assert_eq!(error.to_string(), "rows[2][0]: SUBPY_KIND_BIGINT must be hexadecimal like \"-0x1ff\", got \"12\"");
        assert!(map.next().is_none());
    }

    // Of a pool that is closed there is no map to begin with. Its worker may still be set up: no task was waited for.
    pool.close_with(CloseOptions::new().timeout(MINUTE)).unwrap();
    not_found(pool.map::<i64, _>("double", [(1,)]));
}

// ---- queues ----

#[test]
fn a_queue_is_iterated_until_it_is_closed_and_empty() {
    let interp = create();
    let queue = Queue::bounded(2).unwrap();
    interp.exec("def feed(queue):\n  try:\n    for n in range(100): queue.put(n)\n  finally: queue.close()").unwrap();
    let feeds = interp.call_in_thread::<()>("feed", (&queue,)).unwrap();
    let its_own = queue.clone();
    let numbers = in_time(move || its_own.iter().collect::<subpy::Result<Vec<i64>>>());
    assert_eq!(numbers.unwrap(), (0..100).collect::<Vec<i64>>());
    feeds.join().unwrap();
    assert!(queue.iter::<i64>().next().is_none());

    // What is no such thing is an error, and stays the first.
    let queue = Queue::new().unwrap();
    for item in [Value::Int(1), "text".into()] {
        queue.put(item).unwrap();
    }
    queue.close().unwrap();
    let mut numbers = queue.iter::<i64>();
    assert_eq!(numbers.next().unwrap().unwrap(), 1);
    for _ in 0..2 {
        assert_eq!(message(numbers.next().unwrap()), "result: str is not int");
    }
    assert_eq!(queue.iter::<String>().next().unwrap().unwrap(), "text");
    assert!(numbers.next().is_none());
}

#[test]
fn an_object_inside_of_a_tagged_value_goes_into_no_queue() {
    let interp = create();
    let object: Object = interp.eval("print").unwrap();
    let queue = Queue::new().unwrap();
    let set = |item: Value| Value::Tagged(Tag::Set, Box::new(Value::List(vec![1.into(), item])));
    let frozen = Value::Tagged(Tag::FrozenSet, Box::new(Value::Tuple(vec![set(Value::from(&object))])));
    for item in [set(Value::from(&object)), frozen] {
        let error = queue.put(item).unwrap_err();
        assert!(matches!(error.kind, Kind::NotShareable(_)), "{error:?}");
        assert_eq!(error.to_string(), "an object belongs to its interpreter and cannot be put into a queue");
    }
    assert!(queue.is_empty());
    queue.put(set(2.into())).unwrap();
    assert_eq!(queue.try_get::<Value>().unwrap(), set(2.into()));
    assert!(object.text().unwrap().contains("print"), "it is still there");
}

// ---- memory ----

#[test]
fn buffers_are_equal_when_they_are_the_same_memory() {
    let buffer = Buffer::new(vec![1i16, 2, 3, 4]);
    assert_eq!(format!("{buffer:?}"), "Buffer { format: \"h\", shape: [4], .. }");
    let square = buffer.clone().with_shape(&[2, 2]).unwrap();
    assert_eq!(format!("{square:?}"), "Buffer { format: \"h\", shape: [2, 2], .. }");
    assert!(buffer == buffer.clone() && buffer == square);
    assert!(buffer != Buffer::new(vec![1i16, 2, 3, 4]), "not when they have the same in them");
}

#[test]
fn arrays_are_equal_when_their_numbers_are() {
    fn sum(numbers: impl AsRef<[f64]>) -> f64 {
        numbers.as_ref().iter().sum()
    }
    let interp = create();
    interp.exec("import array\nnumbers = array.array('d', [n / 2 for n in range(10_000)])").unwrap();
    // Python may write to it, so Rust has its own.
    let copied: Array<f64> = interp.eval("numbers").unwrap();
    interp.exec("numbers[3] = -1.0\nnumbers.append(7.0)").unwrap();
    assert_eq!((copied.len(), copied[3], copied[9_999], sum(&*copied)), (10_000, 1.5, 4999.5, 24_997_500.0));
    assert_eq!(sum(copied.clone()), 24_997_500.0);
    let changed: Array<f64> = interp.eval("numbers").unwrap();
    assert_eq!((changed.len(), changed[3], changed[10_000]), (10_001, -1.0, 7.0));
    let shared: Array<f64> = interp.eval("[n / 2 for n in range(10_000)]").unwrap();
    assert!(copied == shared && copied != changed);
    assert_eq!(format!("{:?}", interp.eval::<Array<f64>>("[1.0, 2.5]").unwrap()), "[1.0, 2.5]");

    for bytes in ["bytes(3)", "bytes(10_000)"] {
        let error = interp.eval::<Array<i64>>(&format!("memoryview({bytes}).cast('?')")).unwrap_err();
        assert!(matches!(error.kind, Kind::WrongType(_)), "{error:?}");
        assert_eq!(error.to_string(), "result: a buffer of format \"?\" does not hold i64");
    }
}

// ---- the end of everything ----

/// In a process of its own: it ends what the other tests use. An alarm ends the process if nothing else does.
fn alone(name: &str, act: fn()) {
    const ALONE: &str = "SUBPY_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        // SAFETY: a number.
        unsafe { libc::alarm(120) };
        return act();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture"]).env(ALONE, "1").stdin(Stdio::null());
    let output = support::expect_success(command);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("test result: ok. 1 passed"), "{said}");
}

#[test]
fn what_runs_is_known_from_the_start_on() {
    alone("what_runs_is_known_from_the_start_on", || {
        assert_eq!(subpy::version(), env!("CARGO_PKG_VERSION"));
        assert_eq!((subpy::python_version(), subpy::python_library()), (None, None));
        subpy::shutdown().unwrap();
        assert_eq!((subpy::python_version(), subpy::python_library()), (None, None));
        let interp = create();
        let version: String = interp.eval("'%d.%d.%d' % __import__('sys').version_info[:3]").unwrap();
        assert_eq!(subpy::python_version(), Some(version.as_str()));
        let library = subpy::python_library().unwrap();
        assert!(library.is_file() && library.to_str().unwrap().contains("libpython3."), "{library:?}");
        subpy::shutdown().unwrap();
        assert_eq!((subpy::python_version(), subpy::python_library()), (Some(version.as_str()), Some(library)));
    });
}

#[test]
fn a_shutdown_ends_everything_and_a_start_begins_anew() {
    alone("a_shutdown_ends_everything_and_a_start_begins_anew", || {
        let interp = create();
        let pool = pool(PoolOptions::new().workers(1));
        let outcome = pool.call::<i64>("double", (1,)).unwrap();
        assert!(outcome.wait_timeout(MINUTE).unwrap());
        let future = pool.call::<i64>("double", (2,)).unwrap();
        assert!(future.wait_timeout(MINUTE).unwrap());
        let thread = interp.call_in_thread::<i64>("builtins:len", ("text",)).unwrap();
        assert!(thread.wait_timeout(MINUTE).unwrap());
        let (function, object) = (interp.function("builtins:len").unwrap(), interp.eval::<Object>("print").unwrap());
        let (queue, buffer) = (Queue::new().unwrap(), interp.eval::<Buffer>("b'x' * 10_000").unwrap());
        interp.exec("def put(queue): queue.put([1, 'text'])").unwrap();
        interp.call::<()>("put", (&queue,)).unwrap();
        let error = interp.exec("1 / 0").unwrap_err();

        // While something is in the way everything stays as it was.
        let session = interp.enter().unwrap();
        let busy = |refused: subpy::Result<()>| {
            let error = refused.unwrap_err();
            assert!(matches!(error.kind, Kind::Busy(_)), "{error:?}");
            error.to_string()
        };
        let entered = busy(subpy::shutdown());
        assert!(entered.contains("is entered by a thread that has not left it"), "{entered}");
        session.leave().unwrap();
        let inside = move |_: HostCall| {
            let plan = CloseOptions::new().timeout(MINUTE).interrupt(true);
            Ok(vec![busy(subpy::shutdown()), busy(subpy::shutdown_with(plan))].into())
        };
        interp.define_with("shut_down", &DefineOptions::new(), inside).unwrap();
        let refused: Vec<String> = interp.eval("shut_down()").unwrap();
        assert_eq!(refused, ["cannot shut down from inside an interpreter"; 2]);
        let door = Door::new();
        door.define()(&interp);
        let held = interp.call_in_thread::<()>("hold", ()).unwrap();
        door.has_begun();
        let running = busy(subpy::shutdown());
        assert!(running.ends_with(" is running hold"), "{running}");
        door.open.send(()).unwrap();
        held.join().unwrap();
        assert_eq!(function.call::<i64>(("text",)).unwrap(), 4);
        assert_eq!(pool.stats().unwrap().done, 2);

        subpy::shutdown().unwrap();
        not_found(interp.exec("1"));
        not_found(interp.close());
        not_found(function.call::<i64>(("text",)));
        not_found(object.text());
        not_found(pool.stats());
        not_found(pool.exec("1"));
        not_found(pool.map::<i64, _>("double", [(1,)]));
        not_found(pool.close());
        not_found(outcome.wait_timeout(Duration::ZERO));
        not_found(outcome.fd());
        not_found(outcome.join());
        not_found(poll_once(future));
        not_found(thread.wait());
        not_found(thread.join());
        // Values and errors stay.
        assert_eq!(queue.try_get::<(i64, String)>().map(drop).unwrap_err().to_string(), "result: list is not tuple");
        assert_eq!(queue.try_get::<Value>().unwrap(), Value::List(vec![1.into(), "text".into()]));
        assert_eq!(error.to_string(), "ZeroDivisionError: division by zero");
        assert_eq!(buffer.as_bytes(), Some(&[b'x'; 10_000][..]));
        subpy::shutdown().expect("nothing to do");

        let other = create();
        assert_ne!(other, interp);
        not_found(interp.exec("1"));
        assert_eq!(other.eval::<i64>("6 * 7").unwrap(), 42);
        subpy::shutdown().unwrap();
        not_found(other.exec("1"));
    });
}

/// What a future is when it is asked for the first time.
fn poll_once<T>(outcome: Outcome<T>) -> subpy::Result<T>
where
    Outcome<T>: Future<Output = subpy::Result<T>>,
{
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(outcome).poll(&mut context) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => panic!("there is nothing to wait for"),
    }
}

#[test]
fn a_shutdown_within_a_time_names_what_is_in_the_way_or_has_it_end() {
    alone("a_shutdown_within_a_time_names_what_is_in_the_way_or_has_it_end", || {
        let (interp, begun) = (create(), Queue::new().unwrap());
        interp.exec("def spin(begun):\n  begun.put(1)\n  while True: pass").unwrap();
        let (runs, queue) = (interp.clone(), begun.clone());
        let spins = thread::spawn(move || runs.call::<()>("spin", (queue,)));
        assert_eq!(begun.get_with::<i64>(&Limits::new().timeout(MINUTE)).unwrap(), 1);
        for options in [CloseOptions::new(), CloseOptions::new().timeout(Duration::from_millis(1)).drain(true)] {
            let error = subpy::shutdown_with(options).unwrap_err();
            assert!(matches!(error.kind, Kind::Busy(_)), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(&format!("interpreter {}", interp.id().unwrap())), "{text}");
            assert!(interp.is_running().unwrap(), "everything is as it was");
        }
        subpy::shutdown_with(CloseOptions::new().timeout(MINUTE).interrupt(true)).unwrap();
        let error = spins.join().unwrap().unwrap_err();
        assert!(matches!(error.kind, Kind::Interrupted(_)), "{error:?}");
        not_found(interp.is_running());

        // What is not to be interrupted is waited for.
        let door = Door::new();
        let pool = pool(PoolOptions::new().workers(1).backlog(1).refuse(true).prepare(door.define()));
        let held = pool.call::<()>("hold", ()).unwrap();
        door.has_begun();
        let stops = thread::spawn(|| subpy::shutdown_with(CloseOptions::new().timeout(MINUTE).drain(true)));
        until(|| pool.exec("1").is_err_and(|error| error.to_string() == "the pool is closing"));
        assert!(!held.wait_timeout(Duration::ZERO).unwrap());
        door.open.send(()).unwrap();
        assert!(!door.ended.recv_timeout(MINUTE).unwrap(), "nothing has cancelled its run");
        stops.join().unwrap().unwrap();
        not_found(pool.stats());
    });
}
