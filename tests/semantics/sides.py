"""The two sides of a case: `concurrent.interpreters`, and the library, with the same methods.

A case is a function of a Side. It sees outcomes: `side.see(label, function, *args)` calls the function and notes what
it returned or raised, in the same words for both sides: texts by the names of fields, "result" alone, or "error" and
others.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

EXCINFO = ("msg", "formatted", "errdisplay")
# What a SyntaxError has, and an error of the library's for one.
PLACE = ("msg", "lineno", "offset", "text", "filename")


class Error(dict[str, str]):
    """What a case of the library alone expects: the status, and fields that matter: Error("BUSY", message="...")."""

    def __init__(self, status: str, **fields: str) -> None:
        super().__init__(error=status, **fields)


class Side:
    """What both have. `outcomes` is what was seen, `expected` what the case itself says that it has to be."""

    kind = ""
    in_processes = False  # whether its interpreters live in processes of their own

    def __init__(self) -> None:
        self.outcomes: dict[str, dict[str, str]] = {}
        self.expected: dict[str, dict[str, str]] = {}
        self.made: list[Any] = []
        self._ids: list[int] = []
        self._cleanup = contextlib.ExitStack()

    # ---- noting

    def see(self, label: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Calls it, and notes the outcome."""
        self._note(self.outcomes, label, self._outcome(function, *args, **kwargs))

    def is_(self, label: str, expected: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """The same for a case of the library alone, with what has to come out: a value, or an Error."""
        seen = self._outcome(function, *args, **kwargs)
        want = expected if isinstance(expected, Error) else {"result": repr(expected)}
        self._note(self.outcomes, label, seen)
        self._note(self.expected, label, want)

    def _note(self, notes: dict[str, dict[str, str]], label: str, fields: dict[str, str]) -> None:
        assert label not in notes, f"{label} is seen twice"
        notes[label] = {name: self._portable(text) for name, text in fields.items()}

    def _outcome(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, str]:
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            return {name: str(text) for name, text in self.error(error).items()}
        return {"result": repr(result)}

    def _portable(self, text: str) -> str:
        """Ids are other numbers on each side: the first interpreter of the case is #1. Addresses are left out."""

        def name(match: re.Match[str]) -> str:
            number = int(match[2])
            return f"{match[1]}#{self._ids.index(number) + 1}" if number in self._ids else match[0]

        text = re.sub(r"(interpreter (?:ID )?)(\d+)", name, text)
        return re.sub(r"0x[0-9a-f]{6,}", "0x...", text).replace(os.path.dirname(os.__file__), "...")

    def error(self, error: Exception) -> dict[str, Any]:
        raise NotImplementedError

    # ---- what cases use

    def known(self, interp: Any) -> Any:
        self.made.append(interp)
        if interp.id not in self._ids:  # main has id 0, and is no interpreter of the case
            self._ids.append(interp.id)
        return interp

    def names(self, interps: list[Any]) -> list[str]:
        """Interpreters by what the case knows of them. Those of other cases are not there: they are closed."""
        numbers = [interp.id for interp in interps]
        return ["main" if n == 0 else f"#{self._ids.index(n) + 1}" if n in self._ids else "other" for n in numbers]

    def thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """What it returns or raises on another thread."""
        got: list[Any] = []

        def run() -> None:
            try:
                got.append(function(*args))
            except Exception as error:
                got.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if isinstance(got[0], Exception):
            raise got[0]
        return got[0]

    @contextlib.contextmanager
    def running(self, interp: Any) -> Iterator[None]:
        """Something runs in it meanwhile, on another thread."""
        begun, end = self.file("begun"), self.file("end")
        source = f"import os, time\nopen({begun!r}, 'x').close()\nwhile not os.path.exists({end!r}): time.sleep(0.001)"
        with self.beside(interp.exec, source):
            self.until(begun)
            try:
                yield
            finally:
                open(end, "x").close()

    @contextlib.contextmanager
    def beside(self, function: Callable[..., Any], *args: Any) -> Iterator[None]:
        """It goes on meanwhile, on another thread, and has to succeed."""
        failed: list[Exception] = []

        def run() -> None:
            try:
                function(*args)
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        if failed:
            raise failed[0]

    def until(self, path: str) -> None:
        """Until code has made this file. The runner's limit ends a wait that is too long."""
        while not os.path.exists(path):
            time.sleep(0.001)

    def file(self, name: str) -> str:
        """The path of a file that is not there yet."""
        folder = self._cleanup.enter_context(tempfile.TemporaryDirectory())
        return os.path.join(folder, name)

    def read(self, path: str) -> str:
        with open(path) as file:
            return file.read()

    def printed(self, descriptor: int, interp: Any, function: Callable[..., Any], *args: Any) -> str:
        """What has reached a descriptor of the process when the function has returned. `interp` is where it prints."""
        with tempfile.TemporaryFile() as file:
            before = os.dup(descriptor)
            os.dup2(file.fileno(), descriptor)
            try:
                function(*args)
            finally:
                os.dup2(before, descriptor)
                os.close(before)
            file.seek(0)
            return file.read().decode()

    def finish(self) -> None:
        for interp in reversed(self.made):
            with contextlib.suppress(Exception):
                interp.close()
        self.made.clear()
        self._cleanup.close()


class Stdlib(Side):
    """concurrent.interpreters"""

    kind = "stdlib"

    def __init__(self) -> None:
        super().__init__()
        from concurrent import interpreters

        self.api = interpreters

    def create(self) -> Any:
        return self.known(self.api.create())

    def foreign(self) -> Any:
        """One that the module has not made, and refuses to drive."""
        self._ids.append(0)
        return self.api.get_main()

    def error(self, error: Exception) -> dict[str, Any]:
        api = self.api
        if isinstance(error, api.ExecutionFailed):
            info, kind = error.excinfo, error.excinfo.type
            fields = {f"type.{name}": getattr(kind, name) for name in ("__name__", "__qualname__", "__module__")}
            fields |= {name: getattr(info, name, None) for name in EXCINFO}
            return {"error": "EXECUTION_FAILED", "message": error.args[0], **fields}
        if isinstance(error, api.InterpreterNotFoundError):
            return {"error": "NOT_FOUND", "message": error}
        if isinstance(error, api.NotShareableError):
            return {"error": "NOT_SHAREABLE", "message": error}
        if isinstance(error, api.InterpreterError):
            busy = str(error) in ("interpreter already running", "interpreter running")
            return {"error": "BUSY" if busy else "INTERPRETER", "message": error}
        if isinstance(error, SyntaxError):
            fields = {name: getattr(error, name) for name in PLACE}
            kind = type(error).__name__
            return {"error": "SYNTAX", "message": f"{kind}: {error}", "type": kind, **fields}
        if isinstance(error, (TypeError, ValueError, OverflowError)):
            return {"error": "INVALID_ARGUMENT", "message": error}
        return {"error": type(error).__name__, "message": error}

    def exec(self, interp: Any, source: str) -> None:
        """Statements; their lines are known for tracebacks, as to the library's."""
        self._know(interp, source)
        interp.exec(source)

    def _know(self, interp: Any, source: str) -> None:
        with contextlib.suppress(SyntaxError, self.api.InterpreterError):
            compile(source, "<script>", "exec")
            interp.exec(
                "import linecache as _lines; _lines._interactive_cache.clear()\n"
                f"_lines._register_code(compile({source!r}, '<script>', 'exec'), {source!r}, '<script>')\ndel _lines"
            )

    def call(self, interp: Any, source: str, *args: Any, **kwargs: Any) -> Any:
        """A call of the function f that the source defines. It must use nothing else."""
        namespace: dict[str, Any] = {}
        exec(compile(source, "<script>", "exec"), namespace)
        self._know(interp, source)
        return interp.call(namespace["f"], *args, **kwargs)

    def value(self, interp: Any, expression: str) -> Any:
        """What an expression is in its __main__."""
        return interp.call(eval, expression)

    def close_inside(self, interp: Any) -> Any:
        """A close of the interpreter by code that runs in it: what that says."""
        interp.exec(
            "from concurrent import interpreters\ntry: interpreters.get_current().close()\n"
            "except interpreters.InterpreterError as error: said = str(error)"
        )
        return self.value(interp, "said")

    def dash_c(self, source: str) -> str:
        """What `python -c` makes of it: what it prints, or the last line of its error."""
        ran = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, timeout=60)
        return ran.stdout if ran.returncode == 0 else "error: " + ran.stderr.rstrip().rpartition("\n")[2]


