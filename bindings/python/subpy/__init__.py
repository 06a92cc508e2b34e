"""Many isolated Python interpreters, each with its own GIL, driven from this one: libsubpy through ctypes.

The interface is that of `concurrent.interpreters`, with what libsubpy does differently: what is called is named by a
text, and None, bool, int, float, str, bytes, tuple, list and dict cross in both directions, as copies.

    with subpy.create() as interp:
        interp.exec("def add(a, b): return a + b")
        print(interp.call("add", 2, 3))
    subpy.shutdown()

Any function and method may be called on any thread. While a call runs, the GIL of the caller is free. The library is
the file that the environment variable SUBPY_LIBRARY names, else a libsubpy.so in the folder of this package, else the
one that the system's loader finds.
"""

from __future__ import annotations

import enum
import inspect
import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from ctypes import byref, c_bool, c_char_p, c_int64, c_size_t, c_uint64, c_void_p, sizeof
from typing import Any, NamedTuple

from . import _host
from ._buffers import Lent, shared_memory
from ._errors import (
    ExecutionFailed,
    Frame,
    InterpreterCrashedError,
    InterpreterError,
    InterpreterInterruptedError,
    InterpreterNotFoundError,
    InterpreterTimeoutError,
    NotShareableError,
    SourceError,
    Status,
    exception,
    run,
)
from ._handles import Owner, check_is_main, finalize, register, release
from ._host import cancelled
from ._library import DefineOptions, LockFields, MemoryInfo, RunRequest, RuntimeOptions, library
from ._limits import Cancel, ctrl_c
from ._objects import Object
from ._options import FOR_EVER, Busy, Flag, Gil, Isolation, close_options, interp_options, null_ended, path_of, word_of
from ._pools import InterpreterPoolExecutor, Stats, complete, notify
from ._queues import Queue, QueueClosed, QueueEmpty, QueueFull, create_queue
from ._runs import CALL, EVAL, EXEC, FUNCTION, Given, Options, Results, apply, changed, nul_ended, perform, source
from ._tags import Tag, Tagged
from ._values import Arguments, fetch, handle_kinds

__all__ = [
    "Busy",
    "Cancel",
    "ExecutionFailed",
    "Flag",
    "Frame",
    "Function",
    "Gil",
    "Interpreter",
    "InterpreterCrashedError",
    "InterpreterError",
    "InterpreterInterruptedError",
    "InterpreterNotFoundError",
    "InterpreterPoolExecutor",
    "InterpreterTimeoutError",
    "Isolation",
    "Lent",
    "LockInfo",
    "Memory",
    "NotShareableError",
    "Object",
    "Queue",
    "QueueClosed",
    "QueueEmpty",
    "QueueFull",
    "Results",
    "RuntimeFlag",
    "Session",
    "SourceError",
    "Stats",
    "Status",
    "Tag",
    "Tagged",
    "Thread",
    "cancelled",
    "create",
    "create_queue",
    "get_current",
    "get_main",
    "init",
    "list_all",
    "python_library",
    "python_version",
    "shared_memory",
    "shutdown",
    "version",
]


_KEEP_INDENT = 1
_RETURN_ERRORS = 1
_UNTOUCHED = 1  # no address of an error
_SLICE = 50  # milliseconds that the main thread waits before it looks for signals


class RuntimeFlag(enum.IntFlag):
    """How CPython is started: SUBPY_RUNTIME_* of subpy.h."""

    NONE = 0
    USE_ENVIRONMENT = 1
    NO_SITE = 2
    KEEP_SIGPIPE = 4


def init(
    python: str | os.PathLike[str] | None = None,
    flags: RuntimeFlag = RuntimeFlag.NONE,
    *,
    worker: str | os.PathLike[str] | None = None,
    preload: Iterable[str] = (),
) -> None:
    """Start the runtime, which otherwise starts by itself. In a Python that fits this adopts the one that runs.

    `preload` are names of modules that are imported once for all interpreters with Flag.PROCESS, and `worker` is the
    program that their processes begin with, the one inside the library when it is None.
    """
    word = word_of(RuntimeFlag, flags)
    options = RuntimeOptions(sizeof(RuntimeOptions), None if python is None else path_of(python), word)
    options.worker = None if worker is None else path_of(worker)
    modules = [nul_ended(name, "preload") for name in preload]
    if modules:
        options.preload = null_ended(modules)
    run(library.subpy_init, byref(options))


