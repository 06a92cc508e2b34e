"""What concurrent.interpreters does not have: host functions, sessions, prepared functions, limits, output."""

import os
import threading
import time
from typing import Any

from sides import Error

from . import case

KEYBOARD = {"type.__name__": "KeyboardInterrupt"}
LOOP = "while True: pass"


@case("host function: results", alone=True)
def results(t: Any) -> None:
    interp = t.create()
    interp.define("host:nothing", lambda: None)
    interp.define("host:echo", lambda *args, **kwargs: (args, kwargs))
    interp.define("host:wrong", lambda: [1, object()])
    interp.exec("import host")
    t.is_("nothing", None, interp.eval, "host.nothing()")
    t.is_("arguments", ((1, "a"), {"b": [2]}), interp.eval, "host.echo(1, 'a', b=[2])")
    raised = Error("EXECUTION_FAILED", **{"type.__name__": "TypeError"})
    t.is_("no value", raised, interp.eval, "host.wrong()")
    t.is_("an argument that has no value", raised, interp.eval, "host.echo(object())")
    t.is_("and goes on", ((), {}), interp.eval, "host.echo()")


@case("host function: exceptions", alone=True)
def exceptions(t: Any) -> None:
    import decimal

    interp = t.create()

    def fail(which: str) -> None:
        raise {"value": ValueError("v"), "decimal": decimal.InvalidOperation("d"), "own": Own("o")}[which]

    class Own(LookupError):
        pass

    interp.define("fail", fail)
    for which, kind, module in (
        ("value", "ValueError", "builtins"),
        ("decimal", "InvalidOperation", "decimal"),
        ("own", "LookupError", "builtins"),
    ):
        raised = Error("EXECUTION_FAILED", **{"type.__name__": kind, "type.__module__": module})
        t.is_(which, raised, interp.call, "fail", which)
    interp.exec("try: fail('value')\nexcept ValueError as error: said = str(error)")
    t.is_("caught there", "v", interp.eval, "said")


@case("host function: a run in its interpreter", alone=True)
def nested(t: Any) -> None:
    interp = t.create()
    interp.define("again", lambda source: interp.eval(source))
    interp.exec(
        "import threading, contextvars\nlocal = threading.local(); local.x = 5\nvar = contextvars.ContextVar('v')\n"
        "def f():\n  local.x = 6; var.set(7)\n  return again('(local.x, var.get())')"
    )
    t.is_("the same thread state", (6, 7), interp.call, "f")
    t.is_("levels", 3, interp.eval, "again(\"again('1 + 2')\")")


@case("host function: the GIL is free", alone=True)
def gil(t: Any) -> None:
    interp = t.create()
    begun = threading.Event()
    interp.define("wait", lambda: begun.wait(30))
    interp.define("go", begun.set)
    interp.exec("import threading\nthread = threading.Thread(target=lambda: go()); ")
    t.is_("another thread of its code runs", True, interp.eval, "(thread.start(), wait())[1]")
    interp.exec("thread.join()")


@case("host function: defined again, deleted, gone", alone=True)
def gone(t: Any) -> None:
    import gc
    import weakref

    class Function:
        def __init__(self, number: int) -> None:
            self.number = number

        def __call__(self) -> int:
            return self.number

    def define(number: int) -> "weakref.ref[Function]":
        function = Function(number)
        interp.define("host:f", function)
        return weakref.ref(function)

    def is_gone(reference: Any) -> bool:
        for _ in range(1000):
            interp.exec("pass")  # what was let go of goes when it is entered
            gc.collect()
            if reference() is None:
                return True
            time.sleep(0.005)
        return False

    interp = t.create()
    first = define(1)
    interp.exec("import host\nkept = host.f")
    second = define(2)
    t.is_("the new one", 2, interp.eval, "host.f()")
    interp.exec("del kept")
    t.is_("the first is finalised", True, is_gone, first)
    interp.exec("kept = host.f\ndel host.f")
    t.is_("kept, it can be called", 2, interp.eval, "kept()")
    interp.exec("del kept")
    t.is_("the second is finalised", True, is_gone, second)
    third = define(3)
    interp.close()
    gc.collect()
    t.is_("the last ends with the interpreter", None, third)


@case("host function: close and shutdown from inside", alone=True)
def close_from_inside(t: Any) -> None:
    interp = t.create()
    interp.define("host:status", lambda: _status(t, lambda: t.api.shutdown()))
    t.is_("shutdown", "BUSY", interp.eval, "__import__('host').status()")


def _status(t: Any, function: Any) -> str:
    try:
        function()
    except t.api.InterpreterError as error:
        return str(error.status.name)
    return "OK"


