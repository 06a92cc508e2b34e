"""The same with a ProcessPoolExecutor of so many processes: pool_client.py WORKERS."""

import sys
import time
from concurrent.futures import ProcessPoolExecutor

import jobs

if __name__ == "__main__":
    with ProcessPoolExecutor(int(sys.argv[1])) as pool:
        for line in sys.stdin:
            kind, count = line.split()
            begin = time.perf_counter()
            futures = [pool.submit(getattr(jobs, kind), number) for number in range(int(count))]
            for number, future in enumerate(futures):
                assert future.result() == number
            print(time.perf_counter() - begin, flush=True)
