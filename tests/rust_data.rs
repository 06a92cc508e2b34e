//! What is not copied: buffers, arrays, objects inside of results. As Rust programs use it.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use subpy::{
    Array, Buffer, Buffers, Busy, Cancel, Error, Interpreter, Kind, Limits, Object, Objects, Options, Pool,
    PoolOptions, Queue, RuntimeOptions, Value,
};

fn create() -> Interpreter {
    subpy::init(&RuntimeOptions::new().python(support::python())).expect("CPython starts");
    Interpreter::create().expect("an interpreter")
}

#[track_caller]
fn message<T: std::fmt::Debug>(result: subpy::Result<T>) -> String {
    result.expect_err("it fails").to_string()
}

/// Memory whose end is counted.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn python_sees_rusts_memory() {
    let interp = create();
    interp
        .exec(
            "import ctypes\ndef look(view): return (view.format, view.shape, view.strides, view.readonly, view.tolist())\n\
             def address(view): return ctypes.addressof(ctypes.c_char.from_buffer(view.cast('B')))\n\
             def keep(view):\n  global kept\n  kept = view\n\
             def write(view, at, item): view[at] = item",
        )
        .unwrap();
    let look = |buffer: &Buffer| {
        let Value::Tuple(found) = interp.call::<Value>("look", (buffer,)).unwrap() else { panic!("a tuple") };
        format!("{found:?}")
    };
    let found = look(&Buffer::new(vec![1i16, -2, 3]));
    assert_eq!(found, "[Str(\"h\"), Tuple([Int(3)]), Tuple([Int(2)]), Bool(true), List([Int(1), Int(-2), Int(3)])]");
    let found = look(&Buffer::new([1.5f32, 2.5, 3.5, 4.5, 5.5, 6.5]).with_shape(&[2, 3]).unwrap());
    assert!(
        found.starts_with("[Str(\"f\"), Tuple([Int(2), Int(3)]), Tuple([Int(12), Int(4)]), Bool(true), "),
        "{found}"
    );
    static LETTERS: [u8; 3] = *b"abc";
    for buffer in [Buffer::new(&LETTERS[..]), Buffer::new(Arc::<[u8]>::from(*b"abc")), Buffer::new(String::from("abc"))]
    {
        assert_eq!(interp.call::<Vec<u8>>("builtins:bytes", (&buffer,)).unwrap(), b"abc");
        assert_eq!(buffer.as_slice::<u8>(), Some(&b"abc"[..]));
        assert!(!buffer.is_writable() && buffer.format() == "B" && buffer.nbytes() == 3);
    }
    let error = interp.call::<()>("write", (Buffer::new(vec![1u8]), 0, 1)).unwrap_err();
    assert_eq!(error.exception().unwrap().formatted, "TypeError: cannot modify read-only memory");
    assert!(matches!(Buffer::new(vec![0u8; 3]).with_shape(&[2, 2]).unwrap_err().kind, Kind::InvalidArgument(_)));

    // It is the memory itself, and comes back when Python has let go of it.
    let numbers = Buffer::writable(vec![1i64, 2, 3]);
    assert_eq!(interp.call::<usize>("address", (&numbers,)).unwrap(), numbers.as_ptr().addr());
    interp.call::<()>("write", (&numbers, 1, -7)).unwrap();
    assert_eq!(
        (numbers.to_vec::<i64>().unwrap(), numbers.as_slice::<i64>(), numbers.as_bytes()),
        (vec![1, -7, 3], None, None)
    );
    numbers.copy_from_slice(2, &[9i64]).unwrap();
    assert!(message(numbers.copy_from_slice(2, &[9i64, 10])).contains("not as many"));
    assert_eq!(message(numbers.to_vec::<f64>()), "a buffer of format \"q\" does not hold f64");
    interp.call::<()>("keep", (&numbers,)).unwrap();
    let numbers = numbers.into_owner::<Vec<i64>>().unwrap_err();
    interp.exec("kept = kept[1:].tolist()").unwrap();
    assert_eq!(interp.eval::<Vec<i64>>("kept").unwrap(), [-7, 9]);
    assert_eq!(numbers.into_owner::<Vec<i64>>().unwrap(), [1, -7, 9]);

    // The owner goes with the last who needs it, wherever that is.
    let ended = Arc::new(AtomicUsize::new(0));
    let ends = || ended.load(Ordering::SeqCst);
    let counted = || Buffer::new(Counted(vec![7; 100], Arc::clone(&ended)));
    interp.call::<()>("keep", (counted(),)).unwrap();
    assert_eq!((ends(), interp.eval::<u8>("kept[99]").unwrap()), (0, 7));
    interp.exec("del kept").unwrap();
    assert_eq!(ends(), 1);
    interp.prepare_main([("shared", counted()), ("other", counted())]).unwrap();
    assert_eq!((ends(), interp.eval::<u8>("shared[0]").unwrap()), (1, 7));
    interp.close().unwrap();
    assert_eq!(ends(), 3);
    assert!(interp.call::<()>("f", (counted(),)).is_err());
    assert_eq!(ends(), 4);
}

