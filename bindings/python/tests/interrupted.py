"""Signal handlers that raise in the middle of a call: what the call made is freed, and the exception arrives."""

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent import interpreters

import subpy
from subpy import _library

MIB = 1 << 20


class Interrupt(BaseException):
    """What the signal handler raises."""


def interrupt(signum: int, frame: object) -> None:
    raise Interrupt


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Signalled:
    """The library, with a signal at the end of a function: the handler runs before the caller sees what came out."""

    def __init__(self, function: str) -> None:
        self.function = "subpy_" + function

    def __enter__(self) -> None:
        self.real = real = getattr(_library.library, self.function)

        def then_signal(*arguments: object) -> int:
            status = real(*arguments)
            signal.raise_signal(signal.SIGALRM)
            return status

        setattr(_library.library, self.function, then_signal)

    def __exit__(self, *exception: object) -> None:
        setattr(_library.library, self.function, self.real)


def interrupted(function: str, use: Callable[[], object]) -> None:
    with Signalled(function):
        try:
            use()
        except Interrupt:
            return
    raise AssertionError(f"{function} was not interrupted")


def grows(megabytes: int, function: str, use: Callable[[], object]) -> None:
    """`use` is interrupted again and again, and each would leak a megabyte."""
    for _ in range(5):
        interrupted(function, use)
    before = resident()
    for _ in range(megabytes):
        interrupted(function, use)
    grown = resident() - before
    assert grown < megabytes * MIB / 2, f"{function}: {grown / MIB:.0f} MiB for {megabytes} calls"


def results_and_errors() -> None:
    with subpy.create() as interp:
        interp.exec("""
            def result():
                return b"x" * (1 << 20)

            def fail():
                raise ValueError("x" * (1 << 20))
        """)
        grows(100, "run", lambda: interp.eval("result()"))
        grows(100, "run", lambda: interp.call("result"))
        grows(100, "run", lambda: interp.call("fail"))
        grows(100, "run", lambda: interp.exec("fail()"))
        grows(100, "value_block", lambda: interp.call("result"))
        grows(100, "thread_join", lambda: interp.call_in_thread("result").join())
        function = interp.function("result")
        grows(100, "run", function)
        grows(100, "function_call_many", lambda: function.call_many([()]))
        fail = interp.function("fail")
        grows(100, "function_call_many", lambda: fail.call_many([()]))
        grows(100, "function_call_many", lambda: fail.call_many([()], return_exceptions=True))
        grows(100, "error_row", lambda: fail.call_many([()], return_exceptions=True))
        shared = interp.with_options(results=subpy.Results.BUFFER)
        grows(100, "run", lambda: shared.call("result"))
        grows(100, "value_block", lambda: shared.call("result"))
        grows(100, "run", lambda: interp.call("builtins:len", memoryview(bytearray(MIB))))
        waiting = subpy.create_queue()
        grows(100, "queue_get_with", lambda: waiting.put_nowait(bytes(MIB)) or waiting.get_nowait())
        assert waiting.empty()


def pools() -> None:
    with subpy.InterpreterPoolExecutor(1, setup="def result(): return b'x' * (1 << 20)") as pool:
        begun = []

        def submit() -> None:
            begun.append(pool.stats().submitted)
            pool.submit("result")

        grows(100, "pool_submit_as", submit)
        grows(100, "thread_notify", submit)
        assert pool.submit("result").result() and pool.stats().submitted == begun[-1] + 2
    before = interpreters.list_all()
    for _ in range(5):
        interrupted("pool_new", lambda: subpy.InterpreterPoolExecutor(1))
    assert interpreters.list_all() == before, interpreters.list_all()


def functions() -> None:
    """What a function holds is given back when the look-up is interrupted."""
    with subpy.create() as interp:
        interp.exec("""
            class Large:
                def __init__(self):
                    self.held = b"x" * (1 << 20)

                def __call__(self):
                    pass

            large = Large()
        """)

        def look_up() -> None:
            try:
                interp.function("large")
            finally:
                interp.exec("large = Large()")

        grows(100, "function_new", look_up)


def sessions() -> None:
    """A thread that was interrupted while it entered is outside; what it had entered before, it is inside of still."""

    def enter() -> None:
        with interp.session():
            raise AssertionError("inside")

    with subpy.create() as interp:
        interrupted("enter", enter)
    with subpy.create() as interp:
        with interp.session():
            interrupted("enter", enter)
            try:
                interp.close()
            except subpy.InterpreterError as error:
                assert error.status == subpy.Status.BUSY
            else:
                raise AssertionError("left the outer session")
    interrupted("enter", enter)  # which fails, since it is closed


def threads() -> None:
    with subpy.create(busy=subpy.Busy.WAIT) as interp:
        interp.exec("""
            done = 0

            def result():
                global done
                done += 1
                return b"x" * (1 << 20)
        """)

        def start() -> None:
            before = interp.eval("done")
            try:
                interp.call_in_thread("result")
            finally:
                while interp.eval("done") == before:
                    pass

        grows(100, "run_in_thread", start)


def created() -> None:
    before = interpreters.list_all()
    for _ in range(5):
        interrupted("create", subpy.create)
    assert interpreters.list_all() == before, interpreters.list_all()


def timer() -> None:
    """A real timer, which strikes anywhere: nothing is left behind, and no interrupt gets lost."""
    before, caught = interpreters.list_all(), 0
    for _ in range(20):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.001)  # creating takes longer
            interp = subpy.create()
        except Interrupt:
            caught += 1
        else:
            signal.setitimer(signal.ITIMER_REAL, 0)
            interp.close()
    assert caught and interpreters.list_all() == before, (caught, interpreters.list_all())

    with subpy.create() as interp:
        interp.exec("def small(): return (1, 2)\ndef large(): return b'x' * (1 << 20)")
        strikes("small", 1000, interp)
        strikes("large", 100, interp)
        memory = resident()
        strikes("large", 500, interp)
        grown = resident() - memory
        assert grown < 50 * MIB, f"{grown / MIB:.0f} MiB"


def strikes(function: str, times: int, interp: subpy.Interpreter) -> None:
    for _ in range(times):
        late = time.monotonic() + 1
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 2e-3))
            while time.monotonic() < late:
                interp.call(function)
        except Interrupt:
            continue
        raise AssertionError(f"an interrupt of {function} got lost")


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, interrupt)
    created()
    threads()
    functions()
    sessions()
    results_and_errors()
    pools()
    timer()
    subpy.shutdown()
    print("done")
