"""Values that cross, in both directions; and the source that is dedented."""

import math
import struct
from typing import Any

from sides import Error

from . import case

PLAIN = {
    "None": None,
    "True": True,
    "False": False,
    "0": 0,
    "-1": -1,
    "2**63 - 1": 2**63 - 1,
    "-2**63": -(2**63),
    "2**63": 2**63,
    "-2**63 - 1": -(2**63) - 1,
    "2**2000": 2**2000,
    "1.5": 1.5,
    "-0.0": -0.0,
    "inf": math.inf,
    "the smallest": 5e-324,
    "a str": "text",
    "an empty str": "",
    "any characters": "é€🐍\0\x7f",
    "bytes": bytes(range(256)),
    "empty bytes": b"",
    "a tuple": (1, ("a", (None, 2.5)), b"x"),
    "an empty tuple": (),
    "a list": [1, [2, []]],
    "a dict": {"b": 1, "a": [2], 3: {}, (1, 2): None, None: True},
}


def _each(name: str, value: Any) -> None:
    @case(f"value: {name}")
    def cross(t: Any) -> None:
        interp = t.create()
        t.see("there and back", t.call, interp, "def f(a): return a", value)
        t.see("what it is there", t.call, interp, "def f(a): return f'{type(a).__name__} {a!r}'", value)
        t.see("as a name", interp.prepare_main, {"a": value})
        t.see("and what that is", t.value, interp, "vars().get('a', 'nothing')")


for _name, _value in PLAIN.items():
    _each(_name, _value)


@case("a NaN")
def nan(t: Any) -> None:
    interp = t.create()
    for bits in (0x7FF8000000000000, 0x7FF8DEADBEEF0001, 0xFFF8000000000002):
        value = struct.unpack("<d", struct.pack("<Q", bits))[0]

        def back() -> str:
            return struct.pack("<d", t.call(interp, "def f(a): return a", value)).hex()

        t.see(f"{bits:x}", back)


ODD = {
    "a bytearray": bytearray(b"ab"),
    "a memoryview": memoryview(b"ab"),
    "a complex number": 1 + 2j,
    "a range": range(3),
    "a set": {1},
    "a frozenset": frozenset({1}),
    "an object": object(),
    "a class": int,
    "Ellipsis": ...,
    "a slice": slice(1, 2),
    "a lone surrogate": "a\udc80",
    "a list with an object": [1, {"a": object()}],
}


@case("arguments that have no value")
def odd(t: Any) -> None:
    interp = t.create()
    for label, value in ODD.items():
        t.see(label, t.call, interp, "def f(a): return type(a).__name__", value)


@case("arguments of derived classes")
def derived(t: Any) -> None:
    import collections
    import enum

    class Number(int):
        pass

    interp = t.create()
    for label, value in {
        "OrderedDict": collections.OrderedDict(a=1),
        "Counter": collections.Counter("aab"),
        "IntFlag": enum.IntFlag("Bits", "A B").A,
        "int": Number(3),
    }.items():
        t.see(label, t.call, interp, "def f(a): return type(a).__name__", value)


RESULTS = {
    "a bytearray": "return bytearray(b'ab')",
    "a set": "return {1}",
    "a frozenset": "return frozenset({1})",
    "a complex number": "return 1 + 2j",
    "a date": "import datetime\n    return datetime.date(2026, 2, 28)",
    "a datetime inside": "import datetime\n    return {'a': [0, 1, 2, datetime.datetime(2026, 2, 28)]}",
    "a lone surrogate": "return 'a\\udc80'",
    "an object": "return object()",
    "a module": "import math\n    return math",
    "a generator": "return (n for n in ())",
    "a Counter": "import collections\n    return collections.Counter('aab')",
    "a bool and an int as keys": "return {1: 'a', 2: True}",
    "1,000 levels": "a = []\n    for n in range(998): a = [a]\n    return len(str(a))",
}


@case("results that have no value")
def results(t: Any) -> None:
    interp = t.create()
    for label, body in RESULTS.items():
        t.see(label, t.call, interp, f"def f():\n    {body}")


