"""Tagged values, and the memory of interpreters."""

import dataclasses
import datetime
import decimal
import enum
import gc
import os
import uuid
import zoneinfo

import shapes
import subpy
from check import fails
from subpy import Flag, Status, Tag, Tagged

UTC = datetime.UTC

VALUES = [
    {1, 2},
    set(),
    frozenset([2, (1, frozenset())]),  # in an order that is always the same
    complex(1.5, -0.0),
    complex("nan+infj"),
    datetime.date(1, 1, 1),
    datetime.date.max,
    datetime.time(23, 59, 1, 7),
    datetime.time(1, tzinfo=datetime.timezone(datetime.timedelta(hours=-3, minutes=-30))),
    datetime.datetime(2026, 2, 28, 12),
    datetime.datetime(2026, 2, 28, 12, 0, 1, 5, UTC),
    datetime.timedelta(-1, 5, 6),
    datetime.timedelta.max,
    decimal.Decimal("1.50"),
    decimal.Decimal("-sNaN123"),
    decimal.Decimal("-0E+5"),
    uuid.UUID(int=5),
    [{"a": {7}}, (2j, None), {datetime.date(2026, 1, 1): {uuid.UUID(int=1)}}],
    shapes.Color.RED,
    shapes.Color.GREEN,
    shapes.Size.SMALL,
    shapes.Access.READ | shapes.Access.WRITE,
    shapes.Access(0),
    shapes.Point(3),
    shapes.line(),
    {shapes.Color.RED: [shapes.Point(1, 2.0)]},
]


class Day(datetime.date):
    """Another class."""


@dataclasses.dataclass
class Row(dict):  # type: ignore[type-arg]
    """Also something else."""

    x: int = 1


def same(found: object, value: object) -> bool:
    return type(found) is type(value) and repr(found) == repr(value)


def both_ways(interp: subpy.Interpreter) -> None:
    interp.exec("seen = []\ndef same(value):\n    seen.append(repr(value))\n    return value")
    for value in VALUES:
        found = interp.call("same", value)
        assert same(found, value), (found, value)
    assert interp.eval("seen") == [repr(value) for value in VALUES]
    assert same(interp.call("same", VALUES), VALUES)
    assert interp.call("same", shapes.Color.RED) is shapes.Color.RED

    # As what host functions get and return, and through queues.
    interp.define("host:same", lambda value: value if value == VALUES[0] else None)
    assert interp.eval("__import__('host').same({1, 2})") == {1, 2}
    waiting = subpy.create_queue()
    waiting.put(VALUES)
    assert same(waiting.get(), VALUES)
    interp.prepare_main(when=VALUES[10])
    assert interp.eval("str(when)") == "2026-02-28 12:00:01.000005+00:00"


def without_the_flag(interp: subpy.Interpreter) -> None:
    """Arguments may be any of them, results may not."""
    assert interp.call("builtins:repr", {1}) == "{1}"
    assert str(fails(subpy.NotShareableError, lambda: interp.eval("{1}"))) == "result: set cannot be shared"


def refused(interp: subpy.Interpreter) -> None:
    class Local(enum.Enum):
        A = 1

    zone = datetime.timezone(datetime.timedelta(hours=1), "a name")
    no_field = object.__new__(shapes.Line)
    for value, message in (
        (Day(2026, 1, 1), "args[0]: __main__.Day cannot be shared"),
        (Row(), "args[0]: __main__.Row cannot be shared"),
        (shapes.Point, "args[0]: builtins.type cannot be shared"),
        (Local.A, "is not found by its name"),
        (no_field, "args[0]: shapes.Line has no value in its field 'begin'"),
        (datetime.datetime(2026, 1, 1, fold=1), "has what its text does not say"),
        (datetime.datetime(2026, 1, 1, tzinfo=zone), "has what its text does not say"),
        (datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), "has what its text does not say"),
        ({(1, datetime.time(fold=1))}, "args[0][0][1]: datetime.time"),
        (shapes.Point(object()), "args[0]['x']: builtins.object cannot be shared"),  # type: ignore[arg-type]
    ):
        failed = fails(subpy.NotShareableError, lambda value=value: interp.call("builtins:repr", value))
        assert message in str(failed), failed


def classes_that_are_missing(interp: subpy.Interpreter) -> None:
    """A class that this program does not have, or has otherwise, is a Tagged. Which goes back in."""
    interp.exec("""
        import dataclasses, enum

        class Color(enum.Enum):
            RED = 1

        @dataclasses.dataclass(frozen=True)
        class Point:
            x: int

        @dataclasses.dataclass
        class Row:
            y: int

        def is_same(color, point):
            return color is Color.RED and point == Point(3)
    """)
    color, point = interp.eval("Color.RED, Point(3)")
    assert color == Tagged(Tag.ENUM, ("__main__:Color", "RED", 1)), color
    assert repr(color) == "subpy.Tagged(Tag.ENUM, ('__main__:Color', 'RED', 1))"
    assert point == Tagged(Tag.DATACLASS, {"__class__": "__main__:Point", "x": 3}) and point != color
    assert interp.call("is_same", color, point) is True
    assert interp.eval("{Point(3), Color.RED}") == {color, point}
    assert interp.eval("Row(1)") == Tagged(Tag.DATACLASS, {"__class__": "__main__:Row", "y": 1})
    wrong = fails(subpy.ExecutionFailed, lambda: interp.call("is_same", shapes.Color.RED, Tagged(Tag.DATE, "never")))
    assert wrong.excinfo.type.__name__ == "ValueError"
    assert fails(subpy.InterpreterError, lambda: interp.call("f", Tagged(Tag.SET, 5))).status == Status.INVALID_ARGUMENT
    fails(ValueError, lambda: Tagged(12, 5))


def counted() -> None:
    with subpy.create(flags=Flag.COUNT_MEMORY) as interp:
        before = interp.memory()
        assert 0 < before.used <= before.peak and before.limit == before.refused == 0
        interp.exec("kept = bytes(10_000_000)")
        now = interp.memory()
        assert 10_000_000 < now.used - before.used < 12_000_000, (before, now)
        interp.exec("del kept")
        assert interp.memory().used < now.used <= interp.memory().peak
    with subpy.create(memory_limit=50_000_000) as interp:
        failed = fails(subpy.ExecutionFailed, lambda: interp.exec("too_much = bytes(100_000_000)"))
        assert failed.excinfo.type.__name__ == "MemoryError"
        assert interp.memory().limit == 50_000_000 and interp.memory().refused == 1
        assert interp.eval("len(bytes(10_000_000))") == 10_000_000
    with subpy.create() as interp:
        assert fails(subpy.InterpreterError, interp.memory).status == Status.WRONG_STATE
    fails(subpy.InterpreterNotFoundError, interp.memory)
    assert fails(subpy.InterpreterError, lambda: subpy.create(memory_limit=1000)).status == Status.INVALID_ARGUMENT
    for wrong in (0, -1, 2**63):
        fails(ValueError, lambda wrong=wrong: subpy.create(memory_limit=wrong))


def main() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    with subpy.create(flags=Flag.TAGGED_VALUES, path=[folder]) as interp, subpy.create() as plain:
        interp.exec("import shapes")
        both_ways(interp)
        without_the_flag(plain)
        refused(interp)
        classes_that_are_missing(interp)
    counted()
    gc.collect()
    subpy.shutdown()
    print("done")


if __name__ == "__main__":
    main()
