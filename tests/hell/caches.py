# Clears caches, prints statistics, counts all objects.
import gc, sys

for n in range(20):
    sys._clear_internal_caches()
    sys._debugmallocstats()
    gc.get_objects()
    exec(f"def f{n}(n): return n and f{n}(n - 1)\nf{n}(20)")