/// Memory that runs something when it ends.
struct Last(Vec<u8>, Interpreter);

impl AsRef<[u8]> for Last {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        // On another thread: it would wait for ever for a GIL that this one has.
        let interp = self.1.clone();
        thread::spawn(move || interp.exec("ended += 1")).join().unwrap().unwrap();
    }
}

#[test]
fn owners_end_without_a_gil() {
    subpy::init(&RuntimeOptions::new().python(support::python())).unwrap();
    let interp = Interpreter::with_options(&Options::new().busy(Busy::Share)).unwrap();
    interp.exec("ended = 0\ndef drop(view): pass\ndef keep(view):\n  global kept\n  kept = view").unwrap();
    let last = || Buffer::new(Last(vec![1], Interpreter::from_handle(interp.handle())));
    interp.call::<()>("drop", (last(),)).unwrap();
    interp.call::<()>("keep", (last(),)).unwrap();
    interp.exec("del kept").unwrap();
    let queue = Queue::new().unwrap();
    queue.put(last()).unwrap();
    interp.exec("def take(queue): queue.get()").unwrap();
    interp.call::<()>("take", (&queue,)).unwrap();
    interp.call_in_thread::<()>("keep", (last(),)).unwrap().join().unwrap();
    interp.exec("kept = None").unwrap();
    assert_eq!(interp.eval::<i64>("ended").unwrap(), 4);
}

#[test]
fn buffers_go_everywhere() {
    let interp = create();
    interp.exec("def total(*views, **named): return sum(map(sum, (*views, *named.values())))").unwrap();
    let total = interp.function("total").unwrap();
    let buffer = Buffer::writable(vec![1u16, 2, 3]);
    assert_eq!(interp.call_kw::<i64>("total", (&buffer, buffer.clone()), [("by", &buffer)]).unwrap(), 18);
    assert_eq!(total.call::<i64>((&buffer,)).unwrap(), 6);
    assert_eq!(total.call_many::<i64>([(&buffer,), (&buffer,)]).unwrap(), [6, 6]);
    assert_eq!(total.call_in_thread::<i64>((&buffer,)).unwrap().join().unwrap(), 6);
    assert_eq!(interp.eval::<Object>("total").unwrap().call::<i64>((&buffer,)).unwrap(), 6);
    let pool = Pool::with_options(PoolOptions::new().workers(1).setup("total = sum")).unwrap();
    assert_eq!(pool.call::<i64>("total", (&buffer,)).unwrap().join().unwrap(), 6);
    let sums: subpy::Result<Vec<i64>> = pool.map("total", vec![(&buffer,); 5]).unwrap().collect();
    assert_eq!(sums.unwrap(), [6; 5]);
    let given = buffer.clone();
    interp.define("host:give", move || given.clone()).unwrap();
    assert_eq!(interp.eval::<Vec<i64>>("__import__('host').give().tolist()").unwrap(), [1, 2, 3]);

    // Through a queue it is the same memory, and back in Rust the same buffer.
    let queue = Queue::new().unwrap();
    queue.put(&buffer).unwrap();
    queue.put(&buffer).unwrap();
    interp.exec("def change(queue): queue.get()[0] = 500").unwrap();
    interp.call::<()>("change", (&queue,)).unwrap();
    let taken: Buffer = queue.get().unwrap();
    assert!(taken == buffer && taken.to_vec::<u16>().unwrap() == [500, 2, 3]);
    let object = interp.eval::<Object>("1").unwrap();
    for item in [Value::from(&object), vec![Value::Int(1), Value::Dict(vec![(1.into(), (&object).into())])].into()] {
        let error = queue.put(item).unwrap_err();
        assert!(matches!(error.kind, Kind::NotShareable(_)), "{error:?}");
    }
    assert_eq!(queue.len(), 0);

    drop((taken, pool, total));
    interp.close().unwrap();
    assert_eq!(buffer.into_owner::<Vec<u16>>().unwrap(), [500, 2, 3]);
}

