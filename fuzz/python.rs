//! Fuzzing targets with a CPython in the process, through the C interface. One interpreter has many inputs, one after the
//! other: what an input leaves behind is there for the next. tests/fuzz.rs runs them with all inputs that are kept.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::fmt::Write;
use std::ptr::{null, null_mut};

use subpy::ffi::*;

/// So many inputs have the same interpreter.
const TURNS: u32 = 500;

/// Guests are limited, and cannot do to the process what no limit holds: end it, or write files.
const SETUP: &str = r#"
import array, asyncio, builtins, collections, dataclasses, datetime, decimal, enum, io, math, os, posix, sys, traceback, types, uuid
def _refused(*args, **kwargs): raise PermissionError('not here')
def _only_read(file, mode='r', *args, _open=open, **kwargs):
    if mode not in ('r', 'rb'): raise PermissionError('not here')
    return _open(file, mode, *args, **kwargs)
_left = {'stat', 'lstat', 'fstat', 'fspath', 'getcwd', 'getpid', 'scandir', 'listdir', 'readlink', 'urandom', 'cpu_count'}
for _module in (os, posix):
    for _name in set(dir(posix)) - _left:
        if not _name.startswith('_') and isinstance(getattr(_module, _name, None), types.BuiltinFunctionType):
            setattr(_module, _name, _refused)
    _module._exit = _module._fcopyfile = _refused
builtins.open = io.open = _only_read
builtins.breakpoint = builtins.input = _refused
for _name in ('_ctypes', '_interpchannels', '_interpqueues', '_interpreters', '_posixsubprocess', '_signal', '_socket', '_testcapi',
              '_testinternalcapi', 'ctypes', 'faulthandler', 'fcntl', 'mmap', 'resource', 'signal', 'socket', 'subprocess'):
    sys.modules[_name] = None
class Color(enum.Enum): RED = 1; DARK = ('x', 2.5)
class Level(enum.IntEnum): LOW = 1
@dataclasses.dataclass
class Point:
    x: object = None
    y: object = None
class Text(str): pass
class Broken:
    def __repr__(self): raise ValueError('no repr')
    __str__ = __iter__ = __len__ = __eq__ = __hash__ = __getattr__ = __repr__
class Strange:
    def __init__(self, *args): self.args = args
    def __iter__(self): return iter(self.args)
    def __getitem__(self, at): return self.args[at]
    def __call__(self, *args): return args
    def __await__(self):
        yield from ()
        return self.args
def again(value):
    try: return value == made or repr(value) == repr(made)
    except decimal.InvalidOperation: return repr(value) == repr(made)
def echo(*args, **kwargs): return args[0] if len(args) == 1 and not kwargs else [*args, kwargs]
def nested(value, depth):
    for _ in range(depth): value = [value]
    return value
def cycle():
    a = []; a.append({'a': (a,)})
    return a
def deep(n):
    if n: return deep(n - 1)
    raise KeyError('deep')
def chained(error, *others):
    for other in others: error.__cause__, error.__context__, error = other, error, other
    raise error
class Says(Exception):
    def __init__(self, says): self.says = says
    def __str__(self):
        if isinstance(self.says, BaseException): raise self.says
        return self.says
"#;

thread_local! {
    /// The interpreter, and how many inputs it can have still.
    static GUEST: Cell<(subpy_interp, u32)> = const { Cell::new((0, 0)) };
}

fn text(text: &str) -> *const c_char {
    text.as_ptr().cast()
}

fn ok(status: subpy_status, error: *mut subpy_error) {
    if status != SUBPY_OK {
        // SAFETY: the error of a call that failed.
        let why = unsafe { CStr::from_ptr(subpy_error_message(error, null_mut())) };
        panic!("{status}: {}", why.to_string_lossy());
    }
}

fn guest() -> subpy_interp {
    let (mut interp, mut left) = GUEST.get();
    let mut error = null_mut();
    // SAFETY: the options are whole, and all texts are as long as is said.
    unsafe {
        if left == 0 {
            if interp != 0 {
                let options = subpy_close_options {
                    size: size_of::<subpy_close_options>(),
                    timeout_ms: 20_000,
                    flags: SUBPY_CLOSE_INTERRUPT,
                    reserved: 0,
                };
                ok(subpy_close_with(interp, &options, &mut error), error);
            }
            let mut options: subpy_interp_options = std::mem::zeroed();
            options.size = size_of::<subpy_interp_options>();
            options.flags = SUBPY_INTERP_TAGGED_VALUES | SUBPY_INTERP_COUNT_MEMORY | SUBPY_INTERP_NO_THREADS;
            options.memory_limit = 128 << 20;
            ok(subpy_create(&options, &mut interp, &mut error), error);
            ok(subpy_exec(interp, text(SETUP), SETUP.len(), &mut error), error);
            left = TURNS;
        }
    }
    GUEST.set((interp, left - 1));
    interp
}

