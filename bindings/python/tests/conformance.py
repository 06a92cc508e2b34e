"""The cases that every binding runs: `conformance.py ../../../conformance/cases.json`; its README explains them."""

import datetime
import decimal
import importlib
import json
import os
import struct
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import subpy

# What cannot be said in Python, by the names of the cases, with the reason.
SKIPPED: dict[str, str] = {
    "a key that cannot be hashed": "Python's own dicts cannot have such a key either",
    "a row with an argument that is wrong": "an int is a number in Python, never text",
}


# The table is the same for interpreters in processes of their own.
IN_PROCESSES = "SUBPY_CONFORMANCE_PROCESS" in os.environ


def create(flags: subpy.Flag = subpy.Flag.NONE, **options: Any) -> subpy.Interpreter:
    if IN_PROCESSES:
        return subpy.create(flags=flags | subpy.Flag.PROCESS, grace=5, **options)
    return subpy.create(flags=flags, **options)


def value(written: object) -> object:
    """The object that a value of the table stands for."""
    if not isinstance(written, dict):
        return written
    if "tag" in written:
        tag, plain = subpy.Tag[written["tag"].upper()], value(written["value"])
        try:
            return tagged(tag, plain)
        except ValueError:  # a text that is none of these
            return subpy.Tagged(tag, plain)
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
        case "buffer":
            memory = memoryview(bytes.fromhex(content["bytes"]))
            return memory.cast(content["format"], content["shape"]) if content["format"] != "B" else memory
    raise AssertionError(f"there is no kind {kind!r}")


def tagged(tag: subpy.Tag, plain: Any) -> object:
    """What a tagged value is in Python."""
    match tag:
        case subpy.Tag.SET:
            return set(plain)
        case subpy.Tag.FROZENSET:
            return frozenset(plain)
        case subpy.Tag.COMPLEX:
            return complex(*plain)
        case subpy.Tag.DATE:
            return datetime.date.fromisoformat(plain)
        case subpy.Tag.TIME:
            return datetime.time.fromisoformat(plain)
        case subpy.Tag.DATETIME:
            return datetime.datetime.fromisoformat(plain)
        case subpy.Tag.TIMEDELTA:
            return datetime.timedelta(*plain)
        case subpy.Tag.DECIMAL:
            return decimal.Decimal(plain)
        case subpy.Tag.UUID:
            return uuid.UUID(plain)
    return subpy.Tagged(tag, plain)


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
    if kind is memoryview:
        return {"buffer": {"format": value.format, "shape": list(value.shape), "bytes": value.tobytes().hex()}}
    if kind is subpy.Object:
        return {"object": str(value)}
    if kind in TAGS:
        tag, plain = TAGS[kind]
        return {"tag": tag, "value": written(plain(value))}
    if kind is subpy.Tagged:
        return {"tag": value.tag.name.lower(), "value": written(value.value)}
    assert kind is dict, f"a result of {kind}"
    return {"dict": [[written(key), written(item)] for key, item in value.items()]}


TAGS: dict[type, tuple[str, Callable[[Any], object]]] = {
    set: ("set", list),
    frozenset: ("frozenset", tuple),
    complex: ("complex", lambda value: (value.real, value.imag)),
    datetime.date: ("date", str),
    datetime.time: ("time", str),
    datetime.datetime: ("datetime", datetime.datetime.isoformat),
    datetime.timedelta: ("timedelta", lambda value: (value.days, value.seconds, value.microseconds)),
    decimal.Decimal: ("decimal", str),
    uuid.UUID: ("uuid", str),
}


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


def ways(case: dict, interp: subpy.Interpreter, first: list[object]) -> Iterator[tuple[str, Callable[[], object]]]:
    """What the case does, in every way that there is."""
    text = case["text"]
    args = first + [value(item) for item in case.get("args", [])]
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
    flags |= subpy.Flag.TAGGED_VALUES if case.get("tagged_values") else subpy.Flag.NONE
    interp = create(timeout=limit and limit / 1000, flags=flags, memory_limit=case.get("memory_limit"))
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
    forms, asynchronous = forms_of(case)
    options = {"cancel": cancel, "output": output, "results": forms, "run_async": asynchronous}
    return interp.with_options(timeout=limit and limit / 1000, **options), printed


def forms_of(case: dict) -> tuple[subpy.Results, bool]:
    forms = subpy.Results.VALUES
    for flag in set(case.get("flags", [])) - {"async"}:
        forms |= subpy.Results[flag.upper()]
    return forms, "async" in case.get("flags", [])


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
        with interp, create() if case.get("object_in") == "another" else interp as owner:
            first = [owner.eval_object(case["object"])] if "object" in case else []
            queue = queue_of(case)
            found = list(ways(case, interp, [queue] if queue else first))
            turns = len(found)
            name, run = found[turn]
            try:
                check(case, run)
                check_printed(case, printed)
                if "queue_after" in case:
                    compare("the queue", [written(queue.get()) for _ in range(queue.qsize())], case["queue_after"])
            except Exception as error:
                error.add_note(f"in the case {case['name']!r}, {name}")
                raise
        turn += 1


def queue_of(case: dict) -> subpy.Queue | None:
    if "queue" not in case:
        return None
    queue = subpy.create_queue()
    for item in case["queue"]:
        queue.put(value(item))
    if case.get("queue_closed"):
        queue.close()
    return queue


def run_in_pool(case: dict) -> None:
    limit = case.get("timeout_ms")
    where: dict[str, Any] = {"isolation": subpy.Isolation.PROCESS, "grace": 5} if IN_PROCESSES else {}
    with subpy.InterpreterPoolExecutor(1, setup=case.get("setup", ""), **where) as pool:
        pool = pool.with_options(timeout=limit and limit / 1000, results=forms_of(case)[0])
        args = [value(item) for item in case.get("args", [])]
        kwargs = {name: value(item) for name, item in case.get("kwargs", [])}
        submit = {"exec": pool.submit_exec, "eval": pool.submit_eval, "call": pool.submit}[case["do"]]
        check(case, submit(case["text"], *args, **kwargs).result)


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
        with create() as interp:
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
    for section in ("cases", "many", "host", "limits", "output", "data"):
        cases += [{"section": section, **case} for case in table[section]]
    unknown = SKIPPED.keys() - {case["name"] for case in cases}
    assert not unknown, f"skipped, but not there: {unknown}"
    count = 0
    for case in cases:
        if case["name"] in SKIPPED:
            print(f"skipped: conformance in Python: {case['name']}: {SKIPPED[case['name']]}")
        else:
            (run_many if "rows" in case else run_in_pool if case.get("pool") else run_case)(case)
            count += 1
    subpy.shutdown()
    print(f"conformance: {count} cases in Python{", in processes" if IN_PROCESSES else ""}")


if __name__ == "__main__":
    main()
