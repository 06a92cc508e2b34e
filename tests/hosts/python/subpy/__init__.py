"""Many isolated Python interpreters, each with its own GIL, driven from this one: libsubpy through ctypes.

The interface is that of `concurrent.interpreters`, with what libsubpy does differently: what is called is named by a
text, and None, bool, int, float, str, bytes, tuple, list and dict cross in both directions, as copies.

    with subpy.create() as interp:
        interp.exec("def add(a, b): return a + b")
        print(interp.call("add", 2, 3))
    subpy.shutdown()

Any function and method may be called on any thread. While a call runs, the GIL of the caller is free. The library is
the file that the environment variable SUBPY_LIBRARY names, else the libsubpy.so that the dynamic linker finds.
"""

from __future__ import annotations

import enum
import operator
import os
from collections.abc import Iterable, Mapping
from ctypes import byref, c_bool, c_char_p, c_int64, c_size_t, c_uint64, sizeof
from typing import Any

from ._errors import (
    ExecutionFailed,
    Frame,
    InterpreterError,
    InterpreterNotFoundError,
    NotShareableError,
    SourceError,
    Status,
    run,
)
from ._library import InterpOptions, RuntimeOptions, library
from ._values import Arguments, fetch

__all__ = [
    "Busy",
    "ExecutionFailed",
    "Flag",
    "Frame",
    "Gil",
    "Interpreter",
    "InterpreterError",
    "InterpreterNotFoundError",
    "NotShareableError",
    "RuntimeFlag",
    "SourceError",
    "Status",
    "Thread",
    "create",
    "get_current",
    "get_main",
    "init",
    "list_all",
    "python_library",
    "python_version",
    "shutdown",
    "version",
]


class Gil(enum.IntEnum):
    """Whose GIL an interpreter has: its own, or the main interpreter's."""

    OWN = 0
    SHARED = 1


class Busy(enum.IntEnum):
    """What a run in an interpreter that is running does: fail, wait for its turn, or run as well."""

    ERROR = 0
    WAIT = 1
    SHARE = 2


class Flag(enum.IntFlag):
    """What Python code in an interpreter may do: SUBPY_INTERP_* of subpy.h."""

    NONE = 0
    ALLOW_FORK = 1
    ALLOW_EXEC = 2
    NO_THREADS = 4
    ALLOW_DAEMON_THREADS = 8
    NO_EXTENSION_CHECK = 16


class RuntimeFlag(enum.IntFlag):
    """How CPython is started: SUBPY_RUNTIME_* of subpy.h."""

    NONE = 0
    USE_ENVIRONMENT = 1
    NO_SITE = 2
    KEEP_SIGPIPE = 4


def init(python: str | os.PathLike[str] | None = None, flags: RuntimeFlag = RuntimeFlag.NONE) -> None:
    """Start the runtime, which otherwise starts by itself. In a Python that fits this adopts the one that runs."""
    word = _flags(RuntimeFlag, flags)
    options = RuntimeOptions(sizeof(RuntimeOptions), None if python is None else _path(python), word)
    run(library.subpy_init, byref(options))


def shutdown() -> None:
    """Close all interpreters. Only a program calls this, not a package: at its end, or with `atexit`.

    Raises InterpreterError (BUSY), and changes nothing, while anything runs.
    """
    run(library.subpy_shutdown)


def create(
    *,
    gil: Gil = Gil.OWN,
    busy: Busy = Busy.ERROR,
    flags: Flag = Flag.NONE,
    path: Iterable[str | os.PathLike[str]] = (),
) -> Interpreter:
    """A new interpreter, to be closed with close() or `with`, or by shutdown(). `path` is put in front of sys.path."""
    gil, busy, word = Gil(gil), Busy(busy), _flags(Flag, flags)
    folders = [_path(folder) for folder in path]
    options = InterpOptions(sizeof(InterpOptions), gil, busy, word, (c_char_p * len(folders))(*folders), len(folders))
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
    return library.subpy_version_string().decode()


def python_version() -> str | None:
    """The version of the CPython in use; None before the first start."""
    text = library.subpy_python_version()
    return None if text is None else text.decode()


