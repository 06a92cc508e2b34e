"""The functions of libsubpy, declared for ctypes; subpy.h says what each does."""

from __future__ import annotations

import ctypes
import os
from ctypes import (
    POINTER,
    Structure,
    c_bool,
    c_char,
    c_char_p,
    c_int32,
    c_int64,
    c_size_t,
    c_ssize_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any


class Value(Structure):
    """subpy_value; the union is read as an int64."""

    is_shared = False  # whether somebody else frees it, see _buffers

    _fields_ = [("kind", c_int32), ("flags", c_uint32), ("len", c_size_t), ("payload", c_int64)]


class RuntimeOptions(Structure):
    """subpy_runtime_options"""

    _fields_ = [
        ("size", c_size_t),
        ("python", c_char_p),
        ("flags", c_uint64),
        ("worker", c_char_p),
        ("preload", POINTER(c_char_p)),
    ]


class RunRequest(Structure):
    """subpy_run_request"""

    _fields_ = [
        ("size", c_size_t),
        ("interp", c_uint64),
        ("what", c_int32),
        ("flags", c_uint32),
        ("text", c_char_p),
        ("text_len", c_size_t),
        ("function", c_uint64),
        ("args", c_void_p),
        ("nargs", c_size_t),
        ("kwargs", c_void_p),
        ("filename", c_char_p),
        ("timeout_ms", c_int64),
        ("cancel", c_uint64),
        ("output", c_void_p),
        ("output_data", c_void_p),
    ]


class InterpOptions(Structure):
    """subpy_interp_options"""

    _fields_ = [
        ("size", c_size_t),
        ("gil", c_int32),
        ("busy", c_int32),
        ("flags", c_uint64),
        ("path", POINTER(c_char_p)),
        ("path_len", c_size_t),
        ("timeout_ms", c_int64),
        ("memory_limit", c_uint64),
        ("grace_ms", c_uint64),
        ("cpu_limit_ms", c_uint64),
        ("readable", POINTER(c_char_p)),
        ("writable", POINTER(c_char_p)),
        ("venv", c_char_p),
    ]


class MemoryInfo(Structure):
    """subpy_memory_info"""

    _fields_ = [
        ("size", c_size_t),
        ("used", c_uint64),
        ("peak", c_uint64),
        ("limit", c_uint64),
        ("refused", c_uint64),
    ]


class LockFields(Structure):
    """subpy_lock_info"""

    _fields_ = [("size", c_size_t), ("landlock", c_int32), ("seccomp", c_int32)]


class CloseOptions(Structure):
    """subpy_close_options"""

    _fields_ = [("size", c_size_t), ("timeout_ms", c_int64), ("flags", c_uint32), ("reserved", c_uint32)]


class QueueInfo(Structure):
    """subpy_queue_info"""

    _fields_ = [
        ("size", c_size_t),
        ("id", c_uint64),
        ("capacity", c_size_t),
        ("len", c_size_t),
        ("closed", c_uint64),
    ]


class Buffer(Structure):
    """subpy_buffer"""

    _fields_ = [
        ("size", c_size_t),
        ("data", c_void_p),
        ("len", c_size_t),
        ("format", c_char_p),
        ("itemsize", c_size_t),
        ("shape", POINTER(c_size_t)),
        ("strides", POINTER(c_ssize_t)),
        ("ndim", c_int32),
        ("flags", c_uint32),
        ("release", c_void_p),
        ("userdata", c_void_p),
    ]


class PoolOptions(Structure):
    """subpy_pool_options"""

    _fields_ = [
        ("size", c_size_t),
        ("workers", c_size_t),
        ("backlog", c_size_t),
        ("spares", c_size_t),
        ("interp", POINTER(InterpOptions)),
        ("setup", c_char_p),
        ("setup_len", c_size_t),
        ("prepare", c_void_p),
        ("userdata", c_void_p),
        ("finalize", c_void_p),
        ("runs_per_worker", c_uint64),
        ("flags", c_uint64),
        ("isolation", c_int32),
        ("reserved", c_uint32),
    ]


class PoolStats(Structure):
    """subpy_pool_stats"""

    _fields_ = [
        ("size", c_size_t),
        ("workers", c_uint64),
        ("spares", c_uint64),
        ("queued", c_uint64),
        ("running", c_uint64),
        ("submitted", c_uint64),
        ("done", c_uint64),
        ("failed", c_uint64),
        ("cancelled", c_uint64),
        ("replaced", c_uint64),
        ("wait_p50_us", c_uint64),
        ("wait_p90_us", c_uint64),
        ("wait_p99_us", c_uint64),
        ("run_p50_us", c_uint64),
        ("run_p90_us", c_uint64),
        ("run_p99_us", c_uint64),
        ("left", c_uint64),
        ("crashed", c_uint64),
        ("isolation", c_int32),
        ("reserved", c_uint32),
        ("reason", c_char * 200),
    ]


class QueueOptions(Structure):
    """subpy_queue_options"""

    _fields_ = [("size", c_size_t), ("capacity", c_size_t), ("flags", c_uint64)]


class DefineOptions(Structure):
    """subpy_define_options"""

    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint32),
        ("reserved", c_uint32),
        ("signature", c_char_p),
        ("doc", c_char_p),
    ]


