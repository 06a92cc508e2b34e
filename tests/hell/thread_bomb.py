# Starts 200 threads that start threads.
import threading


def start(depth):
    if depth:
        threading.Thread(target=start, args=(depth - 1,)).start()


for _ in range(50):
    start(4)
