# An atexit handler that sleeps for an hour.
import atexit
import time

atexit.register(time.sleep, 3600)
