"""The exceptions, and how one is made of an error of the library."""

from __future__ import annotations

import enum
import itertools
import os
import sys
import threading
from ctypes import byref, c_char_p, c_int32, c_size_t, c_void_p, sizeof, string_at
from types import SimpleNamespace
from typing import Any, NamedTuple

from ._handles import called
from ._library import Frame as CFrame
from ._library import library


class Status(enum.IntEnum):
    """The outcome of a function of the library; docs/errors.md says when each comes."""

    OK = 0
    INVALID_ARGUMENT = -1
    NOT_FOUND = -2
    BUSY = -3
    EXECUTION_FAILED = -4
    NOT_SHAREABLE = -5
    INTERPRETER = -6
    SYNTAX = -7
    PYTHON_NOT_FOUND = -8
    PYTHON_UNSUPPORTED = -9
    TIMEOUT = -10
    INTERRUPTED = -11
    NO_MEMORY = -12
    FORKED = -13
    WRONG_STATE = -14
    PANIC = -15
    CRASHED = -16


_UNTOUCHED = 1  # no address of an error
# The errors with which a function has not taken over what the arguments share.
NOT_TAKEN = (Status.INVALID_ARGUMENT, Status.FORKED)


class Frame(NamedTuple):
    """One frame of a traceback. What is not known is None, a line or column that is not known 0.

    `source` is the line as it stands in the file. The expression that was being evaluated begins at `column` in `line`
    and ends before `end_column` in `end_line`; columns are characters, from 1.
    """

    file: str | None
    line: int
    function: str | None
    source: str | None
    end_line: int
    column: int
    end_column: int


class InterpreterError(Exception):
    """What the library reports: `message` is one line, and `status` says which kind of error it is.

    `status` is a Status, or the number itself when a newer library knows more of them. `row` is the index of the row of
    Function.call_many() that failed, None when it is not a row's.
    """

    message: str
    status: int
    row: int | None = None

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status

    def __reduce__(self) -> tuple[Any, ...]:
        # For pickle and copy, which would call the class with `args` alone.
        return _rebuilt, (type(self), self.args), self.__dict__


class InterpreterNotFoundError(InterpreterError):
    """The interpreter was closed, or the thread was joined."""


class NotShareableError(InterpreterError, TypeError):
    """An object cannot be copied to or from an interpreter; the message names the path to it."""


class ExecutionFailed(InterpreterError):
    """An exception that the code did not catch, SystemExit included.

    `excinfo` is what it is in `concurrent.interpreters` (`type`, `msg`, `formatted`, `errdisplay`), with two things
    more: `frames`, a list of Frame with the outermost first, and `exit_status`, an int for SystemExit and else None.
    """

    def __init__(self, message: str, excinfo: SimpleNamespace) -> None:
        super().__init__(message, Status.EXECUTION_FAILED)
        self.excinfo = excinfo

    def __str__(self) -> str:
        return f"{super().__str__()}\n\nUncaught in the interpreter:\n\n{self.excinfo.errdisplay}"


class _Stopped(InterpreterError):
    """`excinfo` is that of ExecutionFailed, and says where the code was; None when no Python code had begun."""

    excinfo: SimpleNamespace | None = None

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.excinfo is None else f"{text}\n\nUncaught in the interpreter:\n\n{self.excinfo.errdisplay}"


class InterpreterTimeoutError(_Stopped, TimeoutError):
    """The time was up: code was stopped, or an interpreter has not ended in time.

    `excinfo` is that of ExecutionFailed, and says where the code was; None when no Python code had begun.
    """


class InterpreterInterruptedError(_Stopped):
    """The run was cancelled or interrupted, in Python code or before it began.

    `excinfo` is that of ExecutionFailed, and says where the code was; None when no Python code had begun.
    """


class InterpreterCrashedError(InterpreterError):
    """The process of the interpreter (Flag.PROCESS) has ended, and the interpreter with it.

    `signal` is the number of the signal that has killed it, or None; `exit_code` what it has ended with by itself, or
    None. When both are None it is not known how it ended. `traceback` says where its threads were, as faulthandler
    does it, or is the message when that wrote nothing.
    """

    signal: int | None = None
    exit_code: int | None = None
    traceback: str = ""

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.traceback in ("", self.message) else f"{text}\n\n{self.traceback}"


class SourceError(InterpreterError, SyntaxError):
    """The source does not compile, nothing ran.

    A SyntaxError: `filename`, and `lineno`, `offset` and `text` when they are known. `excinfo` is that of
    ExecutionFailed; its type may be IndentationError or TabError.
    """

    excinfo: SimpleNamespace

    def __init__(
        self, message: str, place: tuple[str, int | None, int | None, str | None], excinfo: SimpleNamespace
    ) -> None:
        # SyntaxError adds the place itself.
        text = excinfo.msg.removesuffix(f" ({os.path.basename(place[0])}, line {place[1]})")
        SyntaxError.__init__(self, text, place)
        self.message = message
        self.status = Status.SYNTAX
        self.excinfo = excinfo


def _rebuilt(kind: type[InterpreterError], args: tuple[Any, ...]) -> InterpreterError:
    error = kind.__new__(kind, *args)
    if isinstance(error, SyntaxError):  # which keeps what it has in fields of its own
        SyntaxError.__init__(error, *args)
    return error


