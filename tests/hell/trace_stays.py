# Traces all that runs from now on, and sets another line as the next one.
import sys, threading


def trace(frame, event, argument):
    try:
        frame.f_lineno = 1
    except ValueError:
        pass
    return trace


threading.settrace_all_threads(trace)
