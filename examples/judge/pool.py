# A pool of threads with more work than it can ever do.
from concurrent.futures import ThreadPoolExecutor


def compute():
    while True:
        pass


pool = ThreadPoolExecutor(2)
for _ in range(10):
    pool.submit(compute)
