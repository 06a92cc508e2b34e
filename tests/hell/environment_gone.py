# Empties the environment, in Python and in C.
import ctypes, os

os.environ.clear()
ctypes.CDLL(None).clearenv()
