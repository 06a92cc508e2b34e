# A thread prints when the script has ended.
import threading
import time


def work():
    time.sleep(0.05)
    print("done in the background")


threading.Thread(target=work, daemon=False).start()
print("started")
