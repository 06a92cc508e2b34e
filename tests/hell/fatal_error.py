# Calls `Py_FatalError()`.
import ctypes

ctypes.pythonapi.Py_FatalError(b"from hell")
