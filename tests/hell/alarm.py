# Has an alarm that is handled by a function which raises, and computes until then.
import signal

signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
signal.setitimer(signal.ITIMER_REAL, 0.05)
while True:
    pass