class Library(Side):
    """subpy, in the CPython that runs this program."""

    kind = "subpy"

    def __init__(self) -> None:
        super().__init__()
        import subpy

        self.api = subpy

    def create(self, **options: Any) -> Any:
        flags = options.pop("flags", self.api.Flag.NONE)
        if self.in_processes:
            # Nothing is killed because the machine is slow.
            flags, options["grace"] = flags | self.api.Flag.PROCESS, 60
        return self.known(self.api.create(flags=flags, **options))

    def foreign(self) -> Any:
        import _interpreters

        number = _interpreters.create()
        self._ids.append(number)

        def destroy() -> None:
            with contextlib.suppress(_interpreters.InterpreterNotFoundError):
                _interpreters.destroy(number)

        self._cleanup.callback(destroy)
        return self.api.Interpreter(number)

    def error(self, error: Exception) -> dict[str, Any]:
        api = self.api
        if not isinstance(error, api.InterpreterError):
            refused = isinstance(error, (TypeError, ValueError, OverflowError))  # by the package
            return {"error": "INVALID_ARGUMENT" if refused else type(error).__name__, "message": error}
        status = error.status.name if isinstance(error.status, api.Status) else error.status
        fields: dict[str, Any] = {"error": status, "message": error.message}
        if isinstance(error, api.SourceError):
            return fields | {"type": error.excinfo.type.__name__} | {name: getattr(error, name) for name in PLACE}
        info: types.SimpleNamespace | None = getattr(error, "excinfo", None)
        if info is not None:
            fields |= {f"type.{name}": getattr(info.type, name) for name in ("__name__", "__qualname__", "__module__")}
            fields |= {name: getattr(info, name) for name in EXCINFO}
            if status != "EXECUTION_FAILED":
                del fields["errdisplay"]  # says where the code was
        return fields

    def exec(self, interp: Any, source: str) -> None:
        interp.exec(source)

    def call(self, interp: Any, source: str, *args: Any, **kwargs: Any) -> Any:
        with contextlib.suppress(self.api.InterpreterError):
            interp.exec(source)
        return interp.call("f", *args, **kwargs)

    def value(self, interp: Any, expression: str) -> Any:
        return interp.eval(expression)

    def close_inside(self, interp: Any) -> Any:
        said = []

        def close() -> None:
            try:
                interp.close()
            except self.api.InterpreterError as error:
                said.append(str(error))

        interp.define("close_it", close)
        interp.exec("close_it()")
        return said[0]

    def dash_c(self, source: str) -> str:
        text: list[str] = []
        try:
            self.create().with_options(output=lambda stream, piece: text.append(piece)).exec(source)
        except self.api.SourceError as error:
            return f"error: {error.excinfo.formatted.removesuffix(f' (<script>, line {error.lineno})')}"
        return "".join(text)


class Process(Library):
    """The same, with interpreters in processes of their own."""

    kind = "process"
    in_processes = True

    def printed(self, descriptor: int, interp: Any, function: Callable[..., Any], *args: Any) -> str:
        # Its descriptors are those that this process had when the first was made: a function here gets the text.
        if interp is None:
            return super().printed(descriptor, interp, function, *args)
        text: list[str] = []
        interp.set_output(lambda stream, piece: text.append(piece) if stream == descriptor else None)
        function(*args)
        return "".join(text)


SIDES: dict[str, type[Side]] = {side.kind: side for side in (Stdlib, Library, Process)}