#[test]
fn what_is_lent_is_taken_back() {
    let interp = create();
    interp.exec("kept = []\ndef keep(view): kept.append(view)\ndef cut(view): kept.append(view[1:])").unwrap();
    let buffer = Buffer::writable(vec![1u8, 2, 3]).lent();
    interp.call::<()>("keep", (&buffer,)).unwrap();
    assert!(message(interp.eval::<u8>("kept.pop()[0]")).starts_with("ValueError: "));
    let error = interp.call::<()>("cut", (&buffer,)).unwrap_err();
    assert!(matches!(error.kind, Kind::Busy(_)), "{error}");
    // The slice stays good, and the memory is not given back before it is gone.
    let buffer = buffer.into_owner::<Vec<u8>>().unwrap_err();
    assert_eq!(interp.eval::<u8>("kept[0][1]").unwrap(), 3);
    interp.exec("kept.clear()").unwrap();
    let buffer = Buffer::writable(buffer.into_owner::<Vec<u8>>().unwrap()).lent();

    // Where there is no call it is as without.
    let queue = Queue::new().unwrap();
    queue.put(&buffer).unwrap();
    interp.prepare_main([("lent", Value::from(&buffer)), ("queue", Value::from(&queue))]).unwrap();
    interp.exec("taken = queue.get(); assert taken[0] == lent[0] == 1").unwrap();
    interp.exec("del lent, taken").unwrap();
    assert_eq!(buffer.into_owner::<Vec<u8>>().unwrap(), [1, 2, 3]);
}

