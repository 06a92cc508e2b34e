"""The list: who takes part, what is measured, what is aimed at. All else follows from it.

To find how a contender does something: `Time("...", "call_2", ...)` is the function or entry `call_2` in its file. A
new line is an entry of MEASUREMENTS, its name in CALLS (worker.h), and a function in each contender's file.
"""

from measure import Cancels, Cycle, Data, Goal, Left, Memory, OfOneProcess, OfProcesses, Panel, Parallel, Time, Waits

# Column, program, mode, what it is.
CONTENDERS = [
    ("subpy", "subpy.c", "call", "`subpy_call()`, `subpy_exec()`, ...: functions by their name, from any thread"),
    ("function", "subpy.c", "function", "`subpy_function_call()`: a prepared function"),
    ("session", "subpy.c", "session", "the same between `subpy_enter()` and `subpy_leave()`"),
    ("raw", "raw.c", "fresh", "the C API with the recipe of `benches/raw.h`, `PyDict_GetItemString` for the name"),
    ("raw kept", "raw.c", "kept", "the same with a thread state and a function that are kept: the limit of a session"),
    ("interpreters", "stdlib.py", "interpreters", "`concurrent.interpreters`"),
    ("interpreter pool", "stdlib.py", "interpreter-pool", "`InterpreterPoolExecutor`: `submit(...).result()`"),
    ("process pool", "stdlib.py", "process-pool", "`ProcessPoolExecutor`: `submit(...).result()`"),
    ("pybind11", "pybind11.cpp", "fresh", "pybind11's `py::subinterpreter` and `subinterpreter_scoped_activate`"),
    ("pybind11 kept", "pybind11.cpp", "kept", "the same with `subinterpreter_thread_state`, and a function"),
    ("limited", "subpy.c", "limited", "`subpy` in interpreters with a `memory_limit`"),
    ("threads", "stdlib.py", "threads", "threads of one interpreter, one GIL: `queue.Queue`, `ThreadPoolExecutor`"),
    ("process", "subpy.c", "process", "`function` in interpreters with `SUBPY_INTERP_PROCESS`, pools with "
     "`SUBPY_ISOLATION_PROCESS`"),
    ("process session", "subpy.c", "process-session", "the same between `subpy_enter()` and `subpy_leave()`"),
    ("futex", "futex.c", "futex", "two processes, the memory that both see, and a futex, without Python: the limit"),
    ("forkserver", "processes.py", "forkserver", "`multiprocessing`: `Pool` and `Process`, which begin with a fork of "
     "a process that was started for that"),
    ("fork", "processes.py", "fork", "the same, which begin with a fork of the program itself"),
    ("spawn", "processes.py", "spawn", "the same, which begin with a program"),
]

# Table: its columns; of which two of them it has ratios.
NAMES = [name for name, *_ in CONTENDERS]
TABLES = {
    "calls": (NAMES[:NAMES.index("limited")], [("subpy", "raw"), ("session", "raw kept")]),
    "data": (["subpy", "session", "limited", "raw", "raw kept", "interpreters", "interpreter pool", "process pool",
              "threads"],
             [("subpy", "raw"), ("session", "raw kept"), ("limited", "subpy")]),
    "processes": (["function", "process", "process session", "futex", "process pool", "forkserver", "fork", "spawn"],
                  [("process", "function"), ("process", "futex"), ("process", "process pool")]),
}
PAGES = {"calls": "performance.md", "data": "performance-data.md", "processes": "performance-processes.md"}

BLOB = 100 << 20
MIX = 170  # what guest.mix() returns

