"""The contenders that are Python's own: pools of concurrent.futures. What this prints is for stream.c.

    python pools.py interpreters|processes|readers WORKERS CHUNK FILE
"""

import os
import platform
import sys
from collections import deque
from concurrent.futures import InterpreterPoolExecutor, ProcessPoolExecutor
from time import perf_counter

import traffic


def parts(path, size):
    """Where the chunks are: each is as long as asked for, and then up to the end of the line."""
    last = os.path.getsize(path)
    with open(path, "rb") as file:
        file.readline()  # the names of the columns
        end = file.tell()
        while end < last:
            begin = end
            file.seek(min(begin + size, last))
            file.readline()
            end = file.tell()
            yield begin, end - begin


def chunks(path, size):
    with open(path, "rb") as file:
        for begin, length in parts(path, size):
            file.seek(begin)
            yield file.read(length)


def analyse(executor, mode, workers, size, path):
    """A few chunks are on their way at any time, not all of them."""
    lengths = deque()

    def noted(items, length):
        for item in items:
            lengths.append(length(item))
            yield item

    def counted(digests):
        done = 0
        for digest in digests:
            done += lengths.popleft()
            print("done", done, flush=True)
            yield digest

    if mode == "readers":
        places = noted(((path, *part) for part in parts(path, size)), lambda place: place[2])
        digests = executor.map(traffic.work_on, places, buffersize=2 * workers)
    else:
        digests = executor.map(traffic.digest, noted(chunks(path, size), len), buffersize=2 * workers)
    return traffic.collect(counted(digests))


def main(mode, workers, size, path):
    workers = int(workers)
    start = perf_counter()
    with (InterpreterPoolExecutor if mode == "interpreters" else ProcessPoolExecutor)(workers) as executor:
        list(executor.map(traffic.digest, [b""] * workers))  # it starts its workers when there is something to do
        ready = perf_counter()
        print("ready", ready - start, flush=True)
        lines = analyse(executor, mode, workers, int(size), path)
        seconds = perf_counter() - ready
        for line in lines:
            print("row", line)
        print("end", seconds, platform.python_version(), flush=True)
        sys.stdin.read()  # until somebody has looked at how much memory there is


if __name__ == "__main__":
    main(*sys.argv[1:])