/// A run in the guest, for at most a second.
fn request(interp: subpy_interp, what: i32, flags: u32, source: &[u8]) -> subpy_run_request {
    // SAFETY: zeros are a request's defaults.
    let zeros: subpy_run_request = unsafe { std::mem::zeroed() };
    subpy_run_request {
        size: size_of::<subpy_run_request>(),
        interp,
        what,
        flags,
        text: source.as_ptr().cast(),
        text_len: source.len(),
        timeout_ms: 1000,
        ..zeros
    }
}

/// What a run may come to, whatever the guest does.
const OF_GUESTS: [subpy_status; 8] = [
    SUBPY_OK,
    SUBPY_ERROR_INVALID_ARGUMENT,
    SUBPY_ERROR_EXECUTION_FAILED,
    SUBPY_ERROR_NOT_SHAREABLE,
    SUBPY_ERROR_SYNTAX,
    SUBPY_ERROR_TIMEOUT,
    SUBPY_ERROR_INTERRUPTED,
    SUBPY_ERROR_NO_MEMORY,
];

/// What a call with handles of anything may come to besides.
const OF_HANDLES: [subpy_status; 5] =
    [SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_INTERPRETER, SUBPY_ERROR_WRONG_STATE, SUBPY_OK];

/// Looks at the status, at all of the error, and frees that. Whether it is OK.
fn settled(status: subpy_status, error: &mut *mut subpy_error, more: &[subpy_status]) -> bool {
    assert!(OF_GUESTS.contains(&status) || more.contains(&status), "status {status}");
    let error = std::mem::replace(error, null_mut());
    assert_eq!(error.is_null(), status == SUBPY_OK);
    if error.is_null() {
        return true;
    }
    type Of = unsafe extern "C" fn(*const subpy_error, *mut usize) -> *const c_char;
    const TEXTS: [Of; 7] = [
        subpy_error_message,
        subpy_error_type_name,
        subpy_error_type_qualname,
        subpy_error_type_module,
        subpy_error_exception_message,
        subpy_error_formatted,
        subpy_error_display,
    ];
    let is_text = |start: *const c_char, len: usize| {
        // SAFETY: a text of the library's, and the NUL behind it.
        let bytes = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len + 1) };
        assert!(bytes[len] == 0 && std::str::from_utf8(&bytes[..len]).is_ok());
    };
    // SAFETY: the error of a call that failed; the rest is room for what is told.
    unsafe {
        assert_eq!(subpy_error_status(error), status);
        for of in TEXTS {
            let mut len = usize::MAX;
            let start = of(error, &mut len);
            if !start.is_null() {
                is_text(start, len);
            }
        }
        assert!(*subpy_error_message(error, null_mut()) != 0);
        for index in 0..=subpy_error_frame_count(error) {
            let mut frame: subpy_frame = std::mem::zeroed();
            frame.size = size_of::<subpy_frame>();
            let is_one = subpy_error_frame(error, index, &mut frame);
            assert_eq!(is_one, index < subpy_error_frame_count(error));
            if is_one {
                is_text(frame.file, frame.file_len);
                is_text(frame.function, frame.function_len);
                if !frame.source.is_null() {
                    is_text(frame.source, frame.source_len);
                }
            }
        }
        let (mut line, mut column, mut source) = (0, 0, null());
        let _ = subpy_error_syntax(error, &mut line, &mut column, &mut source);
        let copy = subpy_error_copy(error);
        assert!(copy.is_null() || subpy_error_status(copy) == status);
        subpy_error_free(copy);
        subpy_error_free(error);
    }
    false
}

