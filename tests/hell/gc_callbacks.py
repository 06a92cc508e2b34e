# Has the collector call functions that raise, collect, and empty the list they are in.
import gc


def raises(*_):
    raise RuntimeError("collected")


gc.callbacks[:] = [raises, lambda *_: gc.collect(), lambda *_: gc.callbacks.clear(), 42]
gc.collect()
