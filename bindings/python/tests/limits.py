"""Time limits, cancel tokens, Ctrl-C, and closing within a time."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable

import subpy

LOOP = "while True: pass"


def refused(kind: type[BaseException], use: Callable[[], object]) -> BaseException:
    try:
        use()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def times() -> None:
    with subpy.create() as interp:
        interp.exec("def loop():\n    while True: pass")
        short = interp.with_options(timeout=0.05)
        assert short == interp and short.eval("1") == 1
        for use in (
            lambda: short.exec(LOOP),
            lambda: short.call("loop"),
            lambda: short.function("loop")(),
            lambda: short.call_in_thread("loop").join(),
        ):
            error = refused(subpy.InterpreterTimeoutError, use)
            assert isinstance(error, TimeoutError) and error.status == subpy.Status.TIMEOUT
            assert error.excinfo.type.__name__ == "KeyboardInterrupt" and error.excinfo.frames
        # The limit holds for what a host function runs, too, which can ask.
        interp.define("wait", lambda: until_cancelled())
        assert refused(subpy.InterpreterTimeoutError, lambda: short.exec("wait()"))
        interp.define("inner", lambda: interp.exec(LOOP))
        assert refused(subpy.InterpreterTimeoutError, lambda: short.exec("inner()"))
        for wrong in (0, -1, float("nan")):
            refused(ValueError, lambda: interp.with_options(timeout=wrong))
    with subpy.create(timeout=0.05) as interp:
        refused(subpy.InterpreterTimeoutError, lambda: interp.exec(LOOP))
        assert interp.with_options(timeout=1e300).eval("1") == 1
    assert not subpy.cancelled()


def until_cancelled() -> None:
    while not subpy.cancelled():
        pass


def tokens() -> None:
    with subpy.create(busy=subpy.Busy.SHARE) as interp:
        cancel = subpy.Cancel()
        mine = interp.with_options(cancel=cancel)
        assert mine.eval("1") == 1 and not cancel.fired
        threading.Timer(0.05, cancel.fire).start()
        errors: list[BaseException] = []
        worker = threading.Thread(
            target=lambda: errors.append(refused(subpy.InterpreterInterruptedError, lambda: mine.exec(LOOP)))
        )
        worker.start()
        error = refused(subpy.InterpreterInterruptedError, lambda: mine.exec(LOOP))
        worker.join()
        assert error.excinfo and errors and cancel.fired
        late = refused(subpy.InterpreterInterruptedError, lambda: mine.eval("1"))
        assert late.excinfo is None
        assert interp.eval("1") == 1
        refused(TypeError, lambda: interp.with_options(cancel=1))

        # Fired by the code itself, on its way.
        own = subpy.Cancel()
        interp.define("stop", own.fire)
        refused(subpy.InterpreterInterruptedError, lambda: interp.with_options(cancel=own).exec("stop()\n" + LOOP))
        interp.define("begun", lambda: threading.Thread(target=interp.interrupt).start())
        refused(subpy.InterpreterInterruptedError, lambda: interp.exec("begun()\n" + LOOP))

        for _ in range(100):  # a token that is fired just then
            token = subpy.Cancel()
            firing = threading.Thread(target=token.fire)
            firing.start()
            with contextlib.suppress(subpy.InterpreterInterruptedError):
                interp.with_options(cancel=token).exec("for n in range(1000): pass")
            firing.join()
            assert interp.eval("2") == 2


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def ctrl_c() -> None:
    with subpy.create() as interp:
        interp.define("begun", lambda: threading.Timer(0.05, press).start())
        interp.exec("def loop():\n    global ended\n    try:\n        begun()\n        while True: pass\n    finally: ended = True")
        token = subpy.Cancel()
        for use in (
            lambda: interp.exec("loop()"),
            lambda: interp.call("loop"),
            interp.function("loop"),
            lambda: interp.with_options(timeout=60, cancel=token).call("loop"),
        ):
            interp.prepare_main(ended=False)
            error = refused(KeyboardInterrupt, use)
            # On a busy machine the signal may come while the host function is still there.
            assert isinstance(error.__cause__, (subpy.InterpreterInterruptedError, subpy.ExecutionFailed)), error.__cause__
            assert not interp.is_running() and not token.fired
            assert interp.eval("1") == 1
        assert interp.eval("ended")

        # A thread that is waited for goes on.
        thread = interp.call_in_thread("time:sleep", 0.5)
        threading.Timer(0.1, press).start()
        refused(KeyboardInterrupt, thread.join)
        assert thread.join() is None

        # Struck by one that comes while nothing runs, or in a host function.
        refused(KeyboardInterrupt, press_and_wait)
        assert interp.eval("1") == 1
        interp.define("press", press_and_wait)
        refused(KeyboardInterrupt, lambda: interp.exec("press()\n" + LOOP))
        assert interp.eval("1") == 1
        for _ in range(50):
            with contextlib.suppress(KeyboardInterrupt):
                threading.Timer(0.002, press).start()
                interp.exec("for n in range(100_000): pass")
                press_wait()
            assert interp.eval("1") == 1

        # A handler of the program's own decides, when the call has returned.
        seen = []
        before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
        threading.Timer(0.05, press).start()
        interp.exec("import time\nfor _ in range(20): time.sleep(0.01)")
        assert seen == [1]
        signal.signal(signal.SIGINT, before)


def press_and_wait() -> None:
    press()
    press_wait()


def press_wait() -> None:
    for _ in range(10_000_000):
        pass


def coroutines() -> None:
    with subpy.create() as interp:
        interp.exec("""
            import asyncio

            async def later(x):
                await asyncio.sleep(0)
                return x * 2

            class Client:
                async def fetch(self, x):
                    return await later(x)
        """)
        awaited = interp.with_options(run_async=True)
        assert awaited.call("later", 2) == 4 and awaited.eval("await later(3)") == 6
        assert awaited.function("later")(5) == awaited.call_in_thread("later", 5).join() == 10
        assert awaited.function("later").call_many([(1,), (2,)]) == [2, 4]
        awaited.exec("x = await later(4)")
        assert interp.eval("x") == 8 and awaited.eval("x") == 8
        refused(subpy.InterpreterTimeoutError, lambda: awaited.with_options(timeout=0.05).call("asyncio:sleep", 100))
        refused(subpy.NotShareableError, lambda: awaited.with_options(run_async=False).call("builtins:object"))
        client = interp.eval_object("Client()")
        assert client.with_options(run_async=True).call("fetch", 4) == 8
        kept = interp.with_options(results=subpy.Results.OBJECT).call("later", 6)
        assert kept.with_options(run_async=True).value() == 12
    with subpy.InterpreterPoolExecutor(1, setup="async def later(x): return x") as pool:
        assert pool.with_options(run_async=True).submit("later", 7).result() == 7


def closing() -> None:
    interp = subpy.create()
    thread = interp.call_in_thread("builtins:exec", LOOP)
    while not interp.is_running():
        pass
    for options in ({"timeout": 0}, {"timeout": 0.05, "drain": True}):
        error = refused(subpy.InterpreterError, lambda: interp.close(**options))
        assert error.status == subpy.Status.BUSY
    interp.close(timeout=60, interrupt=True)
    refused(subpy.InterpreterInterruptedError, thread.join)
    interp = subpy.create()
    begun = threading.Event()  # not before the code is where it catches the exception
    interp.define("begun", begun.set)
    thread = interp.call_in_thread("builtins:exec", f"try:\n    begun()\n    {LOOP}\nexcept KeyboardInterrupt: pass")
    begun.wait()
    refused(subpy.InterpreterError, subpy.shutdown)
    subpy.shutdown(timeout=60, interrupt=True)
    refused(subpy.InterpreterError, thread.join)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins without
    times()
    tokens()
    ctrl_c()
    coroutines()
    closing()
    subpy.shutdown()
    print("done")
