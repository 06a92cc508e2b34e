"""exec, call, prepare_main."""

import os
from typing import Any

from sides import Error

from . import case


@case("exec while something runs")
def busy(t: Any) -> None:
    interp = t.create()
    interp.prepare_main({"a": 1})
    with t.running(interp):
        t.see("exec", interp.exec, "pass")
        t.see("call", t.call, interp, "def f(): pass")
        t.see("prepare_main", interp.prepare_main, {"a": 2})
    t.see("nothing was done", t.value, interp, "a")


@case("which error comes first")
def first_error(t: Any) -> None:
    interp = t.create()
    with t.running(interp):
        t.see("busy, and no syntax", interp.exec, "x =")
        t.see("busy, and not shareable", interp.prepare_main, {"a": object()})
    interp.close()
    t.see("closed, and no syntax", interp.exec, "x =")
    t.see("closed, and not shareable", interp.prepare_main, {"a": object()})
    t.see("closed, and a name that is no name", interp.prepare_main, {"a\0b": 1})


SOURCES = {
    "no expression": "x =",
    "in the second line": "a = 1\nb = (\n",
    "an indent that is not one": "if x:\npass",
    "tabs and blanks": "if 1:\n\ta = 1\n        b = 2\n",
    "an indent too much": "a = 1\n  b = 2",
    "a text that does not end": "a = 'x",
    "a return outside": "return 5",
    "break outside": "break",
    "await outside": "await x",
    "NUL": "a = 1\0",
    "a byte order mark": "\ufeffa = 1",
    "a wide line": "é = 1 é",
    "an unknown character": "a = 1 ‽",
    "a number": "a = 012",
    "assigned to": "1 = a",
    "a keyword twice": "f(a=1, a=2)",
    "nonlocal": "nonlocal a",
    "star": "*a = 1",
    "an f-string": "f'{a b}'",
    "left open": "print((1, 2)",
    "an unmatched parenthesis": "print)1(",
    "in a function": "def f():\n    x = = 1\n",
    "three quotes that do not end": "a = 1\nb = '''x\ny\n",
    "an f-string that does not end": "a = f'{1",
    "an f-string without an expression": "f'{}'",
    "a print statement": "print 'x'",
    "an exec statement": "exec 'x'",
    "a number with letters": "1abc",
    "a number that is too long": "9" * 5000,
    "an escape that is none": "'\\N{no such name}'",
    "a short escape": "'\\x1'",
    "bytes of any letters": "b'é'",
    "a backslash at the end": "a = 1 + \\",
    "a backslash within a line": "a = \\ 1",
    "async outside": "async for a in b: pass",
    "yield outside": "yield 1",
    "an argument twice": "def f(a, a): pass",
    "a default before none": "def f(a=1, b): pass",
    "None assigned to": "None = 1",
    "a call deleted": "del f()",
    "a call assigned to": "f() = 1",
    "a comparison assigned to": "if a = 1: pass",
    "a star import in a function": "def f():\n  from os import *\n",
    "no such future": "from __future__ import braces",
    "a future that is none": "from __future__ import nothing",
    "a future too late": "a = 1\nfrom __future__ import annotations",
    "a global too late": "def f():\n  a = 1\n  global a\n",
    "a parameter and a global": "def f(a):\n  global a\n",
    "a keyword as a name": "class = 1",
    "else without if": "else: pass",
    "try alone": "try:\n  pass\n",
    "no body": "def f():\n",
    "no body, and more": "def f():\nx = 1",
    "match without case": "match 1:\n  pass",
    "case that is never reached": "match 1:\n  case _: pass\n  case 1: pass",
    "a dedent that fits nothing": "if 1:\n    a = 1\n  b = 2\n",
    "many nested blocks": "".join(" " * n + "while 1:\n" for n in range(25)) + " " * 25 + "pass",
    "a hundred levels of indents": "".join(" " * n + "if 1:\n" for n in range(105)) + " " * 105 + "pass",
    "a dict without a value": "{1: 2, 3}",
    "a missing comma": "[1 2]",
    "a missing colon": "if 1\n  pass",
    "invisible": "a\u200b = 1",
    "quotes of a word processor": "print(\u201cx\u201d)",
    "a control character": "a = 1\x01",
    "an error in a wide line": "'🐍🐍' = 1",
    "an error behind a tab": "if 1:\n\ta = = 1",
    "carriage returns alone": "a = 1\rb = = 2\r",
    "a type parameter twice": "def f[T, T](): pass",
    "a walrus at the top": "a := 1",
    "starred twice": "a, *b, *c = 1",
    "a ternary without else": "a = 1 if 2",
    "an import of nothing": "from os import",
    "an import in brackets": "import (os)",
    "a lambda": "lambda: (yield",
    "a long line": "a = " + "1 + " * 2000 + "= 1",
}


