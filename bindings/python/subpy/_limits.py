"""What stops runs: cancel tokens, and Ctrl-C on the main thread."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from ctypes import byref, c_uint64
from typing import Any

from ._errors import InterpreterInterruptedError, run
from ._handles import Owner
from ._library import RunRequest, library


class Token(Owner):
    """A cancel token of the library's."""

    __slots__ = ("fired",)

    def __init__(self) -> None:
        super().__init__(c_uint64(), library.subpy_cancel_free)
        self.fired = False
        run(library.subpy_cancel_new, byref(self._handle))

    def fire(self) -> None:
        self.fired = True
        library.subpy_cancel_fire(self._handle)


class Cancel:
    """Stops runs, from any thread: those that have it, and those that are given it later. There is no way back.

    They end with InterpreterInterruptedError. Runs that have ended, and any others, are never hit.
    """

    __slots__ = ("_lock", "_others", "_token")

    def __init__(self) -> None:
        self._token = Token()
        # A run of the main thread has a token of its own, for Ctrl-C. It is fired together with this one.
        self._others: set[Token] = set()
        self._lock = threading.RLock()  # a signal handler may come in between

    @property
    def fired(self) -> bool:
        """Whether fire() was called."""
        return self._token.fired

    def _add(self, other: Token) -> None:
        with self._lock:
            self._others.add(other)
            if self._token.fired:
                other.fire()

    def fire(self) -> None:
        """Stop them. Returns at once."""
        with self._lock:
            self._token.fire()
            others = list(self._others)
        for token in others:
            token.fire()


class _CtrlC:
    """Ctrl-C while the main thread is in a run: the code is stopped, and KeyboardInterrupt raised when it has ended.

    Python's signal handlers wait until a run has returned. But Python tells a pipe at once (signal.set_wakeup_fd), and a
    thread that reads it fires the tokens of the runs that the main thread is in. A program that has a handler of its own
    for SIGINT, or its own such pipe, has it as before.
    """

    def __init__(self) -> None:
        self.tokens: list[Token] = []  # of the runs that the main thread is in, from the outside in
        self._struck: set[Token] = set()  # those of them that Ctrl-C has fired
        self._spare: Token | None = None
        self._pipe: tuple[int, int] = (-1, -1)
        self._lock = threading.RLock()  # a signal handler may come in between
        self._available: bool | None = None
        self._main = threading.main_thread().ident

    def watches(self) -> bool:
        """Whether the runs of this thread are to have a token."""
        return self._available is not False and threading.get_ident() == self._main and self._begins()

    def begin(self, token: Token | None = None) -> Token:
        """A token for a run that begins. Signals that have come before do not hit it: Python's handler has them."""
        with self._lock:
            if token is None:
                spare, self._spare = self._spare, None
                token = spare if spare is not None else Token()
            if self._arrived.poll(0):
                self._read()
            self.tokens.append(token)
            return token

    def end(self, token: Token, is_spare: bool) -> bool:
        """The run has ended. Whether it was struck. `is_spare`: another run may have the token."""
        with self._lock:
            self.tokens.remove(token)
            if is_spare and not token.fired:
                self._spare = token
            struck = token in self._struck
            self._struck.discard(token)
            return struck

    def _begins(self) -> bool:
        if self._available is None:
            self._available = False  # in a sub-interpreter it is another one's signal
            reading, writing = os.pipe()
            for end in reading, writing:
                os.set_blocking(end, False)
            try:
                before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
            except ValueError:
                before = None
            if before == -1:
                self._pipe = reading, writing
                self._arrived = select.poll()
                self._arrived.register(reading, select.POLLIN)
                watched = select.poll()  # one that is polled cannot be polled by another thread
                watched.register(reading, select.POLLIN)
                try:
                    threading.Thread(target=self._watch, args=(watched,), name="subpy-ctrl-c", daemon=True).start()
                    self._available = True
                except RuntimeError:  # this Python is ending, or has no more threads
                    signal.set_wakeup_fd(-1)
                    os.close(reading)
                    os.close(writing)
            else:
                os.close(reading)
                os.close(writing)
                if before is not None:
                    signal.set_wakeup_fd(before)
        return self._available

    def _watch(self, arrived: select.poll) -> None:
        while True:
            arrived.poll()
            with self._lock:
                signals = self._read()
                if signal.SIGINT in signals and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                    for token in self.tokens:
                        self._struck.add(token)
                        token.fire()

    def _read(self) -> bytes:
        try:
            return os.read(self._pipe[0], 64)
        except BlockingIOError:  # the other one was first
            return b""

    def forked(self) -> None:
        """In the child process there is nobody who reads, and the pipe is the parent's."""
        if self._available:
            before = signal.set_wakeup_fd(-1)
            if before not in (-1, self._pipe[1]):
                signal.set_wakeup_fd(before)
            for end in self._pipe:
                os.close(end)
        self.__init__()  # type: ignore[misc]


ctrl_c = _CtrlC()
os.register_at_fork(after_in_child=ctrl_c.forked)


def stoppable(request: RunRequest, cancel: Cancel | None, perform: Callable[[], Any], own: Token | None = None) -> Any:
    """Performs a run of this thread, or something else that waits, that the token stops, and Ctrl-C on the main thread.

    `own` is a token that the request has already.
    """
    if not ctrl_c.watches():
        if cancel is not None:
            request.cancel = cancel._token._handle
        return perform()
    token = ctrl_c.begin(own)
    struck = False
    try:
        try:
            request.cancel = token._handle
            if cancel is not None:
                cancel._add(token)
            return perform()
        finally:
            if cancel is not None:
                cancel._others.discard(token)
            struck = ctrl_c.end(token, own is None)
    except InterpreterInterruptedError as interrupted:
        if struck:
            raise KeyboardInterrupt from interrupted
        raise


def milliseconds(seconds: float | None, none: int) -> int:
    """A time for the library, at least 1; `none` when there is no limit."""
    if seconds is None:
        return none
    if not seconds > 0:
        raise ValueError(f"a time limit must be more than 0, not {seconds!r}")
    return max(1, min(round(seconds * 1000), 10**15))
