"""What a host can do wrong: each is an exception that says so, and nothing else happens."""

import copy
import ctypes
import pickle
import sys
import time
import types
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
        garbage = subpy._interpreter(ctypes.c_uint64(number))
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


class Unshown:
    def __repr__(self) -> str:
        raise KeyError("no text")


def values_that_cannot_cross(interp: subpy.Interpreter) -> None:
    shareable = subpy.Status.NOT_SHAREABLE
    refused(shareable, "args[1]['x'][0]: builtins.object cannot be shared", interp.call, "f", 1, {"x": (object(),)})
    refused(shareable, "kwargs['k'][0]: builtins.object cannot be shared", interp.call, "f", k=[object()])
    refused(shareable, "names['c']: collections.Counter cannot be shared", interp.prepare_main, c=Counter())
    refused(shareable, "args[0]: str with a lone surrogate at index 1 cannot be shared", interp.call, "f", "a\ud800")
    # Keys whose repr() is an error.
    ways = {
        "<int instance with roughly 5001 digits": {10**5000: object()},
        "<Unshown instance at 0x": {Unshown(): 1},
    }
    for way, value in ways.items():
        try:
            interp.call("f", value)
        except subpy.NotShareableError as error:
            assert str(error).startswith(f"args[0][{way}") and str(error).endswith("cannot be shared"), error
        else:
            raise AssertionError(way)
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
        (interp.function, print),
        (interp.exec, "1", "name.py"),
        (subpy.Interpreter, "1"),
        (subpy.create, "own"),
    ):
        try:
            function(*args)
        except TypeError:
            pass
        else:
            raise AssertionError(f"{function} took {args}")
    try:
        interp.exec("1", filename="a\0b")
    except ValueError as error:
        assert str(error) == "embedded null character in a path", error
    else:
        raise AssertionError("a NUL in a file name")
    invalid = subpy.Status.INVALID_ARGUMENT
    refused(invalid, "interpreter ID must be a non-negative int, got -1", subpy.Interpreter, -1)
    for number in (2**63, 2**64, -(2**64)):
        refused(invalid, "interpreter ID must be from 0 to 2**63 - 1", subpy.Interpreter, number)
    refused(invalid, "names must be a non-empty dict", interp.prepare_main)
    for message, function, options in (
        ("7 is not a valid Gil", subpy.create, {"gil": 7}),
        (f"{2**32} is not a valid Gil", subpy.create, {"gil": 2**32}),
        ("'wait' is not a valid Busy", subpy.create, {"busy": "wait"}),
        (f"{2**32 + 1} is not a valid Busy", subpy.create, {"busy": 2**32 + 1}),
        ("0x10000000000 is not a valid Flag", subpy.create, {"flags": 1 << 40}),
        ("0x10000000000000008 is not a valid Flag", subpy.create, {"flags": 2**64 + 8}),
        ("-0x1 is not a valid Flag", subpy.create, {"flags": -1}),
        ("0x8 is not a valid RuntimeFlag", subpy.init, {"flags": 8}),
        ("0x20000000000000000 is not a valid RuntimeFlag", subpy.init, {"flags": 2**65}),
    ):
        try:
            function(**options)
        except ValueError as error:
            assert str(error) == message, error
        else:
            raise AssertionError(f"{function} took {options}")


def wrong_processes() -> None:
    invalid, needed = subpy.Status.INVALID_ARGUMENT, "needs SUBPY_INTERP_PROCESS: it is about a process"
    process, locked = subpy.Flag.PROCESS, subpy.Flag.PROCESS | subpy.Flag.LOCKED
    open_anyway = "need SUBPY_INTERP_LOCKED: without it all that the host can open is open"
    neither = "SUBPY_INTERP_ALLOW_FORK and SUBPY_INTERP_ALLOW_EXEC are not for SUBPY_INTERP_LOCKED, which allows neither"
    for message, options in (
        (f"SUBPY_INTERP_LOCKED {needed}", {"flags": subpy.Flag.LOCKED}),
        (
            "SUBPY_INTERP_LOCK_BEST_EFFORT needs SUBPY_INTERP_LOCKED: without it nothing is locked",
            {"flags": process | subpy.Flag.LOCK_BEST_EFFORT},
        ),
        (f"subpy_interp_options.grace_ms {needed}", {"grace": 0.0001}),
        (f"subpy_interp_options.cpu_limit_ms {needed}", {"cpu_limit": 1}),
        (f"subpy_interp_options.readable {needed}", {"readable": ["/usr"]}),
        (f"subpy_interp_options.writable {needed}", {"writable": ["/tmp"]}),
        (
            "SUBPY_INTERP_PROCESS needs SUBPY_GIL_OWN: an interpreter in a process of its own shares no GIL",
            {"flags": process, "gil": subpy.Gil.SHARED},
        ),
        (
            "SUBPY_INTERP_NO_EXTENSION_CHECK is not for SUBPY_INTERP_PROCESS: an interpreter in a process of its own "
            "loads all extension modules anyway",
            {"flags": process | subpy.Flag.NO_EXTENSION_CHECK},
        ),
        (f"readable folders {open_anyway}", {"flags": process, "readable": ["/usr"]}),
        (f"writable folders {open_anyway}", {"flags": process, "writable": ["/tmp"]}),
        (neither, {"flags": locked | subpy.Flag.ALLOW_FORK}),
        ('readable[1] is "here", must be an absolute path', {"flags": locked, "readable": ["/usr", "here"]}),
        ('writable[0] is "there", must be an absolute path', {"flags": locked, "writable": ["there"]}),
    ):
        refused(invalid, message, subpy.create, **options)
        refused(invalid, message, subpy.InterpreterPoolExecutor, 1, **options)
    for message, function, options in (
        ("a time limit must be more than 0, not 0", subpy.create, {"grace": 0}),
        ("a time limit must be more than 0, not -1", subpy.create, {"cpu_limit": -1}),
        ("embedded null character in a path", subpy.create, {"readable": ["a\0b"]}),
        ("embedded null character in a path", subpy.create, {"writable": ["a\0b"]}),
        ("embedded null character in a path", subpy.create, {"venv": "a\0b"}),
        ("embedded null character in a path", subpy.init, {"worker": "a\0b"}),
        ("preload: embedded null character", subpy.init, {"preload": ["json", "a\0b"]}),
    ):
        try:
            function(**options)
        except ValueError as error:
            assert str(error) == message, error
        else:
            raise AssertionError(f"{function} took {options}")
    for options in ({"preload": ["json"]}, {"worker": "/nowhere"}):
        refused(
            subpy.Status.WRONG_STATE,
            "subpy is running already, with other options; call subpy_init() before the first use, or "
            "subpy_shutdown() first",
            subpy.init,
            **options,
        )


