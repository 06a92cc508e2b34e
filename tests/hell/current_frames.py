# Looks at the frames and exceptions of all threads.
import sys

for _ in range(100):
    frames = sys._current_frames(), sys._current_exceptions()
    repr(frames)
