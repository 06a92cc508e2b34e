"""`multiprocessing`, whose processes begin with a "fork", by a "forkserver" or by a "spawn". Commands as in worker.h.

    python processes.py MODE FILE-WITH-THE-LONG-SOURCE

All is done on the main thread: a fork of a process that has others is warned of. What is imported here, a spawn imports
again, so it is little.
"""

import multiprocessing
import os
import sys
from time import perf_counter_ns

import guest

TASKS = 1000


class Processes:
    def __init__(self, method):
        self.context = multiprocessing.get_context(method)
        self.pools, self.kept = {}, []
        self.memory = None
        self.not_counted = 0
        works = [self.call_2, self.bytes, self.copied, self.shared, self.filled, self.tasks_1000, self.map_1000]
        self.works = {work.__name__: work for work in [*works, self.first]}

    def pool(self, workers):
        if workers not in self.pools:
            self.pools[workers] = self.context.Pool(workers)
        return self.pools[workers]

    def call(self, function, *args):
        return self.pool(1).apply(function, args)

    def call_2(self, count):
        for _ in range(count):
            result = self.call(guest.add, 1000, 2000)
        return result

    def bytes(self, count):
        data = bytes(range(256)) * 4096
        for _ in range(count):
            result = self.call(guest.same, data)
        return len(result) if result == data else -1

    def copied(self, count):
        from shared import BLOB

        for _ in range(count):
            result = self.call(guest.last, BLOB)
        return result

    def in_memory(self):
        if self.memory is None:
            from shared import Shared

            self.memory = Shared(self.call)
        return self.memory

    def shared(self, count):
        return self.in_memory().shared(count)

    def filled(self, count):
        return self.in_memory().filled(count)

    def tasks_1000(self, count):
        pool = self.pool(2)
        for _ in range(count):
            tasks = [pool.apply_async(guest.add, (1000, 2000)) for _ in range(TASKS)]
            result = sum(task.get() for task in tasks)
        return result

    def map_1000(self, count):
        pool = self.pool(2)
        for _ in range(count):
            result = sum(pool.starmap(guest.add, [(1000, 2000)] * TASKS, chunksize=100))
        return result

    def started(self):
        """A process that has said something, what it said, and what it waits for."""
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=guest.tell, args=(theirs,))
        process.start()
        theirs.close()
        return process, ours.recv(), ours

    def first(self, count):
        for _ in range(count):
            process, result, pipe = self.started()
            start = perf_counter_ns()
            self.finish(process, pipe)
            self.not_counted += perf_counter_ns() - start
        return result

    @staticmethod
    def finish(process, pipe):
        pipe.send(None)
        process.join()
        pipe.close()

    def hold(self, count):
        for _ in range(count):
            process, _, pipe = self.started()
            self.kept.append((process, pipe))

    def time(self, work, count):
        self.works[work](1)
        self.not_counted = 0
        start = perf_counter_ns()
        result = self.works[work](count)
        return result, perf_counter_ns() - start - self.not_counted

    def end(self):
        for process, pipe in self.kept:
            self.finish(process, pipe)
        for pool in self.pools.values():
            pool.terminate()
            pool.join()
        if self.memory is not None:
            self.memory.end()


if __name__ == "__main__":
    processes = Processes(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        match line.split():
            case ["time", work, _, count]:
                answer = processes.time(work, int(count))
            case ["hold", count]:
                processes.hold(int(count))
                answer = (0,)
            case _:
                answer = ("-",)
        print(*answer, file=answers, flush=True)
    processes.end()