def python_library() -> str | None:
    """The path of the libpython in use, "" when it is part of the program; None before the first start."""
    text = library.subpy_python_library()
    return None if text is None else os.fsdecode(text)


class Interpreter:
    """An isolated interpreter. `Interpreter(id)` finds one that exists; create() makes one.

    It lives until it is closed, whether or not an object refers to it. Two objects for the same one are equal.
    """

    __slots__ = ("_handle",)

    def __init__(self, id: int) -> None:
        number = operator.index(id)
        if not -(2**63) <= number < 2**63:  # ctypes would take the lower bits
            raise InterpreterError("interpreter ID must be from 0 to 2**63 - 1", Status.INVALID_ARGUMENT)
        self._handle = c_uint64()
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
        return text.value.decode()

    def is_running(self) -> bool:
        """Whether something is being run in it by the library."""
        running = c_bool()
        run(library.subpy_is_running, self._handle, byref(running))
        return running.value

    def exec(self, code: str) -> None:
        """Run statements in its `__main__`."""
        source = _source(code, "code")
        run(library.subpy_exec, self._handle, source, len(source))

    def eval(self, expression: str) -> Any:
        """The value of an expression."""
        source = _source(expression, "expression")
        return fetch(library.subpy_eval, self._handle, source, len(source))

    def call(self, callable: str, /, *args: object, **kwargs: object) -> Any:
        """Call "name" in its `__main__`, or "package.module:attribute.attribute", and return the result."""
        return _call(fetch, library.subpy_call, self._handle, callable, args, kwargs)

    def call_in_thread(self, callable: str, /, *args: object, **kwargs: object) -> Thread:
        """Start a call on a new thread of the library, which no GIL of ours holds up."""
        handle = c_uint64()
        thread = Thread(handle)  # now, so that it frees the thread also when a signal handler raises
        _call(run, library.subpy_call_in_thread, self._handle, callable, args, kwargs, byref(handle))
        return thread

    def prepare_main(self, ns: Mapping[str, object] | None = None, /, **kwargs: object) -> None:
        """Bind names in its `__main__`, all or none."""
        names = Arguments([{**(ns or {}), **kwargs}], lambda _: "names")
        run(library.subpy_prepare_main, self._handle, names.at(0))

    def close(self) -> None:
        """End it, after the threads that its code started. InterpreterError (BUSY) while something runs in it."""
        run(library.subpy_close, self._handle)

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


class Thread:
    """A call that runs on a thread of its own.

    One that nobody joins goes on when this object is dropped; its exception is then printed to stderr.
    """

    __slots__ = ("_handle",)

    def __init__(self, handle: c_uint64) -> None:
        self._handle = handle

    def join(self) -> Any:
        """Wait for the call to end, and return or raise what it did. Once: then it is InterpreterNotFoundError."""
        return fetch(library.subpy_thread_join, self._handle)

    def __del__(self, free: Any = library.subpy_thread_free) -> None:  # a default, because at exit modules are emptied
        free(self._handle)


def _interpreter(handle: c_uint64) -> Interpreter:
    interpreter = Interpreter.__new__(Interpreter)
    interpreter._handle = handle
    return interpreter


def _call(
    how: Any, function: Any, handle: c_uint64, callable: str, args: tuple, kwargs: dict, *output: Any
) -> Any:
    name = _source(callable, "callable")
    values = Arguments([*args, kwargs], lambda index: f"args[{index}]" if index < len(args) else "kwargs")
    keywords = values.at(len(args)) if kwargs else None
    return how(function, handle, name, len(name), values.at(0), len(args), keywords, *output)


def _source(text: str, what: str) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    return text.encode()


def _flags(kind: type[enum.IntFlag], flags: int) -> int:
    word = operator.index(flags)
    if word & ~sum(kind):  # ctypes would take the lower 64 bits
        raise ValueError(f"{word:#x} is not a valid {kind.__name__}")
    return word


def _path(path: str | os.PathLike[str]) -> bytes:
    # The library takes paths that end with a NUL.
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("embedded null character in a path")
    return encoded
