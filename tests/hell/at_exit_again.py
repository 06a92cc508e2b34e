# Registers an atexit handler in an atexit handler, and in that another one.
import atexit


def again(count):
    if count:
        atexit.register(again, count - 1)


atexit.register(again, 10_000)
