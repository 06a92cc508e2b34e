"""Requests: how a run is asked for, and performed on this thread."""

from __future__ import annotations

import enum
from collections.abc import Callable
from ctypes import byref, c_void_p, cast
from typing import Any, NamedTuple

from . import _host
from ._handles import register, release
from ._library import RunRequest, library
from ._limits import Cancel, milliseconds, stoppable
from ._options import word_of
from ._values import Arguments, fetch

EXEC, EVAL, CALL, FUNCTION = 1, 2, 3, 4
RUN_ASYNC = 64


class Results(enum.IntFlag):
    """In what form results come: SUBPY_RESULT_* of subpy.h.

    VALUES are copies, and what has no value is an error. OBJECT: the result stays in the interpreter, whatever it is.
    OBJECTS: what has no value does. BUFFER: bytes, bytearrays, arrays and other memory come as a memoryview, without a
    copy. ARRAY: so do lists and tuples of floats alone, or of ints of 64 bits, as "d" or "q".
    """

    VALUES = 0
    OBJECT = 4
    OBJECTS = 8
    BUFFER = 16
    ARRAY = 32


class Options(NamedTuple):
    """What with_options() says of runs."""

    timeout_ms: int
    cancel: Cancel | None
    output: Callable[[int, str], object] | None
    flags: int


def changed(
    options: Options | None,
    timeout: float | None,
    cancel: Cancel | None,
    output: Any,
    results: Results | None,
    run_async: bool | None,
) -> Options:
    """Options with those that are not None instead."""
    before = options or Options(0, None, None, 0)
    if cancel is not None and not isinstance(cancel, Cancel):
        raise TypeError(f"cancel must be a Cancel, not {type(cancel).__name__}")
    flags = before.flags
    if results is not None:
        flags = flags & RUN_ASYNC | word_of(Results, results)
    if run_async is not None:
        flags = flags & ~RUN_ASYNC | (RUN_ASYNC if run_async else 0)
    taker = before.output if output is None else _host.taker(output)
    return Options(milliseconds(timeout, before.timeout_ms), cancel or before.cancel, taker, flags)


def perform(
    request: RunRequest,
    options: Options | None,
    filename: str = "<script>",
    memory: dict[int, memoryview] | None = None,
) -> Any:
    """Runs what is requested. `memory` is that of its arguments."""
    number = apply(options, request)
    try:
        run_it = lambda: fetch(library.subpy_run, byref(request), filename=filename, memory=memory)
        return stoppable(request, options and options.cancel, run_it)
    finally:
        if number:
            release(number)


def apply(options: Options | None, request: RunRequest) -> int:
    """Puts options into a request, but for the token. The number of what takes the output, to be released; or 0."""
    if options is None:
        return 0
    request.timeout_ms = options.timeout_ms
    request.flags |= options.flags if request.what != EXEC else options.flags & RUN_ASYNC
    if options.output is None:
        return 0
    number = register(options.output)
    request.output, request.output_data = cast(_host.output, c_void_p), number
    return number


class Given:
    """The arguments of a call. They stay where they are as long as this object lives."""

    __slots__ = ("_values", "memory", "places")

    def __init__(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        count = len(args)
        written = (*args, kwargs) if kwargs else args
        values = Arguments(written, lambda index: f"args[{index}]" if index < count else "kwargs")
        self._values, self.memory = values, values.memory
        # As the functions take them: positional arguments, how many, keyword arguments.
        self.places = values.at(0), count, values.at(count) if kwargs else None


def source(text: str, what: str) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    return text.encode()


def nul_ended(text: str, what: str) -> bytes:
    # Text that the library takes with a NUL at its end.
    encoded = source(text, what)
    if b"\0" in encoded:
        raise ValueError(f"{what}: embedded null character")
    return encoded
