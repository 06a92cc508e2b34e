"""The cases that every binding runs: `conformance.py ../../../conformance/cases.json`; its README explains them."""

import importlib
import json
import struct
import sys
import threading
from collections.abc import Callable, Iterator

import subpy

# What cannot be said in Python, by the names of the cases, with the reason.
SKIPPED: dict[str, str] = {
    "a key that cannot be hashed": "Python's own dicts cannot have such a key either",
    "a row with an argument that is wrong": "an int is a number in Python, never text",
}


def value(written: object) -> object:
    """The object that a value of the table stands for."""
    if not isinstance(written, dict):
        return written
    ((kind, content),) = written.items()
    match kind:
        case "int":
            return int(content)
        case "bigint":
            return int(content, 16)
        case "float":
            return struct.unpack(">d", bytes.fromhex(content))[0]
        case "bytes":
            return bytes.fromhex(content)
        case "tuple":
            return tuple(value(item) for item in content)
        case "list":
            return [value(item) for item in content]
        case "dict":
            return {value(key): value(item) for key, item in content}
    raise AssertionError(f"there is no kind {kind!r}")


def written(value: object) -> object:
    """The value of the table that stands for an object: exact, where == takes True for 1 and 0.0 for -0.0."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return {"int": str(value)} if -(2**63) <= value < 2**63 else {"bigint": hex(value)}
    if kind is float:
        return {"float": struct.pack(">d", value).hex()}
    if kind is bytes:
        return {"bytes": value.hex()}
    if kind is tuple or kind is list:
        return {kind.__name__: [written(item) for item in value]}
    assert kind is dict, f"a result of {kind}"
    return {"dict": [[written(key), written(item)] for key, item in value.items()]}


def compare(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what} is {found!r} and not {expected!r}")


def compare_error(error: subpy.InterpreterError, expected: dict) -> None:
    excinfo = getattr(error, "excinfo", None)
    place = (error.lineno or 0, error.offset or 0, error.text) if isinstance(error, subpy.SourceError) else None
    for name, wanted in expected.items():
        match name:
            case "status":
                found: object = f"SUBPY_ERROR_{subpy.Status(error.status).name}"
            case "message":
                found = error.message
            case "type_name":
                found = excinfo and excinfo.type.__name__
            case "type_qualname":
                found = excinfo and excinfo.type.__qualname__
            case "type_module":
                found = excinfo and excinfo.type.__module__
            case "exception_message":
                found = excinfo and excinfo.msg
            case "formatted":
                found = excinfo and excinfo.formatted
            case "display":
                found = excinfo and excinfo.errdisplay
            case "row":
                found = error.row
            case "exit_status":
                found = excinfo and excinfo.exit_status
            case "syntax":
                found = place and dict(zip(("line", "column", "text"), place))
            case "frames":
                frames = excinfo.frames if excinfo else []
                compare("the number of frames", len(frames), len(wanted))
                found = [{key: getattr(at, key) for key in frame} for at, frame in zip(frames, wanted)]
            case _:
                raise AssertionError(f"there is no field {name!r}")
        compare(name, found, wanted)


def ways(case: dict, interp: subpy.Interpreter) -> Iterator[tuple[str, Callable[[], object]]]:
    """What the case does, in every way that there is."""
    text = case["text"]
    args = [value(item) for item in case.get("args", [])]
    kwargs = {name: value(item) for name, item in case.get("kwargs", [])}
    options = {name: case[name] for name in ("filename", "keep_indent") if name in case}

    def prepare_main() -> object:
        interp.prepare_main(kwargs)
        return interp.eval(text)

    def prepared() -> object:
        with interp.function(text) as function:
            return function(*args, **kwargs)

    def in_session() -> object:
        with interp.session():
            return interp.call(text, *args, **kwargs)

    match case["do"]:
        case "exec":
            yield "exec", lambda: interp.exec(text, **options)
        case "eval":
            yield "eval", lambda: interp.eval(text, **options)
        case "prepare_main":
            yield "prepare_main", prepare_main
        case "call":
            yield "by name", lambda: interp.call(text, *args, **kwargs)
            yield "prepared", prepared
            yield "on a thread", lambda: interp.call_in_thread(text, *args, **kwargs).join()
            yield "in a session", in_session
        case other:
            raise AssertionError(f"there is no {other!r} to do")


def define_host(interp: subpy.Interpreter) -> None:
    def fail(kind: str, message: str) -> None:
        module, _, name = kind.rpartition(":")
        raise getattr(importlib.import_module(module or "builtins"), name)(message)

    interp.define("host:echo", lambda value: value)
    interp.define("host:arguments", lambda *args, **kwargs: (list(args), kwargs))
    interp.define("host:nothing", lambda: None)
    interp.define("host:fail", fail)
    interp.define("host:again", interp.eval)


def prepared(case: dict) -> tuple[subpy.Interpreter, dict[str, list[str]]]:
    """An interpreter with what the case says of it, and where its output comes, by the names in the table."""
    printed: dict[str, list[str]] = {"stdout": [], "stderr": []}

    def take(stream: int, text: str) -> None:
        printed["stdout" if stream == 1 else "stderr"].append(text)

    limit = case.get("interp_timeout_ms")
    flags = subpy.Flag.NO_STDIN if case.get("no_stdin") else subpy.Flag.NONE
    interp = subpy.create(timeout=limit and limit / 1000, flags=flags)
    if case["section"] == "host":
        define_host(interp)
    if "setup" in case:
        interp.exec(case["setup"])
    if case.get("output") == "interpreter":
        interp.set_output(take)
    limit, cancel = case.get("timeout_ms"), None
    if "cancel_ms" in case:
        cancel = subpy.Cancel()
        if case["cancel_ms"] == 0:
            cancel.fire()
        else:
            timer = threading.Timer(case["cancel_ms"] / 1000, cancel.fire)
            timer.daemon = True
            timer.start()
    output = take if case.get("output") == "run" else None
    return interp.with_options(timeout=limit and limit / 1000, cancel=cancel, output=output), printed


def check_printed(case: dict, printed: dict[str, list[str]]) -> None:
    for name in ("stdout", "stderr"):
        if name in case:
            compare(name, "".join(printed[name]), case[name])
    if "stdout_length" in case:
        compare("stdout_length", len("".join(printed["stdout"])), case["stdout_length"])


def check(case: dict, run: Callable[[], object]) -> None:
    try:
        result = run()
    except subpy.InterpreterError as error:
        if "error" not in case:
            raise
        compare_error(error, case["error"])
    else:
        assert "error" not in case, f"returned {result!r}"
        if "result" in case:
            compare("the result", written(result), case["result"])


def run_case(case: dict) -> None:
    turn, turns = 0, 1
    while turn < turns:
        interp, printed = prepared(case)
        with interp:
            found = list(ways(case, interp))
            turns = len(found)
            name, run = found[turn]
            try:
                check(case, run)
                check_printed(case, printed)
            except Exception as error:
                error.add_note(f"in the case {case['name']!r}, {name}")
                raise
        turn += 1


def check_many(case: dict, function: subpy.Function, return_exceptions: bool) -> None:
    outcomes, ends = case.get("outcomes", []), case.get("ends")
    for row, outcome in enumerate(outcomes):
        if "error" in outcome:
            outcome["error"]["row"] = row
            if not return_exceptions:
                ends = ends or outcome["error"]
    rows = [[value(item) for item in row] for row in case["rows"]]
    try:
        results = function.call_many(rows, return_exceptions=return_exceptions)
    except subpy.InterpreterError as error:
        if ends is None:
            raise
        compare_error(error, {"row": None, **ends})
        return
    assert ends is None, f"returned {results!r}"
    compare("the number of results", len(results), len(outcomes))
    for row, (result, outcome) in enumerate(zip(results, outcomes)):
        if "error" in outcome:
            assert isinstance(result, subpy.InterpreterError), f"row {row} returned {result!r}"
            compare_error(result, outcome["error"])
        else:
            compare(f"the result of row {row}", written(result), outcome["result"])


def run_many(case: dict) -> None:
    for return_exceptions in (False, True):
        with subpy.create() as interp:
            if "setup" in case:
                interp.exec(case["setup"])
            try:
                check_many(case, interp.function(case["text"]), return_exceptions)
            except Exception as error:
                error.add_note(f"in the case {case['name']!r}, return_exceptions={return_exceptions}")
                raise


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        table = json.load(file)
    cases = []
    for section in ("cases", "many", "host", "limits", "output"):
        cases += [{"section": section, **case} for case in table[section]]
    unknown = SKIPPED.keys() - {case["name"] for case in cases}
    assert not unknown, f"skipped, but not there: {unknown}"
    count = 0
    for case in cases:
        if case["name"] in SKIPPED:
            print(f"skipped: conformance in Python: {case['name']}: {SKIPPED[case['name']]}")
        else:
            (run_many if "rows" in case else run_case)(case)
            count += 1
    subpy.shutdown()
    print(f"conformance: {count} cases in Python")


if __name__ == "__main__":
    main()