def a_crash_that_is_none(interp: subpy.Interpreter) -> None:
    crashed = subpy.InterpreterCrashedError("it was killed", subpy.Status.CRASHED)
    assert (crashed.signal, crashed.exit_code, str(crashed)) == (None, None, "it was killed")
    crashed.signal, crashed.traceback = 11, "Stack (most recent call first):"
    again = pickle.loads(pickle.dumps(crashed))
    assert (again.signal, again.status, str(again)) == (11, subpy.Status.CRASHED, str(crashed))
    assert str(again) == "it was killed\n\nStack (most recent call first):"
    number = ctypes.c_int32(77)
    try:
        interp.exec("1 / 0")
    except subpy.InterpreterError as error:
        assert not isinstance(error, subpy.InterpreterCrashedError)
    failed = ctypes.c_void_p()
    status = library.subpy_exec(interp._handle, b"1 / 0", ctypes.c_size_t(5), ctypes.byref(failed))
    assert status == subpy.Status.EXECUTION_FAILED
    assert not library.subpy_error_crash(failed, ctypes.byref(number), ctypes.byref(number)) and number.value == 77
    library.subpy_error_free(failed)


def wrong_rows(interp: subpy.Interpreter) -> None:
    interp.exec("calls = 0\ndef count(*args):\n    global calls\n    calls += 1")
    count = interp.function("count")
    for kind, message, function, *args in (
        (ValueError, "rows[2] has length 1, and rows[0] has length 2", count.call_many, [(1, 2), [3, 4], (5,)]),
        (ValueError, "rows[1] has length 1, and rows[0] has length 0", count.call_many, [(), (1,)]),
        (TypeError, "rows[0] must be a tuple or another iterable of arguments, not str", count.call_many, ["ab"]),
        (TypeError, "rows[1] must be a tuple or another iterable of arguments, not int", count.call_many, [(1,), 2]),
        (TypeError, "rows[0] must be a tuple or another iterable of arguments, not bytes", count.call_many, [b"a"]),
        (TypeError, "'int' object is not iterable", count.call_many, 5),
        (TypeError, "", count.map),
        (TypeError, "", count.map, 5),
        (TypeError, "", count.call_many),
    ):
        try:
            function(*args)
        except kind as error:
            assert str(error) == message or not message, error
        else:
            raise AssertionError(f"{function} took {args}")
    shareable = subpy.Status.NOT_SHAREABLE
    for more in ({}, {"return_exceptions": True}):
        rows = [(1, 2), (3, {"x": [1, object()]})]
        refused(shareable, "rows[1][1]['x'][1]: builtins.object cannot be shared", count.call_many, rows, **more)
        refused(shareable, "rows[2][0]: builtins.object cannot be shared", count.map, [1, 2, object()], **more)
    assert interp.eval("calls") == 0
    count.close()
    for rows in ([], [(1,)]):
        refused(subpy.Status.NOT_FOUND, f"{count._handle.value} is not the handle of a function, or it was freed",
                count.call_many, rows)


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