@case("session", alone=True)
def session(t: Any) -> None:
    interp, other = t.create(), t.create()
    tick = (
        "import threading\nlocal = threading.local()\n"
        "def tick():\n  local.n = getattr(local, 'n', 0) + 1\n  return local.n"
    )
    for each in (interp, other):
        each.exec(tick)
    ticks = lambda: [interp.call("tick") for _ in range(3)]
    t.is_("outside, each call is new", [1, 1, 1], ticks)
    with interp.session(), other.session(), interp.session():
        t.is_("inside, it lasts", [1, 2, 3], ticks)
        t.is_("another one beside it", 1, other.call, "tick")
        t.is_("is_running while merely entered", False, interp.is_running)
        t.is_("close on its own thread", Error("BUSY"), interp.close)
        t.is_("close on another thread", Error("BUSY"), t.thread, interp.close)
        t.is_("another thread runs meanwhile", 1, t.thread, interp.call, "tick")
        leave = interp.session().__exit__
        t.is_("leave on another thread", Error("WRONG_STATE"), t.thread, leave)
    t.is_("afterwards, each call is new", [1, 1, 1], ticks)
    t.is_("leave without enter", Error("WRONG_STATE"), interp.session().__exit__)
    t.thread(interp.session().__enter__)
    t.is_("the thread has ended inside", None, interp.close)


@case("prepared function", alone=True)
def function(t: Any) -> None:
    interp = t.create()
    interp.exec("def f(a): return a + 1\nfive = 5")
    prepared = interp.function("f")
    interp.exec("def f(a): return 'another'")
    t.is_("rebinding the name does not change it", 2, prepared, 1)
    t.is_("no such name", Error("EXECUTION_FAILED", **{"type.__name__": "AttributeError"}), interp.function, "nope")
    t.is_("not callable", Error("EXECUTION_FAILED", **{"type.__name__": "TypeError"}), interp.function, "five")
    interp.close()
    t.is_("after the close", Error("NOT_FOUND"), prepared, 1)


@case("prepared function: freed during a call", alone=True)
def function_freed(t: Any) -> None:
    interp = t.create()
    begun, go = t.file("begun"), t.file("go")
    interp.exec(
        "import os, time\ndef f():\n"
        f" open({begun!r}, 'x').close()\n while not os.path.exists({go!r}): time.sleep(0.001)\n return 5"
    )
    prepared, got = interp.function("f"), []
    with t.beside(lambda: got.append(prepared())):
        t.until(begun)
        prepared.close()
        open(go, "x").close()
    t.is_("the call finishes", [5], lambda: got)
    t.is_("and no other begins", Error("NOT_FOUND"), prepared)


def _in_time(t: Any, interp: Any, source: str, timeout: float = 0.05) -> None:
    """Runs it with a limit that passes while it runs. On a busy machine it may pass before that: then once more."""
    while True:
        try:
            return interp.with_options(timeout=timeout).exec(source)
        except t.api.InterpreterTimeoutError as error:
            if error.excinfo is not None:
                raise


@case("limit: Python code", alone=True)
def limit(t: Any) -> None:
    interp = t.create()
    t.is_("a loop", Error("TIMEOUT", **KEYBOARD), _in_time, t, interp, LOOP)
    t.is_("finally runs", Error("TIMEOUT", **KEYBOARD), _in_time, t, interp, f"try:\n {LOOP}\nfinally: ran = True")
    t.is_("it ran", True, interp.eval, "ran")
    # Between the end of the loop and the end of the code CPython does not look for a second hit.
    swallows = f"try:\n {LOOP}\nexcept KeyboardInterrupt: swallowed = True"
    t.is_("it swallows, and ends well", None, _in_time, t, interp, swallows, 0.5)
    t.is_("it swallowed", True, interp.eval, "swallowed")
    other = f"try:\n {LOOP}\nexcept KeyboardInterrupt: raise ValueError('mine')"
    t.is_("it ends in another exception", Error("TIMEOUT"), _in_time, t, interp, other)
    t.is_("it can be used", 1, interp.eval, "1")
    t.is_("in time", 2, interp.with_options(timeout=600).eval, "2")


@case("limit: waiting for a turn", alone=True)
def queued(t: Any) -> None:
    interp = t.create(busy=t.api.Busy.WAIT)
    with t.running(interp):
        t.is_("its time is up", Error("TIMEOUT"), interp.with_options(timeout=0.05).exec, "ran = True")
    t.is_("nothing ran", False, interp.eval, "'ran' in vars()")


