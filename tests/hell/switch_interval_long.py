# Has threads take turns once in an hour.
import sys, threading

sys.setswitchinterval(4000)
done = threading.Event()
thread = threading.Thread(target=done.set)
thread.start()
thread.join()