MEASUREMENTS = [
    Time("call f()", "call_0", 0),
    Time("call f(a, b)", "call_2", 3000),
    Time("call f(a, b), 10 at once", "many_10", 30_000, calls=10),
    Time("call f(a, b), 100 at once", "many_100", 300_000, calls=100),
    Time("str of 16 bytes, in and out", "text_short", 16),
    Time("str of 1 KiB, in and out", "text", 1024),
    Time("str of 1 KiB, not ASCII, in and out", "text_wide", 1024),
    Time("list of 1,000 ints, in", "list_in", 1000),
    Time("list of 1,000 ints, out", "list_out", 1_000_499_500),
    Time("list of 1,000 floats, in and out", "floats", 500_000),
    Time("bytes of 1 MiB, in and out", "bytes", 1 << 20),
    Time("50 dicts of 4 in a dict, in", "dict_in", 50),
    Time("50 dicts of 4 in a dict, out", "dict_out", 3105),
    Time("exec of a short source", "exec_short", 1),
    Time("exec of three functions", "exec_functions", 3),
    Time("exec of 100 lines", "exec_long", 100),
    Time("eval", "eval", 3),
    Time("print of a short line", "print", 0),
    Time("exception, with its traceback", "exception", 1),
    Time("host function of (int, int)", "host", 3000),
    Time("host function of (int, int), with the GIL", "host_with_gil", 3000),
    Time("run f(a, b)", "run_2", 3000),
    Time("run f(a, b), with a time limit", "run_2_limit", 3000),
    Cancels("cancel, caught by Python code", "until_interrupted"),
    Cancels("cancel, with its traceback", "forever"),
    Cycle("create", "close"),
    Cycle("create, two at once", "close, two at once", two=True),
    Time("call f(a, b), 3,000 more mappings", "call_2", 3000, mapped=True),
    Cycle("create, 3,000 more mappings", "close, 3,000 more mappings", mapped=True),
    Memory("memory of an interpreter"),
    Left("memory left by create and close"),
    Parallel("call f()", "call_0"),
    Parallel("CPU-bound call", "spin"),
    Parallel("call f()", "call_0", kind="wait"),
    Waits("call f()", "call_0"),
    Parallel("call f()", "call_0", kind="share"),
    Data("queue, round trip of host and interpreter", "queue_host", 7),
    Data("queue, round trip of two interpreters", "queue_pair", 7),
    Data("100 MiB in, as a buffer", "buffer_in", BLOB),
    Data("100 MiB in, as bytes", "bytes_in", BLOB, long=True),
    Data("100 MiB out, as a buffer", "buffer_out", BLOB),
    Data("100 MiB out, as bytes", "bytes_out", BLOB, long=True),
    Data("100 MiB, memcpy", "copy", BLOB, long=True),
    Data("object, made and dropped", "object_new", 1),
    Data("object, an attribute", "object_attr", 7),
    Data("object, a method", "object_call", 7),
    Data("async f(a, b)", "async_2", 3000),
    Data("task, one after the other", "task", 3000),
    Data("task, 1,000 at once", "tasks_1000", 3_000_000, calls=1000, long=True),
    Data("row of 1,000, 100 a task", "map_1000", 3_000_000, calls=1000, long=True),
    Data("task in a new interpreter", "task_alone", 3000, long=True),
    Data("work in Python", "mix", MIX),
    OfProcesses("two ints there, their sum back", "call_2", 3000),
    OfProcesses("bytes of 1 MiB, there and back", "bytes", 1 << 20),
    OfProcesses("100 MiB, copied", "copied", BLOB + 1, long=True),
    OfProcesses("100 MiB, shared", "shared", BLOB + 1),
    OfProcesses("100 MiB, made, filled and shared", "filled", BLOB + 1, long=True),
    OfProcesses("start to first result", "first", 3000),
    OfOneProcess("Pss of one more"),
    OfProcesses("small task, 1,000 at once, two workers", "tasks_1000", 3_000_000, calls=1000, long=True),
    OfProcesses("small task of map(), 100 at a time, two workers", "map_1000", 3_000_000, calls=1000, long=True),
]

