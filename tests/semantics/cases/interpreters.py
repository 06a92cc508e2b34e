"""Interpreters: create, find, list, close."""

import os
import threading
from typing import Any

from sides import Error

from . import case


@case("configuration")
def configuration(t: Any) -> None:
    interp = t.create()
    t.see("whence", lambda: interp.whence)
    t.exec(interp, "import _interpreters\nc = vars(_interpreters.get_config(_interpreters.get_current()[0]))")
    for name in sorted(t.value(interp, "tuple(c)")):
        t.see(name, t.value, interp, f"c[{name!r}]")


@case("what the configuration forbids")
def forbids(t: Any) -> None:
    interp = t.create()
    t.exec(interp, "import os, threading")
    fork = "if os.fork() == 0: os._exit(0)"
    t.see("fork", t.exec, interp, f"try:\n {fork}\nexcept RuntimeError as e: said = str(e)\nelse: said = os.wait()[1]")
    t.see("fork says", t.value, interp, "said")
    t.see("a thread", t.exec, interp, "thread = threading.Thread(target=int); thread.start(); thread.join()")
    t.see("a daemon thread", t.exec, interp, "threading.Thread(target=int, daemon=True).start()")
    t.see("an extension module that refuses", t.exec, interp, "import _tracemalloc")


@case("exec from inside")
def exec_from_inside(t: Any) -> None:
    interp = t.create()
    # A program that is not there: where exec is allowed nothing is lost.
    t.see("exec", t.exec, interp, "import os\nos.execv('/no/such/program', ['x'])")


@case("ids")
def ids(t: Any) -> None:
    t.see("main", lambda: t.api.get_main().id)
    made = [t.create() for _ in range(3)]
    numbers = [interp.id for interp in made]
    t.see("they increase", lambda: numbers == sorted(set(numbers)))
    made[2].close()
    t.see("none is used again", lambda: t.create().id > numbers[2])
    t.see("type", lambda: type(numbers[0]).__name__)
    t.see("they can be kept", lambda: t.api.Interpreter(numbers[0]).id == numbers[0])


@case("list")
def listed(t: Any) -> None:
    one, two = t.create(), t.create()
    t.see("both", lambda: t.names(t.api.list_all()))
    one.close()
    t.see("without the first", lambda: t.names(t.api.list_all()))
    foreign = t.foreign()
    t.see("with one that is not ours", lambda: foreign.id in [interp.id for interp in t.api.list_all()])
    t.see("by ascending id", lambda: (n := [interp.id for interp in t.api.list_all()]) == sorted(n))
    two.close()
    t.see("neither", lambda: "#2" in t.names(t.api.list_all()))


@case("current")
def current(t: Any) -> None:
    t.see("in main", lambda: t.api.get_current().id)
    t.see("on a thread of main", lambda: t.thread(lambda: t.api.get_current().id))
    interp = t.create()
    t.exec(interp, "import _interpreters\nnumber = _interpreters.get_current()[0]")
    t.see("inside", lambda: t.value(interp, "number") == interp.id)


@case("find")
def find(t: Any) -> None:
    interp = t.create()
    t.see("the same", lambda: t.api.Interpreter(interp.id) == interp)
    t.see("unknown", t.api.Interpreter, 999_999)
    t.see("negative", t.api.Interpreter, -1)
    t.see("too big", t.api.Interpreter, 2**63)
    t.see("much too big", t.api.Interpreter, 2**200)
    t.see("a text", t.api.Interpreter, "1")
    t.see("a float", t.api.Interpreter, 1.0)
    t.see("True", lambda: t.api.Interpreter(False).id)
    interp.close()
    t.see("closed", t.api.Interpreter, interp.id if t.kind == "stdlib" else t._ids[0])


@case("whence")
def whence(t: Any) -> None:
    t.see("main", lambda: t.api.get_main().whence)
    t.see("created", lambda: t.create().whence)


@case("whence of one that Python code made", alone=True)
def whence_foreign(t: Any) -> None:
    t.is_("whence", "_interpreters module", lambda: t.foreign().whence)


