# A sleep of an hour: in C, without the GIL.
import time

time.sleep(3600)