/// Runs it, and takes what comes of it.
fn run(request: &subpy_run_request, more: &[subpy_status]) -> Option<subpy_value> {
    let (mut value, mut error) = (subpy_int(77), null_mut());
    // SAFETY: a whole request.
    let status = unsafe { subpy_run(request, &mut value, &mut error) };
    let is_ok = settled(status, &mut error, more);
    assert!(is_ok || value.kind == SUBPY_KIND_NONE);
    is_ok.then_some(value)
}

fn free(mut value: subpy_value) {
    // SAFETY: a result, which is freed once.
    unsafe { subpy_value_free(&mut value) };
}

/// What C code does that nobody can interrupt takes no longer than a moment.
fn is_short(source: &[u8]) -> bool {
    let powers = source.windows(2).any(|two| two == b"**" || two == b"<<");
    let mut digits = 0;
    let long = source.iter().any(|byte| {
        digits = if byte.is_ascii_hexdigit() || *byte == b'_' { digits + 1 } else { 0 };
        digits > 7 && byte.is_ascii_digit()
    });
    !powers && !long
}

/// Any text as code, as an expression, and as the name of what is called.
pub fn sources(data: &[u8]) {
    let [what, flags, source @ ..] = data else { return };
    if !is_short(source) {
        return;
    }
    let interp = guest();
    let what = i32::from(what % 3) + SUBPY_RUN_EXEC;
    let results = SUBPY_RESULT_OBJECTS | SUBPY_RESULT_BUFFER | SUBPY_RESULT_ARRAY | SUBPY_RUN_ASYNC;
    let flags = u32::from(*flags) & if what == SUBPY_RUN_EXEC { SUBPY_KEEP_INDENT } else { results };
    let request = request(interp, what, flags, source);
    run(&request, &[]).into_iter().for_each(free);
    let (mut function, mut error) = (0, null_mut());
    if what == SUBPY_RUN_CALL {
        // SAFETY: a text, and room for the handle.
        let status = unsafe { subpy_function_new(interp, request.text, request.text_len, &mut function, &mut error) };
        if settled(status, &mut error, &[]) {
            subpy_function_free(function);
        }
    }
}

/// Takes decisions, one for each byte. Behind the last they are all the first choice.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, limit: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % limit
    }

    fn of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// An expression.
    fn object(&mut self, depth: usize, into: &mut String) {
        const LEAVES: [&str; 48] = [
            "None",
            "True",
            "0",
            "-1",
            "2.5",
            "''",
            "b''",
            "()",
            "[]",
            "{}",
            "1 << 63",
            "-(1 << 64)",
            "-0.0",
            "math.nan",
            "-math.inf",
            "'\\0\\xe9'",
            "'\\ud800'",
            "'\\U0001f40d' * 300",
            "b'\\0\\xff' * 40",
            "set()",
            "frozenset()",
            "1j",
            "complex(-0.0, math.nan)",
            "datetime.date(1, 1, 1)",
            "datetime.time(23, 59, 59, 999999, fold=1)",
            "datetime.datetime(9999, 12, 31, tzinfo=datetime.timezone.utc)",
            "datetime.timedelta(-999999999, 1, 2)",
            "decimal.Decimal('-0E-30')",
            "decimal.Decimal('sNaN12')",
            "uuid.UUID(int=5)",
            "Color.RED",
            "Color.DARK",
            "Level.LOW",
            "Text('x')",
            "Broken()",
            "Strange(1, 2)",
            "object()",
            "int",
            "echo",
            "range(5)",
            "array.array('d', [1, 2, 3])",
            "bytearray(9)",
            "memoryview(bytes(12)).cast('i', [3, 1])[::-1]",
            "memoryview(bytearray(8))[::2]",
            "cycle()",
            "types.SimpleNamespace(a=1)",
            "(lambda: (yield))()",
            "nested(7, 999)",
        ];
        if depth == 0 || self.below(2) == 0 {
            return into.push_str(self.of(&LEAVES));
        }
        let (open, close) = [
            ("[", "]"),
            ("(", ",)"),
            ("{", "}"),
            ("Point(", ")"),
            ("Strange(", ")"),
            ("dict(a=", ")"),
            ("[*range(300), ", "]"),
            ("nested((", "), 900)"),
            ("collections.OrderedDict([(1, ", ")])"),
            ("{'k' * 300: [{'k' * 300: i} for i in range(9)], 'x': ", "}"),
            ("{**dict.fromkeys(map(str, range(20)), 1), 7: ", "}"),
            ("iter((", ",))"),
        ][self.below(12)];
        let count = if matches!(open, "[" | "(" | "{") { self.below(5) } else { 1 };
        if count == 0 {
            return into.push_str("()");
        }
        into.push_str(open);
        for index in 0..count {
            if index > 0 {
                into.push_str(", ");
            }
            if open == "{" {
                self.object(0, into);
                into.push_str(": ");
            }
            self.object(depth - 1, into);
        }
        into.push_str(close);
    }
}

