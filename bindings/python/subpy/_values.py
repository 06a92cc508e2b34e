"""Values: arguments are written into one block of memory, results are read out of one.

Neither way recurses, so that deep nesting needs no stack.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Sequence
from ctypes import addressof, byref, c_char, c_size_t, c_void_p, memmove, memset, sizeof, string_at
from struct import Struct
from typing import Any

from ._buffers import Lent, Shared, passed, view
from ._errors import NotShareableError, Status, exception, run
from ._handles import new_number
from ._library import Value, library
from ._tags import NotExact, plain, restored

_NONE, _BOOL, _INT, _BIGINT, _FLOAT, _STR, _BYTES, _TUPLE, _LIST, _DICT = range(10)
_OBJECT, _BUFFER, _QUEUE, _ERROR = 10, 11, 12, 13
_CONTAINERS: dict[type, int] = {tuple: _TUPLE, list: _LIST, dict: _DICT}
_MAX_DEPTH = 1000
_TAG = 0xFF  # the bits of the flags that are a tag

_ITEM = Struct("=iIQq")  # a subpy_value: kind, flags, len, payload
_FLOAT_ITEM = Struct("=iIQd")
_INT_PAYLOAD, _FLOAT_PAYLOAD = Struct("=q"), Struct("=d")
_PAYLOAD_AT = 16
_FLAGS, _FLAGS_AT = Struct("=I"), 4

# What other modules know how to write and to read: the kinds of classes whose objects have a `_handle`, and what makes an
# object of a handle that belongs to a result.
handle_kinds: dict[type, int] = {}
from_handle: dict[int, Callable[[int], Any]] = {}


class Arguments:
    """Values as the library reads them. They stay where they are as long as this object lives."""

    def __init__(self, values: Sequence[object], name: Callable[[int], str]) -> None:
        """`name` gives what messages call the value of that index."""
        self._block = bytearray(_ITEM.size * len(values))
        self._kept: list[Any] = []  # what must not be freed meanwhile
        # Memory that is passed, by its number: see run().
        self.memory: dict[int, memoryview] | None = None
        # Places in the block that hold pointers into it. Until it has an address, these are offsets.
        self._pointers: list[int] = []
        # Containers whose items are not written yet: where those go, the container, its depth, and the way to it, which
        # is the way to the outer container and a key in that.
        self._todo: list[tuple[Any, ...]] = [(0, values, 0, None)]
        block, write_item, size = self._block, _ITEM.pack_into, _ITEM.size
        try:
            while self._todo:
                at, container, depth, outer = self._todo.pop()
                for key, value in _items(container):
                    if type(value) is int and -(2**63) <= value < 2**63:  # the most frequent
                        write_item(block, at, _INT, 0, 0, value)
                    else:
                        way = (outer, key)
                        self._write(at, value, depth, way)
                    at += size
        except (_Problem, NotExact) as problem:
            raise NotShareableError(f"{_shown(way, name)}: {problem}", Status.NOT_SHAREABLE) from None
        self._pin()

    def at(self, index: int) -> int:
        """The address of a value."""
        return self._base + index * _ITEM.size

    def _write(self, at: int, value: Any, depth: int, way: tuple[Any, ...]) -> None:
        kind = type(value)
        if kind is float:
            _FLOAT_ITEM.pack_into(self._block, at, _FLOAT, 0, 0, value)
        elif kind is str:
            try:
                self._write_bytes(at, _STR, value.encode())
            except UnicodeEncodeError as error:
                raise _Problem(f"str with a lone surrogate at index {error.start} cannot be shared") from None
        elif kind is bytes or kind is bytearray:
            self._write_bytes(at, _BYTES, bytes(value))  # another thread may resize a bytearray meanwhile
        elif kind is bool:
            _ITEM.pack_into(self._block, at, _BOOL, 0, 0, value)
        elif kind is int:
            if -(2**63) <= value < 2**63:
                _ITEM.pack_into(self._block, at, _INT, 0, 0, value)
            else:
                self._write_bytes(at, _BIGINT, hex(value).encode())
        elif kind in _CONTAINERS:
            self._write_container(at, value, depth, way)
        elif kind in handle_kinds:
            _ITEM.pack_into(self._block, at, handle_kinds[kind], 0, 0, value._handle.value)
            self._kept.append(value)
        elif kind is memoryview or kind is Lent:
            self._write_memory(at, value)
        elif value is not None:  # all bytes zero is None
            tagged = plain(value)
            if tagged is None:
                raise _Problem(f"{kind.__module__}.{kind.__qualname__} cannot be shared")
            tag, stands_for = tagged
            self._write(at, stands_for, depth, way)
            _FLAGS.pack_into(self._block, at + _FLAGS_AT, tag)

    def _write_memory(self, at: int, value: memoryview | Lent) -> None:
        number = new_number()
        try:
            kept, buffer = passed(value, number)
        except ValueError as error:  # it was released
            raise _Problem(str(error)) from None
        if kept.suboffsets:
            raise _Problem("a memoryview with suboffsets cannot be shared")
        if self.memory is None:
            self.memory = {}
        self.memory[number] = kept
        self._kept.append(buffer)
        _ITEM.pack_into(self._block, at, _BUFFER, 0, 0, addressof(buffer))

    def _write_bytes(self, at: int, kind: int, data: bytes) -> None:
        self._write_pointer(at, kind, len(data))
        self._block += data
        self._block += bytes(-len(self._block) % 8)

    def _write_container(self, at: int, value: Any, depth: int, way: tuple[Any, ...]) -> None:
        if depth == _MAX_DEPTH:
            raise _Problem(f"is nested more than {_MAX_DEPTH:,} levels deep, or contains itself")
        container = value.copy() if type(value) is not tuple else value  # another thread may change it meanwhile
        self._write_pointer(at, _CONTAINERS[type(value)], len(container))
        self._todo.append((len(self._block), container, depth + 1, way))
        self._block += bytes(_ITEM.size * len(container) * (2 if type(value) is dict else 1))

    def _write_pointer(self, at: int, kind: int, length: int) -> None:
        _ITEM.pack_into(self._block, at, kind, 0, length, len(self._block))
        self._pointers.append(at + _PAYLOAD_AT)

    def _pin(self) -> None:
        self._block += bytes(1)  # what is pinned must not be empty
        self._pinned = c_char.from_buffer(self._block)  # from now on the block cannot be resized, and thus not move
        self._base = addressof(self._pinned)
        for at in self._pointers:
            (offset,) = _INT_PAYLOAD.unpack_from(self._block, at)
            _INT_PAYLOAD.pack_into(self._block, at, self._base + offset)


def _items(container: Any) -> Iterable[tuple[Any, ...]]:
    """What is in it, each with what messages call it: of a dict key, value, key, value..."""
    if type(container) is dict:
        return ((key, item) for key, value in container.items() for item in (key, value))
    return enumerate(container)


class _Problem(Exception):
    """What is wrong with a value, before it is known where the value is."""


def _shown(way: tuple[Any, ...], name: Callable[[int], str]) -> str:
    """The way to a value in text, such as args[0]['key'][1]; the middle of a long one is left out."""
    keys: list[str] = []
    while way[0] is not None:
        keys.insert(0, f"[{reprlib.repr(way[1])}]")  # short, and never an error
        way = way[0]
    if len(keys) > 10:
        keys[5:-5] = ["..."]
    return name(way[1]) + "".join(keys)


def fetch(
    function: Any, *arguments: Any, filename: str = "<script>", memory: dict[int, memoryview] | None = None
) -> Any:
    """Call a function of the library, with a place for its result, and return the object that the result stands for."""
    result = Value()
    place = byref(result)
    try:
        run(function, *arguments, place, filename=filename, memory=memory)
        if result.kind == _INT:  # the most frequent
            return result.payload
        return _object(result)
    finally:  # not in a __del__ of the result: what a signal handler raises there is lost
        if result.kind != _INT and not result.is_shared:  # an int owns nothing
            library.subpy_value_free(place)


def owned(address: int) -> Any:
    """The object that a result stands for, which is taken from where it lies."""
    result = Value()
    try:
        memmove(byref(result), address, sizeof(Value))
        memset(address, 0, sizeof(Value))
        return _object(result)
    finally:
        if not result.is_shared:
            library.subpy_value_free(byref(result))


def _object(result: Value) -> Any:
    """The object that a result stands for. What else it owns, such as errors and handles, is gone when it is freed."""
    base, size = c_void_p(), c_size_t()
    library.subpy_value_block(byref(result), byref(base), byref(size))
    block = string_at(base, size.value) if size.value else b""
    return _read(bytes(result), _within(block, base.value or 0), result)[0]


def lent(address: int, count: int) -> list[Any]:
    """The objects of an array of values that the library lends, which point to wherever they like."""
    return _read(_lent(address, count * _ITEM.size), _lent)


def _lent(address: int, size: int) -> bytes:
    return string_at(address, size) if size else b""


def _read(root: bytes, take: Callable[[int, int], bytes], result: Value | None = None) -> list[Any]:
    """The objects of values. `take` has what is at an address. `result` is the one that they are of, if they are."""
    shared = None  # has the result, if views of its memory go out
    kind, tag, items, done = None, 0, _ITEM.iter_unpack(root), []
    outer = []  # the containers that are being read, from the outside in: each as the four above
    while True:
        for item, flags, length, payload in items:
            if item == _INT:
                done.append(payload)
            elif item == _FLOAT:
                done.append(_FLOAT_PAYLOAD.unpack(_INT_PAYLOAD.pack(payload))[0])
            elif item == _STR:
                text = take(payload, length).decode()
                done.append(restored(flags & _TAG, text) if flags & _TAG else text)
            elif item == _BYTES:
                done.append(take(payload, length))
            elif item == _NONE:
                done.append(None)
            elif item == _BOOL:
                done.append(payload & 0xFF != 0)  # all there is in arguments
            elif item == _BIGINT:
                done.append(int(take(payload, length), 16))
            elif item in _CONTAINERS.values():
                outer.append((kind, tag, items, done))
                size = length * _ITEM.size * (2 if item == _DICT else 1)
                kind, tag, items, done = item, flags & _TAG, _ITEM.iter_unpack(take(payload, size)), []
                break
            elif item == _ERROR:
                error = c_void_p(payload)
                done.append(exception(library.subpy_error_status(error), error))
            elif item == _BUFFER and result is not None:
                shared = shared or Shared(result)
                done.append(view(payload, shared))
            elif item in from_handle:
                done.append(from_handle[item](payload))
            else:
                message = f"result: values of kind {item} are unknown to this package; the library is newer"
                raise NotShareableError(message, Status.NOT_SHAREABLE)
        else:
            if not outer:
                return done
            value: Any = done
            if kind == _TUPLE:
                value = tuple(done)
            elif kind == _DICT:
                value = dict(zip(done[::2], done[1::2]))
            if tag:
                value = restored(tag, value)
            kind, tag, items, done = outer.pop()
            done.append(value)


def _within(block: bytes, base: int) -> Callable[[int, int], bytes]:
    """What is in a block that was at the address `base`."""

    def take(address: int, size: int) -> bytes:
        if size == 0:
            return b""  # then the pointer means nothing
        at = address - base
        if not 0 <= at <= at + size <= len(block):
            raise SystemError("a result of libsubpy points out of its block")
        return block[at : at + size]

    return take
