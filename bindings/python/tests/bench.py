"""What calls cost beside `concurrent.interpreters`: microseconds, best of five rounds. `bench.py 0.01` is quicker."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent import interpreters
from concurrent.futures import InterpreterPoolExecutor

import subpy

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5


def measure(what: str, function: Callable[[], object]) -> None:
    best, count = float("inf"), 1
    for _ in range(5):
        spent = 0.0
        while spent < SECONDS:
            start = time.perf_counter()
            for _ in range(count):
                function()
            spent = time.perf_counter() - start
            best = min(best, spent / count)
            if spent < SECONDS:
                count *= 2
    print(f"{what:48}{best * 1e6:10.1f}")


def add(a: int, b: int) -> int:
    return a + b


def numbers() -> list:
    return list(range(1000))


def concurrent_interpreters() -> None:
    interp = interpreters.create()
    argument = numbers()
    measure("concurrent.interpreters: add(2, 3)", lambda: interp.call(add, 2, 3))
    measure("concurrent.interpreters: exec 'x = 1'", lambda: interp.exec("x = 1"))
    measure("concurrent.interpreters: a list of 1,000 ints out", lambda: interp.call(numbers))
    measure("concurrent.interpreters: a list of 1,000 ints in", lambda: interp.call(len, argument))
    interp.close()
    queue = interpreters.create_queue()
    measure("concurrent.interpreters: put and get", lambda: (queue.put(1), queue.get()))
    with InterpreterPoolExecutor(2) as pool:
        measure("concurrent.futures: a pool, 100 x abs()", lambda: [*pool.map(abs, range(100))])


def with_subpy() -> None:
    argument = numbers()
    with subpy.create() as interp:
        interp.exec("def add(a, b): return a + b\nnumbers = list(range(1000))")
        measure("subpy: add(2, 3)", lambda: interp.call("add", 2, 3))
        prepared = interp.function("add")
        with interp.session():
            measure("subpy: add(2, 3), prepared, in a session", lambda: prepared(2, 3))
        rows = [(2, 3)] * 100
        measure("subpy: 100 rows of add(2, 3)", lambda: prepared.call_many(rows))
        measure("subpy: exec 'x = 1'", lambda: interp.exec("x = 1"))
        measure("subpy: a list of 1,000 ints out", lambda: interp.eval("numbers"))
        measure("subpy: a list of 1,000 ints in", lambda: interp.call("builtins:len", argument))
    queue = subpy.create_queue()
    measure("subpy: put and get", lambda: (queue.put(1), queue.get()))
    with subpy.InterpreterPoolExecutor(2) as pool:
        measure("subpy: a pool, 100 x abs()", lambda: [*pool.map(abs, range(100))])
        measure("subpy: a pool, 100 x abs(), chunksize=25", lambda: [*pool.map(abs, range(100), chunksize=25)])


if __name__ == "__main__":
    # subpy last: from its start on, its allocator makes the calls of concurrent.interpreters faster, too.
    for work in (concurrent_interpreters, with_subpy):
        print("---- on the main thread")
        work()
        print("---- on another thread")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    subpy.shutdown()
