# Adds an audit hook that raises at every event.
import sys


def hook(*_):
    raise RuntimeError("audited")


sys.addaudithook(hook)
