"""Pools: an executor of concurrent.futures, whose tasks run in interpreters."""

import asyncio
import concurrent.futures
import gc
import math
import os
import signal
import threading
import time

import subpy
from check import fails
from subpy import Flag, Isolation, Results, Status, _handles

SETUP = """
import time

def double(x):
    return x * 2

def add(a, b=0):
    return a + b

def fail(message):
    raise ValueError(message)

def wait(queue):
    return queue.get()

def spin():
    while True:
        pass

def invert(x):
    return 1 / x
"""


def use(pool: subpy.InterpreterPoolExecutor) -> None:
    assert isinstance(pool, concurrent.futures.Executor)
    assert pool.submit("add", 1, b=2).result() == 3
    assert pool.submit("math:sqrt", 16.0).result() == pool.submit(math.sqrt, 16.0).result() == 4
    assert pool.submit_eval("double(4)").result() == 8 and pool.submit_exec("x = 1").result() is None
    failed = pool.submit("fail", "no")
    assert failed.exception().excinfo.msg == "no" and failed.done() and not failed.cancelled()
    assert [*pool.map("double", range(100))] == [*range(0, 200, 2)]
    assert [*pool.map("add", [1, 2], [3, 4, 5])] == [4, 6] and [*pool.map("double", [])] == []
    lazily = pool.map("double", iter(range(10**12)), buffersize=4)
    assert [next(lazily) for _ in range(10)] == [*range(0, 20, 2)]
    lazily.close()

    futures = {pool.submit("double", number): number for number in range(20)}
    for future in concurrent.futures.as_completed(futures):
        assert future.result() == 2 * futures[future]
    told = []
    future = pool.submit("double", 1)
    future.add_done_callback(told.append)
    concurrent.futures.wait([future])
    while not told:
        pass
    assert told == [future]

    # The forms of results, output, and buffers.
    printed = []
    other = pool.with_options(results=Results.ARRAY, output=lambda stream, text: printed.append(text))
    numbers = other.submit("builtins:list", memoryview(bytes([1, 2]))).result()
    assert numbers.tolist() == [1, 2]
    other.submit("builtins:print", "printed").result()
    assert printed == ["printed\n"]
    thing = pool.with_options(results=Results.OBJECT).submit_eval("object()").result()
    assert str(thing).startswith("<object object")
    stats = pool.stats()
    assert stats.workers == 2 and stats.queued == stats.running == 0 and stats.done == stats.submitted > 130
    assert 0 <= stats.run_p50 <= stats.run_p99 < 10


def chunks(pool: subpy.InterpreterPoolExecutor) -> None:
    assert [*pool.map("double", range(1000), chunksize=30)] == [*range(0, 2000, 2)]
    assert [*pool.map("double", range(1000), chunksize=30, buffersize=5)] == [*range(0, 2000, 2)]
    assert [*pool.map("add", range(10), range(10), chunksize=3)] == [*range(0, 20, 2)]
    assert [*pool.map("double", [], chunksize=3)] == []
    for chunksize in (1, 2):
        results = pool.map("invert", [1, 2, 0, 4], chunksize=chunksize)
        assert [next(results), next(results)] == [1.0, 0.5]
        assert fails(subpy.ExecutionFailed, lambda: next(results)).excinfo.type.__name__ == "ZeroDivisionError"
        fails(StopIteration, lambda: next(results))
        waiting = subpy.create_queue()
        fails(TimeoutError, lambda: [*pool.map("wait", [waiting] * 4, chunksize=chunksize, timeout=0.05)])
        waiting.close()
        # What nobody takes any more is cancelled.
        before = pool.stats().done
        started = pool.map("time:sleep", [0.01] * 1000, chunksize=chunksize, buffersize=3)
        next(started)
        started.close()
        while pool.stats().running or pool.stats().queued or pool._pool.tasks:
            time.sleep(0.001)
        assert pool.stats().done - pool.stats().cancelled < before + 500
    # Nor what nobody has begun to take.
    before = pool.stats().done
    dropped = pool.map("time:sleep", [0.01] * 1000, chunksize=2, buffersize=3)
    del dropped
    gc.collect()
    while pool.stats().running or pool.stats().queued:
        time.sleep(0.001)
    assert pool.stats().done - pool.stats().cancelled < before + 500
    fails(ValueError, lambda: pool.map("double", [1], chunksize=0))
    fails(ValueError, lambda: pool.map("double", [1], chunksize=2, buffersize=0))
    with_cancel = subpy.Cancel()
    with_cancel.fire()
    stopped = pool.with_options(cancel=with_cancel).map("double", range(9), chunksize=3)
    fails(subpy.InterpreterInterruptedError, lambda: [*stopped])


