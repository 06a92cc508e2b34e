"""What the library calls: host functions, and what takes output. Each is one C function for all, told apart by a number."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_int32, c_size_t, c_uint64, c_void_p, string_at
from typing import Any

from ._errors import NOT_TAKEN, keep
from ._handles import called
from ._library import library
from ._values import Arguments, lent

_local = threading.local()

Host = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p)
Output = CFUNCTYPE(None, c_void_p, c_uint64, c_int32, c_void_p, c_size_t)


@Host
def host(number: int, context: int, args: int, count: int, kwargs: int | None) -> None:
    """A host function is called. ctypes has taken the GIL of this Python, on whatever thread that is."""
    outer = getattr(_local, "context", None)
    _local.context = context
    try:
        positional = lent(args, count)
        named = lent(kwargs, 1)[0] if kwargs else {}
        result = called[number](*positional, **named)
        values = Arguments([result], lambda _: "result")
        memory = values.memory or {}
        called.update(memory)
        if library.subpy_context_return(context, values.at(0)) in NOT_TAKEN:
            for taken in memory:
                called.pop(taken, None)
    except BaseException as error:
        _raise(context, error, sys._getframe().f_back is not None)
    finally:
        _local.context = outer


@Output
def output(number: int, interp: int, stream: int, text: int, length: int) -> None:
    """Text was printed. What an exception in here says is printed by ctypes."""
    called[number](stream, string_at(text, length).decode())


def cancelled() -> bool:
    """In a host function: whether the run that called it is to end, by its time limit or its token. Then return soon."""
    return library.subpy_context_cancelled(getattr(_local, "context", None))


def taker(target: Any) -> Callable[[int, str], object]:
    """What takes output: a function of the stream (1 or 2) and the text, or something to write both streams to."""
    if hasattr(target, "write"):
        return lambda stream, text: target.write(text)
    if not callable(target):
        raise TypeError(f"output must be callable or have a write method, not {type(target).__name__}")
    taken: Callable[[int, str], object] = target
    return taken


def _raise(context: int, error: BaseException, in_run: bool) -> None:
    """Has Python raise it. `in_run`: this thread comes from a call of ours, which gets it back if Python does not catch it."""
    message = error.args[0] if len(error.args) == 1 and type(error.args[0]) is str else _text(error)
    kind, encoded = _kind(type(error), message).encode(), message.encode(errors="replace")
    library.subpy_context_raise(context, kind, len(kind), encoded, len(encoded))
    trace = error.__traceback__ and error.__traceback__.tb_next  # without the function that is called by the library
    lines = traceback.format_exception(type(error), error, trace)
    note = "In the host:\n\n" + "".join(lines).rstrip("\n")
    encoded = note.encode(errors="replace")
    library.subpy_context_note(context, encoded, len(encoded))
    if in_run:
        library.subpy_context_tag(context, keep(error))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} str() failed>"


def _kind(kind: type[BaseException], message: str) -> str:
    """The name of the first of its classes that every interpreter has, and that can be made of a message."""
    for base in kind.__mro__:
        module, name = base.__module__, base.__qualname__
        if module.partition(".")[0] not in _STANDARD or getattr(sys.modules.get(module), name, None) is not base:
            continue
        try:
            base(message)
        except Exception:
            continue
        return name if module == "builtins" else f"{module}:{name}"
    return "RuntimeError"


_STANDARD = getattr(sys, "stdlib_module_names", frozenset()) | {"builtins"}
