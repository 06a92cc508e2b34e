"""Queues between this program and interpreters, and between interpreters."""

from __future__ import annotations

import asyncio
import math
import queue
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from ctypes import byref, c_int32, c_uint64, sizeof
from typing import Any

from ._errors import InterpreterError, Status, run
from ._handles import Owner
from ._library import QueueInfo, QueueOptions, RunRequest, library
from ._limits import Cancel, stoppable
from ._options import FOR_EVER, count
from ._values import Arguments, fetch, from_handle, handle_kinds

_QUEUE = 12


class QueueEmpty(InterpreterError, queue.Empty):
    """There is nothing in the queue, or was nothing in time."""


class QueueFull(InterpreterError, queue.Full):
    """There is no room in the queue, or was none in time."""


# Python has it since 3.13. An older one can import this package too, for the library to say what is wrong.
_ShutDown: Any = getattr(queue, "ShutDown", Exception)


class QueueClosed(InterpreterError, _ShutDown):  # type: ignore[misc]
    """The queue is closed; for get(), and empty."""


def create_queue(maxsize: int = 0) -> Queue:
    """A queue with room for so many items; 0: as many as memory has. It needs no runtime, and outlives it."""
    options, made = QueueOptions(sizeof(QueueOptions), count(maxsize, "maxsize")), Queue(c_uint64())
    run(library.subpy_queue_new, byref(options), byref(made._handle))
    return _known(made)