def cancelled(pool: subpy.InterpreterPoolExecutor) -> None:
    waiting = subpy.create_queue()
    blocked = [pool.submit("wait", waiting) for _ in range(2)]
    queued = [pool.submit("double", 1) for _ in range(5)]
    assert queued[2].cancel() and queued[2].cancelled() and queued[2].cancel()
    fails(concurrent.futures.CancelledError, queued[2].result)
    concurrent.futures.wait([queued[2]])  # which takes one that the executor knows to be cancelled
    for _ in blocked:
        waiting.put("x")
    assert [future.result() for future in blocked] == ["x", "x"]
    assert [future.result() for future in queued if future is not queued[2]] == [2] * 4

    # One that runs is stopped, and its interpreter replaced.
    replaced = pool.stats().replaced
    spinning = pool.submit("spin")
    while not pool.stats().running:
        pass
    assert spinning.cancel()
    assert pool.submit("double", 2).result() == 4
    while pool.stats().replaced == replaced or pool.stats().running:
        pass

    assert isinstance(pool.with_options(timeout=0.05).submit("spin").exception(), subpy.InterpreterTimeoutError)
    token = subpy.Cancel()
    stopped = [pool.with_options(cancel=token).submit("spin") for _ in range(4)]
    token.fire()
    assert {type(future.exception()) for future in stopped} == {subpy.InterpreterInterruptedError}
    assert not token._others


def misuse(pool: subpy.InterpreterPoolExecutor) -> None:
    fails(subpy.NotShareableError, lambda: pool.submit("double", object()))
    fails(TypeError, lambda: pool.submit(lambda: 1))
    fails(TypeError, lambda: pool.submit(misuse))
    fails(TypeError, lambda: pool.submit("a".upper))
    fails(TypeError, lambda: pool.submit(3))
    assert isinstance(pool.submit_exec("1 +").exception(), subpy.SourceError)
    assert isinstance(pool.submit("nothing").exception(), subpy.ExecutionFailed)
    assert isinstance(pool.submit_eval("object()").exception(), subpy.NotShareableError)
    with subpy.create() as interp:
        thing = interp.eval_object("object()")
        assert isinstance(pool.submit("builtins:repr", thing).exception(), subpy.NotShareableError)
    for wrong in (0, -1):
        fails(ValueError, lambda wrong=wrong: subpy.InterpreterPoolExecutor(wrong))
    fails(subpy.ExecutionFailed, lambda: subpy.InterpreterPoolExecutor(1, setup="1 / 0"))
    fails(subpy.SourceError, lambda: subpy.InterpreterPoolExecutor(1, setup="1 /"))


