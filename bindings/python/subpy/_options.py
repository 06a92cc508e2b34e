"""The options of interpreters and of their end."""

from __future__ import annotations

import enum
import math
import operator
import os
from collections.abc import Iterable
from ctypes import Array, c_char_p, sizeof

from ._library import CloseOptions, InterpOptions
from ._limits import milliseconds

FOR_EVER = 1e12  # seconds
_DRAIN, _INTERRUPT = 1, 2


class Gil(enum.IntEnum):
    """Whose GIL an interpreter has: its own, or the main interpreter's."""

    OWN = 0
    SHARED = 1


class Busy(enum.IntEnum):
    """What a run in an interpreter that is running does: fail, wait for its turn, or run as well."""

    REFUSE = 0
    WAIT = 1
    SHARE = 2


class Isolation(enum.IntEnum):
    """Where the interpreters of a pool live.

    In this process; or each in one of its own, so that what crashes or hangs there costs its own task alone; or in this
    one until an extension module refuses that, and then each in one of its own. A task that ended with that ImportError
    begins anew: what it did before, it does twice.
    """

    OWN_GIL = 0
    PROCESS = 1
    AUTO = 2


class Flag(enum.IntFlag):
    """What Python code in an interpreter may do: SUBPY_INTERP_* of subpy.h."""

    NONE = 0
    ALLOW_FORK = 1
    ALLOW_EXEC = 2
    NO_THREADS = 4
    ALLOW_DAEMON_THREADS = 8
    NO_EXTENSION_CHECK = 16
    UNBUFFERED = 32
    NO_STDIN = 64
    TAGGED_VALUES = 128
    COUNT_MEMORY = 256
    PROCESS = 512
    LOCKED = 1024
    LOCK_BEST_EFFORT = 2048


def interp_options(
    gil: Gil,
    busy: Busy,
    flags: Flag,
    path: Iterable[str | os.PathLike[str]],
    timeout: float | None,
    memory_limit: int | None,
    grace: float | None,
    cpu_limit: float | None,
    readable: Iterable[str | os.PathLike[str]],
    writable: Iterable[str | os.PathLike[str]],
    venv: str | os.PathLike[str] | None,
) -> InterpOptions:
    gil, busy, word = Gil(gil), Busy(busy), word_of(Flag, flags)
    folders = [path_of(folder) for folder in path]
    options = InterpOptions(sizeof(InterpOptions), gil, busy, word, (c_char_p * len(folders))(*folders), len(folders))
    options.timeout_ms = milliseconds(timeout, 0)
    options.memory_limit = 0 if memory_limit is None else count(memory_limit, "memory_limit", 1)
    options.grace_ms, options.cpu_limit_ms = milliseconds(grace, 0), milliseconds(cpu_limit, 0)
    for name, paths in (("readable", readable), ("writable", writable)):
        texts = [path_of(folder) for folder in paths]
        if texts:  # otherwise NULL
            setattr(options, name, null_ended(texts))
    options.venv = None if venv is None else path_of(venv)
    return options


def null_ended(texts: list[bytes]) -> Array[c_char_p]:
    return (c_char_p * (len(texts) + 1))(*texts, None)


def close_options(timeout: float | None, interrupt: bool, drain: bool) -> CloseOptions | None:
    if timeout is None and not interrupt and not drain:
        return None
    limit = -1 if timeout is None else math.ceil(max(0, min(timeout, FOR_EVER)) * 1000)
    flags = (_INTERRUPT if interrupt else 0) | (_DRAIN if drain else 0)
    return CloseOptions(sizeof(CloseOptions), limit, flags)


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


def count(number: int, what: str, least: int = 0) -> int:
    # ctypes would take the lower bits.
    number = operator.index(number)
    if not least <= number < 2**63:
        raise ValueError(f"{what} must be from {least} to 2**63 - 1, not {number}")
    return number
