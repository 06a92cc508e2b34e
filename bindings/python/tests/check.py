"""What the tests have in common."""

from collections.abc import Callable


def fails(kind: type[BaseException], action: Callable[[], object]) -> BaseException:
    """The exception that it raises."""
    try:
        found = action()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected, and not {found!r}")