@case("source that does not compile")
def syntax(t: Any) -> None:
    interp = t.create()
    for label, source in SOURCES.items():
        t.see(label, interp.exec, "print('ran')\n" + source if label == "nonlocal" else source)
    t.see("nothing ran", t.value, interp, "'a' in vars()")


@case("source that is no text")
def not_text(t: Any) -> None:
    interp = t.create()
    for label, source in {"a number": 10, "None": None, "bytes": b"a = 1", "bytearray": bytearray(b"a = 1")}.items():
        t.see(label, interp.exec, source)
    t.see("a lone surrogate", interp.exec, "a = '\udc80'")


@case("source that compiles")
def compiles(t: Any) -> None:
    interp = t.create()
    for label, source in {
        "nothing": "",
        "a comment": "# nothing",
        "a coding cookie": "# -*- coding: latin-1 -*-\nx = 'é€'\nassert len(x) == 2",
        "CR LF": "a = 1\r\nif a:\r\n    b = 2\r\n",
        "no newline at the end": "c = 3",
        "a name of any letters": "é = 'é'\nassert é == '\\xe9'",
        "__file__ is not there": "assert '__file__' not in vars()",
    }.items():
        t.see(label, interp.exec, source)
    t.see("names", lambda: [t.value(interp, name) for name in ("a", "b", "c", "__name__", "é")])


@case("errors of the compiler that are no SyntaxError")
def compiler(t: Any) -> None:
    interp = t.create()
    t.see("too deep", interp.exec, "-" * 100_000 + "1")
    t.see("too many parentheses", interp.exec, "(" * 300 + ")" * 300)


@case("__main__ lasts")
def lasts(t: Any) -> None:
    interp, other = t.create(), t.create()
    t.exec(interp, "a = 1\ndef g(): return a + 1")
    t.exec(interp, "a = 5")
    t.see("from run to run", t.value, interp, "g()")
    t.see("in one alone", t.exec, other, "a")
    t.see("its module", t.value, interp, "__import__('sys').modules['__main__'].a")
    t.see("after an exception", t.exec, interp, "a = 6\n1/0")
    t.see("what was done", t.value, interp, "a")


@case("print")
def printing(t: Any) -> None:
    interp = t.create()
    t.see("when the run returns", t.printed, 1, interp, interp.exec, "print('é€🐍'); print('b', end='')")
    t.see("stderr", t.printed, 2, interp, interp.exec, "import sys; print('é', file=sys.stderr)")


@case("a closed pipe")
def closed_pipe(t: Any) -> None:
    interp = t.create()
    t.see("write", t.exec, interp, "import os\nr, w = os.pipe()\nos.close(r)\nos.write(w, b'x')")
    t.see("the process lives", t.exec, interp, "os.close(w)")


@case("call")
def call(t: Any) -> None:
    interp = t.create()
    identity = "def f(*args, **kwargs): return args, kwargs"
    t.see("no arguments", t.call, interp, "def f(): pass")
    t.see("arguments", t.call, interp, identity, 1, "a", (None, True))
    t.see("by name", t.call, interp, identity, a=1, b="x", é=b"y")
    t.see("both", t.call, interp, identity, 1, b=2)
    t.see("not one of its names", t.call, interp, "def f(a): return a", b=1)
    t.see("too few", t.call, interp, "def f(a, b): return a", 1)
    t.see("raises", t.call, interp, "def f(a):\n    return 1 / a", 0)
    t.see("nested", t.call, interp, "def f(n):\n    def g(n): return g(n - 1) if n else 1 / 0\n    return g(n)", 3)
    t.see("exits", t.call, interp, "def f():\n    raise SystemExit(3)")
    t.see("its globals", t.call, interp, "def f():\n    return globals()['__name__']")
    t.see("it stays usable", t.exec, interp, "pass")


