# Starts a thread, and an interpreter, in an atexit handler.
import atexit, threading


@atexit.register
def start():
    import _interpreters

    try:
        threading.Thread(target=print).start()
    finally:
        _interpreters.create()