# Contender, what is in the line's name, why it has no figure there.
AS_BEFORE = "nothing in it is prepared or kept: as in the column before"
POOLS = ("interpreter pool", "process pool")
CANNOT = [
    ("function", "exec", "a prepared function is called, source is not"),
    ("function", "eval", "a prepared function is called, source is not"),
    *((name, line, AS_BEFORE) for name in ("function", "session", "raw kept", "pybind11 kept")
      for line in ("create", "close", "memory")),
    ("function", "run f", "a request has a name"),
    *((name, "run f", "has no requests: as the call of the same") for name in ("raw", "raw kept")),
    *((name, "run f", "has neither requests nor time limits")
      for name in ("interpreters", *POOLS, "pybind11", "pybind11 kept")),
    *((name, "host function", "has no functions of the host") for name in ("interpreters", *POOLS)),
    ("function", "cancel", AS_BEFORE),
    *((name, "cancel", "cannot stop what runs, except with the process")
      for name in ("interpreters", *POOLS, "pybind11", "pybind11 kept")),
    ("interpreters", "one that", "runs one thing at a time, the others get an error"),
    ("interpreter pool", "one that is shared", "a worker does one thing at a time"),
    ("process pool", "one that is shared", "a worker does one thing at a time"),
    *((name, "queue,", "its queue is its own") for name in POOLS),
    *((name, "MiB out", "a call within an interpreter copies nothing") for name in ["threads"]),
    *((name, "MiB in", "a call within an interpreter copies nothing") for name in ["threads"]),
    *((name, "as a buffer", "a memoryview cannot be pickled") for name in POOLS),
    *((name, "memcpy", "Python has no such thing") for name in ("interpreters", *POOLS, "threads")),
    *((name, "object,", "has no handles of objects") for name in ("interpreters", *POOLS, "threads")),
    *((name, line, AS_BEFORE) for name in ("session", "raw kept")
      for line in ("queue,", "as bytes", "memcpy", "task in", "work in")),
    *(("session", line, AS_BEFORE) for line in ("task, ", "row of")),
    *((name, line, "has no pools") for name in ("raw", "raw kept", "interpreters") for line in ("task, ", "row of")),
    ("threads", "task in a new interpreter", "has one interpreter"),
    *(("process session", line, "a session makes no difference to it: as in the column before")
      for line in ("100 MiB", "start", "Pss", "small task")),
    *(("futex", line, "has no Python") for line in ("100 MiB", "start", "Pss", "small task")),
    *((name, line, "how it began makes no difference to it: as `forkserver`") for name in ("fork", "spawn")
      for line in ("two ints", "1 MiB", "100 MiB", "small task")),
]

# Line, threads, contender, of which contender (None: the figure itself), the goal.
BOTH = ("main", "worker")
GOALS = [
    Goal("call f(a, b)", BOTH, "subpy", "raw", at_most=1.05),
    Goal("call f(a, b)", BOTH, "function", "raw", at_most=0.95),
    Goal("call f(a, b)", BOTH, "session", "raw kept", at_most=1.3),
    Goal("call f(a, b)", ["main"], "interpreters", "subpy", at_least=150),
    Goal("call f(a, b)", ["worker"], "interpreters", "subpy", at_least=20),
    Goal("call f(a, b), 10 at once", BOTH, "function", "raw", at_most=0.25),
    Goal("call f(a, b), 100 at once", BOTH, "function", "raw", at_most=0.2),
    Goal("call f(), 8 threads, one that waits", ["worker"], "subpy", None, at_least=0.85),
    Goal("call f(), 8 threads, one that waits", ["worker"], "session", None, at_least=0.85),
    Goal("call f(), 8 threads, one that waits: slowest / fastest", ["worker"], "subpy", None, at_least=0.7),
    Goal("call f(), 8 threads, one that waits: slowest / fastest", ["worker"], "session", None, at_least=0.7),
    Goal("str of 1 KiB, in and out", BOTH, "subpy", "raw", at_most=1.1),
    Goal("list of 1,000 ints, in", BOTH, "subpy", "raw", at_most=1.1),
    Goal("list of 1,000 ints, out", BOTH, "subpy", "raw", at_most=1.05),
    Goal("50 dicts of 4 in a dict, in", BOTH, "subpy", "raw", at_most=1.15),
    Goal("50 dicts of 4 in a dict, out", BOTH, "subpy", "raw", at_most=1.1),
    Goal("exec of a short source", BOTH, "subpy", "raw", at_most=1.03),
    Goal("print of a short line", BOTH, "subpy", "raw", at_most=2),
    Goal("exception, with its traceback", BOTH, "subpy", "interpreters", at_most=0.8),
    Goal("cancel, caught by Python code, median", ["worker"], "subpy", None, at_most=100),
    Goal("cancel, caught by Python code, 99 %", ["worker"], "subpy", None, at_most=10_000),
    Goal("create", ["main"], "subpy", "raw", at_most=0.8),
    Goal("close", ["main"], "subpy", "raw", at_most=1.03),
    Goal("memory of an interpreter", ["main"], "subpy", "raw", at_most=1),
    Goal("memory left by create and close", ["main"], "subpy", None, at_most=0.1),
    Goal("call f(), 2 interpreters", ["worker"], "subpy", None, at_least=1.95, best=True),
    Goal("call f(), 2 interpreters", ["worker"], "session", None, at_least=1.95, best=True),
    Goal("CPU-bound call, 2 interpreters", ["worker"], "subpy", None, at_least=1.95, best=True),
    Goal("queue, round trip of host and interpreter", ["worker"], "raw", "subpy", at_least=2),
    Goal("queue, round trip of two interpreters", ["worker"], "raw", "subpy", at_least=2),
    Goal("100 MiB in, as a buffer", ["worker"], "subpy", None, at_most=20),
    Goal("object, an attribute", ["worker"], "subpy", None, at_most=0.3),
    Goal("work in Python", ["worker"], "limited", "subpy", at_most=1.03),
    Goal("two ints there, their sum back", ["worker"], "process", "futex", at_most=1.3),
    Goal("two ints there, their sum back", ["worker"], "process session", "futex", at_most=1.3),
    Goal("start to first result", ["worker"], "process", None, at_most=1000),
    Goal("Pss of one more", ["main"], "process", None, at_most=2),
]

