# Keeps what `sys.unraisablehook` gets, and revives what is being deleted.
import sys

kept = []
sys.unraisablehook = kept.append


class Thing:
    def __del__(self):
        kept.append(self)
        raise RuntimeError("revived")


Thing()
things = [Thing() for _ in range(100)]