def shutdown(*, timeout: float | None = None, interrupt: bool = False, drain: bool = False) -> None:
    """Close all interpreters. Only a program calls this, not a package: at its end, or with `atexit`.

    Raises InterpreterError (BUSY), and changes nothing, while anything runs. The arguments are those of
    Interpreter.close(): with them, what runs is waited for, or made to end.
    """
    options = close_options(timeout, interrupt, drain)
    if options is None:
        run(library.subpy_shutdown)
    else:
        run(library.subpy_shutdown_with, byref(options))


def create(
    *,
    gil: Gil = Gil.OWN,
    busy: Busy = Busy.REFUSE,
    flags: Flag = Flag.NONE,
    path: Iterable[str | os.PathLike[str]] = (),
    timeout: float | None = None,
    memory_limit: int | None = None,
    grace: float | None = None,
    cpu_limit: float | None = None,
    readable: Iterable[str | os.PathLike[str]] = (),
    writable: Iterable[str | os.PathLike[str]] = (),
    venv: str | os.PathLike[str] | None = None,
) -> Interpreter:
    """A new interpreter, to be closed with close() or `with`, or by shutdown(). `path` is put in front of sys.path.

    `venv` is the folder of a virtual environment, for the same minor version of Python: it has the packages of that one,
    and not those of the process.

    `timeout` is how many seconds each run in it may take, unless it has a limit of its own. `memory_limit` is how many
    bytes it may use: beyond it, code gets a MemoryError.

    With Flag.PROCESS it is the main interpreter of a process of its own, whose end is an InterpreterCrashedError. `grace`
    is how many seconds after the exception that is to end a run that process is killed, a tenth when it is None;
    `cpu_limit` how many seconds of processors it may use in all. With Flag.LOCKED too the process is locked down, but for
    `readable` and `writable` folders: absolute paths. Flag.LOCK_BEST_EFFORT makes do with what an older
    Linux has for that, see Interpreter.lock_info(); without it that is an error.
    """
    options = interp_options(gil, busy, flags, path, timeout, memory_limit, grace, cpu_limit, readable, writable, venv)
    handle = c_uint64()
    try:
        run(library.subpy_create, byref(options), byref(handle))
        return _interpreter(handle)
    except BaseException:
        if handle:  # a signal handler raised
            library.subpy_close(handle, None)
        raise


def list_all() -> list[Interpreter]:
    """All interpreters by ascending id: main, ours, and those that Python code made."""
    room = 16
    while True:
        handles, count = (c_uint64 * room)(), c_size_t()
        run(library.subpy_list_all, handles, room, byref(count))
        if count.value <= room:
            return [_interpreter(c_uint64(handle)) for handle in handles[: count.value]]
        room = count.value + 16


def get_current() -> Interpreter:
    """The interpreter that this thread is in."""
    handle = c_uint64()
    run(library.subpy_get_current, byref(handle))
    return _interpreter(handle)


def get_main() -> Interpreter:
    """The main interpreter: in an adopted runtime the one that the program started with."""
    handle = c_uint64()
    run(library.subpy_get_main, byref(handle))
    return _interpreter(handle)


def version() -> str:
    """The version of the library."""
    text: bytes = library.subpy_version_string()
    return text.decode()


def python_version() -> str | None:
    """The version of the CPython in use; None before the first start."""
    text = library.subpy_python_version()
    return None if text is None else text.decode()


def python_library() -> str | None:
    """The path of the libpython in use, "" when it is part of the program; None before the first start."""
    text = library.subpy_python_library()
    return None if text is None else os.fsdecode(text)