@case("limit: while the result is converted", alone=True)
def converting(t: Any) -> None:
    interp = t.create()
    interp.exec("many = list(range(1_000_000))\ndef f():\n  global done\n  done = True\n  return many")

    def convert() -> str:
        # Where the limit comes before the function has ended, it is tried again.
        for _ in range(100):
            interp.exec("done = False")
            try:
                return f"{len(interp.with_options(timeout=0.02).call('f'))} elements"
            except t.api.InterpreterTimeoutError:
                if interp.eval("done"):
                    return "hit"
        return "never in time"

    t.is_("the result", "1000000 elements", convert)


@case("cancel", alone=True)
def cancel(t: Any) -> None:
    interp = t.create()
    token = t.api.Cancel()
    token.fire()
    t.is_("fired before", Error("INTERRUPTED"), interp.with_options(cancel=token).exec, "ran = True")
    t.is_("nothing ran", False, interp.eval, "'ran' in vars()")
    t.is_("it stays fired", Error("INTERRUPTED"), interp.with_options(cancel=token).eval, "1")
    inside = t.api.Cancel()
    seen: list[bool] = []

    def fire() -> str:
        before = t.api.cancelled()
        inside.fire()
        seen.extend([before, t.api.cancelled()])
        return "returned"

    interp.define("fire", fire)
    t.is_(
        "during a host function",
        Error("INTERRUPTED", **KEYBOARD),
        interp.with_options(cancel=inside).exec,
        f"said = fire()\n{LOOP}",
    )
    t.is_("which went on, and could ask", [False, True], lambda: seen)
    t.is_("it can be used", 1, interp.eval, "1")


@case("interrupt with nothing running", alone=True)
def interrupt(t: Any) -> None:
    interp = t.create()
    t.is_("OK", None, interp.interrupt)
    t.is_("and nothing later is hit", 499_500, interp.eval, "sum(range(1000))")


@case("cancel: threads that the run started", alone=True)
def threads(t: Any) -> None:
    interp, token = t.create(), t.api.Cancel()
    interp.define("fire", token.fire)
    source = (
        "import threading, time\nend = False\ndef work():\n  while not end: time.sleep(0.001)\n"
        f"thread = threading.Thread(target=work)\nthread.start()\nfire()\n{LOOP}"
    )
    t.is_("the run is hit", Error("INTERRUPTED", **KEYBOARD), interp.with_options(cancel=token).exec, source)
    t.is_("the thread is not", True, interp.eval, "thread.is_alive()")
    t.is_("a close with INTERRUPT ends it", None, lambda: interp.close(interrupt=True, timeout=600))


@case("output of a function", alone=True)
def output(t: Any) -> None:
    interp = t.create()
    got: list[tuple[int, str]] = []
    interp.set_output(lambda stream, text: got.append((stream, text)))
    interp.exec(
        "import sys, os\nfor byte in 'é€🐍'.encode():\n  sys.stdout.buffer.write(bytes([byte])); sys.stdout.flush()\n"
        "print('x', file=sys.stderr)"
    )
    t.is_("complete characters, in order", "é€🐍", lambda: "".join(text for stream, text in got if stream == 1))
    t.is_("no half of one", True, lambda: not any("\ufffd" in text for _, text in got))
    t.is_("stderr", "x\n", lambda: "".join(text for stream, text in got if stream == 2))
    got.clear()
    interp.exec(
        "import threading\nthread = threading.Thread(target=print, args=('late',)); thread.start(); thread.join()"
    )
    t.is_("of a thread", "late\n", lambda: "".join(text for _, text in got))
    asked: list[int] = []
    interp.set_output(lambda stream, text: asked.append(t.api.create_queue().maxsize))
    t.is_("it may call the library", None, interp.exec, "print('y')")
    t.is_("it did", True, lambda: bool(asked))


@case("a captured run that starts threads", alone=True)
def captured(t: Any) -> None:
    interp = t.create()
    run: list[str] = []
    whole: list[str] = []
    interp.set_output(lambda stream, text: whole.append(text))
    go, begun = t.file("go"), t.file("begun")
    source = (
        "import os, threading, time\ndef late():\n"
        f"  while not os.path.exists({go!r}): time.sleep(0.001)\n  print('later')\n"
        "thread = threading.Thread(target=late); thread.start()\nprint('now')"
    )
    interp.with_options(output=lambda stream, text: run.append(text)).exec(source)
    open(go, "x").close()
    interp.exec("thread.join()")
    t.is_("what the run printed", "now\n", lambda: "".join(run))
    t.is_("what the thread printed later", "later\n", lambda: "".join(whole))
    assert not os.path.exists(begun)
