# Switches the collector off, freezes what there is, leaves garbage.
import gc

gc.disable()
gc.freeze()
for _ in range(10_000):
    it = []
    it.append(it)
