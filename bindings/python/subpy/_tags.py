"""Tagged values: sets, dates and others, which cross as a plain value and a tag that says what it stands for."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import sys
import uuid
from collections.abc import Callable
from typing import Any


class Tag(enum.IntEnum):
    """What a tagged value is in Python: SUBPY_TAG_* of subpy.h."""

    SET = 1
    FROZENSET = 2
    COMPLEX = 3
    DATE = 4
    TIME = 5
    DATETIME = 6
    TIMEDELTA = 7
    DECIMAL = 8
    UUID = 9
    ENUM = 10
    DATACLASS = 11


class Tagged:
    """A member of an enum, or an instance of a dataclass, whose class this program does not have.

    `value` is the plain one: (class, name, value) of a member, and the fields of an instance, with "__class__" first. The
    class is "module:qualname". It can be an argument too, with any tag.
    """

    __slots__ = ("tag", "value")

    def __init__(self, tag: Tag, value: Any) -> None:
        self.tag, self.value = Tag(tag), value

    def __eq__(self, other: object) -> bool:
        return (self.tag, self.value) == (other.tag, other.value) if isinstance(other, Tagged) else NotImplemented

    def __hash__(self) -> int:
        try:
            return hash((self.tag, self.value))
        except TypeError:  # a dict, or the value of a member of an enum; over there it can be hashed
            return hash(self.tag)

    def __repr__(self) -> str:
        return f"subpy.Tagged(Tag.{self.tag.name}, {self.value!r})"


class NotExact(Exception):
    """What would not come back as it is."""


# What an instance may not be beside a dataclass: the rest of it would be lost.
_PLAIN = (int, float, complex, str, bytes, bytearray, tuple, list, dict, set, frozenset)


def plain(value: Any) -> tuple[int, Any] | None:
    """The tag and the plain value that stand for an object; None: there are none."""
    kind = type(value)
    way = _WAYS.get(kind)
    if way is not None:
        tag, write, read = way
        written = write(value)
        if read is not None and not _comes_back(value, written, read):
            raise NotExact(f"{kind.__module__}.{kind.__qualname__} {value!r} has what its text does not say")
        return tag, written
    if kind is Tagged:
        return value.tag, value.value
    if isinstance(value, enum.Enum):
        return Tag.ENUM, (_name(kind), value._name_ or "", value._value_)
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, *_PLAIN)):
        names = [field.name for field in dataclasses.fields(value)]
        missing = [name for name in names if not hasattr(value, name)]
        if missing:
            raise NotExact(f"{kind.__module__}.{kind.__qualname__} has no value in its field {missing[0]!r}")
        return Tag.DATACLASS, {"__class__": _name(kind), **{name: getattr(value, name) for name in names}}
    return None


def restored(tag: int, value: Any) -> Any:
    """The object that a tag and a plain value stand for."""
    read = _READ.get(tag)
    return value if read is None else read(value)  # the tag of a newer library is not looked at


def _comes_back(value: Any, written: str, read: Callable[[str], Any]) -> bool:
    # A fold, a name of a timezone, a ZoneInfo, a part of a second in an offset are not in the text. repr() has them all.
    try:
        return repr(read(written)) == repr(value)
    except ValueError:
        return False


def _name(kind: type) -> str:
    if "<" in kind.__qualname__:
        raise NotExact(f"{kind.__module__}.{kind.__qualname__} is not found by its name")
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(name: str) -> Any:
    """The class of that name, among the modules that this program has imported."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    is_it = isinstance(found, type) and (found.__module__, found.__qualname__) == (module, qualname)
    return found if is_it else None


def _member(value: tuple[str, str, Any]) -> Any:
    name, member, its = value
    kind = _class(name)
    if isinstance(kind, enum.EnumMeta):
        found = kind._member_map_.get(member)
        if found is None and issubclass(kind, enum.Flag):  # a combination, which is made when it is needed
            try:
                found = kind(its)
            except (TypeError, ValueError):
                found = None
        if found is not None and type(found._value_) is type(its) and found._value_ == its:
            return found
    return Tagged(Tag.ENUM, value)


def _instance(value: dict[str, Any]) -> Any:
    kind = _class(value["__class__"])
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        fields = {name: field for name, field in value.items() if name != "__class__"}
        if fields.keys() == {field.name for field in dataclasses.fields(kind)}:
            try:
                made = object.__new__(kind)
                for name, field in fields.items():
                    object.__setattr__(made, name, field)
                return made
            except (AttributeError, TypeError):  # a property, or a class that is also of another kind
                pass
    return Tagged(Tag.DATACLASS, value)


# By class: the tag, what makes the plain value, and what reads it if that may not be exact.
_WAYS: dict[type, tuple[Tag, Callable[[Any], Any], Callable[[str], Any] | None]] = {
    set: (Tag.SET, list, None),
    frozenset: (Tag.FROZENSET, tuple, None),
    complex: (Tag.COMPLEX, lambda value: (value.real, value.imag), None),
    datetime.date: (Tag.DATE, datetime.date.isoformat, None),
    datetime.time: (Tag.TIME, datetime.time.isoformat, datetime.time.fromisoformat),
    datetime.datetime: (Tag.DATETIME, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.timedelta: (Tag.TIMEDELTA, lambda value: (value.days, value.seconds, value.microseconds), None),
    decimal.Decimal: (Tag.DECIMAL, str, None),
    uuid.UUID: (Tag.UUID, str, None),
}
_READ: dict[int, Callable[[Any], Any]] = {
    Tag.SET: set,
    Tag.FROZENSET: frozenset,
    Tag.COMPLEX: lambda value: complex(*value),
    Tag.DATE: datetime.date.fromisoformat,
    Tag.TIME: datetime.time.fromisoformat,
    Tag.DATETIME: datetime.datetime.fromisoformat,
    Tag.TIMEDELTA: lambda value: datetime.timedelta(*value),
    Tag.DECIMAL: decimal.Decimal,
    Tag.UUID: uuid.UUID,
    Tag.ENUM: _member,
    Tag.DATACLASS: _instance,
}
