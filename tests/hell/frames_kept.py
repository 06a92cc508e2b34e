# Keeps frames and tracebacks alive, of which each holds the other, and takes a frame's locals apart.
import sys


def keep():
    kept = sys._getframe()
    kept.f_locals["kept"] = kept
    return kept


frames = [keep() for _ in range(10)]
try:
    1 / 0
except ZeroDivisionError as error:
    last = error
frames.append(last.__traceback__.tb_frame)
for frame in frames[:5]:
    frame.clear()