class Memory(NamedTuple):
    """What an interpreter uses, in bytes: now, and at most so far; its limit (0: none), and how often that was reached."""

    used: int
    peak: int
    limit: int
    refused: int


class LockInfo(NamedTuple):
    """What holds a locked interpreter: the version of Landlock that keeps it from files (0: none does, 6 is all that is
    asked for), and whether its system calls are filtered."""

    landlock: int
    seccomp: bool


class Interpreter:
    """An isolated interpreter. `Interpreter(id)` finds one that exists; create() makes one.

    It lives until it is closed, whether or not an object refers to it. Two objects for the same one are equal.
    """

    __slots__ = ("_handle", "_options")

    def __init__(self, id: int) -> None:
        number = operator.index(id)
        if not -(2**63) <= number < 2**63:  # ctypes would take the lower bits
            raise InterpreterError("interpreter ID must be from 0 to 2**63 - 1", Status.INVALID_ARGUMENT)
        self._handle = c_uint64()
        self._options: Options | None = None
        run(library.subpy_find, number, byref(self._handle))

    @property
    def id(self) -> int:
        """CPython's number for it."""
        number = c_int64()
        run(library.subpy_id, self._handle, byref(number))
        return number.value

    @property
    def whence(self) -> str:
        """Where it came from, in CPython's words: "C-API" for ours."""
        text = c_char_p()
        run(library.subpy_whence, self._handle, byref(text))
        return (text.value or b"").decode()

    def is_running(self) -> bool:
        """Whether something is being run in it by the library."""
        running = c_bool()
        run(library.subpy_is_running, self._handle, byref(running))
        return running.value

    def memory(self) -> Memory:
        """What it uses. It must have been created with Flag.COUNT_MEMORY or a `memory_limit`."""
        info = MemoryInfo(sizeof(MemoryInfo))
        run(library.subpy_memory, self._handle, byref(info))
        return Memory(info.used, info.peak, info.limit, info.refused)

    def lock_info(self) -> LockInfo:
        """What holds it. It must have been created with Flag.LOCKED."""
        info = LockFields(sizeof(LockFields))
        run(library.subpy_lock_get_info, self._handle, byref(info))
        return LockInfo(info.landlock, info.seccomp != 0)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        cancel: Cancel | None = None,
        output: Any = None,
        results: Results | None = None,
        run_async: bool | None = None,
    ) -> Interpreter:
        """The same interpreter, for runs that have limits: `interp.with_options(timeout=2).call("f", 1)`.

        `timeout` is how many seconds a run may take (InterpreterTimeoutError), and `cancel` stops it
        (InterpreterInterruptedError). `output` takes what it prints, as for set_output(). `results` says in what form
        results come. With `run_async` an awaitable that the code returns is run to its end on the event loop over there.
        Functions that are looked up with it have the options too. One that is None is as it is in this object.
        """
        interpreter = _interpreter(self._handle)
        interpreter._options = changed(self._options, timeout, cancel, output, results, run_async)
        return interpreter

    def interrupt(self) -> None:
        """Stop what runs in it now, whoever started it: these runs end with InterpreterInterruptedError.

        When nothing runs nothing happens. Returns at once.
        """
        run(library.subpy_interrupt, self._handle)

    def set_output(self, output: Any) -> None:
        """Give all that its code prints to a function of the stream (1: stdout, 2: stderr) and the text, or to a file.

        A file gets both streams, with write(). None: back to the file descriptors. The function is called on the thread
        that prints, also on threads of its code's, or on one that passes on what has come together.
        """
        if output is None:
            run(library.subpy_set_output, self._handle, None, None, None)
            return
        number = register(_host.taker(output))  # which is released whatever becomes of it
        run(library.subpy_set_output, self._handle, _host.output, number, finalize)

    def define(
        self,
        name: str,
        function: Callable[..., Any] | None = None,
        /,
        *,
        signature: str | None = None,
        doc: str | None = None,
    ) -> Any:
        """Let its code call a function of this Python: "name" in its `__main__`, or "package.module:name".

        Also as a decorator: `@interp.define("host:add")`. Arguments and results are copied, exceptions cross both ways:
        one that the code does not catch is the `__cause__` of the ExecutionFailed that comes out here. It is called on
        the thread that calls it over there, with the GIL of this Python; that may be a thread of that code's.
        `signature` is what help() shows, such as "(a, b=0)", and `doc` the docstring, which is else the function's.
        """
        if function is None:
            def decorator(function: Callable[..., Any]) -> Callable[..., Any]:
                self.define(name, function, signature=signature, doc=doc)
                return function

            return decorator
        if not callable(function):
            raise TypeError(f"a function to define must be callable, not {type(function).__name__}")
        where = source(name, "name")
        options = DefineOptions(sizeof(DefineOptions))
        options.signature = None if signature is None else nul_ended(signature, "signature")
        text = inspect.getdoc(function) if doc is None and not isinstance(function, type) else doc
        options.doc = None if text is None else nul_ended(text, "doc")
        number = register(function)  # which is released whatever becomes of it
        place = self._handle, where, len(where), byref(options)
        run(library.subpy_define_with, *place, _host.host, number, finalize)
        return function

    def exec(
        self, code: str, *, filename: str | os.PathLike[str] = "<script>", keep_indent: bool = False
    ) -> None:
        """Run statements in its `__main__`. `filename` is for tracebacks.

        The indentation that all lines share is taken off, unless `keep_indent` says not to.
        """
        self._run(EXEC, source(code, "code"), filename, _KEEP_INDENT if keep_indent else 0)

    def eval(self, expression: str, *, filename: str | os.PathLike[str] = "<script>") -> Any:
        """The value of an expression. `filename` is for tracebacks."""
        return self._run(EVAL, source(expression, "expression"), filename, 0)

    def _run(self, what: int, source: bytes, filename: str | os.PathLike[str], flags: int) -> Any:
        request = RunRequest(sizeof(RunRequest), self._handle, what, flags, source, len(source))
        request.filename = path_of(filename)
        return perform(request, self._options, os.fsdecode(filename))

    def eval_object(self, expression: str, /, *, filename: str | os.PathLike[str] = "<script>") -> Object:
        """The value of an expression as an Object, which stays in the interpreter."""
        found: Object = self.with_options(results=Results.OBJECT).eval(expression, filename=filename)
        return found

    def call(self, callable: str, /, *args: object, **kwargs: object) -> Any:
        """Call "name" in its `__main__`, or "package.module:attribute.attribute", and return the result."""
        name = source(callable, "callable")
        given = Given(args, kwargs)
        if self._options is None and not ctrl_c.watches():
            return fetch(library.subpy_call, self._handle, name, len(name), *given.places, memory=given.memory)
        request = RunRequest(sizeof(RunRequest), self._handle, CALL, 0, name, len(name), 0, *given.places)
        return perform(request, self._options, memory=given.memory)

    def call_in_thread(self, callable: str, /, *args: object, **kwargs: object) -> Thread:
        """Start a call on a new thread of the library, which no GIL of ours holds up."""
        name = source(callable, "callable")
        given = Given(args, kwargs)
        request = RunRequest(sizeof(RunRequest), self._handle, CALL, 0, name, len(name), 0, *given.places)
        return _start(request, self._options, given.memory)

    def function(self, callable: str, /) -> Function:
        """Look "name" or "package.module:attribute.attribute" up once, to call it many times."""
        name = source(callable, "callable")
        function = Function(c_uint64(), self._options)  # as for threads
        run(library.subpy_function_new, self._handle, name, len(name), byref(function._handle))
        return function

    def session(self) -> Session:
        """Stay in it: `with interp.session(): ...` makes calls of this thread cheaper, see Session."""
        return Session(self)

    def prepare_main(self, ns: Mapping[str, object] | None = None, /, **kwargs: object) -> None:
        """Bind names in its `__main__`, all or none."""
        names = Arguments([{**(ns or {}), **kwargs}], lambda _: "names")
        run(library.subpy_prepare_main, self._handle, names.at(0), memory=names.memory)

    def close(self, *, timeout: float | None = None, interrupt: bool = False, drain: bool = False) -> None:
        """End it, after the threads that its code started. InterpreterError (BUSY) while something runs in it.

        `timeout` is how many seconds it may wait for these threads. `drain` also lets runs finish, and `interrupt` makes
        runs and threads end. If they have not in time, it is InterpreterError (BUSY), and the interpreter goes on;
        InterpreterTimeoutError if it has begun to end.
        """
        options = close_options(timeout, interrupt, drain)
        if options is None:
            run(library.subpy_close, self._handle)
        else:
            run(library.subpy_close_with, self._handle, byref(options))

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.close()
        except InterpreterNotFoundError:
            pass  # closed already

    def __eq__(self, other: object) -> bool:
        return self._handle.value == other._handle.value if isinstance(other, Interpreter) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._handle.value)

    def __repr__(self) -> str:
        try:
            return f"subpy.Interpreter({self.id})"
        except InterpreterNotFoundError:
            return "<closed subpy.Interpreter>"