#[test]
fn rust_sees_pythons_memory() {
    let interp = create();
    interp.exec("import array\ndata = bytes(range(256)) * 64\nmutable = bytearray(data)\nnumbers = array.array('d', [1.5, 2.5] * 1000)").unwrap();
    let data: Buffer = interp.eval("data").unwrap();
    assert_eq!((data.as_bytes().unwrap().len(), data.as_slice::<u8>().unwrap()[255]), (16384, 255));
    assert_eq!((data.format(), data.itemsize(), data.shape(), data.strides()), ("B", 1, &[16384][..], &[1][..]));
    assert!(!data.is_writable() && data.as_slice::<i8>().is_none() && data.as_slice::<u16>().is_none());

    // What Python may write to has no slice, but both see what the other writes.
    let mutable: Buffer = interp.eval("mutable").unwrap();
    assert!(mutable.is_writable() && mutable.as_slice::<u8>().is_none() && mutable.as_bytes().is_none());
    interp.exec("mutable[0] = 200").unwrap();
    mutable.copy_from_slice(1, b"x").unwrap();
    assert_eq!(mutable.to_vec::<u8>().unwrap()[..3], [200, b'x', 2]);
    assert_eq!(interp.eval::<u8>("mutable[1]").unwrap(), b'x');
    assert!(message(interp.exec("mutable.clear()")).starts_with("BufferError: "));
    drop(mutable);
    interp.exec("mutable.clear()").unwrap();
    let view: Buffer = interp.eval("memoryview(numbers).toreadonly()").unwrap();
    assert!(!view.is_writable() && view.as_slice::<f64>().is_none());
    assert_eq!(view.to_vec::<f64>().unwrap()[..3], [1.5, 2.5, 1.5]);
    assert!(message(view.copy_from_slice(0, &[1.0])).contains("read-only"));
    // What is small is a copy, of which nobody else knows.
    let small: Buffer = interp.eval("bytearray(b'abc')").unwrap();
    assert!(small.as_bytes() == Some(b"abc") && !small.is_writable());
    let other = create();
    other.exec("def look(view): return (view.readonly, bytes(view))").unwrap();
    assert_eq!(other.call::<(bool, Vec<u8>)>("look", (&small,)).unwrap(), (true, b"abc".to_vec()));

    // Where the interpreter is gone, the memory is still there.
    let passed: Buffer = interp.eval("memoryview(data)[1:]").unwrap();
    other.exec("def keep(view):\n  global kept\n  kept = view").unwrap();
    other.call::<()>("keep", (&passed,)).unwrap();
    drop(passed);
    let parts: (Buffer, Vec<u8>, Vec<f64>, String) = interp.eval("(data, b'abc', [1.0, 2.0], 'x')").unwrap();
    let reader = thread::spawn(move || parts.0.as_bytes().unwrap()[7]);
    assert_eq!(reader.join().unwrap(), 7);
    assert_eq!((&parts.1[..], &parts.2[..], &parts.3[..]), (&b"abc"[..], &[1.0, 2.0][..], "x"));
    interp.close().unwrap();
    assert_eq!((data.as_bytes().unwrap()[255], other.eval::<u8>("kept[254]").unwrap()), (255, 255));

    // Elsewhere, what is no buffer is said to be none.
    assert_eq!(message(other.eval::<Buffer>("'text'")), "result: str is not a buffer");
    assert_eq!(message(other.eval::<Vec<Buffer>>("[b'x', 1]")), "result[1]: int is not a buffer");
}

/// The memory that interpreters in processes see, in one of this process. tests/c/process_buffers.c has the others.
#[test]
fn buffers_for_processes() {
    let interp = create();
    interp.exec("def fill(view): view[1] = 2.5\ndef same(view): return view").unwrap();
    let shared = Buffer::shared::<f64>(10_000).unwrap();
    assert!(shared.is_writable() && shared.as_slice::<f64>().is_none() && shared.shape() == [10_000]);
    interp.call::<()>("fill", (&shared,)).unwrap();
    shared.copy_from_slice(2, &[7.0]).unwrap();
    let square = shared.clone().with_shape(&[100, 100]).unwrap();
    let back: Buffer = interp.call("same", (square,)).unwrap();
    assert_eq!((back.shape(), back.as_ptr(), back.is_writable()), (&[100usize, 100][..], shared.as_ptr(), true));
    drop(shared);
    assert_eq!(back.to_vec::<f64>().unwrap()[..3], [0.0, 2.5, 7.0]);
    let many = Buffer::shared::<f64>(usize::MAX).unwrap_err();
    assert!(matches!(many.kind, Kind::NoMemory), "{many}");
    assert_eq!(Buffer::shared::<f64>(0).unwrap().nbytes(), 0);
}

