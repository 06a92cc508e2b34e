# Forks with the C library's function, of which Python sees nothing.
import ctypes, os

child = ctypes.CDLL(None).fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
