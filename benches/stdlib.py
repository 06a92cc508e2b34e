"""What CPython itself offers: "interpreters", "interpreter-pool", "process-pool" or "threads". Commands as in worker.h.

    python stdlib.py MODE FILE-WITH-THE-LONG-SOURCE
"""

import mmap
import os
import sys
import traceback
from concurrent import interpreters
from concurrent.futures import InterpreterPoolExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from threading import Barrier, Thread
from time import perf_counter_ns, sleep

import guest
from stdlib_data import Data

MODE = sys.argv[1]
TEXT = "x" * 1024
WIDE_TEXT = "Grüße, мир!" * 64
BYTES = bytes(range(256)) * 4096
NUMBERS = guest.NUMBERS
FLOATS = [i + 0.5 for i in range(1000)]
TABLE = guest.TABLE
SHORT = "x = 1"
FUNCTIONS = """def f(a, b=1):
    return a + b

def g(*args):
    return [f(a) for a in args]

def h(n):
    for i in range(n):
        yield g(i)

x = 3
"""


class Interpreter:
    def __init__(self):
        self.interp = interpreters.create()
        self.call = self.interp.call
        self.exec = self.interp.exec
        self.close = self.interp.close

    def many(self, rows):
        return [self.call(guest.add, 1000, 2000) for _ in range(rows)]

    def error(self):
        try:
            self.call(guest.fail)
        except interpreters.ExecutionFailed as error:
            return error.excinfo.errdisplay


EXECUTORS = {
    "interpreter-pool": InterpreterPoolExecutor,
    "process-pool": ProcessPoolExecutor,
    "threads": ThreadPoolExecutor,
}


class Pool:
    def __init__(self, workers=1, **options):
        self.pool = EXECUTORS[MODE](workers, **options)
        self.call(guest.nothing)  # a pool starts its workers when there is something to do

    def call(self, function, *args):
        return self.pool.submit(function, *args).result()

    def many(self, rows):
        return list(self.pool.map(guest.add, [1000] * rows, [2000] * rows, chunksize=rows))

    def exec(self, source):
        self.call(guest.run, source)

    def close(self):
        self.pool.shutdown()

    def error(self):
        try:
            self.call(guest.fail)
        except ValueError as error:
            return "".join(traceback.format_exception(error))


create = Interpreter if MODE == "interpreters" else Pool


def check_table(table):
    fields = ((key, *row.values()) for key, row in table.items())
    return sum(len(key) + len(name) + id + int(price) + active for key, id, name, price, active in fields)


def check_traceback(text):
    return "ValueError: wrong" in text and "guest.py" in text


def same(value):
    size = len(value.encode() if isinstance(value, str) else value)
    return lambda result: size if result == value else -1


# What to do, and the number made of the last result. A function of another module reaches the interpreter by its name.
WORKS = {
    "call_0": (lambda at: at.call(guest.nothing), lambda result: result is not None),
    "call_2": (lambda at: at.call(guest.add, 1000, 2000), int),
    "many_10": (lambda at: at.many(10), sum),
    "many_100": (lambda at: at.many(100), sum),
    "text": (lambda at: at.call(guest.same, TEXT), same(TEXT)),
    "text_short": (lambda at: at.call(guest.same, TEXT[:16]), same(TEXT[:16])),
    "text_wide": (lambda at: at.call(guest.same, WIDE_TEXT), same(WIDE_TEXT)),
    "list_in": (lambda at: at.call(guest.length, NUMBERS), int),
    "list_out": (lambda at: at.call(guest.numbers), sum),
    "floats": (lambda at: at.call(guest.same, FLOATS), lambda result: int(sum(result))),
    "bytes": (lambda at: at.call(guest.same, BYTES), same(BYTES)),
    "dict_in": (lambda at: at.call(guest.length, TABLE), int),
    "dict_out": (lambda at: at.call(guest.table), check_table),
    "exec_short": (lambda at: at.exec(SHORT), None),
    "exec_functions": (lambda at: at.exec(FUNCTIONS), None),
    "exec_long": (lambda at: at.exec(LONG), None),
    "eval": (lambda at: at.call(guest.value, "1 + 2"), int),
    "exception": (lambda at: at.error(), check_traceback),
    "spin": (lambda at: at.call(guest.spin), int),
}


