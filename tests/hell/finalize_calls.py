# Calls the host in an atexit handler, in `weakref.finalize`, and in a thread's last breath.
import atexit, host, threading, weakref


class Thing:
    pass


kept = Thing()
atexit.register(host.note)
weakref.finalize(kept, host.note)
local = threading.local()
threading.Thread(target=host.note).start()