class Function(Owner):
    """A callable that was looked up. Binding its name to something else later does not change it.

    It ends with its interpreter, when it is closed, and with this object.
    """

    __slots__ = ("_options",)

    def __init__(self, handle: c_uint64, options: Options | None = None) -> None:
        super().__init__(handle, library.subpy_function_free)
        self._options = options

    def __call__(self, /, *args: object, **kwargs: object) -> Any:
        """Call it, and return the result."""
        given = Given(args, kwargs)
        if self._options is None and not ctrl_c.watches():
            return fetch(library.subpy_function_call, self._handle, *given.places, memory=given.memory)
        request = RunRequest(sizeof(RunRequest), 0, FUNCTION, 0, None, 0, self._handle, *given.places)
        return perform(request, self._options, memory=given.memory)

    def call_many(self, rows: Iterable[Iterable[object]], /, *, return_exceptions: bool = False) -> list[Any]:
        """Call it with one row of positional arguments after the other, and return the list of results.

        That takes a fraction of the time of as many calls. All rows are of one length. The first exception ends it, with
        the index of its row as `row`, and the results so far are dropped. `return_exceptions` puts the exceptions among
        the results instead, all but those that `except Exception` does not catch there, such as SystemExit. Of the options
        of with_options() `results` and `run_async` are for this too.
        """
        return self._call_many(*_table(rows), return_exceptions)

    def map(
        self, iterable: Iterable[object], /, *iterables: Iterable[object], return_exceptions: bool = False
    ) -> list[Any]:
        """call_many() with arguments from iterables, one of each for a row, until the shortest ends.

        Unlike what the map() of an executor returns, this is a list, which is there when all calls were made.
        """
        return self._call_many(*_table(zip(iterable, *iterables)), return_exceptions)

    def _call_many(self, values: list[object], count: int, width: int, return_exceptions: bool) -> list[Any]:
        rows = Arguments(values, lambda index: f"rows[{index // width}][{index % width}]")
        flags = self._options.flags if self._options is not None else 0
        place = rows.at(0), count, width, flags | (_RETURN_ERRORS if return_exceptions else 0)
        results: list[Any] = fetch(library.subpy_function_call_many, self._handle, *place, memory=rows.memory)
        return results

    def call_in_thread(self, /, *args: object, **kwargs: object) -> Thread:
        """Start a call on a new thread of the library."""
        given = Given(args, kwargs)
        request = RunRequest(sizeof(RunRequest), 0, FUNCTION, 0, None, 0, self._handle, *given.places)
        return _start(request, self._options, given.memory)

    def close(self) -> None:
        """Give it back. Calls that are running finish. Never an error."""
        library.subpy_function_free(self._handle)

    def __enter__(self) -> Function:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Session:
    """The time that a thread stays in an interpreter: `with interp.session(): ...`.

    Calls of this thread are cheaper meanwhile, and what Python keeps for a thread (threading.local, contextvars, the
    decimal context) lasts from call to call. Others may call as before, but not close the interpreter: that is BUSY.
    Sessions nest, and a thread may be in several interpreters. The thread that enters leaves.
    """

    __slots__ = ("_interpreter",)

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter

    def __enter__(self) -> Interpreter:
        handle = self._interpreter._handle
        # On success the library makes this 0. So it is known whether the thread has entered also when a signal handler
        # raises before anything else is.
        error, status = c_void_p(_UNTOUCHED), Status.OK
        try:
            status = library.subpy_enter(handle, byref(error))
            if status:
                raise exception(status, error)
        except BaseException:
            if not status and error.value is None:
                library.subpy_leave(handle, None)
            elif error.value != _UNTOUCHED:
                library.subpy_error_free(error)
            raise
        return self._interpreter

    def __exit__(self, *exception: object) -> None:
        run(library.subpy_leave, self._interpreter._handle)


