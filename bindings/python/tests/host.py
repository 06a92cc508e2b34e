"""Host functions, and output: what the library calls in this Python."""

import contextlib
import contextvars
import decimal
import gc
import io
import json
import threading
import weakref

import subpy
from subpy import _errors, _handles


class Odd(ValueError):
    """Of this program: no interpreter has it."""


def raises(kind: type[BaseException], message: str) -> None:
    raise kind(message)


def values() -> None:
    with subpy.create() as interp:

        @interp.define("host:add")
        def add(a: int, b: int = 1, *, c: int = 0) -> int:
            """The sum."""
            return a + b + c

        assert add(1) == 2  # it is an ordinary function here
        interp.define("plain", lambda: None)
        interp.define("package.module:name", sorted, signature="(values, /)", doc="sorts")
        interp.exec("import host, inspect, package.module")
        assert interp.eval("(host.add(2), host.add(2, 3), host.add(2, c=4), plain())") == (3, 5, 7, None)
        assert interp.eval("(host.add.__doc__, package.module.name([2, 1]))") == ("The sum.", [1, 2])
        assert interp.eval("str(inspect.signature(package.module.name))") == "(values, /)"
        interp.define("host:same", lambda value: value)
        value = [None, True, False, -1, 2**70, 1.5, "\u00e9\0", b"\0", (1, [2]), {"a": {1: "b"}}, [], (), {}, "", b""]
        assert repr(interp.eval(f"host.same({value!r})")) == repr(value)
        interp.exec("deep = []\nfor _ in range(999): deep = [deep]")
        assert interp.eval("host.same(deep) == deep")
        interp.define("host:add", lambda a: "anew")
        assert interp.eval("host.add(1)") == "anew"


def exceptions() -> None:
    with subpy.create() as interp:
        interp.define("host:fail", lambda name: raises(getattr(subpy_kinds, name), "no good"))
        interp.exec("import host")
        for name, seen in (
            ("ValueError", "ValueError"),
            ("KeyError", "KeyError"),
            ("Odd", "ValueError"),
            ("InvalidOperation", "InvalidOperation"),
            ("UnicodeDecodeError", "UnicodeError"),
            ("JSONDecodeError", "ValueError"),
            ("KeyboardInterrupt", "KeyboardInterrupt"),
        ):
            text = f"try:\n    host.fail({name!r})\nexcept BaseException as error:\n    caught = type(error).__name__, error.args"
            if name not in ("UnicodeDecodeError", "JSONDecodeError"):  # which cannot be made of a message here either
                interp.exec(text)
                assert interp.eval("caught") == (seen, ("no good",)), interp.eval("caught")

        # What Python does not catch is the cause here: the same object. An exit or a Ctrl-C comes as itself.
        try:
            interp.eval("host.fail('Odd')")
        except subpy.ExecutionFailed as failed:
            assert type(failed.__cause__) is Odd and failed.excinfo.type.__name__ == "ValueError"
            assert "In the host:" in failed.excinfo.errdisplay and "raise kind(message)" in failed.excinfo.errdisplay
        else:
            raise AssertionError("nothing was raised")
        for kind in (KeyboardInterrupt, SystemExit):
            try:
                interp.eval(f"host.fail({kind.__name__!r})")
            except kind as error:
                assert error.args == ("no good",)
            else:
                raise AssertionError("nothing was raised")

        # Through two levels, and what was raised for the wrong arguments, or for a result that is none.
        interp.define("host:again", interp.eval)
        try:
            interp.eval("host.again('host.fail(\"Odd\")')")
        except subpy.ExecutionFailed as failed:
            inner = failed.__cause__
            assert type(inner) is subpy.ExecutionFailed and type(inner.__cause__) is Odd, inner
        interp.define("host:wrong", lambda: object())
        for call in ("host.again()", "host.wrong()"):
            try:
                interp.eval(call)
            except subpy.ExecutionFailed as failed:
                assert failed.excinfo.type.__name__ == "TypeError", failed
            else:
                raise AssertionError("nothing was raised")
        # On a thread of the library's there is nobody whose exception it is.
        try:
            interp.call_in_thread("host:fail", "Odd").join()
        except subpy.ExecutionFailed as failed:
            assert failed.__cause__ is None and "Odd: no good" in failed.excinfo.errdisplay


class subpy_kinds:
    ValueError, KeyError, Odd, KeyboardInterrupt, SystemExit = ValueError, KeyError, Odd, KeyboardInterrupt, SystemExit
    InvalidOperation, JSONDecodeError, UnicodeDecodeError = decimal.InvalidOperation, json.JSONDecodeError, UnicodeDecodeError


