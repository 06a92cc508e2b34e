# Asks for more memory than there is, in several ways.
import sys

for huge in (lambda: "x" * (1 << 60), lambda: [0] * (1 << 60), lambda: 1 << (1 << 60), lambda: bytes(sys.maxsize)):
    try:
        huge()
    except (MemoryError, OverflowError):
        pass
raise MemoryError
