"""Objects that stay in their interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import byref, c_bool, c_uint64, sizeof
from typing import TYPE_CHECKING, Any

from ._errors import run
from ._handles import Owner
from ._library import RunRequest, library
from ._limits import Cancel, ctrl_c
from ._runs import FUNCTION, RUN_ASYNC, Given, Options, Results, changed, perform, source
from ._values import Arguments, fetch, from_handle, handle_kinds

if TYPE_CHECKING:
    from . import Interpreter

_OBJECT = 10


class Object(Owner):
    """An object that stays in its interpreter: a model, a connection, a generator.

    `interp.eval_object("expression")` gives one, and so do runs with Results.OBJECT or OBJECTS. It can be an argument in its
    own interpreter, and is then the very object. What is done with it is a run. It ends with its interpreter, when it is
    closed, and with this object.
    """

    __slots__ = ("_options",)

    def __init__(self, handle: c_uint64, options: Options | None = None) -> None:
        super().__init__(handle, library.subpy_object_free)
        self._options = options

    def with_options(
        self,
        *,
        timeout: float | None = None,
        cancel: Cancel | None = None,
        output: Any = None,
        results: Results | None = None,
        run_async: bool | None = None,
    ) -> Object:
        """The same object, with the options of Interpreter.with_options().

        `results` is for all that it gives: attributes, items, elements, its value and what calls return. `run_async` is
        for calls and value(), the others for calls alone.
        """
        return _own(self._handle.value, changed(self._options, timeout, cancel, output, results, run_async))

    @property
    def _flags(self) -> int:
        return self._options.flags if self._options is not None else 0

    @property
    def _results(self) -> int:
        return self._flags & ~RUN_ASYNC

    def attr(self, name: str, /) -> Any:
        """The value of an attribute."""
        text = source(name, "name")
        return fetch(library.subpy_object_attr, self._handle, text, len(text), self._results)

    def __getitem__(self, key: object) -> Any:
        """The value of an item."""
        keys = Arguments([key], lambda _: "key")
        return fetch(library.subpy_object_item, self._handle, keys.at(0), self._results, memory=keys.memory)

    def __call__(self, /, *args: object, **kwargs: object) -> Any:
        """Call it, and return the result."""
        return self._call(Given(args, kwargs))

    def call(self, method: str, /, *args: object, **kwargs: object) -> Any:
        """Call a method of it, and return the result."""
        name, given = source(method, "method"), Given(args, kwargs)
        # Only requests have limits, and a token: for Ctrl-C, too.
        if (self._options is None or self._options[:3] == (0, None, None)) and not ctrl_c.watches():
            place = self._handle, name, len(name), *given.places, self._flags
            return fetch(library.subpy_object_call, *place, memory=given.memory)
        bound: Object = fetch(library.subpy_object_attr, self._handle, name, len(name), Results.OBJECT)
        with bound:
            bound._options = self._options
            return bound._call(given)

    def _call(self, given: Given) -> Any:
        request = RunRequest(sizeof(RunRequest), 0, FUNCTION, 0, None, 0, self._handle, *given.places)
        return perform(request, self._options, memory=given.memory)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over it. The elements are made when they are wanted."""
        iterator = Object(c_uint64(), self._options)
        run(library.subpy_object_iter, self._handle, byref(iterator._handle))
        return iterator._elements()

    def _elements(self) -> Iterator[Any]:
        more = c_bool(True)
        while True:
            element = fetch(library.subpy_object_next, self._handle, self._results, byref(more))
            if not more:
                return
            yield element

    def value(self) -> Any:
        """Its value, as runs return it: a copy."""
        return fetch(library.subpy_object_value, self._handle, self._flags)

    def __str__(self) -> str:
        """What str() says of it over there."""
        text: str = fetch(library.subpy_object_text, self._handle)
        return text

    def __repr__(self) -> str:
        return f"<subpy.Object {self._handle.value}>"

    @property
    def interpreter(self) -> Interpreter:
        """The interpreter that it is of, which may have been closed."""
        from . import _interpreter

        handle = c_uint64()
        run(library.subpy_object_interp, self._handle, byref(handle))
        return _interpreter(handle)

    def close(self) -> None:
        """Let it go. Never an error."""
        library.subpy_object_free(self._handle)

    def __enter__(self) -> Object:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _own(handle: int, options: Options | None = None) -> Object:
    # Results own their handles, and take them along.
    kept = Object(c_uint64(), options)
    run(library.subpy_object_keep, handle, byref(kept._handle))
    return kept


handle_kinds[Object], from_handle[_OBJECT] = _OBJECT, _own
