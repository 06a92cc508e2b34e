"""What concurrent.interpreters does not have: objects, buffers, queues, pools."""

import gc
import threading
from typing import Any

from sides import Error

from . import case


@case("object", alone=True)
def objects(t: Any) -> None:
    interp, other = t.create(), t.create()
    interp.exec("class Model:\n  factor = 3\n  def predict(self, n): return self.factor * n\nmodel = Model()")
    model = interp.eval_object("model")
    t.is_("a method", 12, model.call, "predict", 4)
    interp.exec("def is_it(a): return a is model")
    t.is_("as an argument", True, interp.call, "is_it", model)
    other.exec("def f(a): return a")
    t.is_("in another interpreter", Error("NOT_SHAREABLE"), other.call, "f", model)
    t.is_("in a queue", Error("NOT_SHAREABLE"), t.api.create_queue().put, model)
    interp.close()
    t.is_("after the close", Error("NOT_FOUND"), model.call, "predict", 4)


def _is_free(data: bytearray) -> bool:
    try:
        data.append(0)
    except BufferError:
        return False
    data.pop()
    return True


@case("buffer: given back", alone=True)
def given_back(t: Any) -> None:
    interp = t.create()
    memory = t.api.shared_memory(8)
    interp.exec("def fill(view):\n  view[0] = 7\ndef keep(view):\n  global kept\n  kept = view")
    t.is_("what is written there is seen here", 7, lambda: (interp.call("fill", memory), memory[0])[1])
    data = bytearray(4)
    view = memoryview(data).toreadonly()
    interp.call("keep", view)
    view.release()
    interp.exec("del kept")
    gc.collect()
    t.is_("once nobody has it", True, _is_free, data)
    interp.call("keep", memoryview(data).toreadonly())
    interp.close()
    gc.collect()
    t.is_("at the close", True, _is_free, data)


@case("buffer: lent", alone=True)
def lent(t: Any) -> None:
    interp = t.create()
    interp.exec("def keep(view):\n  global kept\n  kept = view[1:]\n  return 5\ndef read(view): return bytes(view)")
    data = bytearray(b"abc")
    view = t.api.Lent(memoryview(data).toreadonly())
    t.is_("for one call", b"abc", interp.call, "read", view)
    t.is_("something still uses it", Error("BUSY"), interp.call, "keep", view)
    interp.exec("del kept")


@case("buffer: a result that outlives its interpreter", alone=True)
def pinned(t: Any) -> None:
    interp = t.create()
    interp.exec("data = bytes(range(250)) * 100")
    view = interp.with_options(results=t.api.Results.BUFFER).eval("data")
    t.is_("close", None, interp.close)
    t.is_("it is readable", True, lambda: bytes(view) == bytes(range(250)) * 100)
    t.is_("until it is released", None, view.release)


@case("queue", alone=True)
def queues(t: Any) -> None:
    interp = t.create()
    queue = t.api.create_queue(2)
    interp.exec(
        "import queue, subpy_queues\ndef name_of(call, *args):\n  try: return call(*args)\n"
        "  except Exception as error: return type(error).__name__, str(error)\n"
        "def get(q): return name_of(q.get_nowait)\ndef put(q, n): return name_of(q.put_nowait, n)"
    )
    interp.call("put", queue, [1, "a"])
    t.is_("an item", [1, "a"], queue.get)
    t.is_("empty there", "QueueEmpty", lambda: interp.call("get", queue)[0])
    t.is_("empty here", Error("TIMEOUT"), queue.get_nowait)
    queue.put(1)
    queue.put(2)
    t.is_("full", Error("TIMEOUT"), queue.put_nowait, 3)
    t.is_("full there", "QueueFull", lambda: interp.call("put", queue, 3)[0])
    t.is_("what cannot cross", Error("NOT_SHAREABLE"), queue.put, object())
    t.is_("then nothing is put", 2, queue.qsize)
    interp.exec("def bad(q): return name_of(q.put, object())[0]")
    queue.get()
    t.is_("what cannot cross, there", "TypeError", interp.call, "bad", queue)
    t.is_("nothing is put either", 1, queue.qsize)
    queue.close()
    t.is_("closed, with an item", 2, queue.get)
    t.is_("closed and empty", Error("WRONG_STATE"), queue.get)
    t.is_("closed and empty there", "QueueClosed", lambda: interp.call("get", queue)[0])
    t.is_(
        "its bases there",
        ["QueueClosed", "QueueError", "ShutDown"],
        lambda: sorted(
            set(interp.eval("[c.__name__ for c in subpy_queues.QueueClosed.__mro__]"))
            & {"QueueClosed", "QueueError", "ShutDown"}
        ),
    )


@case("queue: what an interpreter has put stays", alone=True)
def stays(t: Any) -> None:
    interp = t.create()
    queue = t.api.create_queue()
    interp.exec("def put(q): q.put({'a': [1]})")
    interp.call("put", queue)
    interp.close()
    t.is_("after its close", {"a": [1]}, queue.get)


@case("queue: a taker that is cancelled", alone=True)
def taker(t: Any) -> None:
    interp = t.create()
    queue, lost = t.api.create_queue(), []
    interp.prepare_main(queue=queue)
    for number in range(50):
        token = t.api.Cancel()
        taking = interp.with_options(cancel=token)
        threads = [threading.Thread(target=token.fire), threading.Thread(target=queue.put, args=(number,))]
        for thread in threads:
            thread.start()
        try:
            got = _take(t, taking)
        finally:
            for thread in threads:
                thread.join()
        left = [queue.get() for _ in range(queue.qsize())]
        if ([] if got is None else [got]) + left != [number]:
            lost.append((number, got, left))
    t.is_("the item is in or out", [], lambda: lost)


def _take(t: Any, interp: Any) -> Any:
    try:
        # The host calls the method itself: either it has the item as its result, or has taken none.
        return interp.call("queue.get")
    except t.api.InterpreterInterruptedError:
        return None


@case("pool: cancelled tasks", alone=True)
def pool(t: Any) -> None:
    isolation = t.api.Isolation.PROCESS if t.in_processes else t.api.Isolation.OWN_GIL
    with t.api.InterpreterPoolExecutor(1, setup="def f(n): return n", isolation=isolation) as pool:
        begun = t.file("begun")
        running = pool.submit_exec(f"open({begun!r}, 'x').close()\nwhile True: pass")
        t.until(begun)
        queued = pool.submit("f", 1)
        t.is_("queued: it is cancelled", True, queued.cancel)
        t.is_("and says so", True, queued.cancelled)
        t.is_("running: it is cancelled", True, running.cancel)
        t.is_("another one runs", 2, lambda: pool.submit("f", 2).result())


@case("pool: a setup that fails", alone=True)
def setup(t: Any) -> None:
    isolation = t.api.Isolation.PROCESS if t.in_processes else t.api.Isolation.OWN_GIL
    make = lambda: t.api.InterpreterPoolExecutor(1, setup="1 / 0", isolation=isolation)
    t.is_("the pool is not made", Error("EXECUTION_FAILED", formatted="ZeroDivisionError: division by zero"), make)
