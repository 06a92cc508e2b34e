"""The library as a host sees it that is a Python: ctypes."""

import ctypes
import sys


class Value(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int32), ("flags", ctypes.c_uint32), ("len", ctypes.c_size_t), ("u", ctypes.c_int64)]


class Subpy:
    AUTO_LEN = ctypes.c_size_t(-1)

    def __init__(self, load):
        self.library = load(sys.argv[1])
        self.library.subpy_error_message.restype = ctypes.c_char_p
        self.library.subpy_error_message.argtypes = [ctypes.c_void_p, ctypes.c_void_p]

    def attempt(self, name, *args):
        """The status and the message of one call."""
        error = ctypes.c_void_p()
        status = getattr(self.library, name)(*args, ctypes.byref(error))
        message = self.library.subpy_error_message(error, None)
        self.library.subpy_error_free(error)
        return status, message.decode() if message else None

    def call(self, name, *args):
        status, message = self.attempt(name, *args)
        assert status == 0, (name, status, message)

    def create(self):
        interp = ctypes.c_uint64()
        self.call("subpy_create", None, ctypes.byref(interp))
        return interp

    def exec(self, interp, code):
        self.call("subpy_exec", interp, code.encode(), self.AUTO_LEN)

    def eval(self, interp, expression):
        """The value of an expression that is an int."""
        value = Value()
        self.call("subpy_eval", interp, expression.encode(), self.AUTO_LEN, ctypes.byref(value))
        assert value.kind == 2, value.kind
        return value.u
