"""Queues: between this program and interpreters, and between interpreters."""

import asyncio
import gc
import os
import queue
import select
import signal
import threading

import subpy
from check import fails

WORK = """
def work(tasks, results):
    for number in tasks:
        results.put((number, number ** 2))
"""


def alone() -> None:
    """A queue needs no interpreter."""
    waiting = subpy.create_queue(2)
    waiting.put([1, {"k": (2.5, b"x")}])
    waiting.put_nowait(None)
    assert isinstance(fails(subpy.QueueFull, lambda: waiting.put_nowait(3)), queue.Full)
    fails(subpy.QueueFull, lambda: waiting.put(3, timeout=0.01))
    assert waiting.qsize() == 2 and not waiting.empty()
    assert waiting.get() == [1, {"k": (2.5, b"x")}] and waiting.get_nowait() is None
    assert isinstance(fails(subpy.QueueEmpty, waiting.get_nowait), queue.Empty)
    fails(subpy.QueueEmpty, lambda: waiting.get(timeout=0.01))
    waiting.put("last")
    waiting.close()
    assert isinstance(fails(subpy.QueueClosed, lambda: waiting.put(1)), queue.ShutDown)
    assert [*waiting] == ["last"]
    fails(subpy.QueueClosed, waiting.get)

    fails(subpy.NotShareableError, lambda: waiting.put(object()))
    fails(ValueError, lambda: waiting.get(timeout=-1))
    fails(ValueError, lambda: subpy.create_queue(-1))
    assert subpy.QueueEmpty.__mro__.index(subpy.InterpreterError)


def with_interpreters() -> None:
    with subpy.create() as one, subpy.create() as other:
        tasks, results = subpy.create_queue(4), subpy.create_queue()
        threads = []
        for interp in (one, other):
            interp.exec(WORK)
            threads.append(interp.call_in_thread("work", tasks, results))
        for number in range(1000):
            tasks.put(number)
        tasks.close()
        for thread in threads:
            thread.join()
        results.close()
        assert sorted(results) == [(number, number**2) for number in range(1000)]

        # Queues in results, in items, and back again.
        made = one.eval("[__import__('subpy_queues').create(3)]")[0]
        made.put({"more": subpy.create_queue()})
        inner = one.call("subpy_queues:Queue.get", made)["more"]
        inner.put(1)
        other.prepare_main(inner=inner)
        assert other.eval("inner.get()") == 1
        model = one.eval_object("object()")
        fails(subpy.NotShareableError, lambda: made.put(model))
        one.define("host:queue", lambda: inner)
        one.exec("import host; host.queue().put('from the host')")
        assert inner.get() == "from the host"
        taken = []
        one.define("host:take", lambda given: taken.append(given.get()))
        inner.put("to the host")
        one.exec("host.take(host.queue())")
        assert taken == ["to the host"]
    assert inner.empty()  # it outlives who has made it


def stopped() -> None:
    waiting, cancel = subpy.create_queue(1), subpy.Cancel()
    timer = threading.Timer(0.02, cancel.fire)
    timer.start()
    fails(subpy.InterpreterInterruptedError, lambda: waiting.get(cancel=cancel))
    timer.join()
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
    fails(KeyboardInterrupt, waiting.get)
    threading.Timer(0.02, waiting.close).start()
    fails(subpy.QueueClosed, waiting.get)


def in_event_loops() -> None:
    async def run() -> None:
        asyncio.get_running_loop().slow_callback_duration = 60  # or it would be said on a busy machine
        waiting = subpy.create_queue(1)
        takers = [asyncio.create_task(waiting.get_async()) for _ in range(5)]
        await asyncio.sleep(0.01)
        takers[0].cancel()
        for number in range(4):
            await waiting.put_async(number)
        assert sorted(await asyncio.gather(*takers[1:])) == [0, 1, 2, 3]
        assert takers[0].cancelled()

        # One that waits alone and is cancelled leaves nothing behind.
        alone = asyncio.create_task(waiting.get_async())
        await asyncio.sleep(0.01)
        alone.cancel()
        await asyncio.wait([alone])
        await waiting.put_async("x")
        blocked = asyncio.create_task(waiting.put_async("never"))
        await asyncio.sleep(0.01)
        blocked.cancel()
        await asyncio.wait([blocked])
        assert await waiting.get_async() == "x"

        interp = subpy.create()
        interp.exec("def fill(q):\n    for i in range(100): q.put(i)\n    q.close()")
        thread = interp.call_in_thread("fill", waiting)
        assert [item async for item in waiting] == [*range(100)]
        thread.join()
        interp.close()

    asyncio.run(run(), debug=True)

    waiting = subpy.create_queue()
    assert waiting.fileno() == waiting.fileno() and select.select([waiting], [], [], 0)[0] == []
    waiting.put(1)
    assert select.select([waiting], [], [], 10)[0] == [waiting]


def leaks() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2000):  # more than there may be descriptors
        waiting = subpy.create_queue()
        waiting.fileno()
        waiting.put(subpy.create_queue())
        waiting.get().fileno()
    del waiting
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def races() -> None:
    """Many put and get at the same time, and one closes: what was put comes out once."""
    for _ in range(20):
        waiting, put, got = subpy.create_queue(3), [], []

        def producer(index: int) -> None:
            try:
                for number in range(10**6):
                    waiting.put((index, number))
                    put.append((index, number))
            except subpy.QueueClosed:
                pass

        def consumer() -> None:
            got.extend(waiting)

        threads = [threading.Thread(target=producer, args=(index,)) for index in range(3)]
        threads += [threading.Thread(target=consumer) for _ in range(3)]
        for thread in threads:
            thread.start()
        while len(put) < 100:
            pass
        waiting.close()
        for thread in threads:
            thread.join()
        assert sorted(put) == sorted(got) and len(put) >= 100


def main() -> None:
    alone()
    with_interpreters()
    stopped()
    in_event_loops()
    leaks()
    races()
    subpy.shutdown()
    alone()
    print("done")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins without
    main()
