"""Uncaught exceptions: every field of excinfo."""

from typing import Any

from sides import Error

from . import case

ORDINARY = {
    "a text": "raise ValueError('text')",
    "no text": "raise ValueError",
    "an empty text": "raise ValueError('')",
    "two arguments": "raise ValueError('é€🐍', 2)",
    "several lines": "raise ValueError('several\\nlines\\n')",
    "a first line that is blank": "raise ValueError('\\n  \\nthen text')",
    "KeyError": "raise KeyError('a')",
    "OSError": "raise OSError(2, 'No such file', 'name')",
    "ZeroDivisionError": "1 / 0",
    "NameError": "undefined",
    "a name that is nearly right": "number = 1\nnumbr",
    "an attribute that is nearly right": "''.uper",
    "ImportError": "import no_such_module",
    "from a module": "from os import no_such_name",
    "sys.exit()": "import sys\nsys.exit()",
    "sys.exit(3)": "import sys\nsys.exit(3)",
    "sys.exit('text')": "import sys\nsys.exit('text')",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit('text')",
    "BaseException": "raise BaseException(1, 2)",
    "StopIteration": "raise StopIteration(7)",
    "AssertionError": "assert 1 == 2, 'not equal'",
    "a class in __main__": "class Mine(Exception): pass\nraise Mine('in main')",
    "a nested class": "class Outer:\n  class Inner(Exception): pass\nraise Outer.Inner('nested')",
    "a local class": "def f():\n  class Local(Exception): pass\n  raise Local('local')\nf()",
    "another module": "class Mine(Exception): __module__ = 'some.module'\nraise Mine('text')",
    "another module, without a text": "class Mine(Exception): __module__ = 'some.module'\nraise Mine",
    "another qualified name": "class Mine(Exception): __qualname__ = 'Other.Name'\nraise Mine('text')",
    "of decimal": "import decimal\ndecimal.Decimal(1) / 0",
    "of json": "import json\njson.loads('{')",
    "own __str__": "class Mine(Exception):\n  def __str__(self): return 'own text'\nraise Mine('unused')",
    "own __repr__": "class Mine(Exception):\n  def __repr__(self): return 'own repr'\nraise Mine('used')",
    "deep": "def f(): g()\ndef g(): h()\ndef h(): raise ValueError('deep')\nf()",
    "a cause": "try: 1 / 0\nexcept ZeroDivisionError as e: raise ValueError('cause') from e",
    "a context": "try: 1 / 0\nexcept ZeroDivisionError: raise ValueError('context')",
    "no context": "try: 1 / 0\nexcept ZeroDivisionError: raise ValueError('none') from None",
    "notes": "e = ValueError('noted')\ne.add_note('a note')\ne.add_note('two\\nlines')\nraise e",
    "a group": "raise ExceptionGroup('group', [ValueError(1), ExceptionGroup('inner', [KeyError('k')])])",
    "a base group": "raise BaseExceptionGroup('group', [SystemExit(3), KeyboardInterrupt()])",
    "a group with a traceback": "try: 1 / 0\nexcept ZeroDivisionError as e: raise ExceptionGroup('group', [e])",
    "RecursionError": "def f(n): return f(n + 1)\nf(0)",
    "many frames": "def f(n): return f(n - 1) if n else 1 / 0\nf(500)",
    "a SyntaxError of its own": "raise SyntaxError('mine')",
    "a SyntaxError while it runs": "compile('x = = 1', 'file.py', 'exec')",
    "a missing attribute": "x = 1\nx.missing",
    "a made up file": "exec(compile('def f():\\n  raise ValueError(1)\\n', 'made/up.py', 'exec'))\nf()",
    "in a generator": "def f():\n  yield\n  raise ValueError('in a generator')\nlist(f())",
    "in a comprehension": "[1 / n for n in (1, 0)]",
    "in a lambda": "(lambda a: a / 0)(1)",
    "in a class": "class C:\n  1 / 0",
    "raised again": "e = ValueError('again')\ntry: raise e\nexcept ValueError: pass\nraise e",
    "UnicodeDecodeError": "raise UnicodeDecodeError('utf-8', b'\\xff', 0, 1, 'why')",
    "a warning": "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('a warning')",
    "an expression over lines": "x = (1 +\n     2 + (\n       1 / 0))",
    "wide characters": "é = '🐍' + 1",
    "no traceback": "import sys\nsys.tracebacklimit = 0\n1 / 0",
    "a forgotten import": "math.sqrt(2)",
    "a forgotten self": "class C:\n  def __init__(self): self.blech = 1\n  def f(self): return blech\nC().f()",
    "a local that is not bound": "def f():\n  x += 1\nf()",
    "a name of a module that is nearly right": "from collections import Countr",
    "more than a group shows": "raise ExceptionGroup('many', [ValueError(n) for n in range(20)])",
    "a deep group": "e = ValueError(1)\nfor n in range(14): e = ExceptionGroup(str(n), [e])\nraise e",
    "a group with notes": "e = ValueError(1)\ne.add_note('inside')\ng = ExceptionGroup('g', [e])\ng.add_note('out')\nraise g",
    "a cause of a cause": "try:\n  try: 1 / 0\n  except ZeroDivisionError as e: raise KeyError(1) from e\n"
    "except KeyError as e: raise OSError(2, 'x') from e",
    "causes in a circle": "a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a",
    "its own context": "a = ValueError('a')\na.__context__ = ValueError('b')\na.__context__.__context__ = a\nraise a",
    "notes that are no list": "e = ValueError('v')\ne.__notes__ = 5\nraise e",
    "notes that are no texts": "e = ValueError('v')\ne.__notes__ = [1, None, ValueError('x')]\nraise e",
    "a SyntaxError with a place": "raise SyntaxError('mine', ('a.py', 3, 5, 'x = = 1', 3, 6))",
    "a SyntaxError with an odd place": "raise SyntaxError('mine', ('a.py', None, None, None))",
    "a SyntaxError with a line too far": "raise SyntaxError('mine', ('a.py', 1, 99, 'x'))",
    "a SyntaxError without a text": "e = SyntaxError()\ne.lineno = 'three'\nraise e",
    "an IndentationError of its own": "raise IndentationError('mine', ('<script>', 2, 1, ' x'))",
    "a limit of one frame": "import sys\nsys.tracebacklimit = 1\ndef f(): 1 / 0\ndef g(): f()\ng()",
    "a negative limit": "import sys\nsys.tracebacklimit = -5\n1 / 0",
    "a traceback that was taken away": "e = ValueError('x')\ntry: raise e\nexcept ValueError: pass\n"
    "raise e.with_traceback(None)",
    "a text of a derived class": "class S(str): pass\nclass E(Exception):\n  def __str__(self): return S('text')\nraise E",
    "a carriage return": "raise ValueError('a\\rb\\x1b[31mc')",
    "line separators": "raise ValueError('a\\u2028b\\x0cc')",
    "an empty module": "class E(Exception): __module__ = ''\nraise E('text')",
    "an empty qualified name": "class E(Exception): pass\nE.__qualname__ = ''\nraise E('text')",
    "another name": "class E(Exception): pass\nE.__name__ = 'Other'\nraise E('text')",
    "a name of any letters": "class É(Exception): pass\nraise É('text')",
    "a metaclass that lies": "class M(type):\n  __module__ = property(lambda self: 'lies')\n"
    "class E(Exception, metaclass=M): pass\nraise E('text')",
    "a metaclass that fails": "class M(type):\n  __qualname__ = property(lambda self: 1 / 0)\n"
    "class E(Exception, metaclass=M): pass\nraise E('text')",
    "a class that makes another": "class E(Exception):\n  def __new__(cls): return KeyError('made')\nraise E",
    "what is no exception": "raise 5",
    "a hook that fails": "import sys\nsys.excepthook = lambda *args: 1 / 0\nraise ValueError('text')",
    "stderr that is gone": "import sys\nsys.stderr = None\nraise ValueError('text')",
    "traceback that is gone": "import sys\nsys.modules['traceback'] = None\nraise ValueError('text')",
    "a call over lines": "def f(*args): 1 / 0\nf(1,\n  2,\n  (3 +\n   4))",
    "attributes over lines": "class A: pass\na = A()\na.b = A()\n(a\n .b\n .c)",
    "an f-string": "n = 0\nf'{n} and {1 / n}'",
    "tabs": "if 1:\n\tx = (1 +\t2) / 0",
    "in a decorator": "def d(f): 1 / 0\n@d\ndef g(): pass",
    "in a with": "class C:\n  def __enter__(self): pass\n  def __exit__(self, *args): 1 / 0\nwith C(): pass",
    "in eval": "eval('1 / 0')",
    "in a coroutine": "import asyncio\nasync def f(): 1 / 0\nasyncio.run(f())",
    "in __del__ it is printed": "import sys\nsys.unraisablehook = lambda *args: None\nclass C:\n  def __del__(self): 1 / 0\n"
    "C()\nraise ValueError('text')",
    "a text that is long": "raise ValueError('x' * 5000)",
}


