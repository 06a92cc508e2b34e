# Has the collector keep all garbage, and look for it all the time.
import gc

gc.set_debug(gc.DEBUG_SAVEALL)
gc.set_threshold(1, 1, 1)


class Thing:
    def __del__(self):
        self.it = [self]


for _ in range(100):
    it = Thing()
    it.it = it
