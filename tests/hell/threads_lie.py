# Has a thread in the list of threads whose every attribute raises, and one that is an int.
import threading


class Thread(threading.Thread):
    def __getattribute__(self, name):
        raise RuntimeError(name)


threading._active[1] = object.__new__(Thread)
threading._active[2] = 42