class Frame(Structure):
    """subpy_frame; texts as addresses, because they may hold NUL characters."""

    _fields_ = [
        ("size", c_size_t),
        ("file", c_void_p),
        ("file_len", c_size_t),
        ("function", c_void_p),
        ("function_len", c_size_t),
        ("source", c_void_p),
        ("source_len", c_size_t),
        ("line", c_int32),
        ("end_line", c_int32),
        ("column", c_int32),
        ("end_column", c_int32),
    ]


_NEEDED = 1  # major * 1000 + minor; before 1.0 a minor version may change anything


def _open() -> ctypes.CDLL:
    # CDLL, not PyDLL: the GIL of the caller is free while a function runs.
    chosen = os.environ.get("SUBPY_LIBRARY")
    if chosen:
        try:
            return ctypes.CDLL(chosen)
        except OSError as error:
            raise ImportError(
                f"libsubpy cannot be opened: {error}. The environment variable SUBPY_LIBRARY names {chosen}; "
                "set it to the path of libsubpy.so, or unset it"
            ) from None
    tried = []
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libsubpy.so")
    for name in (beside, "libsubpy.so.0", "libsubpy.so"):
        try:
            return ctypes.CDLL(name)
        except OSError as error:
            tried.append(f"\n  {error}")  # which begins with the name
    raise ImportError(
        "libsubpy.so, the library that this package drives, cannot be opened. Tried beside the package and where the "
        f"system's loader looks:{''.join(tried)}\n"
        "Install it (make install in the sources of subpy, then ldconfig), or set the environment variable "
        "SUBPY_LIBRARY to its path"
    )


def _check_version(library: ctypes.CDLL) -> None:
    try:
        library.subpy_version.restype = c_uint32
        library.subpy_version_string.restype = c_char_p
    except AttributeError:
        raise ImportError(f"{library._name} is not libsubpy: it has no subpy_version()") from None
    if library.subpy_version() // 1000 != _NEEDED:
        raise ImportError(
            f"{library._name} is libsubpy {library.subpy_version_string().decode()}, and this package needs "
            f"{_NEEDED // 1000}.{_NEEDED % 1000}: install the package and the library of the same version"
        )