#[test]
fn arrays_are_rows_of_numbers() {
    let interp = create();
    let floats: Array<f64> = interp.eval("[n / 2 for n in range(10_000)]").unwrap();
    assert_eq!((floats.len(), floats[3], floats.iter().sum::<f64>()), (10_000, 1.5, 24_997_500.0));
    let is_there = |array: &Array<i64>, numbers: &[i64]| assert_eq!(&array[..], numbers);
    for text in ["[1, -2]", "bytearray([1, 2])", "__import__('array').array('h', [1, -2])", "[]", "(1, 2)"] {
        let array: Array<i64> = interp.eval(text).unwrap();
        match text {
            "[]" => is_there(&array, &[]),
            "bytearray([1, 2])" | "(1, 2)" => is_there(&array, &[1, 2]),
            _ => is_there(&array, &[1, -2]),
        }
    }
    assert_eq!(&interp.eval::<Array<f64>>("[1, 2.5]").unwrap()[..], [1.0, 2.5]);
    assert_eq!(&interp.eval::<Array<u8>>("[1, 255]").unwrap()[..], [1, 255]);
    assert_eq!(&interp.eval::<Array<u8>>("b'ab'").unwrap()[..], *b"ab");
    assert_eq!(message(interp.eval::<Array<u8>>("[1, 256]")), "result[1]: int 256 does not fit u8");
    assert_eq!(message(interp.eval::<Array<f32>>("[1.0, 0.1]")), "result[1]: float 0.1 is not exact as f32");
    assert_eq!(message(interp.eval::<Array<i64>>("'x'")), "result: str is not a row of numbers");
    assert_eq!(message(interp.eval::<Array<i64>>("[1, 'x']")), "result[1]: str is not int");
    let two = "memoryview(bytes(4)).cast('B', (2, 2))";
    assert_eq!(message(interp.eval::<Array<u8>>(two)), "result: a buffer of 2 dimensions is not a row of numbers");
    // What else is in the result is not in their way.
    let (array, pair, three, bytes): (Array<i64>, (i64, u8), [f64; 3], Vec<u8>) =
        interp.eval("([1], (2, 3), [4.0, 5.0, 6.0], b'x')").unwrap();
    assert_eq!((&array[..], pair, three, &bytes[..]), (&[1][..], (2, 3), [4.0, 5.0, 6.0], &b"x"[..]));
    let rows: Vec<Array<f64>> = interp.eval("[[1.0], [2.0, 3.0]]").unwrap();
    assert_eq!((&rows[0][..], &rows[1][..]), (&[1.0][..], &[2.0, 3.0][..]));
    drop(interp);
    assert_eq!((floats[9_999], rows[1][1]), (4999.5, 3.0));
}

#[test]
fn a_method_has_limits() {
    let interp = create();
    interp.exec("class Model:\n  def predict(self, x):\n    while x > 1: pass\nmodel = Model()").unwrap();
    let model: Object = interp.eval("model").unwrap();
    let limits = Limits::new().timeout(Duration::from_millis(20));
    let predict: Object = model.attr("predict").unwrap();
    let error = interp.with_limits(limits).call::<()>("operator:call", (&predict, 2)).unwrap_err();
    assert!(matches!(error.kind, Kind::Timeout(_)), "{error}");
    let cancel = Cancel::new();
    cancel.fire();
    let limited = interp.with_limits(Limits::new().cancel(&cancel));
    let error = limited.call::<()>("operator:call", (&predict, 2)).unwrap_err();
    assert!(matches!(error.kind, Kind::Interrupted(_)), "{error}");
    assert_eq!(message(predict.call::<()>(("x",))).split(':').next(), Some("TypeError"));
}