def on(thread, run, *args):
    """What it returned; on "two" threads at once, the mean."""
    if thread == "main":
        return run(*args)
    results = []
    workers = [Thread(target=lambda: results.append(run(*args))) for _ in range(2 if thread == "two" else 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [sum(figures) // len(workers) for figures in zip(*results)]


def time(at, work, count):
    if work == "print":
        start = perf_counter_ns()
        result = at.call(guest.say, count)
        return int(result is not None), perf_counter_ns() - start
    if work in data.works:
        data.works[work](at, 1)
        data.not_counted = 0
        start = perf_counter_ns()
        result = data.works[work](at, count)
        return result, perf_counter_ns() - start - data.not_counted
    run, check = WORKS[work]
    run(at)
    start = perf_counter_ns()
    for _ in range(count):
        result = run(at)
    elapsed = perf_counter_ns() - start
    return int(check(result) if check else at.call(guest.value, "x")), elapsed


def cycle(count):
    creates = closes = 0
    for _ in range(count):
        start = perf_counter_ns()
        at = create()
        creates += perf_counter_ns() - start
        at.exec(SHORT)
        start = perf_counter_ns()
        at.close()
        closes += perf_counter_ns() - start
    return creates, closes


kept = []  # until the process ends


def hold(count):
    for _ in range(count):
        at = create()
        at.exec(SHORT)
        kept.append(at)
    return (0,)


own = []
pools = {}


def slots(kind, threads):
    """What the threads are to use, or None when there is no such thing."""
    if MODE == "interpreters":
        while len(own) < threads:
            own.append(prepared(create()))
        return own[:threads] if kind == "own" else None
    if kind == "share":
        return None
    workers = threads if kind == "own" else 1
    if workers not in pools:
        pools[workers] = prepared(Pool(workers))
    return [pools[workers]] * threads


def prepared(at):
    at.exec("from guest import *")
    return at


def parallel(work, kind, threads, ms, waits=False):
    run, check = WORKS[work]
    ats = slots(kind, threads)
    if ats is None:
        return ("-",)
    barrier = Barrier(threads + 1)
    stop = False
    outcomes = []
    tenths = max(1, ms // 100) if waits else 0
    longest = [[0] * tenths for _ in ats]

    def until_stopped(at, mine):
        result = run(at)
        barrier.wait()
        count = 0
        last = start = perf_counter_ns()
        while count == 0 or not stop:
            result = run(at)
            count += 1
            if waits:
                time = perf_counter_ns()
                for i in range((last - start) // 100_000_000, min((time - start) // 100_000_000 + 1, tenths)):
                    mine[i] = max(mine[i], time - last)
                last = time
        outcomes.append((count, int(check(result)), start, perf_counter_ns()))

    workers = [Thread(target=until_stopped, args=each) for each in zip(ats, longest)]
    for worker in workers:
        worker.start()
    barrier.wait()
    sleep(ms / 1000)
    stop = True
    for worker in workers:
        worker.join()
    counts, results, starts, ends = zip(*outcomes)
    result = results[0] if len(set(results)) == 1 else -1
    if waits:
        times = sorted(sum(longest, []))
        return result, times[len(times) // 2], times[len(times) * 99 // 100], times[-1]
    return result, sum(counts), min(counts), max(counts), max(ends) - min(starts)


mappings = []


def map_more(more):
    """The kernel keeps one mapping for each run of pages with the same protection."""
    for mapping in mappings:
        mapping.close()
    mappings.clear()
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    for i in range(3000 if more else 0):
        mappings.append(mmap.mmap(-1, mmap.PAGESIZE, flags, mmap.PROT_READ | (i % 2 and mmap.PROT_WRITE)))


def command(name, *args):
    match name:
        case "time":
            return on(args[1], time, slots("own", 1)[0], args[0], int(args[2]))
        case "cycle":
            return on(args[0], cycle, int(args[1]))
        case "hold":
            return hold(int(args[0]))
        case "parallel" | "waits":
            return parallel(args[0], args[1], int(args[2]), int(args[3]), name == "waits")
        case "map" | "unmap":
            map_more(name == "map")
            return (0,)


if __name__ == "__main__":
    data = Data(MODE, Pool)
    with open(sys.argv[2]) as file:
        LONG = file.read()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        print(*command(*line.split()), file=answers, flush=True)
    data.end()
    for at in [*kept, *own, *pools.values()]:
        at.close()
