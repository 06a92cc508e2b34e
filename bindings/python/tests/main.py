"""A tour of subpy in a Python program: everything a host does, each with a check."""

import hashlib
import math
import os
import queue
import ssl
import struct
from concurrent import interpreters
from concurrent.futures import ThreadPoolExecutor

import subpy


def two_interpreters() -> None:
    with subpy.create() as one, subpy.create() as other:
        one.exec("name = 'one'")
        other.prepare_main(name="other", numbers=[1, 2, 3])
        assert (one.eval("name"), other.eval("name")) == ("one", "other")
        assert other.eval("sum(numbers)") == 6
        assert one.call("os.path:join", "a", "b") == "a/b"
        assert one.call("builtins:sorted", [3, 1, 2], reverse=True) == [3, 2, 1]
        thread = other.call_in_thread("math:factorial", 25)
        assert thread.join() == math.factorial(25)

        assert [one, other] == subpy.list_all()[-2:]
        assert subpy.get_current() == subpy.get_main() == subpy.list_all()[0] == subpy.Interpreter(0)
        assert one.id != other.id and one.whence == "C-API" and not one.is_running()
        assert one == subpy.Interpreter(one.id) and len({one, subpy.Interpreter(one.id)}) == 1
        print("interpreters:", one, other, "of CPython", subpy.python_version())


def values() -> None:
    record = {
        "name": "Zo\u00eb \U0001f40d, a\0b",
        "empty": ["", b"", (), [], {}],
        "pairs": [(1, "one"), (2, "two"), (3, None)],
        "whole": [0, -1, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**64, -(3**1000)],
        "real": [0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308, math.inf, -math.inf],
        "bytes": bytes(range(256)),
        "truth": [True, False, None],
        ("a", (1, 2.5)): {b"key": {None: {1: [({},)]}}},
    }
    with subpy.create() as interp:
        interp.exec("def same(value, text): return value, repr(value) == text")
        back, same = interp.call("same", record, repr(record))
        assert same and back == record and repr(back) == repr(record)

        # A float keeps every bit, also those that tell one NaN from another.
        (nan,) = struct.unpack("=d", struct.pack("=Q", 0x7FF8_0000_00C0_FFEE))
        interp.exec("def identity(value): return value")
        assert struct.pack("=d", interp.call("identity", nan)) == struct.pack("=d", nan)
        assert interp.call("identity", bytearray(b"is copied")) == b"is copied"

        # As deep as they may be, in both directions.
        back, levels = interp.call("identity", nested(1000)), 1
        while back:
            (back,), levels = back, levels + 1
        assert levels == 1000
    print("values: the same on both sides")


def errors() -> None:
    with subpy.create() as interp:
        interp.exec("""
            class Odd(ValueError):
                pass

            def check(number):
                if number % 2:
                    raise Odd(f"{number} is odd")
        """)
        try:
            interp.call("check", 3)
        except subpy.ExecutionFailed as failed:
            assert failed.status == subpy.Status.EXECUTION_FAILED
            assert (failed.excinfo.type.__name__, failed.excinfo.msg) == ("Odd", "3 is odd")
            (frame,) = failed.excinfo.frames
            assert (frame.file, frame.line, frame.function) == ("<script>", 7, "check")
            assert failed.excinfo.exit_status is None
            print(failed.excinfo.errdisplay)

        try:
            interp.exec("x = 1\ny = = 2")
        except SyntaxError as wrong:
            assert isinstance(wrong, subpy.SourceError) and wrong.status == subpy.Status.SYNTAX
            assert (wrong.lineno, wrong.offset, wrong.text) == (2, 5, "y = = 2\n"), wrong.args
        try:
            interp.exec("\n  print('never printed'\n", filename="/a/name (1).py", keep_indent=True)
        except subpy.SourceError as wrong:
            assert (wrong.filename, wrong.msg, wrong.lineno) == ("/a/name (1).py", "unexpected indent", 2), wrong.args
            assert wrong.excinfo.type.__name__ == "IndentationError"
        try:
            interp.eval("missing +\\\n1", filename=__file__)
        except subpy.ExecutionFailed as failed:
            (frame,) = failed.excinfo.frames
            assert frame[:3] == (__file__, 1, "<module>") and frame.source, frame
            assert (frame.end_line, frame.column, frame.end_column) == (1, 1, 8), frame
        try:
            interp.exec("import sys; sys.exit(3)")  # does not end this process
        except subpy.ExecutionFailed as failed:
            assert failed.excinfo.exit_status == 3
        try:
            interp.eval("{'when': [1, __import__('datetime').date(2026, 1, 1)]}")
        except subpy.NotShareableError as refused:
            assert str(refused) == "result['when'][1]: datetime.date cannot be shared", refused
        try:
            interp.call_in_thread("check", 5).join()
        except subpy.ExecutionFailed as failed:
            assert failed.excinfo.formatted == "Odd: 5 is odd"

    try:
        interp.eval("1")
    except subpy.InterpreterNotFoundError as gone:
        assert gone.status == subpy.Status.NOT_FOUND
        print("after close:", gone)