/// Objects as results in each form, and back as arguments: what has a value of its own is equal to what it was made of.
pub fn objects(data: &[u8]) {
    const FORMS: [u32; 6] = [
        0,
        SUBPY_RESULT_OBJECT,
        SUBPY_RESULT_OBJECTS,
        SUBPY_RESULT_BUFFER,
        SUBPY_RESULT_ARRAY,
        SUBPY_RESULT_OBJECTS | SUBPY_RESULT_BUFFER | SUBPY_RESULT_ARRAY | SUBPY_RUN_ASYNC,
    ];
    let mut choices = Choices(data);
    let form = FORMS[choices.below(FORMS.len())];
    let mut source = String::from("made = ");
    choices.object(4, &mut source);
    let interp = guest();
    // None of them takes long, but the machine may have other things to do.
    let patient = |what, flags, text| subpy_run_request { timeout_ms: 60_000, ..request(interp, what, flags, text) };
    let made = run(&patient(SUBPY_RUN_EXEC, 0, source.as_bytes()), &[]);
    let Some(value) = made.and_then(|_| run(&patient(SUBPY_RUN_EVAL, form, b"made"), &[])) else { return };
    let mut call = patient(SUBPY_RUN_CALL, 0, b"again");
    (call.args, call.nargs) = (&value, 1);
    let back = run(&call, &[]);
    if form == 0 {
        let back = back.expect("a value that has come goes back");
        // SAFETY: a BOOL.
        assert!(back.kind == SUBPY_KIND_BOOL && unsafe { back.u.as_int } & 0xff == 1, "{source}");
    } else {
        back.into_iter().for_each(free);
    }
    if value.kind == SUBPY_KIND_OBJECT {
        // SAFETY: an OBJECT.
        act(unsafe { value.u.as_object }, &mut choices);
    }
    free(value);
}

/// Things that can be done with an object, as many as there are choices.
fn act(object: subpy_object, choices: &mut Choices) {
    let mut error = null_mut();
    for _ in 0..8 {
        let mut value = subpy_none();
        let flags = [0, SUBPY_RESULT_OBJECT, SUBPY_RESULT_OBJECTS][choices.below(3)];
        let key = subpy_int(choices.below(3) as i64);
        // SAFETY: texts as long as is said, and room for what comes.
        let status = unsafe {
            match choices.below(6) {
                0 => subpy_object_text(object, &mut value, &mut error),
                1 => subpy_object_value(object, flags, &mut value, &mut error),
                2 => {
                    let name = choices.of(&["__class__", "x", "args", "", "__dict__", "real"]);
                    subpy_object_attr(object, text(name), name.len(), flags, &mut value, &mut error)
                }
                3 => subpy_object_item(object, &key, flags, &mut value, &mut error),
                4 => {
                    let name = choices.of(&["__iter__", "__len__", "keys", "nothing"]);
                    subpy_object_call(
                        object,
                        text(name),
                        name.len(),
                        &key,
                        choices.below(2),
                        null(),
                        flags,
                        &mut value,
                        &mut error,
                    )
                }
                _ => {
                    let (mut iterator, mut more) = (0, true);
                    let status = subpy_object_iter(object, &mut iterator, &mut error);
                    if status == SUBPY_OK {
                        for _ in 0..3 {
                            let mut next = subpy_none();
                            let status = subpy_object_next(iterator, flags, &mut more, &mut next, &mut error);
                            settled(status, &mut error, &[]);
                            free(next);
                        }
                        subpy_object_free(iterator);
                    }
                    status
                }
            }
        };
        settled(status, &mut error, &[]);
        free(value);
        if choices.is_over() {
            return;
        }
    }
}