def ends() -> None:
    pool = subpy.InterpreterPoolExecutor(1, setup=SETUP, spares=0)
    futures = [pool.submit("double", number) for number in range(10)]
    other = pool.with_options(timeout=1)
    pool.shutdown(wait=False)
    for closed in (pool, other):
        assert "after shutdown" in str(fails(RuntimeError, lambda closed=closed: closed.submit("double", 1)))
        fails(RuntimeError, lambda closed=closed: closed.map("double", [1], chunksize=2))
    assert [future.result() for future in futures] == [*range(0, 20, 2)]
    pool.shutdown()
    pool.shutdown()
    fails(subpy.InterpreterNotFoundError, pool.stats)

    # A map that is not at its end.
    pool = subpy.InterpreterPoolExecutor(1, setup=SETUP, backlog=4)
    results = pool.map("double", range(100), chunksize=2, buffersize=1)
    assert next(results) == 0
    pool.shutdown()
    rest = []
    fails(subpy.InterpreterError, lambda: rest.extend(results) or [rest.append(result) for result in results])

    with subpy.InterpreterPoolExecutor(1, setup=SETUP) as pool:
        futures = [pool.submit("spin"), *[pool.submit("double", number) for number in range(10)]]
        pool.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in futures)

    pool = subpy.InterpreterPoolExecutor(1, setup=SETUP)
    futures = [pool.submit("spin") for _ in range(3)]
    for options in ({}, {"timeout": 0.02, "drain": True}):
        assert fails(subpy.InterpreterError, lambda options=options: pool.close(**options)).status == Status.BUSY
    assert not any(future.done() for future in futures)
    pool.close(timeout=30, interrupt=True)
    assert {type(future.exception()) for future in futures} == {subpy.InterpreterInterruptedError}
    fails(RuntimeError, lambda: pool.submit("double", 1))

    # From what is called when a task has ended, on the pool's own thread.
    pool, said = subpy.InterpreterPoolExecutor(1, setup=SETUP), []

    def close(_: object) -> None:
        try:
            pool.close(drain=True)
        except subpy.InterpreterError as error:
            said.append(error.status)

    waiting = subpy.create_queue()
    future = pool.submit("wait", waiting)
    future.add_done_callback(close)
    future.add_done_callback(lambda _: said.append(pool.submit("double", 21)))
    waiting.put(1)
    while len(said) < 2:
        pass
    assert said[0] == Status.WRONG_STATE and said[1].result() == 42
    pool.shutdown()


def options() -> None:
    made = []

    def prepare(interp: subpy.Interpreter) -> None:
        interp.define("host:number", lambda: 42)
        made.append(interp)

    with subpy.InterpreterPoolExecutor(
        1, setup="import host\nx = host.number()", prepare=prepare, runs_per_worker=2, flags=Flag.TAGGED_VALUES
    ) as pool:
        assert [pool.submit_eval("{x}").result() for _ in range(6)] == [{42}] * 6
        assert len(made) >= 3 and len(set(made)) == len(made)
    with subpy.InterpreterPoolExecutor(1, setup=SETUP, backlog=2, timeout=30) as pool:
        waiting = subpy.create_queue()
        blocked = [pool.submit("wait", waiting) for _ in range(3)]
        # There is no room, and Ctrl-C ends the wait for it.
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        fails(KeyboardInterrupt, lambda: [pool.submit("wait", waiting) for _ in range(2)])
        for number in range(10):
            waiting.put(number)
        assert sorted(future.result() for future in blocked) == [0, 1, 2]
        many = [pool.with_options(submitter=number % 3).submit("double", number) for number in range(50)]
        assert [future.result() for future in many] == [*range(0, 100, 2)]


def in_event_loops(pool: subpy.InterpreterPoolExecutor) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 60  # or it would be said on a busy machine
        assert await loop.run_in_executor(pool, math.sqrt, 9.0) == 3
        assert await asyncio.gather(*(asyncio.wrap_future(pool.submit("double", n)) for n in range(9))) == [
            *range(0, 18, 2)
        ]
        # A task of asyncio's that is cancelled, or late, stops the code.
        try:
            async with asyncio.timeout(0.05):
                await asyncio.wrap_future(pool.submit("spin"))
        except TimeoutError:
            pass
        else:
            raise AssertionError("it did not end")
        while pool.stats().running:
            await asyncio.sleep(0.01)

    asyncio.run(run(), debug=True)


def threads() -> None:
    """call_in_thread() gives a future too."""
    with subpy.create() as interp:
        future = interp.call_in_thread("builtins:abs", -3).future()
        assert future.result() == 3
        assert fails(subpy.ExecutionFailed, interp.call_in_thread("nothing").future().result).excinfo
        waiting = subpy.create_queue()
        thread = interp.call_in_thread("subpy_queues:Queue.get", waiting)
        future = thread.future()
        assert future.running() and not future.cancel()
        waiting.put("x")
        assert future.result() == "x"
        fails(subpy.InterpreterNotFoundError, thread.join)
        fails(subpy.InterpreterNotFoundError, thread.future)