#[test]
fn objects_are_parts_of_results() {
    let (interp, other) = (create(), create());
    interp
        .exec(
            "class Model:\n  def __init__(self, n): self.n = n\n\
             def make(n):\n  if n == 2: raise ValueError(n)\n  return Model(n)\n\
             def both(n): return (n, Model(n))\ndef number(model): return model.n",
        )
        .unwrap();
    assert_eq!(message(interp.eval::<Value>("both(1)")), "result[1]: Model cannot be shared");
    let (number, model): (i64, Object) = interp.call("both", (1,)).unwrap();
    assert_eq!((number, model.attr::<i64>("n").unwrap()), (1, 1));
    let models: Vec<Object> = interp.eval("[Model(n) for n in range(3)]").unwrap();
    let numbers: subpy::Result<Vec<i64>> = models.iter().map(|model| interp.call("number", (model,))).collect();
    assert_eq!(numbers.unwrap(), [0, 1, 2]);
    assert!(interp.eval::<Option<Object>>("None").unwrap().is_none());
    assert!(interp.eval::<Option<Object>>("both").unwrap().is_some());
    let Objects(value) = interp.eval::<Objects>("{'a': [1, both]}").unwrap();
    assert!(
        matches!(value.get("a"), Some(Value::List(items)) if matches!(items[..], [Value::Int(1), Value::Object(_)]))
    );
    let Objects(Buffers(value)) = interp.eval::<Objects<Buffers>>("[b'x', both, [1, 2]]").unwrap();
    let Value::List(items) = value else { panic!("{value:?}") };
    assert!(matches!(items[..], [Value::Buffer(_), Value::Object(_), Value::Buffer(_)]), "{items:?}");

    // On threads, in pools, of many calls.
    let make = interp.function("make").unwrap();
    assert_eq!(interp.call_in_thread::<Object>("make", (7,)).unwrap().join().unwrap().attr::<i64>("n").unwrap(), 7);
    let models = make.call_many::<Object>([(1,), (3,)]).unwrap();
    assert_eq!(models[1].attr::<i64>("n").unwrap(), 3);
    assert_eq!(message(make.call_many::<Object>([(1,), (2,)])), "row 1: ValueError: 2");
    let each = make.call_each::<Object>([(1,), (2,)]).unwrap();
    assert!(matches!(each[..], [Ok(_), Err(_)]), "{each:?}");
    let pairs = interp.function("both").unwrap().call_many::<(i64, Object)>([(5,)]).unwrap();
    assert_eq!((pairs[0].0, pairs[0].1.attr::<i64>("n").unwrap()), (5, 5));
    let pool = Pool::with_options(PoolOptions::new().workers(1)).unwrap();
    let there: Object = pool.eval("print").unwrap().join().unwrap();
    assert!(there.text().unwrap().contains("print"));
    let called = pool.call::<bool>("builtins:callable", (&there,)).unwrap().join().unwrap();
    assert!(called, "one worker, whose object it is");

    // In another interpreter it is refused, in every row and way, and nothing has run.
    other.exec("calls = 0\ndef f(*args, **kwargs):\n  global calls\n  calls += 1").unwrap();
    let f = other.function("f").unwrap();
    let elsewhere = |result: Result<(), Error>, place: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error.kind, Kind::Elsewhere(_)), "{error:?}");
        assert!(error.to_string().starts_with(&format!("{place}: the object is of another interpreter")), "{error}");
    };
    elsewhere(f.call((1, &model)), "args[1]");
    elsewhere(f.call_many::<()>([(Value::Int(1),), (Value::from(&model),)]).map(drop), "row 1: args[0]");
    elsewhere(f.call_each::<()>([(&model,)]).map(drop), "row 0: args[0]");
    elsewhere(f.call_in_thread::<()>((&model,)).unwrap().join(), "args[0]");
    elsewhere(other.prepare_main([("x", &model)]), "names['x']");
    elsewhere(pool.call::<()>("builtins:id", (&model,)).unwrap().join(), "args[0]");
    let mut map = pool.map::<i64, _>("builtins:id", [(Value::Int(1),), (vec![Value::from(&model)].into(),)]).unwrap();
    assert!(map.next().unwrap().is_ok());
    elsewhere(map.next().unwrap().map(drop), "row 1: args[0][0]");
    assert_eq!(other.eval::<i64>("calls").unwrap(), 0);
    drop(map);

    interp.close().unwrap();
    assert_eq!(message(f.call::<()>((&model,))).split(':').next(), Some("args[0]"));
    let gone = model.attr::<i64>("n").unwrap_err();
    assert!(matches!(gone.kind, Kind::NotFound(_)), "{gone}");
}