def _load() -> ctypes.CDLL:
    library = _open()
    # First of all: another version may lack what is looked up below.
    _check_version(library)

    def declare(result: Any, names: str, *arguments: Any) -> None:
        for name in names.split():
            function = getattr(library, "subpy_" + name)
            function.restype = result
            function.argtypes = arguments

    declare(c_char_p, "python_version python_library")
    handle, text, value, error = c_uint64, (c_char_p, c_size_t), POINTER(Value), POINTER(c_void_p)
    call = (handle, *text, c_void_p, c_size_t, c_void_p)
    declare(c_int32, "init", POINTER(RuntimeOptions), error)
    declare(c_int32, "shutdown", error)
    declare(c_int32, "shutdown_with", POINTER(CloseOptions), error)
    declare(c_int32, "create", POINTER(InterpOptions), POINTER(handle), error)
    declare(c_int32, "close interrupt", handle, error)
    declare(c_int32, "close_with", handle, POINTER(CloseOptions), error)
    declare(c_int32, "prepare_main", handle, c_void_p, error)
    declare(c_int32, "is_running", handle, POINTER(c_bool), error)
    declare(c_int32, "id", handle, POINTER(c_int64), error)
    declare(c_int32, "buffer_new", c_size_t, c_uint32, POINTER(Buffer), error)
    declare(None, "buffer_free", c_void_p)
    declare(c_int32, "memory", handle, POINTER(MemoryInfo), error)
    declare(c_int32, "lock_get_info", handle, POINTER(LockFields), error)
    declare(c_int32, "whence", handle, POINTER(c_char_p), error)
    declare(c_int32, "list_all", POINTER(handle), c_size_t, POINTER(c_size_t), error)
    declare(c_int32, "get_current get_main", POINTER(handle), error)
    declare(c_int32, "find", c_int64, POINTER(handle), error)
    declare(c_int32, "run", POINTER(RunRequest), value, error)
    declare(c_int32, "run_in_thread", POINTER(RunRequest), POINTER(handle), error)
    declare(c_int32, "call", *call, value, error)
    declare(c_int32, "call_in_thread", *call, POINTER(handle), error)
    declare(c_int32, "function_new", handle, *text, POINTER(handle), error)
    declare(c_int32, "function_call", handle, c_void_p, c_size_t, c_void_p, value, error)
    declare(c_int32, "function_call_many", handle, c_void_p, c_size_t, c_size_t, c_uint32, value, error)
    declare(None, "function_free", handle)
    declare(c_int32, "object_keep object_iter object_interp", handle, POINTER(handle), error)
    declare(c_int32, "object_attr", handle, *text, c_uint32, value, error)
    declare(c_int32, "object_item", handle, c_void_p, c_uint32, value, error)
    declare(c_int32, "object_call", handle, *text, c_void_p, c_size_t, c_void_p, c_uint32, value, error)
    declare(c_int32, "object_next", handle, c_uint32, POINTER(c_bool), value, error)
    declare(c_int32, "object_value", handle, c_uint32, value, error)
    declare(c_int32, "object_text", handle, value, error)
    declare(None, "object_free", handle)
    declare(c_int32, "queue_new", POINTER(QueueOptions), POINTER(handle), error)
    declare(c_int32, "queue_keep", handle, POINTER(handle), error)
    declare(c_int32, "queue_put_with", handle, c_void_p, c_int64, handle, error)
    declare(c_int32, "queue_get_with", handle, c_int64, value, handle, error)
    declare(c_int32, "queue_get_info", handle, POINTER(QueueInfo), error)
    declare(c_int32, "queue_fd queue_room_fd", handle, POINTER(c_int32), error)
    declare(c_int32, "queue_close", handle, error)
    declare(None, "queue_free", handle)
    declare(c_int32, "pool_new", POINTER(PoolOptions), POINTER(handle), error)
    declare(c_int32, "pool_submit_as", handle, c_uint64, POINTER(RunRequest), POINTER(handle), error)
    declare(c_int32, "pool_get_stats", handle, POINTER(PoolStats), error)
    declare(c_int32, "pool_close", handle, POINTER(CloseOptions), error)
    rows = c_void_p, c_size_t, c_size_t, c_size_t
    declare(c_int32, "pool_map", handle, POINTER(RunRequest), *rows, c_void_p, c_void_p, error)
    declare(c_int32, "enter leave", handle, error)
    declare(c_int32, "thread_join", handle, value, error)
    declare(c_int32, "thread_wait", handle, c_int64, POINTER(c_bool), error)
    declare(c_int32, "thread_notify", handle, c_void_p, c_void_p, error)
    declare(None, "thread_free", handle)
    declare(c_int32, "define_with", handle, *text, POINTER(DefineOptions), c_void_p, c_void_p, c_void_p, error)
    declare(c_int32, "context_return", c_void_p, c_void_p)
    declare(c_int32, "context_raise", c_void_p, *text, *text)
    declare(c_int32, "context_note", c_void_p, *text)
    declare(c_int32, "context_tag", c_void_p, c_uint64)
    declare(c_bool, "context_cancelled", c_void_p)
    declare(c_int32, "set_output", handle, c_void_p, c_void_p, c_void_p, error)
    declare(c_int32, "cancel_new", POINTER(handle), error)
    declare(None, "cancel_fire cancel_free", handle)
    declare(c_bool, "value_block", value, POINTER(c_void_p), POINTER(c_size_t))
    declare(None, "value_free", value)

    strings, number, length = POINTER(c_char_p), POINTER(c_int32), POINTER(c_size_t)
    declare(c_char_p, "status_name", c_int32)
    declare(c_int32, "error_status", c_void_p)
    declare(c_void_p, "error_message error_type_name error_type_qualname error_type_module", c_void_p, length)
    declare(c_void_p, "error_exception_message error_formatted error_display", c_void_p, length)
    declare(c_size_t, "error_frame_count", c_void_p)
    declare(c_bool, "error_frame", c_void_p, c_size_t, POINTER(Frame))
    declare(c_bool, "error_syntax", c_void_p, number, number, strings)
    declare(c_bool, "error_exit_status", c_void_p, number)
    declare(c_bool, "error_crash", c_void_p, number, number)
    declare(c_bool, "error_row", c_void_p, length)
    declare(c_uint64, "error_tag", c_void_p)
    declare(None, "error_free", c_void_p)
    return library


library = _load()
