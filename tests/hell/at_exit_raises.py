# Raises in atexit handlers, and leaves with SystemExit and KeyboardInterrupt.
import atexit


def raises(kind):
    raise kind


for kind in (RuntimeError, SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError):
    atexit.register(raises, kind)
