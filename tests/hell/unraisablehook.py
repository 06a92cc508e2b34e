# Has `sys.unraisablehook` raise, and raises in `__del__` and the callbacks of weak references.
import sys, weakref


def hook(*_):
    raise RuntimeError("hooked")


class Thing:
    def __del__(self):
        raise RuntimeError("deleted")


def raises(_):
    raise RuntimeError("gone")


sys.unraisablehook = hook
thing, kept = Thing(), Thing()
reference = weakref.ref(thing, raises)
at_the_end = weakref.ref(kept, raises)
del thing
