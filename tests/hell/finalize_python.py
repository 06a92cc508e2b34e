# Calls `Py_Finalize()`.
import ctypes

ctypes.pythonapi.Py_Finalize()
