"""Requests: how a run is asked for, and performed on this thread."""

from __future__ import annotations

import enum
import operator
import os
from collections.abc import Callable
from ctypes import byref, c_void_p, cast
from typing import Any, NamedTuple

from . import _host
from ._handles import register, release
from ._library import RunRequest, library
from ._limits import Cancel, stoppable
from ._values import Arguments, fetch

EXEC, EVAL, CALL, FUNCTION = 1, 2, 3, 4


class Results(enum.IntFlag):
    """What becomes of results: SUBPY_RESULT_* of subpy.h. VALUES are copies, and what has no value is an error."""

    VALUES = 0
    OBJECT = 4
    OBJECTS = 8


class Options(NamedTuple):
    """What with_options() says of runs."""

    timeout_ms: int
    cancel: Cancel | None
    output: Callable[[int, str], object] | None
    results: int


def perform(request: RunRequest, options: Options | None, filename: str = "<script>") -> Any:
    """Runs what is requested."""
    number = 0
    if options is not None:
        request.timeout_ms = options.timeout_ms
        request.flags |= options.results if request.what != EXEC else 0
        if options.output is not None:
            number = register(options.output)
            request.output, request.output_data = cast(_host.output, c_void_p), number
    try:
        run_it = lambda: fetch(library.subpy_run, byref(request), filename=filename)
        return stoppable(request, options and options.cancel, run_it)
    finally:
        if number:
            release(number)


class Given:
    """The arguments of a call. They stay where they are as long as this object lives."""

    __slots__ = ("_values", "places")

    def __init__(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        count = len(args)
        values = Arguments([*args, kwargs], lambda index: f"args[{index}]" if index < count else "kwargs")
        self._values = values
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


def word_of(kind: type[enum.IntFlag], flags: int) -> int:
    word = operator.index(flags)
    if word & ~sum(kind):  # ctypes would take the lower 64 bits
        raise ValueError(f"{word:#x} is not a valid {kind.__name__}")
    return word


def path_of(path: str | os.PathLike[str]) -> bytes:
    # The library takes paths that end with a NUL.
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("embedded null character in a path")
    return encoded
