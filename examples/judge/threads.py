# Threads that never end: one computes, one sleeps a little again and again, one is a timer of an hour.
import threading
import time


def compute():
    while True:
        pass


def doze():
    while True:
        time.sleep(0.01)


threading.Thread(target=compute).start()
threading.Thread(target=doze).start()
threading.Timer(3600, print).start()
