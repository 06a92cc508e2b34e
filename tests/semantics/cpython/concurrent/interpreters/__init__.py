"""concurrent.interpreters over the library, for CPython's own tests of it.

It is no more than what they need. How functions and instances become bytes is this module's (_crossing.py);
interpreters, runs, queues and values are the library's.
"""

import contextlib
import os
import threading
import weakref
from collections.abc import Callable

import _interpreters
import subpy
from _interpreters import InterpreterError, InterpreterNotFoundError, NotShareableError, is_shareable

# What _queues.py needs of CPython's own package.
__path__.append(os.path.join(os.path.dirname(os.__file__), "concurrent", "interpreters"))

from . import _crossing
from ._queues import Queue, QueueEmpty, QueueFull
from ._queues import create as create_queue

__all__ = [
    "ExecutionFailed",
    "Interpreter",
    "InterpreterError",
    "InterpreterNotFoundError",
    "NotShareableError",
    "Queue",
    "QueueEmpty",
    "QueueFull",
    "create",
    "create_queue",
    "get_current",
    "get_main",
    "is_shareable",
    "list_all",
]


class ExecutionFailed(InterpreterError):
    def __init__(self, excinfo):
        super().__init__(excinfo.formatted)
        self.excinfo = excinfo

    def __str__(self):
        return f"{super().__str__()}\n\nUncaught in the interpreter:\n\n{self.excinfo.errdisplay}"


def _run(function, *args, **kwargs):
    """What it returned, and what was raised inside."""
    try:
        return function(*args, **kwargs), None
    except subpy.ExecutionFailed as failed:
        return None, failed.excinfo
    except subpy.SourceError:
        raise
    except subpy.InterpreterError as error:
        kinds = {
            "NOT_FOUND": InterpreterNotFoundError,
            "NOT_SHAREABLE": NotShareableError,
            "INVALID_ARGUMENT": ValueError,
        }
        raise kinds.get(error.status.name, InterpreterError)(error.message) from None


def _plain(function, *args, **kwargs):
    """The same for what runs none of the caller's code."""
    result, excinfo = _run(function, *args, **kwargs)
    if excinfo is not None:
        raise (
            NotShareableError(excinfo.msg) if excinfo.type.__name__ == "NotShareableError" else ExecutionFailed(excinfo)
        )
    return result


def _end(interp):
    with contextlib.suppress(subpy.InterpreterError):  # closed already, or in use
        interp.close()


_known = weakref.WeakValueDictionary()


class Interpreter:
    def __new__(cls, id, /, _whence=None, _ownsref=False):
        if not isinstance(id, int):
            raise TypeError(f"id must be an int, got {id!r}")
        try:
            return _known[id]
        except KeyError:
            self = super().__new__(cls)
            self._interp = _plain(subpy.Interpreter, id)
            self._id = id
            self._whence = _plain(lambda: self._interp.whence)
            if _ownsref:
                # Not when the program ends: then it is left open, as it is with the original.
                weakref.finalize(self, _end, self._interp).atexit = False
            return _known.setdefault(id, self)

    def __repr__(self):
        return f"{type(self).__name__}({self._id})"

    def __hash__(self):
        return hash(self._id)

    def __reduce__(self):
        return type(self), (self._id,)

    @property
    def id(self):
        return self._id

    @property
    def whence(self):
        return self._whence

    def is_running(self):
        return _plain(self._interp.is_running)

    def close(self):
        if self._whence == "_interpreters module":  # a test has made it with that, and wants to be rid of it
            _interpreters.destroy(self._id, restrict=True)
        else:
            _plain(self._interp.close)

    def prepare_main(self, ns=None, /, **kwargs):
        _plain(self._interp.prepare_main, dict(ns or (), **kwargs))

    def exec(self, code, /):
        if isinstance(code, (bytes, bytearray, memoryview)):
            code = bytes(code).decode()
        if isinstance(code, str):
            _, excinfo = _run(self._interp.exec, code, keep_indent=True)
        else:
            _, excinfo = self._call(exec, (_crossing.script(code),), {})
        if excinfo is not None:
            raise ExecutionFailed(excinfo)

    def call(self, callable, /, *args, **kwargs):
        if not isinstance(callable, Callable):
            raise TypeError(f"expected a callable, got {callable!r}")
        result, excinfo = self._call(callable, args, kwargs)
        if excinfo is not None:
            raise ExecutionFailed(excinfo)
        return result

    def _call(self, callable, args, kwargs):
        objects = self._interp.with_options(results=subpy.Results.OBJECT)
        crossing = f"{_crossing.__name__}:"
        # The call itself is the library's, of an object over there: so tracebacks begin with the callable.
        with _plain(objects.call, f"{crossing}prepared", _crossing.dumps((callable, args, kwargs))) as prepared:
            result, excinfo = _run(prepared.with_options(results=subpy.Results.OBJECT))
        if excinfo is not None:
            return None, excinfo
        with result:
            return _crossing.loads(_plain(self._interp.call, f"{crossing}dumps", result)), None

    def call_in_thread(self, callable, /, *args, **kwargs):
        thread = threading.Thread(target=self.call, args=(callable, *args), kwargs=kwargs)
        thread.start()
        return thread


def create():
    return Interpreter(_plain(subpy.create).id, _ownsref=True)


def list_all():
    found = []
    for interp in _plain(subpy.list_all):
        try:
            found.append(Interpreter(interp.id))
        except (subpy.InterpreterNotFoundError, InterpreterNotFoundError):
            pass  # it was closed meanwhile
    return found


def get_current():
    return Interpreter(_plain(subpy.get_current).id)


def get_main():
    return Interpreter(_plain(subpy.get_main).id)
