"""Memory that is shared and not copied: of this Python in arguments, and of an interpreter in results."""

from __future__ import annotations

from ctypes import (
    POINTER,
    Structure,
    addressof,
    byref,
    c_int,
    c_size_t,
    c_ssize_t,
    c_void_p,
    cast,
    py_object,
    pythonapi,
    sizeof,
)
from operator import index
from typing import Any

from ._errors import run
from ._handles import Owner, check_is_main, finalize
from ._library import Buffer, Value, library

_WRITABLE, _LENT = 1, 2
_FULL_RO = 0x11C  # PyBUF_FULL_RO


class _PyBuffer(Structure):
    """Py_buffer"""

    _fields_ = [
        ("buf", c_void_p),
        ("obj", c_void_p),
        ("len", c_ssize_t),
        ("itemsize", c_ssize_t),
        ("readonly", c_int),
        ("ndim", c_int),
        ("format", c_void_p),
        ("shape", POINTER(c_ssize_t)),
        ("strides", POINTER(c_ssize_t)),
        ("suboffsets", POINTER(c_ssize_t)),
        ("internal", c_void_p),
    ]


# Objects of their own: pythonapi has one for the whole process, and others declare it as they like.
_get_buffer = pythonapi["PyObject_GetBuffer"]
_get_buffer.argtypes, _get_buffer.restype = (py_object, POINTER(_PyBuffer), c_int), c_int
_release_buffer = pythonapi["PyBuffer_Release"]
_release_buffer.argtypes, _release_buffer.restype = (POINTER(_PyBuffer),), None
_memoryview = pythonapi["PyMemoryView_FromBuffer"]
_memoryview.argtypes, _memoryview.restype = (POINTER(_PyBuffer),), py_object


class Lent:
    """An argument that is memory for one call: `interp.call("f", subpy.Lent(data))`, of anything with a buffer.

    It is not copied, as with a memoryview. When the call returns, the interpreter's views of it are revoked. If something
    still uses the memory there, such as a slice, the call is InterpreterError (BUSY), and the memory stays until that is
    gone.
    """

    __slots__ = ("_view",)

    def __init__(self, data: Any) -> None:
        self._view = memoryview(data)


def passed(view: memoryview | Lent, number: int) -> tuple[memoryview, Buffer]:
    """A view that keeps the memory, and what the library is told of it. `number` is what it calls the memory."""
    check_is_main()
    flags = 0
    if isinstance(view, Lent):
        view, flags = view._view, _LENT
    view = memoryview(view)  # which stays when the other one is released
    flags |= 0 if view.readonly else _WRITABLE
    buffer = Buffer(sizeof(Buffer), _address(view), view.nbytes, view.format.encode(), view.itemsize)
    buffer.ndim, buffer.flags = view.ndim, flags
    buffer.release, buffer.userdata = cast(finalize, c_void_p), number
    if view.ndim:
        assert view.shape is not None and view.strides is not None
        buffer.shape = (c_size_t * view.ndim)(*view.shape)
        if not view.c_contiguous and view.nbytes:
            # The library wants the lowest address, and how far it is from there to the end of the last element.
            spans = [(length - 1) * stride for length, stride in zip(view.shape, view.strides)]
            buffer.strides = (c_ssize_t * view.ndim)(*view.strides)
            buffer.data += sum(span for span in spans if span < 0)
            buffer.len = sum(map(abs, spans)) + view.itemsize
    return view, buffer


def _address(view: memoryview) -> int:
    raw = _PyBuffer()
    _get_buffer(view, byref(raw), _FULL_RO)
    try:
        return raw.buf or 0
    finally:
        _release_buffer(byref(raw))


class Shared(Owner):
    """A result that is kept because memory of it is in use."""

    __slots__ = ()

    def __init__(self, result: Value) -> None:
        super().__init__(byref(result), library.subpy_value_free)
        result.is_shared = True


def shared_memory(nbytes: int) -> memoryview:
    """Memory, all zero, that interpreters in processes (Flag.PROCESS) see without a copy, and so do all others.

    It is a memoryview of bytes; pass it, or any part of it, cast or not. Any other memory goes to such a process as a
    copy when it is read-only, and is refused otherwise. It is there as long as something here or there has a view of it.
    """
    check_is_main()
    buffer = Buffer()
    run(library.subpy_buffer_new, index(nbytes), _WRITABLE, byref(buffer))
    owner = Allocated(buffer)
    buffer.format, buffer.itemsize, buffer.ndim = b"B", 1, 1
    buffer.shape, buffer.strides = (c_size_t * 1)(buffer.len), (c_ssize_t * 1)(1)
    return view(addressof(buffer), owner)


class Allocated(Owner):
    """Memory of shared_memory()."""

    __slots__ = ()

    def __init__(self, buffer: Buffer) -> None:
        super().__init__(byref(buffer), library.subpy_buffer_free)


class _Memory:
    """What a memoryview of a result's memory is of. It has the result."""

    __slots__ = ("_shared", "_view")

    def __init__(self, view: memoryview, shared: Owner) -> None:
        self._view, self._shared = view, shared

    def __buffer__(self, flags: int, /) -> memoryview:
        return self._view


def view(address: int, shared: Owner) -> memoryview:
    """The memory of a buffer in a result, without a copy."""
    buffer = Buffer.from_address(address)
    # What is empty may have no address, but here it has to have one.
    raw = _PyBuffer(buffer.data or address, None, buffer.len, buffer.itemsize)
    raw.readonly, raw.ndim = not buffer.flags & _WRITABLE, buffer.ndim
    raw.format = c_void_p.from_buffer(buffer, Buffer.format.offset).value
    raw.shape, raw.strides = cast(buffer.shape, POINTER(c_ssize_t)), buffer.strides
    return memoryview(_Memory(_memoryview(byref(raw)), shared))
