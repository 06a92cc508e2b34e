# Starts threads with `_thread`, which nobody waits for, that never end: one computes, one sleeps, one waits for a lock.
import _thread, time

lock = _thread.allocate_lock()
lock.acquire()


def forever():
    while True:
        pass


_thread.start_new_thread(forever, ())
_thread.start_new_thread(time.sleep, (1000,))
_thread.start_new_thread(lock.acquire, ())
