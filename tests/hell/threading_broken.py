# Breaks the module `threading` inside: its lists of threads, its end.
import threading


def fail(*_):
    raise RuntimeError("no")


threading._active = threading._limbo = threading._dangling = 42
threading._shutdown = threading._register_atexit = fail