/// Exceptions, with all that can be wrong about them.
pub fn exceptions(data: &[u8]) {
    const ERRORS: [&str; 24] = [
        "ValueError('x')",
        "KeyError()",
        "Says('text')",
        "Says(5)",
        "Says('\\ud800\\0')",
        "Says(ValueError('inner'))",
        "Says(KeyboardInterrupt())",
        "Says('long ' * 100000)",
        "SystemExit(3)",
        "SystemExit('no')",
        "SystemExit(None)",
        "KeyboardInterrupt()",
        "GeneratorExit()",
        "MemoryError()",
        "RecursionError('r')",
        "StopIteration(1)",
        "ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [KeyError(2)])])",
        "BaseExceptionGroup('b', [SystemExit(1)])",
        "UnicodeDecodeError('x', b'y', 0, 1, 'z')",
        "OSError(2, 'no', 'file')",
        "ImportError('i', name='n', path='p')",
        "SyntaxError('s', ('f', 1, 2, 'text', 3, 4))",
        "SyntaxError('s', ('f', -5, 1 << 40, '\\ud800', 0, -1))",
        "AttributeError('a', name='x', obj=Broken())",
    ];
    const CHANGES: [&str; 22] = [
        "e.add_note('note')",
        "e.__notes__ = 5",
        "e.__notes__ = ['a', 7, Broken(), '\\ud800']",
        "e.__cause__ = e",
        "e.__context__ = e",
        "e.__suppress_context__ = True",
        "e.args = (Broken(),)",
        "e.__class__.__module__ = 5",
        "e.__class__.__qualname__ = 'q\\n\\ud800'",
        "e.__class__.__name__ = 'N' * 3000",
        "e.print_file_and_line = 1",
        "e.lineno = 'x'",
        "e.text = Broken()",
        "e.offset = -9",
        "e.end_lineno = 1 << 70",
        "e.filename = Broken()",
        "e.msg = None",
        "e.code = Broken()",
        "e.__traceback__ = None",
        "e.__traceback__ = types.TracebackType(None, sys._getframe(), 5, -7)",
        "e.__cause__ = ValueError('cause')",
        "e.exceptions = 3",
    ];
    const RAISES: [&str; 9] = [
        "raise e",
        "chained(e, ValueError(1), Says(2))",
        "raise e from Says(KeyError())",
        "try: deep(9)\nfinally: raise e",
        "deep(400)",
        "exec(compile('\\n' * 70 + 'raise e', '<f\\\\n>' * 40, 'exec'))",
        "exec(compile('raise e', '\\udc80', 'exec'))",
        "def f():\n    raise e\nf.__code__ = f.__code__.replace(co_name='n\\0', co_qualname='\\ud800', co_firstlineno=2147483647)\nf()",
        "class C:\n    def __del__(self): raise e\nC()\nraise e",
    ];
    let mut choices = Choices(data);
    let mut source = format!("class Says(Says): pass\ne = {}\n", choices.of(&ERRORS));
    for _ in 0..choices.below(6) {
        let _ = writeln!(source, "try: {}\nexcept Exception: pass", choices.of(&CHANGES));
    }
    source.push_str(choices.of(&RAISES));
    let interp = guest();
    let what = request(interp, SUBPY_RUN_EXEC, 0, source.as_bytes());
    run(&what, &[]).into_iter().for_each(free);
}

