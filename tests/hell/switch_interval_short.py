# Has threads take turns a billion times a second.
import sys, threading

sys.setswitchinterval(1e-9)
threads = [threading.Thread(target=sum, args=(range(10_000),)) for _ in range(4)]
for thread in threads:
    thread.start()
