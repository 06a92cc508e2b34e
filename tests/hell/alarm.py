# Has an alarm that is handled by a function that raises, or by nobody, in a quarter of a second.
import signal

signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
signal.setitimer(signal.ITIMER_REAL, 0.001)
while True:
    pass
