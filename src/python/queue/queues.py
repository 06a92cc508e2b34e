"""Queues between interpreters, and between them and the program that they are in.

They have the methods of concurrent.interpreters.Queue, and close(), iteration until closed, get_async() and put_async().
What is put is copied: the same things that a call can return."""

import queue as _queue
import weakref as _weakref

__all__ = ["Queue", "QueueClosed", "QueueEmpty", "QueueError", "QueueFull", "QueueNotFoundError", "create"]


class QueueError(RuntimeError):
    """What the exceptions of queues have in common."""


class QueueNotFoundError(QueueError):
    """There is no queue with this id, or nobody has it any more."""


class QueueEmpty(QueueError, _queue.Empty):
    """There is nothing to get, or was not in time."""


class QueueFull(QueueError, _queue.Full):
    """There is no room, or was not in time."""


class QueueClosed(QueueError, _queue.ShutDown):
    """The queue is closed: nothing goes in any more, and all that was in it has been taken."""


_known = _weakref.WeakValueDictionary()


class Queue(_Queue):
    """A queue. In an interpreter there is one object for each."""

    __slots__ = ()

    def __new__(cls, id, /):
        if not isinstance(id, int):
            raise TypeError(f"id must be an int, got {id!r}")
        self = _known.get(id)
        if self is None:
            found = _find(cls, id)
            if found is None:
                # Python makes no text of an int that is very large.
                raise QueueNotFoundError(f"there is no queue {id if id.bit_length() <= 64 else 'with such an id'}")
            # Another thread may have been faster.
            self = _known.setdefault(id, found)
        return self

    id = property(_Queue._id, doc="An int that no other queue of this process has.")
    maxsize = property(_Queue._maxsize, doc="How many items have room; all when this is not above 0.")
    closed = property(_Queue._closed, doc="Whether close() was called.")

    def __repr__(self):
        return f"{type(self).__name__}({self.id})"

    def __hash__(self):
        return hash(self.id)

    def __eq__(self, other):
        return self.id == other.id if isinstance(other, Queue) else NotImplemented

    def __reduce__(self):
        return type(self), (self.id,)

    def empty(self):
        """Whether there is nothing in it. Others may change that at any time."""
        return self.qsize() == 0

    def full(self):
        """Whether there is no room. Others may change that at any time."""
        return 0 < self.maxsize <= self.qsize()

    def __iter__(self):
        """Get until the queue is closed, and empty."""
        get = self.get
        while True:
            try:
                item = get()
            except QueueClosed:
                return
            yield item

    async def get_async(self):
        """get(), for asyncio."""
        while True:
            try:
                return self.get_nowait()
            except QueueEmpty:
                await _until_readable(self, 0)

    async def put_async(self, obj):
        """put(), for asyncio."""
        while True:
            try:
                return self.put_nowait(obj)
            except QueueFull:
                await _until_readable(self, 1)

    async def __aiter__(self):
        """Get until the queue is closed, and empty; for asyncio."""
        while True:
            try:
                item = await self.get_async()
            except QueueClosed:
                return
            yield item


# The futures of those who wait, for each loop and descriptor.
_waiting = _weakref.WeakKeyDictionary()


async def _until_readable(queue, what):
    import asyncio

    fd = queue._fd(what)
    loop = asyncio.get_running_loop()
    futures = _waiting.setdefault(loop, {}).setdefault(fd, [])
    future = loop.create_future()
    if not futures:
        loop.add_reader(fd, _readable, loop, fd)
    futures.append(future)
    try:
        await future
    finally:
        if future in futures:
            futures.remove(future)
            if not futures:
                _unwatch(loop, fd)


def _readable(loop, fd):
    # All look, in the order in which they came: who finds nothing waits again.
    futures = _waiting[loop][fd]
    woken = futures[:]
    futures.clear()
    _unwatch(loop, fd)
    for future in woken:
        if not future.done():
            future.set_result(None)


def _unwatch(loop, fd):
    loop.remove_reader(fd)
    _waiting[loop].pop(fd, None)


def create(maxsize=0):
    """Return a new queue, with room for so many items; for any number when that is not above 0."""
    self = _create(Queue, maxsize)
    _known[self.id] = self
    return self


_register(Queue, QueueEmpty, QueueFull, QueueClosed, QueueNotFoundError, lambda: None)
