"""What a host can do wrong: each is an exception that says so, and nothing else happens."""

import ctypes
import time
from collections import Counter
from collections.abc import Callable

import subpy
from subpy._library import library


def refused(status: subpy.Status, message: str, function: Callable, *args: object, **kwargs: object) -> None:
    try:
        function(*args, **kwargs)
    except subpy.InterpreterError as error:
        assert (error.status, str(error)) == (status, message), (error.status, str(error))
    else:
        raise AssertionError(f"{function} took {args} {kwargs}")


def garbage_handles() -> None:
    for number in (0, 1, 2**53 - 1, 2**64 - 1):
        garbage = object.__new__(subpy.Interpreter)
        garbage._handle = ctypes.c_uint64(number)
        for function, *args in (
            (garbage.exec, "1"),
            (garbage.eval, "1"),
            (garbage.call, "math:sqrt", 2),
            (garbage.call_in_thread, "math:sqrt", 2),
            (garbage.prepare_main, {"a": 1}),
            (garbage.is_running,),
            (garbage.close,),
        ):
            refused(subpy.Status.NOT_FOUND, f"{number} is not the handle of an interpreter", function, *args)


def values_that_cannot_cross(interp: subpy.Interpreter) -> None:
    shareable = subpy.Status.NOT_SHAREABLE
    refused(shareable, "args[1]['x'][0]: builtins.object cannot be shared", interp.call, "f", 1, {"x": (object(),)})
    refused(shareable, "kwargs['k'][0]: builtins.set cannot be shared", interp.call, "f", k=[set()])
    refused(shareable, "names['c']: collections.Counter cannot be shared", interp.prepare_main, c=Counter())
    refused(shareable, "args[0]: str with a lone surrogate at index 1 cannot be shared", interp.call, "f", "a\ud800")
    cycle: list = []
    cycle.append(cycle)
    too_deep: list = []
    for _ in range(1000):
        too_deep = [too_deep]
    for value in (cycle, too_deep):
        message = "args[0][0][0][0][0][0]...[0][0][0][0][0]: is nested more than 1,000 levels deep, or contains itself"
        refused(shareable, message, interp.call, "f", value)


def wrong_arguments(interp: subpy.Interpreter) -> None:
    for function, *args in (
        (interp.exec, 42),
        (interp.eval, b"1"),
        (interp.call, print),
        (interp.call, None),
        (subpy.Interpreter, "1"),
        (subpy.create, "own"),
    ):
        try:
            function(*args)
        except TypeError:
            pass
        else:
            raise AssertionError(f"{function} took {args}")
    invalid = subpy.Status.INVALID_ARGUMENT
    refused(invalid, "interpreter ID must be a non-negative int, got -1", subpy.Interpreter, -1)
    refused(invalid, "names must be a non-empty dict", interp.prepare_main)
    refused(invalid, "subpy_interp_options.gil is 7, must be one of SUBPY_GIL_*", subpy.create, gil=7)
    unknown = "subpy_interp_options.flags has unknown bits set: 0x10000000000"
    refused(invalid, unknown, subpy.create, flags=1 << 40)


def wrong_moments(interp: subpy.Interpreter) -> None:
    sleeping = interp.call_in_thread("time:sleep", 0.5)
    while not interp.is_running():
        time.sleep(0.001)
    refused(subpy.Status.BUSY, "interpreter already running", interp.exec, "1")
    refused(subpy.Status.BUSY, "interpreter running", interp.close)
    try:
        subpy.shutdown()
    except subpy.InterpreterError as error:
        assert error.status == subpy.Status.BUSY, error
    assert sleeping.join() is None
    gone = subpy.Status.NOT_FOUND
    handle = sleeping._handle.value
    refused(gone, f"{handle} is not the handle of a thread, or it was joined or freed", sleeping.join)
    number = interp.id
    interp.close()
    for function, *args in ((interp.close,), (interp.exec, "1"), (subpy.Interpreter, number)):
        refused(gone, f"unrecognized interpreter ID {number}", function, *args)
    assert repr(interp) == "<closed subpy.Interpreter>"


def status_names() -> None:
    """The statuses of the module are the library's."""
    for status in subpy.Status:
        name = "SUBPY_OK" if status == 0 else f"SUBPY_ERROR_{status.name}"
        assert library.subpy_status_name(status) == name.encode(), status
    assert library.subpy_status_name(min(subpy.Status) - 1) == b"SUBPY_ERROR_UNKNOWN"


if __name__ == "__main__":
    status_names()
    garbage_handles()
    interp = subpy.create()
    values_that_cannot_cross(interp)
    wrong_arguments(interp)
    wrong_moments(interp)
    subpy.shutdown()
    print("done")
