# Traces with a function that raises.
import sys, threading


def trace(*_):
    raise RuntimeError("traced")


threading.settrace_all_threads(trace)
sys.settrace(trace)


def traced():
    pass


traced()