def leaks(pool: subpy.InterpreterPoolExecutor) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def rounds(count: int) -> None:
        with_output = pool.with_options(output=lambda *_: None, cancel=subpy.Cancel())
        for number in range(count):
            futures = [with_output.submit("builtins:len", memoryview(bytes(1 << 20))), pool.submit("fail", "x" * 100_000)]
            futures += [pool.submit("double", b"x" * 100_000), pool.submit("time:sleep", 10)]
            futures[3].cancel()
            assert futures[0].result() == 1 << 20 and futures[1].exception() and len(futures[2].result()) == 200_000

    rounds(10)
    gc.collect()
    before = resident()
    rounds(40)
    gc.collect()
    while pool._pool.tasks:
        time.sleep(0.01)
    grown = resident() - before
    assert grown < 40 << 20, grown
    assert not _handles.called, {**_handles.called}


def races() -> None:
    """Threads submit, wait and cancel, and one closes the pool."""
    for turn in range(10):
        pool = subpy.InterpreterPoolExecutor(2, setup=SETUP)
        go, outcomes = threading.Barrier(5), [0] * 4

        def work(index: int) -> None:
            go.wait()
            try:
                while True:
                    future = pool.submit("double", index)
                    if index == 3:
                        future.cancel()
                    try:
                        assert future.result() == 2 * index
                    except (concurrent.futures.CancelledError, subpy.InterpreterInterruptedError):
                        pass
                    outcomes[index] += 1
            except RuntimeError:
                pass
            except subpy.InterpreterError as error:
                assert error.status in (Status.BUSY, Status.WRONG_STATE, Status.NOT_FOUND, Status.INTERRUPTED), error

        threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        go.wait()
        time.sleep(0.02)
        if turn % 2:
            pool.shutdown(cancel_futures=turn % 4 == 1)
        else:
            pool.close(timeout=30, interrupt=True)
        for thread in threads:
            thread.join()
        assert not pool._pool.tasks, pool._pool.tasks


def isolation() -> None:
    with subpy.InterpreterPoolExecutor(2, setup=SETUP, isolation=Isolation.PROCESS, grace=0.05) as pool:
        bad = [
            pool.submit_exec("import os; os._exit(3)"),
            pool.submit_exec("import ctypes; ctypes.string_at(1)"),
            pool.with_options(timeout=0.03).submit_exec("import itertools; sum(itertools.repeat(1))"),
        ]
        assert [*pool.map("double", range(200))] == [*range(0, 400, 2)]
        errors = [future.exception() for future in bad]
        assert isinstance(errors[0], subpy.InterpreterCrashedError) and errors[0].exit_code == 3
        assert isinstance(errors[1], subpy.InterpreterCrashedError) and errors[1].signal == signal.SIGSEGV
        assert isinstance(errors[2], subpy.InterpreterTimeoutError)
        stats = pool.stats()
        assert (stats.crashed, stats.isolation, stats.reason) == (3, Isolation.PROCESS, "")
    with subpy.InterpreterPoolExecutor(1, setup=SETUP, isolation=Isolation.AUTO) as pool:
        assert pool.stats().isolation is Isolation.OWN_GIL and pool.stats().reason == ""
        assert pool.submit("os:getpid").result() == os.getpid()
        pool.submit_exec("import faulthandler").result()
        stats = pool.stats()
        assert stats.isolation is Isolation.PROCESS
        assert stats.reason == "module faulthandler does not support loading in subinterpreters"
        assert pool.submit("os:getpid").result() != os.getpid()
    fails(ValueError, lambda: subpy.InterpreterPoolExecutor(1, isolation=3))


def main() -> None:
    with subpy.InterpreterPoolExecutor(2, setup=SETUP) as pool:
        use(pool)
        chunks(pool)
        cancelled(pool)
        misuse(pool)
        in_event_loops(pool)
        leaks(pool)
    ends()
    isolation()
    options()
    threads()
    races()
    assert not _handles.called, {**_handles.called}
    subpy.shutdown()
    print("done")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins without
    main()
