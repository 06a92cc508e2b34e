# Replaces the hooks for exceptions by functions that raise, and raises, also in a thread.
import sys, threading


def hook(*_):
    raise RuntimeError("hooked")


sys.excepthook = threading.excepthook = sys.__excepthook__ = hook
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise ValueError
