# Makes ten interpreters, of which one runs in a thread, and leaves them.
import _interpreters, threading

made = [_interpreters.create() for _ in range(10)]
thread = threading.Thread(target=_interpreters.exec, args=(made[0], "import time; time.sleep(0.2)"))
thread.start()
