"""The queues of the library, as those of concurrent.interpreters."""

import pickle
import queue
import weakref

import subpy
from _interpqueues import QueueError, QueueNotFoundError

from ._crossinterp import UNBOUND_ERROR, UNBOUND_REMOVE, ItemInterpreterDestroyed, UnboundItem

__all__ = [
    "UNBOUND",
    "UNBOUND_ERROR",
    "UNBOUND_REMOVE",
    "ItemInterpreterDestroyed",
    "Queue",
    "QueueEmpty",
    "QueueError",
    "QueueFull",
    "QueueNotFoundError",
    "create",
    "list_all",
]

subpy.init()
try:
    import subpy_queues
except ModuleNotFoundError:  # in an interpreter that the library has not made
    subpy_queues = None

UNBOUND = UnboundItem.singleton("queue", __name__)


class QueueEmpty(QueueError, queue.Empty):
    pass


class QueueFull(QueueError, queue.Full):
    pass


# The library has no list of queues.
_known = weakref.WeakValueDictionary()


def create(maxsize=0, *, unbounditems=UNBOUND):
    return Queue(subpy_queues.create(maxsize))


def list_all():
    return list(_known.values())


class Queue:
    def __new__(cls, id, /):
        try:
            made = id if isinstance(id, subpy_queues.Queue) else subpy_queues.Queue(id)
        except subpy_queues.QueueNotFoundError as error:
            raise QueueNotFoundError(*error.args) from None
        if made.id not in _known:
            self = super().__new__(cls)
            self._queue = made
            _known[made.id] = self
            return self
        return _known[made.id]

    def __repr__(self):
        return f"{type(self).__name__}({self.id})"

    def __hash__(self):
        return hash(self.id)

    def __reduce__(self):
        return type(self), (self.id,)

    id = property(lambda self: self._queue.id)
    maxsize = property(lambda self: self._queue.maxsize)
    unbounditems = UNBOUND

    def empty(self):
        return self._queue.empty()

    def full(self):
        return self._queue.full()

    def qsize(self):
        return self._queue.qsize()

    def put(self, obj, block=True, timeout=None, *, unbounditems=None):
        try:
            try:
                self._queue.put((False, obj), block, timeout)
            except TypeError:  # it is no value
                self._queue.put((True, pickle.dumps(obj)), block, timeout)
        except subpy_queues.QueueFull as error:
            raise QueueFull(*error.args) from None

    def put_nowait(self, obj, *, unbounditems=None):
        self.put(obj, False)

    def get(self, block=True, timeout=None):
        try:
            is_pickled, obj = self._queue.get(block, timeout)
        except subpy_queues.QueueEmpty as error:
            raise QueueEmpty(*error.args) from None
        return pickle.loads(obj) if is_pickled else obj

    def get_nowait(self):
        return self.get(False)
