# Replaces the module `threading` by an object whose attributes raise.
import sys, threading

threading.Thread(target=lambda: None).start()


class Evil:
    def __getattribute__(self, name):
        raise RuntimeError(name)


sys.modules["threading"] = Evil()