def changed_meanwhile(interp: subpy.Interpreter) -> None:
    """A bytearray that another thread resizes between any two lines of the package."""
    interp.exec("def given(*args):\n    return args")
    value, turn = bytearray(), 0

    def resize(frame: types.FrameType, event: str, arg: object) -> Callable:
        nonlocal turn
        if event == "line":
            turn += 1
            value[:] = b"x" * (turn * 7 % 40)
        return resize

    for _ in range(40):
        sys.settrace(resize)
        try:
            taken, after = interp.call("given", value, "y" * 100)
        finally:
            sys.settrace(None)
        assert taken == b"x" * len(taken) and after == "y" * 100, (taken, after)


def errors_travel(interp: subpy.Interpreter) -> None:
    """Every exception can be pickled, to another process say, and copied."""
    interp.exec("def fail():\n    raise SystemExit(3)")
    raising = (
        (subpy.InterpreterError, lambda: subpy.Interpreter(-1)),
        (subpy.InterpreterNotFoundError, lambda: subpy.Interpreter(999)),
        (subpy.NotShareableError, lambda: interp.call("fail", object())),
        (subpy.ExecutionFailed, lambda: interp.call("fail")),
        (subpy.ExecutionFailed, lambda: interp.function("fail").call_many([()])),
        (subpy.SourceError, lambda: interp.exec("x = 1\ny = = 2")),
    )
    for kind, function in raising:
        try:
            function()
        except subpy.InterpreterError as raised:
            error = raised
        assert type(error) is kind, error
        error.add_note("a note")
        protocols = range(pickle.HIGHEST_PROTOCOL + 1)
        copies = [pickle.loads(pickle.dumps(error, protocol)) for protocol in protocols]
        for other in (copy.copy(error), copy.deepcopy(error), *copies):
            assert type(other) is kind and other is not error
            assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error)), vars(other)
            if kind is subpy.SourceError:
                found = other.msg, other.filename, other.lineno, other.offset, other.text
                assert found == ("invalid syntax", "<script>", 2, 5, "y = = 2\n"), found


def newer_library(interp: subpy.Interpreter) -> None:
    """What a newer library may answer: a kind and a status that this version does not know."""
    real_run, real_close = library.subpy_run, library.subpy_close

    def kind(request: object, place: object, error: object) -> int:
        place._obj.kind = 77
        return 0

    def status(handle: object, error: object) -> int:
        error._obj.value = None
        return -77

    library.subpy_run, library.subpy_close = kind, status
    try:
        message = "result: values of kind 77 are unknown to this package; the library is newer"
        refused(subpy.Status.NOT_SHAREABLE, message, interp.eval, "1")
        refused(-77, "", interp.close)
    finally:
        library.subpy_run, library.subpy_close = real_run, real_close


def wrong_sessions(interp: subpy.Interpreter) -> None:
    message = "this thread has not entered"
    session = interp.session()
    try:
        session.__exit__()
    except subpy.InterpreterError as error:
        assert error.status == subpy.Status.WRONG_STATE and message in error.message, error
    else:
        raise AssertionError("left without entering")


def closed_already() -> None:
    with subpy.create() as interp:
        interp.close()
    with subpy.create() as interp:
        interp.exec("import threading")
        subpy.shutdown()
    try:
        with subpy.create() as interp:
            interp.close()
            raise KeyError("of the block")
    except KeyError as error:
        assert error.__context__ is None


def status_names() -> None:
    """The statuses of the module are the library's."""
    for status in subpy.Status:
        name = "SUBPY_OK" if status == 0 else f"SUBPY_ERROR_{status.name}"
        assert library.subpy_status_name(status) == name.encode(), status
    assert library.subpy_status_name(min(subpy.Status) - 1) == b"SUBPY_ERROR_UNKNOWN"


def virtual_environments() -> None:
    with subpy.create() as maker:
        maker.exec(
            """
            import os, shutil, sys, tempfile
            folder = tempfile.mkdtemp()
            os.makedirs(folder + '/lib/python%d.%d/site-packages' % sys.version_info[:2])
            open(folder + '/pyvenv.cfg', 'w').close()
            """
        )
        folder = maker.eval("folder")
        with subpy.create(venv=folder) as interp:
            assert interp.eval("__import__('sys').prefix") == folder
        with subpy.InterpreterPoolExecutor(1, venv=folder) as pool:
            assert pool.submit("builtins:eval", "__import__('sys').prefix").result() == folder
        maker.exec("shutil.rmtree(folder)")
    for create in (subpy.create, lambda venv: subpy.InterpreterPoolExecutor(1, venv=venv)):
        try:
            create(venv=folder)
        except subpy.InterpreterError as error:
            assert error.status == subpy.Status.INVALID_ARGUMENT
            assert "is no folder; make one with: python3." in str(error), error
        else:
            raise AssertionError("it is gone")


if __name__ == "__main__":
    status_names()
    virtual_environments()
    garbage_handles()
    interp = subpy.create()
    values_that_cannot_cross(interp)
    wrong_arguments(interp)
    changed_meanwhile(interp)
    errors_travel(interp)
    newer_library(interp)
    wrong_rows(interp)
    wrong_processes()
    a_crash_that_is_none(interp)
    wrong_sessions(interp)
    wrong_moments(interp)
    closed_already()
    subpy.shutdown()
    print("done")