class Queue(Owner):
    """A queue, which can be an argument and a result: in Python code it is a Queue of the module `subpy_queues`.

    An item is what can be an argument, but for objects. It is copied once, and comes out once. Any number of threads may
    put and get at the same time. The queue ends with the last who has it, here and there.
    """

    __slots__ = ("__weakref__", "_id")

    def __init__(self, handle: c_uint64) -> None:
        super().__init__(handle, library.subpy_queue_free)
        self._id = 0

    def put(
        self, obj: object, block: bool = True, timeout: float | None = None, *, cancel: Cancel | None = None
    ) -> None:
        """Put a copy of an object in. Wait for room, at most for so many seconds (QueueFull), or until `cancel` is fired.

        With `block` False there is no waiting.
        """
        items = Arguments([obj], lambda _: "item")

        def put(limit: int, token: int) -> None:
            run(library.subpy_queue_put_with, self._handle, items.at(0), limit, token, memory=items.memory)

        _wait(put, block, timeout, cancel, QueueFull)

    def get(self, block: bool = True, timeout: float | None = None, *, cancel: Cancel | None = None) -> Any:
        """Take the first item out. Wait for one, at most for so many seconds (QueueEmpty), or until `cancel` is fired.

        With `block` False there is no waiting. When the queue is closed and empty it is QueueClosed.
        """

        def get(limit: int, token: int) -> Any:
            return _get(self._handle, limit, token)

        return _wait(get, block, timeout, cancel, QueueEmpty)

    def put_nowait(self, obj: object) -> None:
        """put(obj, False)"""
        self.put(obj, False)

    def get_nowait(self) -> Any:
        """get(False)"""
        return self.get(False)

    def __iter__(self) -> Iterator[Any]:
        """Take items out until the queue is closed and empty."""
        while True:
            try:
                item = self.get()
            except QueueClosed:
                return
            yield item

    async def put_async(self, obj: object) -> None:
        """put() for asyncio. A task that is cancelled has put nothing."""
        while True:
            try:
                return self.put_nowait(obj)
            except QueueFull:
                await _readable(_descriptor(library.subpy_queue_room_fd, self._handle))

    async def get_async(self) -> Any:
        """get() for asyncio. A task that is cancelled has taken nothing."""
        while True:
            try:
                return self.get_nowait()
            except QueueEmpty:
                await _readable(self.fileno())

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Take items out until the queue is closed and empty."""
        while True:
            try:
                item = await self.get_async()
            except QueueClosed:
                return
            yield item

    @property
    def id(self) -> int:
        """The number of the queue, which is the Queue.id of code in interpreters. No other queue has it."""
        return self._id

    @property
    def maxsize(self) -> int:
        """How many items have room; 0: as many as memory has."""
        return int(self._info().capacity)

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return bool(self._info().closed)

    def qsize(self) -> int:
        """How many items are in it. Others may change that at any time."""
        return int(self._info().len)

    def empty(self) -> bool:
        """Whether nothing is in it. Others may change that at any time."""
        return self.qsize() == 0

    def full(self) -> bool:
        """Whether there is no room. Others may change that at any time."""
        info = self._info()
        return bool(0 < info.capacity <= info.len)

    def _info(self) -> Any:
        info = QueueInfo(sizeof(QueueInfo))
        run(library.subpy_queue_get_info, self._handle, byref(info))
        return info

    def fileno(self) -> int:
        """A descriptor for `selectors` and event loops: readable while there is something to get, or it is closed.

        Do not read or close it.
        """
        return _descriptor(library.subpy_queue_fd, self._handle)

    def close(self) -> None:
        """Nothing goes in any more, and what is in can still be taken out. Whoever waits is woken."""
        run(library.subpy_queue_close, self._handle)

    def __eq__(self, other: object) -> bool:
        return self._id == other._id if isinstance(other, Queue) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._id)

    def __repr__(self) -> str:
        return f"<subpy.Queue {self._id}>"


def _descriptor(function: Any, handle: c_uint64) -> int:
    descriptor = c_int32()
    run(function, handle, byref(descriptor))
    return descriptor.value


def _get(handle: c_uint64, limit: int, token: int) -> Any:
    # In the library the token comes behind the place for the item.
    return fetch(lambda place, error: library.subpy_queue_get_with(handle, limit, place, token, error))


def _wait(
    wait: Callable[[int, int], Any],
    block: bool,
    timeout: float | None,
    cancel: Cancel | None,
    late: type[InterpreterError],
) -> Any:
    limit = 0 if not block else -1
    if block and timeout is not None:
        if not timeout >= 0:
            raise ValueError("'timeout' must be a non-negative number")
        limit = math.ceil(min(timeout, FOR_EVER) * 1000)
    request = RunRequest()  # for its token
    try:
        if limit == 0 and cancel is None:
            return wait(0, 0)
        return stoppable(request, cancel, lambda: wait(limit, request.cancel))
    except InterpreterError as error:
        if error.status == Status.TIMEOUT:
            raise late(error.message, Status.TIMEOUT) from None
        if error.status == Status.WRONG_STATE:
            raise QueueClosed(error.message, Status.WRONG_STATE) from None
        raise


# Who waits for which descriptor. A loop knows one reader of each.
_waiting: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, list[asyncio.Future[None]]]]
_waiting = weakref.WeakKeyDictionary()


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    queues = _waiting.setdefault(loop, {})
    waiting = queues.setdefault(descriptor, [])
    future = loop.create_future()
    if not waiting:
        loop.add_reader(descriptor, _wake, loop, descriptor)
    waiting.append(future)
    try:
        await future
    finally:
        if future in waiting:  # cancelled
            waiting.remove(future)
            if not waiting and queues.get(descriptor) is waiting:
                _wake(loop, descriptor)


def _wake(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    loop.remove_reader(descriptor)
    for future in _waiting[loop].pop(descriptor):
        if not future.done():
            future.set_result(None)


def _own(handle: int) -> Queue:
    # Results own their handles, and take them along.
    kept = Queue(c_uint64())
    run(library.subpy_queue_keep, handle, byref(kept._handle))
    return _known(kept)


def _known(queue: Queue) -> Queue:
    queue._id = queue._info().id
    return queue


handle_kinds[Queue], from_handle[_QUEUE] = _QUEUE, _own
