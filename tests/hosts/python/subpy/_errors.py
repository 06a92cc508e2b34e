"""The exceptions, and how one is made of an error of the library."""

from __future__ import annotations

import enum
from ctypes import byref, c_char_p, c_int32, c_size_t, c_void_p, sizeof, string_at
from types import SimpleNamespace
from typing import Any, NamedTuple

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
    NO_MEMORY = -12
    FORKED = -13
    WRONG_STATE = -14
    PANIC = -15


class Frame(NamedTuple):
    """One frame of a traceback. `line` is 0 when it is not known; `file` and `function` are None then."""

    file: str | None
    line: int
    function: str | None


class InterpreterError(Exception):
    """What the library reports; `status` says which kind of error it is."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple:
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


class SourceError(InterpreterError, SyntaxError):
    """The source does not compile, nothing ran. A SyntaxError: `lineno`, `offset` and `text` are there when known."""

    def __init__(self, message: str, lineno: int | None, offset: int | None, text: str | None) -> None:
        SyntaxError.__init__(self, message, ("<script>", lineno, offset, text))
        self.status = Status.SYNTAX


def _rebuilt(kind: type[InterpreterError], args: tuple) -> InterpreterError:
    error = kind.__new__(kind, *args)
    if isinstance(error, SyntaxError):  # which keeps what it has in fields of its own
        SyntaxError.__init__(error, *args)
    return error


def run(function: Any, *arguments: Any) -> None:
    """Call a function of the library, with a place for its error, and raise what it reports.

    When this raises, the function may have succeeded all the same: signal handlers run as soon as it has returned, and
    may raise. So what it made has to be freed by the caller.
    """
    error = c_void_p()
    try:
        status = function(*arguments, byref(error))
        if status:
            raise _exception(status, error)
    except BaseException:
        library.subpy_error_free(error)
        raise


def _exception(status: int, error: c_void_p) -> InterpreterError:
    message = _text(library.subpy_error_message, error) or ""
    if status == Status.EXECUTION_FAILED:
        return ExecutionFailed(message, _excinfo(error))
    if status == Status.SYNTAX:
        line, column, text = c_int32(), c_int32(), c_char_p()
        library.subpy_error_syntax(error, byref(line), byref(column), byref(text))
        message = _text(library.subpy_error_exception_message, error) or message
        # SyntaxError adds the place itself.
        message = message.removesuffix(f" (<script>, line {line.value})")
        return SourceError(message, line.value or None, column.value or None, _string(text))
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
    return Frame(_sized(frame.file, frame.file_len), frame.line, _sized(frame.function, frame.function_len))


def _sized(address: int | None, length: int) -> str | None:
    return None if address is None else string_at(address, length).decode()


def _text(accessor: Any, error: c_void_p) -> str | None:
    # With the length: texts may hold NUL characters.
    length = c_size_t()
    address = accessor(error, byref(length))
    return None if address is None else string_at(address, length.value).decode()


def _string(string: c_char_p) -> str | None:
    return None if string.value is None else string.value.decode()
