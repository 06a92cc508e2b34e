"""The same work through concurrent.interpreters; prints "name <TAB> value", in the units of call.c and cycle.c."""

from concurrent import interpreters
from statistics import median
from threading import Thread
from time import perf_counter


def f(a, b):
    return a + b


def show(name, rounds, count, run):
    run()
    times = []
    for _ in range(rounds):
        start = perf_counter()
        for _ in range(count):
            run()
        times.append((perf_counter() - start) / count * 1e6)
    print(f"{name}\t{median(times):.3f}")


def show_all(where):
    interp = interpreters.create()
    show(f"call f(a, b), {where}", 101, 100, lambda: interp.call(f, 1, 2000))
    show(f"exec x = 1, {where}", 101, 100, lambda: interp.exec("x = 1"))
    interp.close()


def resident_kib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4


def cycles(count):
    times = []
    for _ in range(count):
        start = perf_counter()
        interp = interpreters.create()
        created = perf_counter()
        interp.exec("x = 1")
        executed = perf_counter()
        interp.close()
        times.append((created - start, executed - created, perf_counter() - executed))
    return times


show_all("main thread")
thread = Thread(target=show_all, args=["worker thread"])
thread.start()
thread.join()

cycles(50)
before = resident_kib()
times = cycles(1000)
left = (resident_kib() - before) / 1000
for name, part in zip(("create", "first exec", "close"), zip(*times)):
    print(f"{name} (ms)\t{median(part) * 1e3:.3f}")
print(f"left by a cycle (KiB)\t{left:.2f}")