@case("running")
def running(t: Any) -> None:
    interp = t.create()
    t.see("before", interp.is_running)
    with t.running(interp):
        t.see("meanwhile", interp.is_running)
        t.see("main, meanwhile", lambda: t.api.get_main().is_running())
    t.see("after", interp.is_running)
    end = t.file("end")
    t.exec(
        interp,
        "import os, threading, time\ndef wait():\n"
        f" while not os.path.exists({end!r}): time.sleep(0.001)\n"
        "thread = threading.Thread(target=wait); thread.start()",
    )
    t.see("a thread was left behind", interp.is_running)
    open(end, "x").close()
    t.exec(interp, "thread.join()")
    interp.close()
    t.see("closed", interp.is_running)


@case("one that it did not make")
def foreign(t: Any) -> None:
    interp = t.foreign()
    t.see("exec", interp.exec, "pass")
    t.see("call", t.call, interp, "def f(): pass")
    t.see("prepare_main", interp.prepare_main, {"a": 1})
    t.see("close", interp.close)
    t.see("it is still there", lambda: interp.whence != "")


@case("main", alone=True)
def main(t: Any) -> None:
    interp = t.api.get_main()
    interp.exec("_semantics = 6 * 7")
    t.is_("exec", 42, interp.eval, "_semantics")
    t.is_("call", 3.0, interp.call, "math:sqrt", 9.0)
    interp.exec("del _semantics")
    refused = Error("INTERPRETER", message="cannot destroy the main interpreter, subpy_shutdown() ends it")
    t.is_("close", refused, interp.close)


@case("close an idle one")
def close(t: Any) -> None:
    interp, log = t.create(), t.file("log")
    t.exec(
        interp,
        "import atexit, threading, time\n"
        f"def write(text, log={log!r}):\n with open(log, 'a') as file: file.write(text)\n"
        "def late():\n time.sleep(0.2); write('thread ')\n"
        "threading.Thread(target=late).start()\natexit.register(write, 'atexit')",
    )
    t.see("close", interp.close)
    t.see("it waits for threads, then runs exit handlers", t.read, log)
    t.see("it is not listed", lambda: t.names(t.api.list_all()))


@case("an exit handler that raises")
def atexit_raises(t: Any) -> None:
    interp, log = t.create(), t.file("log")
    t.exec(
        interp,
        "import atexit, sys\n"
        f"def write(log={log!r}):\n with open(log, 'a') as file: file.write('done')\n"
        "def bad(): raise ValueError('at exit')\natexit.register(write)\natexit.register(bad)",
    )
    said = t.printed(2, interp, interp.close)
    t.see("it is printed", lambda: said.splitlines()[0].partition("<")[0])
    t.see("and how it ends", lambda: said.splitlines()[-1])
    t.see("others run", t.read, log)
    t.see("closed", interp.is_running)


@case("close one that runs")
def close_running(t: Any) -> None:
    interp = t.create()
    with t.running(interp):
        t.see("close", interp.close)
        t.see("it still runs", interp.is_running)
    t.see("and can be used", t.exec, interp, "pass")
    t.see("and closed", interp.close)


@case("close it from inside")
def close_inside(t: Any) -> None:
    interp = t.create()
    t.see("message", t.close_inside, interp)
    t.see("it can be used", t.exec, interp, "pass")


@case("use while a close waits for threads")
def use_while_closing(t: Any) -> None:
    interp, begun, end = t.create(), t.file("begun"), t.file("end")
    t.exec(
        interp,
        "import os, threading, time\ndef wait():\n"
        # The interpreter is closing when its threading has begun to shut down.
        " while threading._main_thread.is_alive() and not getattr(threading, '_SHUTTING_DOWN', 0): time.sleep(0.001)\n"
        f" open({begun!r}, 'x').close()\n"
        f" while not os.path.exists({end!r}): time.sleep(0.001)\nthreading.Thread(target=wait).start()",
    )
    with t.beside(interp.close):
        t.until(begun)
        t.see("listed", lambda: t.names(t.api.list_all()))
        t.see("exec", t.exec, interp, "pass")
        t.see("call", t.call, interp, "def f(): return 1")
        if t.kind != "stdlib":  # which may crash
            t.see("close", interp.close)
        open(end, "x").close()
    t.see("afterwards", t.exec, interp, "pass")