def run(
    function: Any, *arguments: Any, filename: str = "<script>", memory: dict[int, memoryview] | None = None
) -> None:
    """Call a function of the library, with a place for its error, and raise what it reports.

    `filename` is that of the source. `memory` is what the arguments have that is not copied: it is the library's when the
    function has taken it over.

    When this raises, the function may have succeeded all the same: signal handlers run as soon as it has returned, and
    may raise. So what it made has to be freed by the caller.
    """
    error = c_void_p(_UNTOUCHED)  # which the function writes to: so it is known whether it was called
    try:
        if memory:
            called.update(memory)
        status = function(*arguments, byref(error))
        if status:
            raise _raised(status, error, filename)  # no local variable: a cycle would keep what is in the frames
    except BaseException as caught:
        if error.value == _UNTOUCHED:
            error.value, status = None, Status.INVALID_ARGUMENT
        else:
            status = library.subpy_error_status(error)
        if memory and status in NOT_TAKEN:
            for number in memory:
                called.pop(number, None)
        if error and isinstance(caught, KeyboardInterrupt) and caught.__cause__ is None:
            caught.__cause__ = exception(status, error, filename)  # where the code was
        library.subpy_error_free(error)
        raise
    finally:
        if _kept:
            _forget()


def _raised(status: int, error: c_void_p, filename: str) -> BaseException:
    made = exception(status, error, filename)
    cause = made.__cause__
    if cause is None or isinstance(cause, Exception):
        return made
    return cause  # an exit or a Ctrl-C of the host's: nobody means to catch these as another one


# Exceptions of host functions, by the number that the library has for each, with the thread that each
# was raised on. They are there to be found again when Python does not catch them.
_kept: dict[int, tuple[int, BaseException]] = {}
_tags = itertools.count(1)


def keep(error: BaseException) -> int:
    """A number for an exception that a host function raises, on a thread that comes from run()."""
    tag = next(_tags)
    _kept[tag] = threading.get_ident(), error
    return tag


def _forget() -> None:
    """A run has ended. When it was the outermost of its thread, nothing of what was kept there can come any more."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code is run.__code__:
            return
        frame = frame.f_back
    thread = threading.get_ident()
    for tag, (owner, _) in list(_kept.items()):
        if owner == thread:
            _kept.pop(tag, None)


def exception(status: int, error: c_void_p, filename: str = "<script>") -> InterpreterError:
    """The exception for an error of the library, which stays the caller's to free."""
    made, row = _without_row(status, error, filename), c_size_t()
    if library.subpy_error_row(error, byref(row)):
        made.row = row.value
    tag = library.subpy_error_tag(error)
    if tag:
        _, made.__cause__ = _kept.pop(tag, (0, None))
    return made


def _without_row(status: int, error: c_void_p, filename: str) -> InterpreterError:
    message = _text(library.subpy_error_message, error) or ""
    if status == Status.EXECUTION_FAILED:
        return ExecutionFailed(message, _excinfo(error))
    if status == Status.SYNTAX:
        line, column, text = c_int32(), c_int32(), c_char_p()
        library.subpy_error_syntax(error, byref(line), byref(column), byref(text))
        place = (filename, line.value or None, column.value or None, _string(text))
        return SourceError(message, place, _excinfo(error))
    if status == Status.TIMEOUT or status == Status.INTERRUPTED:
        kind = InterpreterTimeoutError if status == Status.TIMEOUT else InterpreterInterruptedError
        stopped = kind(message, Status(status))
        if library.subpy_error_type_name(error, None):
            stopped.excinfo = _excinfo(error)
        return stopped
    if status == Status.CRASHED:
        crashed = InterpreterCrashedError(message, Status.CRASHED)
        signal, exit_code = c_int32(), c_int32(-1)
        library.subpy_error_crash(error, byref(signal), byref(exit_code))
        crashed.signal = signal.value or None
        crashed.exit_code = None if exit_code.value == -1 else exit_code.value
        crashed.traceback = _text(library.subpy_error_display, error) or ""
        return crashed
    if status == Status.NOT_FOUND:
        return InterpreterNotFoundError(message, Status.NOT_FOUND)
    if status == Status.NOT_SHAREABLE:
        return NotShareableError(message, Status.NOT_SHAREABLE)
    try:
        return InterpreterError(message, Status(status))
    except ValueError:  # of a newer library
        return InterpreterError(message, status)


def _excinfo(error: c_void_p) -> SimpleNamespace:
    exit_status = c_int32()
    is_exit = library.subpy_error_exit_status(error, byref(exit_status))
    return SimpleNamespace(
        type=SimpleNamespace(
            __name__=_text(library.subpy_error_type_name, error),
            __qualname__=_text(library.subpy_error_type_qualname, error),
            __module__=_text(library.subpy_error_type_module, error),
        ),
        msg=_text(library.subpy_error_exception_message, error),
        formatted=_text(library.subpy_error_formatted, error),
        errdisplay=_text(library.subpy_error_display, error),
        frames=[_frame(error, index) for index in range(library.subpy_error_frame_count(error))],
        exit_status=exit_status.value if is_exit else None,
    )


def _frame(error: c_void_p, index: int) -> Frame:
    frame = CFrame(sizeof(CFrame))
    library.subpy_error_frame(error, index, byref(frame))
    return Frame(
        _decoded(frame.file, frame.file_len),
        frame.line,
        _decoded(frame.function, frame.function_len),
        _decoded(frame.source, frame.source_len),
        frame.end_line,
        frame.column,
        frame.end_column,
    )


def _text(accessor: Any, error: c_void_p) -> str | None:
    length = c_size_t()
    address = accessor(error, byref(length))
    return _decoded(address, length.value)


def _decoded(address: int | None, length: int) -> str | None:
    # With the length: texts may hold NUL characters.
    return None if address is None else string_at(address, length).decode()


def _string(string: c_char_p) -> str | None:
    return None if string.value is None else string.value.decode()