def nothing_is_kept() -> None:
    with subpy.create() as interp:
        before = len(_handles.called)
        interp.define("host:fail", lambda: raises(Odd, "no good"))
        interp.exec("import host\ndef swallow():\n    try: host.fail()\n    except ValueError: pass")
        for _ in range(300):
            interp.call("swallow")
            with contextlib.suppress(subpy.ExecutionFailed):
                interp.exec("host.fail()")
        assert not _errors._kept, _errors._kept
        function = Named()
        alive = weakref.ref(function)
        for _ in range(100):
            interp.define("host:fail", function)
        interp.define("host:fail", print)
        del function
        assert len(_handles.called) == before + 1
        gc.collect()
        assert alive() is None
        for _ in range(100):
            interp.with_options(output=lambda *_: None).exec("print(1)")
            interp.with_options(output=lambda *_: None).call_in_thread("builtins:print", 1).join()
            interp.set_output(lambda *_: None)
        for wrong in ("a..b:c", "", "host:a.b"):
            with contextlib.suppress(subpy.InterpreterError):
                interp.define(wrong, print)
                raise AssertionError(wrong)
        assert len(_handles.called) == before + 2
    assert len(_handles.called) == before, _handles.called


class Named:
    __name__ = "named"

    def __call__(self) -> None:
        pass


def threads() -> None:
    """Called on the thread that calls: the own ones are as in any call, others are like those that C code makes."""
    local, context = threading.local(), contextvars.ContextVar("context", default="none")

    def seen() -> tuple[int, object, str]:
        return threading.get_ident(), getattr(local, "name", None), context.get()

    with subpy.create() as interp, subpy.create() as other:
        for each in (interp, other):
            each.define("host:seen", seen)
            each.exec("import host, threading")
            each.exec("""
                def in_thread():
                    seen = []
                    thread = threading.Thread(target=lambda: seen.append(host.seen()), daemon=False)
                    thread.start()
                    thread.join()
                    return seen[0]
            """)
        interp.define("host:over", lambda: other.eval("host.seen()"))
        interp.define("host:again", lambda: interp.eval("host.seen()"))
        interp.define("host:back", lambda: other.call("over"))
        other.define("over", lambda: interp.eval("host.seen()"))
        failures: list[BaseException] = []

        def check(name: str) -> None:
            try:
                local.name = name
                context.set(name)
                own = threading.get_ident(), name, name
                with subpy.create() as mine:
                    mine.define("seen", seen)
                    for _ in range(20):
                        assert mine.eval("seen()") == own
                    with mine.session():
                        assert mine.eval("seen()") == own and mine.eval("seen()") == own
                assert seen() == own
            except BaseException as failure:
                failures.append(failure)

        check("main")
        own = seen()
        for _ in range(50):
            for call in ("host.seen()", "host.over()", "host.again()", "host.back()"):
                assert interp.eval(call) == own, call
        thread, name, value = interp.call("in_thread")
        assert thread != own[0] and (name, value) == (None, "none")
        assert interp.call_in_thread("host:seen").join()[1:] == (None, "none")
        assert interp.call_in_thread("host:over").join()[1:] == (None, "none")
        assert interp.call_in_thread("host:back").join()[1:] == (None, "none")
        workers = [threading.Thread(target=check, args=(str(n),)) for n in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not failures, failures
        assert subpy.get_current() == subpy.get_main() and seen() == own


def races() -> None:
    """Define anew, call, print and set the output from several threads; then close."""
    for _ in range(3):
        interp = subpy.create(busy=subpy.Busy.SHARE)
        interp.define("host:f", lambda n: n)
        interp.exec("import host\ndef work(n):\n    print(n)\n    return host.f(n)")
        failures: list[BaseException] = []

        def work(job: int) -> None:
            try:
                for n in range(50):
                    if job == 0:
                        interp.define("host:f", lambda n: n)
                    elif job == 1:
                        interp.set_output(lambda stream, text: None)
                    else:
                        assert interp.call("work", n) == n
            except BaseException as failure:
                failures.append(failure)

        interp.set_output(lambda stream, text: None)
        workers = [threading.Thread(target=work, args=(job,)) for job in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        interp.close()
        assert not failures, failures
    assert not _handles.called, _handles.called


def output() -> None:
    with subpy.create() as interp:
        file, pieces = io.StringIO(), []
        interp.set_output(file)
        interp.exec("import sys\nprint('one', '\u00e9')\nprint('two', file=sys.stderr)")
        assert sorted(file.getvalue().splitlines()) == ["one \u00e9", "two"]
        interp.with_options(output=lambda stream, text: pieces.append((stream, text))).exec(
            "print('out')\nprint('err', file=sys.stderr)"
        )
        assert sorted(pieces) == [(1, "out\n"), (2, "err\n")], pieces
        # It may use the interpreter.
        nested = interp.with_options(output=lambda stream, text: pieces.append(interp.eval("6 * 7")))
        nested.exec("print('x')")
        assert pieces[-1] == 42
        thread = nested.call_in_thread("builtins:print", "y")
        assert thread.join() is None and pieces[-1] == 42
        try:
            interp.set_output(3)
        except TypeError:
            pass
        else:
            raise AssertionError("3 takes no output")
        interp.set_output(None)
    with subpy.create(flags=subpy.Flag.NO_STDIN) as interp:
        try:
            interp.exec("input()")
        except subpy.ExecutionFailed as failed:
            assert failed.excinfo.type.__name__ == "EOFError"


if __name__ == "__main__":
    values()
    exceptions()
    nothing_is_kept()
    threads()
    races()
    output()
    subpy.shutdown()
    print("done")