@case("close a creator")
def close_creator(t: Any) -> None:
    interp = t.create()
    before = len(t.api.list_all())
    t.exec(
        interp,
        "from concurrent import interpreters\nmade = [interpreters.create(), interpreters.create()]\n"
        "all = len(interpreters.list_all())",
    )
    t.see("listed here", lambda: len(t.api.list_all()) - before)
    t.see("close", interp.close)
    t.see("listed after the close", lambda: len(t.api.list_all()) - before)


@case("use after a close")
def closed(t: Any) -> None:
    interp = t.create()
    interp.close()
    t.see("close", interp.close)
    t.see("exec", interp.exec, "pass")
    t.see("call", t.call, interp, "def f(): pass")
    t.see("prepare_main", interp.prepare_main, {"a": 1})
    t.see("is_running", interp.is_running)
    t.see("whence", lambda: interp.whence)
    t.see("id", lambda: interp.id == t._ids[0])


@case("a close that waits: what others get", alone=True)
def second_close(t: Any) -> None:
    interp, begun, end = t.create(), t.file("begun"), t.file("end")
    interp.exec(
        "import atexit, os, time\n"
        f"def wait():\n open({begun!r}, 'x').close()\n"
        f" while not os.path.exists({end!r}): time.sleep(0.001)\natexit.register(wait)"
    )
    busy = Error("BUSY", message="interpreter is closing")
    with t.beside(interp.close):
        t.until(begun)
        t.is_("exec", busy, interp.exec, "pass")
        t.is_("call", busy, interp.call, "math:sqrt", 4.0)
        t.is_("close", busy, interp.close)
        t.is_("listed", ["main", "#1"], lambda: t.names(t.api.list_all()))
        open(end, "x").close()
    t.is_("afterwards", Error("NOT_FOUND", message="unrecognized interpreter ID #1"), interp.exec, "pass")


@case("threads that use one interpreter")
def many_threads(t: Any) -> None:
    # One thread after the other: all see the same __main__.
    interp = t.create()
    t.exec(interp, "names = []")
    for number in range(3):
        t.see(f"thread {number}", t.thread, t.exec, interp, f"names.append({number})")
    t.see("what they left", t.value, interp, "tuple(names)")


@case("what a process shares")
def shared(t: Any) -> None:
    interp, folder = t.create(), os.path.dirname(t.file("x"))
    before = os.getcwd()
    t.exec(
        interp,
        f"import os, signal, threading, sys\nos.chdir({folder!r})\nos.environ['SEMANTICS'] = 'x'\n"
        "limit = sys.getrecursionlimit()\nsys.setrecursionlimit(limit + 7)",
    )
    t.see("the working directory", lambda: os.path.realpath(os.getcwd()) == os.path.realpath(folder))
    os.chdir(before)
    t.see("the environment of C", lambda: os.environ.get("SEMANTICS"))
    t.see("the process", lambda: t.value(interp, "os.getpid()") == os.getpid())
    t.see("the thread", lambda: t.value(interp, "threading.get_native_id()") == threading.get_native_id())
    t.see("signal.signal", t.exec, interp, "signal.signal(signal.SIGUSR1, signal.SIG_DFL)")
    other = t.create()
    t.see(
        "the recursion limit is its own",
        lambda: t.value(other, "__import__('sys').getrecursionlimit()") < t.value(interp, "sys.getrecursionlimit()"),
    )
    t.see("subprocess", t.exec, interp, "import subprocess\nsubprocess.run(['true'], check=True)")
    t.see("asyncio", t.exec, interp, "import asyncio\nasync def f(): return 5\nassert asyncio.run(f()) == 5")
