"""For each line "KIND COUNT": submits so many jobs, waits for all results, and prints the seconds that took."""

import sys
import time

from app import actors

for line in sys.stdin:
    kind, count = line.split()
    begin = time.perf_counter()
    messages = [actors[kind].send(number) for number in range(int(count))]
    for number, message in enumerate(messages):
        assert message.get_result(block=True, timeout=120_000) == number
    print(time.perf_counter() - begin, flush=True)