@case("names that are called", alone=True)
def named(t: Any) -> None:
    def raised(kind: str, formatted: str) -> Any:
        return Error("EXECUTION_FAILED", **{"type.__name__": kind, "formatted": formatted})

    interp = t.create()
    interp.exec("class C:\n  @staticmethod\n  def m(a): return a * 2\nfive = 5")
    t.is_("in __main__", 4, interp.call, "C.m", 2)
    t.is_("of a module", 2.0, interp.call, "math:sqrt", 4.0)
    t.is_("an attribute of an attribute", 6, interp.call, "__main__:C.m", 3)
    t.is_(
        "no such name",
        raised("AttributeError", "AttributeError: module '__main__' has no attribute 'nope'"),
        interp.call,
        "nope",
    )
    t.is_(
        "no such attribute",
        raised("AttributeError", "AttributeError: module 'math' has no attribute 'nope'"),
        interp.call,
        "math:nope",
    )
    t.is_(
        "no such module",
        raised("ModuleNotFoundError", "ModuleNotFoundError: No module named 'no_such'"),
        interp.call,
        "no_such:f",
    )
    t.is_("not callable", raised("TypeError", "TypeError: 'int' object is not callable"), interp.call, "five")


@case("call in a thread", alone=True)
def in_thread(t: Any) -> None:
    interp = t.create()
    t.is_("a result", 3.0, lambda: interp.call_in_thread("math:sqrt", 9.0).join())
    t.is_(
        "raises",
        Error("EXECUTION_FAILED", formatted="ZeroDivisionError: division by zero"),
        lambda: interp.call_in_thread("operator:truediv", 1, 0).join(),
    )
    interp.exec("import threading\ndef ident(): return threading.get_ident()")
    import threading

    t.is_("on another thread", True, lambda: interp.call_in_thread("ident").join() != threading.get_ident())
    with t.running(interp):
        thread = interp.call_in_thread("ident")
        t.is_("busy comes at the join", Error("BUSY", message="interpreter already running"), thread.join)
    t.is_("invalid arguments are reported at once", Error("NOT_SHAREABLE"), interp.call_in_thread, "ident", object())

    def left() -> None:
        thread = interp.call_in_thread("operator:truediv", 1, 0)
        while not thread.wait(1):
            pass
        del thread

    said = t.printed(2, None, left)
    t.is_("nobody joins: printed", True, lambda: said.startswith("Exception in thread subpy-"))
    t.is_("and how it ends", "ZeroDivisionError: division by zero", lambda: said.splitlines()[-1])
    interp.close()
    t.is_("a closed one is reported at once", Error("NOT_FOUND"), interp.call_in_thread, "ident")


@case("a call in a thread")
def thread_runs(t: Any) -> None:
    interp = t.create()
    t.exec(interp, "import sys")
    ran = interp.call_in_thread("sys:setrecursionlimit" if t.kind != "stdlib" else set_limit, 1234)
    ran.join()
    t.see("it ran", t.value, interp, "sys.getrecursionlimit()")


def set_limit(number: int) -> None:
    import sys

    sys.setrecursionlimit(number)


@case("prepare_main")
def prepare(t: Any) -> None:
    interp = t.create()
    t.see("a mapping", interp.prepare_main, {"a": 1, "b": "x"})
    t.see("by name", interp.prepare_main, c=(1, None))
    t.see("both", interp.prepare_main, {"d": b"y"}, e=1.5)
    t.see("what they are", lambda: [t.value(interp, name) for name in "abcde"])
    t.see("an empty name", interp.prepare_main, {"": 3})
    t.see("and what it is", t.value, interp, "vars()['']")
    t.see("no identifier", interp.prepare_main, {"a b": 3})
    t.see("and what that is", t.value, interp, "vars()['a b']")
    t.see("NUL", interp.prepare_main, {"a\0b": 1})
    t.see("a surrogate", interp.prepare_main, {"a\udc80": 1})
    t.see("no text", interp.prepare_main, {1: 1})
    t.see("nothing", interp.prepare_main, {})
    t.see("no mapping", interp.prepare_main, 5)
    t.see("not shareable", interp.prepare_main, {"g": 1, "h": object()})
    t.see("then none is bound", t.value, interp, "'g' in vars() or 'h' in vars()")
    t.see("not shareable inside", interp.prepare_main, {"g": (1, object())})
    t.see("a list", interp.prepare_main, {"i": [1]})
    t.see("a dict", interp.prepare_main, {"j": {"k": 1}})
    t.see("over what is there", interp.prepare_main, {"a": 2})
    t.see("and it is", t.value, interp, "a")


@case("an exception does not end the process")
def goes_on(t: Any) -> None:
    interp = t.create()
    for label, source in {
        "sys.exit": "import sys\nsys.exit(3)",
        "exit": "raise SystemExit",
        "quit": "raise KeyboardInterrupt",
    }.items():
        t.see(label, t.exec, interp, source)
    t.see("it goes on", t.exec, interp, "pass")
    t.see("so does the process", lambda: os.getpid() > 0)
