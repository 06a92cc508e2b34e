# Leaves a pool of threads with work.
import concurrent.futures, time

pool = concurrent.futures.ThreadPoolExecutor(4)
for _ in range(20):
    pool.submit(time.sleep, 0.005)
