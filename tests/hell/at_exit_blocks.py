# Never ends in an atexit handler.
import atexit, time


@atexit.register
def forever():
    while True:
        time.sleep(0.01)


