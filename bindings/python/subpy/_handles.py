"""What the library has for an object of ours, and what it calls here: each is a number."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_void_p
from typing import Any

new_number = itertools.count(1).__next__
# By number: functions that the library may call, and memory that it may read. They are there until it says that it has
# made its last call.
called: dict[int, Any] = {}


class Owner:
    """Has a handle of the library's, which is freed with it."""

    __slots__ = ("_free", "_handle")

    def __init__(self, handle: Any, free: Callable[..., None]) -> None:
        self._handle = handle
        self._free = functools.partial(free, handle)

    # It is C code alone. In a function of Python's a signal handler may raise: then nothing would be freed, and the
    # exception be printed and lost.
    __del__: Any = property(operator.attrgetter("_free"))


def register(function: Callable[..., Any]) -> int:
    """The number by which the library calls it, until finalize() or release()."""
    check_is_main()
    number = new_number()
    called[number] = function
    return number


def check_is_main() -> None:
    # ctypes calls in the main interpreter, whose objects those of another one are not.
    from ._errors import InterpreterError, Status

    try:
        import _interpreters
    except ImportError:  # an older Python, which the library refuses anyway
        return
    if _interpreters.get_current()[0] != _interpreters.get_main()[0]:
        message = "only the main interpreter of this Python can be called, not code in another one that uses this package"
        raise InterpreterError(message, Status.WRONG_STATE)


def release(number: int) -> None:
    """The library calls it no more."""
    called.pop(number, None)


@CFUNCTYPE(None, c_void_p)
def finalize(number: int) -> None:
    """The library has made its last call."""
    called.pop(number, None)