@case("a cycle, and depth", alone=True)
def depth(t: Any) -> None:
    interp = t.create()
    t.is_(
        "a cycle",
        Error("NOT_SHAREABLE", message="result[0]: is result itself; a cycle cannot be shared"),
        interp.eval,
        "(a := [], a.append(a))[0]",
    )
    interp.exec(
        "def deep(n):\n  a = 0\n  for _ in range(n): a = [a]\n  return a\n"
        "def depth(a):\n  n = 0\n  while type(a) is list:\n    n += 1; a = a[0]\n  return n"
    )

    def levels(value: Any) -> int:
        count = 0
        while type(value) is list:
            count, value = count + 1, value[0]
        return count

    t.is_("a result of 999 lists", 999, lambda: levels(interp.call("deep", 999)))
    t.is_("a result of 2,000", Error("NOT_SHAREABLE"), interp.call, "deep", 2000)
    t.is_("an argument of 999 lists", 999, interp.call, "depth", _nested(999))
    t.is_(
        "an argument of 2,000",
        Error("NOT_SHAREABLE"),
        interp.call,
        "depth",
        _nested(2000),
    )
    t.is_(
        "a key that has no hash",
        Error("EXECUTION_FAILED", **{"type.__name__": "TypeError"}),
        interp.call,
        "depth",
        {(1, ()): 1, (1, (2, _unhashable())): 2},
    )


def _nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def _unhashable() -> Any:
    import subpy

    return subpy.Tagged(subpy.Tag.SET, [1])


@case("a dict that changes while it is converted", alone=True)
def changes(t: Any) -> None:
    interp = t.create()
    interp.exec(
        "class K:\n  pass\ndef grow():\n  d = {n: n for n in range(1000)}\n  import threading\n"
        "  stop = threading.Event()\n  def change():\n    while not stop.is_set():\n      d.clear()\n"
        "      for n in range(1000): d[n] = n\n  thread = threading.Thread(target=change)\n  thread.start()\n"
        "  return d, stop, thread\nd, stop, thread = grow()"
    )

    def read() -> bool:
        return all(all(key == value for key, value in interp.eval("d").items()) for _ in range(50))

    t.is_("nothing but what was there", True, read)
    interp.exec("stop.set(); thread.join()")


DEDENT = {
    "text inside unindented code": "s='''a\n   \nb'''\nprint(repr(s))",
    "text inside indented code": "  s='''a\n   \n  b'''\n  print(repr(s))",
    "a form feed": "  a = 1\n\f\n  print(a)",
    "an ideographic space": "  a = 1\n\u3000\n  print(a)",
    "a tab and blanks": "\ta = 1\n        print(a)",
    "a comment in the first column": "  a = 1\n# c\n  print(a)",
    "CR LF": "  a = 1\r\n  print(a)\r\n",
    "a first line that is blank": "\n  a = 1\n  print(a)",
    "a last line that is blank": "  a = 1\n  print(a)\n    ",
    "text at the margin": "  s='''x\ny'''\n  print(s)",
    "less in the second line": "    a = 1\n  print(a)",
    "more in the second line": "  a = 1\n    print(a)",
    "a block": "  if 1:\n    print('x')\n  else:\n    print('y')",
    "a line of blanks alone": "   ",
    "nothing": "",
    "an unindented comment first": "# c\n  print(1)",
    "tabs": "\tif 1:\n\t\tprint('x')",
    "an error's line": "\n\n  x = = 1",
}


def _dedent(name: str, source: str) -> None:
    @case(f"dedent: {name}")
    def dedent(t: Any) -> None:
        t.see("what it prints", t.dash_c, source)


for _name, _text in DEDENT.items():
    _dedent(_name, _text)


@case("kept indentation")
def kept(t: Any) -> None:
    interp = t.create()
    if t.kind == "stdlib":
        t.see("it", interp.exec, "  a = 1")
    else:
        t.see("it", lambda: interp.exec("  a = 1", keep_indent=True))
    t.see("indented", interp.exec, "  b = 1")
