# Traces memory, and looks at what was found.
import tracemalloc
tracemalloc.start(10)
kept = [str(n) * 20 for n in range(10000)]
for _ in range(3):
    snapshot = tracemalloc.take_snapshot()
    repr(snapshot.statistics("lineno")[:10])
