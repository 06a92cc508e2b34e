# The same, and the child goes on with Python code: it makes threads, imports, and ends as a program does.
import ctypes, os

child = ctypes.CDLL(None).fork()
if child == 0:
    try:
        import threading, decimal

        threading.Thread(target=decimal.Decimal).start()
    finally:
        os._exit(0)
os.waitpid(child, 0)