# The chart: what those ask first who embed Python. Label, contender, line.
CALL, WAIT, LIST = "call f(a, b)", "call f(), 8 threads, one that waits", "list of 1,000 ints, "
CHART = [
    Panel("Call of a function by its name", [
        ("subpy", "subpy", CALL), ("raw", "raw", CALL), ("pybind11", "pybind11", CALL),
        ("interpreters", "interpreters", CALL)]),
    Panel("Call of a prepared function", [
        ("subpy", "function", CALL), ("raw, by name", "raw", CALL), ("pybind11, kept", "pybind11 kept", CALL)]),
    Panel("The same in a session", [
        ("subpy", "session", CALL), ("raw, kept", "raw kept", CALL), ("pybind11, kept", "pybind11 kept", CALL)]),
    Panel("The same call, many at once: each", [
        ("subpy, 100", "function", CALL + ", 100 at once"), ("subpy, 10", "function", CALL + ", 10 at once"),
        ("raw, one by one", "raw", CALL), ("raw, kept", "raw kept", CALL)]),
    Panel("Call f(), 8 threads on one interpreter that waits", [
        ("subpy", "subpy", WAIT), ("subpy, sessions", "session", WAIT), ("raw, mutex", "raw", WAIT),
        ("raw, kept, mutex", "raw kept", WAIT)]),
    Panel("CPU-bound work in 2 interpreters at once", [
        (name, name, "CPU-bound call, 2 interpreters") for name in ("subpy", "raw", "interpreters", "process pool")]),
    Panel("Create an interpreter", [
        (name, name, "create") for name in ("subpy", "raw", "interpreters", "process pool")]),
    Panel("Memory of an interpreter", [
        (name, name, "memory of an interpreter") for name in ("subpy", "raw", "interpreter pool", "process pool")],
        thread="main"),
    Panel("An exception, with its traceback as text", [
        (name, name, "exception, with its traceback") for name in ("subpy", "raw", "interpreters", "process pool")]),
    Panel("List of 1,000 ints as argument, as result", [
        ("subpy, in", "subpy", LIST + "in"), ("raw, in", "raw", LIST + "in"),
        ("subpy, out", "subpy", LIST + "out"), ("raw, out", "raw", LIST + "out")]),
]