def _each(name: str, source: str) -> None:
    @case(f"exception: {name}")
    def exception(t: Any) -> None:
        t.see("it", t.exec, t.create(), source)


for _name, _source in ORDINARY.items():
    _each(_name, _source)


@case("str() of the error")
def text(t: Any) -> None:
    def str_of() -> str:
        try:
            t.create().exec("raise ValueError('text')")
        except t.api.ExecutionFailed as failed:
            return f"{failed}"
        raise AssertionError

    t.see("it", str_of)


@case("source lines in tracebacks")
def lines(t: Any) -> None:
    t.see("without linecache", t.create().exec, "def f():\n  1 / 0\nf()")


# What ends a process of concurrent.interpreters: a source, and the text and the type that the library gives.
FATAL = {
    "str() raises": (
        "class E(Exception):\n def __str__(self): raise ValueError\nraise E",
        "E: <exception str() failed>",
    ),
    "str() is no str": ("class E(Exception):\n def __str__(self): return 5\nraise E", "E: <exception str() failed>"),
    "NUL": ("raise ValueError('a\\0b')", "ValueError: a\0b"),
    "a lone surrogate": ("raise ValueError('a\\udc80b')", "ValueError: a\ufffdb"),
    "__module__ is no str": ("class E(Exception): __module__ = 5\nraise E('text')", "<unknown>.E: text"),
    "__module__ is None": ("class E(Exception): __module__ = None\nraise E('text')", "<unknown>.E: text"),
    "__module__ with NUL": ("class E(Exception): __module__ = 'a\\0b'\nraise E('text')", "a\0b.E: text"),
    "a surrogate in __qualname__": (
        "class E(Exception): pass\nE.__qualname__ = 'a\\udc80'\nraise E('text')",
        "a\ufffd: text",
    ),
}


def _fatal(name: str, source: str, formatted: str) -> None:
    @case(f"broken exception: {name}")
    def exception(t: Any) -> None:
        interp = t.create()
        t.is_("it", Error("EXECUTION_FAILED", formatted=formatted), t.exec, interp, source)
        t.is_("it goes on", 1, t.value, interp, "1")


for _name, _case in FATAL.items():
    _fatal(_name, *_case)


@case("MemoryError")
def memory(t: Any) -> None:
    interp = t.create()
    t.see("exec", t.exec, interp, "raise MemoryError")
    t.see("with a text", t.exec, interp, "raise MemoryError('no room')")
    t.see("a real one", t.exec, interp, "x = 'a' * (1 << 62)")
    t.see("call", t.call, interp, "def f():\n    raise MemoryError")