def functions() -> None:
    with subpy.create() as interp:
        interp.exec("""
            def given(*args, **kwargs):
                return args, kwargs
        """)
        given = interp.function("given")
        interp.exec("given = None")
        assert given(1, [2], key="value") == ((1, [2]), {"key": "value"})
        assert given.call_in_thread(self=1).join() == ((), {"self": 1})
        # The thread keeps what it runs.
        assert [interp.function("math:gcd").call_in_thread(12, n).join() for n in range(1, 50)][17] == 6
        with interp.function("math:gcd") as gcd:
            assert gcd(12, 18) == 6
        try:
            gcd(12, 18)
        except subpy.InterpreterNotFoundError:
            pass
        else:
            raise AssertionError("a function that was closed can be called")
    try:
        given()
    except subpy.InterpreterNotFoundError:
        pass
    else:
        raise AssertionError("a function outlives its interpreter")
    given.close()


def many_calls() -> None:
    with subpy.create() as interp:
        interp.exec("""
            calls = 0

            def half(number, digits=0):
                global calls
                calls += 1
                if number == 3:
                    return {3}
                if number < 0:
                    raise SystemExit(7)
                if number % 2:
                    raise ValueError(f"{number} is odd")
                return number // 2
        """)
        half = interp.function("half")
        assert half.call_many([(2,), (4,), (10**20,)]) == [1, 2, 5 * 10**19]
        assert half.map([2, 4, 6], (n for n in range(100))) == [1, 2, 3]
        try:
            half.map([2, 4, 5, 6])
        except subpy.ExecutionFailed as failed:
            assert failed.row == 2 and failed.excinfo.msg == "5 is odd"

        results = half.map([4, 5, 6], return_exceptions=True)
        assert [result for result in results if not isinstance(result, Exception)] == [2, 3]
        assert results[1].row == 1 and results[1].excinfo.type.__name__ == "ValueError"
        (frame,) = results[1].excinfo.frames
        assert (frame.function, frame.line) == ("half", 12) and "5 is odd" in results[1].excinfo.errdisplay
        assert str(results[1]).startswith("row 1: ValueError: 5 is odd\n\nUncaught in the interpreter:\n\nTraceback")

        # As single calls.
        given = interp.function("builtins:max")
        rows = [(1, 2.5), ("a", "\u00e9"), ([1], [2, "x"]), (b"", b"\0"), (2**70, -(2**70)), ((), ("deep", ({},)))]
        results = [given(*row) for row in rows]
        assert given.call_many(rows) == given.call_many(iter(rows), return_exceptions=True) == results
        assert given.map(*zip(*rows)) == results
        assert interp.function("builtins:dict").call_many([[]] * 3) == [{}, {}, {}]
        numbers = range(100_000)
        assert half.map(range(0, 200_000, 2)) == list(numbers)
        for nothing in (half.call_many([]), half.map([]), half.call_many([], return_exceptions=True)):
            assert nothing == [] and type(nothing) is list

        # A result that cannot be shared is an error of its row, and an exit ends the call either way.
        (refused,) = half.map([3], return_exceptions=True)
        assert type(refused) is subpy.NotShareableError and refused.row == 0, refused
        assert str(refused) == "row 0: result: set cannot be shared", refused
        for return_exceptions in (False, True):
            interp.exec("calls = 0")
            try:
                half.map([2, -1, 4], return_exceptions=return_exceptions)
            except subpy.ExecutionFailed as failed:
                assert (failed.row, failed.excinfo.exit_status, failed.message) == (1, 7, "row 1: SystemExit: 7")
            else:
                raise AssertionError("an exit that is no exception")
            assert interp.eval("calls") == 2
        try:
            half(5)
        except subpy.ExecutionFailed as failed:
            assert failed.row is None
        with interp.session(), ThreadPoolExecutor(4) as pool:  # busy, for others, only while it runs
            assert half.map([2, 4]) == [1, 2]
            assert pool.submit(half.map, [2, 4]).result() == [1, 2]

    with subpy.create(busy=subpy.Busy.WAIT) as interp, ThreadPoolExecutor(4) as pool:
        interp.exec("def at(n, k):\n    if n % 7 == 3: raise KeyError(k)\n    return n, k")
        at = interp.function("at")

        def work(k: int) -> None:
            for _ in range(20):
                for n, result in enumerate(at.map(range(50), [k] * 50, return_exceptions=True)):
                    if n % 7 == 3:
                        assert (result.row, result.excinfo.msg) == (n, str(k))
                    else:
                        assert result == (n, k)

        list(pool.map(work, range(8)))


