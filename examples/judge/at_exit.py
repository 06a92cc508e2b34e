# An atexit handler that never ends: nothing happens before the interpreter is closed.
import atexit


def compute():
    while True:
        pass


atexit.register(compute)