/// Calls with handles of all kinds, in any order, on one thread.
pub fn calls(data: &[u8]) {
    let interp = guest();
    let mut choices = Choices(data);
    // The handles that there are, of all kinds; that of nothing is the first.
    let mut handles = vec![0, interp];
    let mut entered = Vec::new();
    while !choices.is_over() && handles.len() < 40 {
        let mut handle = || handles[choices.below(handles.len())];
        let (first, second) = (handle(), handle());
        let bytes = *b"bytes";
        let inner = [subpy_int(1), subpy_value_from_object(second), subpy_value_from_queue(second)];
        let small = &inner[..choices.below(4)];
        // SAFETY: a text as long as is said.
        let named = unsafe { subpy_str(text("name"), 4) };
        let pairs = [subpy_pair { key: named, value: inner[choices.below(3)] }];
        let values = [
            subpy_none(),
            subpy_int(7),
            named,
            subpy_bytes(bytes.as_ptr(), bytes.len()),
            subpy_list(small.as_ptr(), small.len()),
            subpy_dict(pairs.as_ptr(), 1),
            subpy_value_from_object(second),
            subpy_value_from_queue(second),
            subpy_value { kind: 99, ..subpy_none() },
            subpy_value { flags: 1, ..subpy_int(1) },
        ];
        let args = [values[choices.below(10)], values[choices.below(10)]];
        let name =
            choices.of(&["echo", "builtins:len", "nothing", "made", "Strange", "", "x:y:z", "builtins:iter", "Color"]);
        let (mut value, mut made, mut error) = (subpy_none(), 0, null_mut());
        let count = choices.below(3);
        let kwargs = if choices.below(3) == 0 { &values[5] } else { null() };
        let wanted = [0, SUBPY_RESULT_OBJECT, SUBPY_RESULT_OBJECTS, 1 << 20][choices.below(4)];
        let (name, len) = (text(name), name.len());
        let act = choices.below(25);
        // SAFETY: texts and values as long as is said, and room for what comes. Handles may be of anything.
        let status = unsafe {
            match act {
                0 => subpy_function_new(first, name, len, &mut made, &mut error),
                1 => subpy_function_call(first, args.as_ptr(), count, kwargs, &mut value, &mut error),
                2 => subpy_function_call_many(first, args.as_ptr(), 2, 1, wanted & 1, &mut value, &mut error),
                3 => subpy_call(first, name, len, args.as_ptr(), count, kwargs, &mut value, &mut error),
                4 => {
                    let mut request = request(first, SUBPY_RUN_FUNCTION, wanted, b"");
                    (request.text, request.text_len, request.function) = (null(), 0, second);
                    (request.args, request.nargs, request.kwargs) = (args.as_ptr(), count, kwargs);
                    if second != 0 {
                        request.interp = 0;
                    }
                    subpy_run(&request, &mut value, &mut error)
                }
                5 => {
                    let request = request(first, SUBPY_RUN_EVAL, wanted, b"Strange(1, [2])");
                    subpy_run(&request, &mut value, &mut error)
                }
                6 => subpy_prepare_main(first, &args[0], &mut error),
                7 => subpy_object_keep(first, &mut made, &mut error),
                8 => subpy_object_attr(first, name, len, wanted, &mut value, &mut error),
                9 => subpy_object_item(first, &args[0], wanted, &mut value, &mut error),
                10 => subpy_object_call(first, null(), 0, args.as_ptr(), count, kwargs, wanted, &mut value, &mut error),
                11 => subpy_object_iter(first, &mut made, &mut error),
                12 => subpy_object_next(first, wanted, &mut true, &mut value, &mut error),
                13 => subpy_object_text(first, &mut value, &mut error),
                14 => subpy_object_interp(first, &mut made, &mut error),
                15 => subpy_queue_new(null(), &mut made, &mut error),
                16 => subpy_queue_put(first, &args[0], 0, &mut error),
                17 => subpy_queue_get(first, 0, &mut value, &mut error),
                18 => subpy_queue_keep(first, &mut made, &mut error),
                19 => subpy_queue_close(first, &mut error),
                20 => subpy_enter(first, &mut error),
                21 => subpy_leave(first, &mut error),
                22 => subpy_is_running(first, &mut false, &mut error),
                23 => {
                    let mut info: subpy_memory_info = std::mem::zeroed();
                    info.size = size_of::<subpy_memory_info>();
                    subpy_memory(first, &mut info, &mut error)
                }
                // It may be used afterwards.
                _ => {
                    forget(first);
                    SUBPY_OK
                }
            }
        };
        let is_ok = settled(status, &mut error, &OF_HANDLES);
        assert!(is_ok || (value.kind == SUBPY_KIND_NONE && made == 0));
        match (act, is_ok) {
            (20, true) => entered.push(first),
            (21, true) => drop(entered.pop()),
            _ => {}
        }
        if made != 0 {
            handles.push(made);
        }
        if value.kind == SUBPY_KIND_OBJECT {
            // SAFETY: an OBJECT, whose handle is kept beyond the value.
            let status = unsafe { subpy_object_keep(value.u.as_object, &mut made, &mut error) };
            if settled(status, &mut error, &OF_HANDLES) {
                handles.push(made);
            }
        }
        free(value);
    }
    for interp in entered {
        let mut error = null_mut();
        // SAFETY: room for the error.
        ok(unsafe { subpy_leave(interp, &mut error) }, error);
    }
    handles[2..].iter().for_each(|handle| forget(*handle));
}

/// A handle of anything is needed no more.
fn forget(handle: u64) {
    subpy_object_free(handle);
    subpy_function_free(handle);
    subpy_queue_free(handle);
}