def sessions() -> None:
    with subpy.create() as interp:
        interp.exec("""
            import threading
            local = threading.local()

            def tick():
                local.n = getattr(local, "n", 0) + 1
                return local.n
        """)
        tick = interp.function("tick")
        assert [interp.call("tick"), tick()] == [1, 1]
        session = interp.session()
        with session as entered:
            assert entered is interp
            assert [interp.call("tick"), tick(), interp.eval("tick()")] == [1, 2, 3]
            with session, interp.session():
                assert tick() == 4
                try:
                    interp.close()
                except subpy.InterpreterError as error:
                    assert error.status == subpy.Status.BUSY
                else:
                    raise AssertionError("closed inside of a session")
            assert tick() == 5
            with ThreadPoolExecutor(1) as pool:  # another thread is in no session
                assert pool.submit(tick).result() == 1
        try:
            with session:
                assert tick() == 1
                raise KeyError("of the block")
        except KeyError:
            pass
        assert tick() == 1
    try:
        with session:
            raise AssertionError("a session in a closed interpreter")
    except subpy.InterpreterNotFoundError:
        pass


def threads() -> None:
    with subpy.create() as interp:
        reading, writing = interp.eval("__import__('os').pipe()")
        thread = interp.call_in_thread("os:read", reading, 1)
        assert [thread.wait(0), thread.wait(0.01), thread.wait(-1)] == [False] * 3
        os.write(writing, b"x")
        assert thread.wait() and thread.wait(math.inf) and thread.wait(1e300)
        assert thread.join() == b"x"
        try:
            thread.wait(0)
        except subpy.InterpreterNotFoundError:
            pass
        else:
            raise AssertionError("a thread that was joined can be waited for")
        os.close(reading)
        os.close(writing)


def parallel() -> None:
    """Two calls that never let go of a GIL, at the same time: that takes two GILs."""
    source = """
        import time

        def add(n):
            start = time.monotonic()
            total = sum(range(n))
            return start, time.monotonic(), total
    """
    with subpy.create() as one, subpy.create() as other, ThreadPoolExecutor(2) as pool:
        for interp in (one, other):
            interp.exec(source)
        for _ in range(5):  # on a busy machine the first may be done before the second is let run
            first, second = pool.map(lambda interp: interp.call("add", 20_000_000), (one, other))
            assert first[2] == second[2] == 199_999_990_000_000
            together = min(first[1], second[1]) - max(first[0], second[0])
            if together > 0:
                break
    print(f"parallel: both computed at the same time for {together:.2f} s")
    assert together > 0, (first, second)


def pool_of_interpreters() -> None:
    """As many interpreters as threads; each job takes one that is idle."""
    idle: queue.SimpleQueue[subpy.Interpreter] = queue.SimpleQueue()
    for _ in range(4):
        interp = subpy.create()
        interp.exec("def squares(n): return sum([i * i for i in range(n)])")
        idle.put(interp)

    def squares(n: int) -> int:
        interp = idle.get()
        try:
            return interp.call("squares", n)
        finally:
            idle.put(interp)

    with ThreadPoolExecutor(max_workers=4) as pool:
        results = list(pool.map(squares, range(1000)))
    assert results == [(n - 1) * n * (2 * n - 1) // 6 for n in range(1000)]
    while not idle.empty():
        idle.get().close()


def extension_modules() -> None:
    with subpy.create() as interp:
        interp.exec("""
            import asyncio, contextlib, ctypes, hashlib, json, sqlite3, ssl, zlib

            async def later(value):
                await asyncio.sleep(0.001)
                return value

            def everything():
                with contextlib.closing(sqlite3.connect(":memory:")) as table:
                    table.execute("create table t (x)")
                    table.executemany("insert into t values (?)", [(1,), (2,), (39,)])
                    (total,) = table.execute("select sum(x) from t").fetchone()
                context = ssl.create_default_context()
                verifies = context.verify_mode == ssl.CERT_REQUIRED
                return {
                    "asyncio": asyncio.run(later("done")),
                    "ctypes": ctypes.sizeof(ctypes.c_int64),
                    "hashlib": hashlib.sha256(b"subpy").hexdigest(),
                    "json": json.loads('{"a": [1, 2.5, null]}'),
                    "sqlite3": total,
                    "ssl": (ssl.OPENSSL_VERSION, verifies, len(context.get_ciphers()) > 0),
                    "zlib": zlib.decompress(zlib.compress(b"x" * 1000)) == b"x" * 1000,
                }
        """)
        found = interp.call("everything")
    version, verifies, ciphers = found.pop("ssl")
    assert version == ssl.OPENSSL_VERSION and verifies and ciphers
    assert found == {
        "asyncio": "done",
        "ctypes": 8,
        "hashlib": hashlib.sha256(b"subpy").hexdigest(),
        "json": {"a": [1, 2.5, None]},
        "sqlite3": 42,
        "zlib": True,
    }, found
    print("extension modules: all there,", version)


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels - 1):
        value = [value]
    return value


def main() -> None:
    two_interpreters()
    values()
    errors()
    functions()
    many_calls()
    sessions()
    threads()
    parallel()
    pool_of_interpreters()
    extension_modules()
    subpy.shutdown()
    # This interpreter goes on, and could begin anew.
    with subpy.create() as interp:
        assert interp.eval("6 * 7") == 42
    subpy.shutdown()
    assert [interp.id for interp in interpreters.list_all()] == [0]
    print("done")


if __name__ == "__main__":
    main()
