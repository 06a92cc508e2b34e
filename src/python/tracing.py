import sys

import _tracemalloc


def watch():
    original = _tracemalloc.start
    if original.__module__ == __name__:
        return

    def start(nframe=1, /):
        sys.audit("subpy.tracemalloc")
        original(nframe)

    start.__doc__ = original.__doc__
    for module in _tracemalloc, sys.modules.get("tracemalloc"):
        if module:
            module.start = start
