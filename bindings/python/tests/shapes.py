"""Classes that this program and an interpreter import, each for itself: see values.py."""

import dataclasses
import enum


class Color(enum.Enum):
    RED = 1
    GREEN = (2, "x")


class Size(enum.IntEnum):
    SMALL = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
    label: str = dataclasses.field(default="", init=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    begin: Point
    colors: frozenset[Color]

    def __post_init__(self) -> None:
        raise AssertionError("it is made without this")


def line() -> Line:
    made = object.__new__(Line)
    object.__setattr__(made, "begin", Point(1))
    object.__setattr__(made, "colors", frozenset([Color.RED]))
    return made