class Thread(Owner):
    """A call that runs on a thread of its own.

    One that nobody joins goes on when this object is dropped; its exception is then printed to stderr.
    """

    __slots__ = ("_output",)

    def __init__(self, handle: c_uint64) -> None:
        super().__init__(handle, library.subpy_thread_free)
        self._output = 0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the call has ended, at most for so many seconds. Whether it has; join() is still to be called."""
        left = -1 if timeout is None else math.ceil(max(0, min(timeout, FOR_EVER)) * 1000)
        done = c_bool()
        while ctrl_c.watches() and (left < 0 or left > _SLICE):  # signals are handled in between
            run(library.subpy_thread_wait, self._handle, _SLICE, byref(done))
            if done:
                return True
            left = max(left - _SLICE, -1) if left > 0 else left
        run(library.subpy_thread_wait, self._handle, left, byref(done))
        return done.value

    def join(self) -> Any:
        """Wait for the call to end, and return or raise what it did. Once: then it is InterpreterNotFoundError.

        Ctrl-C while the main thread waits leaves the call as it is; it can be joined later.
        """
        if ctrl_c.watches():
            self.wait()
        try:
            return fetch(library.subpy_thread_join, self._handle)
        finally:
            release(self._output)

    def future(self) -> Future[Any]:
        """A future of the outcome, which joins it: complete as soon as the call has ended, without a thread that waits.

        It cannot be cancelled; what the call was given as `cancel` can be fired.
        """
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()

        check_is_main()

        def end() -> None:
            complete(future, self._handle)
            release(self._output)

        notify(self._handle, end)
        return future


def _interpreter(handle: c_uint64) -> Interpreter:
    interpreter = Interpreter.__new__(Interpreter)
    interpreter._handle, interpreter._options = handle, None
    return interpreter


def _start(request: RunRequest, options: Options | None, memory: dict[int, memoryview] | None) -> Thread:
    """Runs it on a thread of its own."""
    thread = Thread(c_uint64())  # now, so that it frees the thread also when a signal handler raises
    thread._output = apply(options, request)
    if options is not None and options.cancel is not None:
        request.cancel = options.cancel._token._handle
    run(library.subpy_run_in_thread, byref(request), byref(thread._handle), memory=memory)
    return thread


def _table(rows: Iterable[Iterable[object]]) -> tuple[list[object], int, int]:
    """The values of all rows one after the other, how many rows there are, and how long each is."""
    values: list[object] = []
    count = width = 0
    for row in rows:
        if type(row) is not tuple and type(row) is not list and not _is_row(row):
            raise TypeError(f"rows[{count}] must be a tuple or another iterable of arguments, not {type(row).__name__}")
        before = len(values)
        values.extend(row)
        length = len(values) - before
        if count == 0:
            width = length
        elif length != width:
            raise ValueError(f"rows[{count}] has length {length}, and rows[0] has length {width}")
        count += 1
    return values, count, width


def _is_row(row: object) -> bool:
    # Text is iterable, but whoever passes it forgot the tuple around it.
    return isinstance(row, Iterable) and not isinstance(row, (str, bytes, bytearray))


handle_kinds[Function] = handle_kinds[Object]
