"""The cases, by name. Each row of docs/semantics.md names those that show it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple


class Case(NamedTuple):
    function: Callable[[Any], None]
    alone: bool  # of the library, without a counterpart in concurrent.interpreters


CASES: dict[str, Case] = {}


def case(name: str, *, alone: bool = False) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Says the name of a case, which is unique."""

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        assert name not in CASES, name
        CASES[name] = Case(function, alone)
        return function

    return register


for _module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")
