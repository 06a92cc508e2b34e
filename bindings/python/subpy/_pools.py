"""Pools: interpreters that take tasks from one queue, as an executor of concurrent.futures."""

from __future__ import annotations

import atexit
import collections
import copy
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from ctypes import CFUNCTYPE, byref, c_bool, c_size_t, c_uint64, c_void_p, cast, pointer, sizeof
from typing import Any, NamedTuple

from ._errors import InterpreterNotFoundError, exception, run
from ._handles import Owner, called, check_is_main, finalize, new_number, register, release
from ._library import CloseOptions, PoolOptions, PoolStats, RunRequest, library
from ._limits import Cancel, Token, stoppable
from ._options import Busy, Flag, Gil, Isolation, close_options, count, interp_options
from ._runs import CALL, EVAL, EXEC, Given, Options, Results, apply, changed, source
from ._values import Arguments, fetch, owned

_NO_SPARES = 2
_ANY_NUMBER = 2**63 - 1


class Stats(NamedTuple):
    """What a pool has done, and has to do. Times are in seconds, of all tasks so far, a sixteenth too large at most.

    `crashed` counts interpreters whose process has ended by itself, or was killed because a run did not end in time. With
    Isolation.AUTO `reason` says why they have processes.
    """

    workers: int
    spares: int
    queued: int
    running: int
    submitted: int
    done: int
    failed: int
    cancelled: int
    replaced: int
    wait_p50: float
    wait_p90: float
    wait_p99: float
    run_p50: float
    run_p90: float
    run_p99: float
    left: int
    crashed: int
    isolation: Isolation
    reason: str


# Tokens of tasks that have ended, for others.
_tokens: collections.deque[Token] = collections.deque()
_MAX_TOKENS = 1000


class _Task(Future[Any]):
    """The outcome of a task, which is there as soon as the task has ended: no thread waits for it.

    Unlike those of other executors, a task that runs can be cancelled: it is stopped.
    """

    def __init__(self, pool: _Pool, cancel: Cancel | None) -> None:
        super().__init__()
        self.thread = Owner(c_uint64(), library.subpy_thread_free)
        try:
            self.token = _tokens.pop()
        except IndexError:
            self.token = Token()
        self._pool, self._stops, self.output, self._once = pool, cancel, 0, [None]
        pool.tasks.add(self)
        if cancel is not None:
            cancel._add(self.token)

    def cancel(self) -> bool:
        """Take it out of the queue, or stop it. False when it has ended."""
        if not super().cancel():
            return False
        self.token.fire()
        return True

    def begin(self, submitter: int, request: RunRequest, memory: dict[int, memoryview] | None) -> None:
        request.cancel = self.token._handle
        place = self._pool.handle, submitter, byref(request), byref(self.thread._handle)
        try:
            if self._pool.has_bound:  # it may wait
                submit = lambda: run(library.subpy_pool_submit_as, *place, memory=memory)
                stoppable(request, None, submit, self.token)
            else:
                run(library.subpy_pool_submit_as, *place, memory=memory)
            notify(self.thread._handle, self.end)
        except BaseException:
            self.forget()
            # Whoever ends the pool may wait for it already.
            if self.is_first():
                super().cancel()
                self.set_running_or_notify_cancel()
            raise

    def is_first(self) -> bool:
        """Whether nobody has asked before: one that ends does, or one that did not begin. A signal can make it both."""
        try:
            self._once.pop()
        except IndexError:
            return False
        return True

    def end(self) -> None:
        try:
            if self.is_first() and self.set_running_or_notify_cancel():
                # From now on nobody fires it, but who has it as well.
                if self._stops is None and not self._pool.has_bound and len(_tokens) < _MAX_TOKENS:
                    _tokens.append(self.token)
                complete(self, self.thread._handle)
            else:
                library.subpy_thread_join(self.thread._handle, None, None)
        finally:
            self.forget()

    def forget(self) -> None:
        self._pool.tasks.discard(self)
        release(self.output)
        if self._stops is not None:
            self._stops._others.discard(self.token)


def complete(future: Future[Any], thread: c_uint64) -> None:
    """The run of a thread has ended: that is the outcome of the future."""
    try:
        result = fetch(library.subpy_thread_join, thread)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def notify(thread: c_uint64, end: Callable[[], None]) -> None:
    """Has something called when a run has ended, on the thread that it was on."""
    number = new_number()
    called[number] = end
    try:
        run(library.subpy_thread_notify, thread, _notify, number)
    except InterpreterNotFoundError:
        release(number)
        raise


@CFUNCTYPE(None, c_void_p)
def _notify(number: int) -> None:
    called.pop(number)()


@CFUNCTYPE(None, c_void_p, c_uint64)
def _prepare(number: int, interp: int) -> None:
    from . import _interpreter

    called[number](_interpreter(c_uint64(interp)))


class _Pool:
    """What an executor has in common with those that with_options() makes of it."""

    def __init__(self) -> None:
        self.handle = c_uint64()
        self.has_bound = False
        self.tasks: set[_Task] = set()
        self.is_shut_down = False

    def end(self) -> None:
        wait([*self.tasks])  # for Ctrl-C: unlike a call of the library this can be interrupted
        try:
            self.close(close_options(None, False, True))
        except InterpreterNotFoundError:
            _open.discard(self)  # closed already

    def close(self, options: CloseOptions | None) -> None:
        run(library.subpy_pool_close, self.handle, None if options is None else byref(options))
        self.is_shut_down = True
        _open.discard(self)


_open: set[_Pool] = set()  # also those whose executor nobody has any more: they have something to do


class InterpreterPoolExecutor(Executor):
    """A pool of interpreters that run tasks: an executor of concurrent.futures.

    It lives until shutdown() or close(), the end of a `with` block or of the program, which waits for its tasks.
    `max_workers` interpreters run tasks at the same time, one a core when it is None, each on a thread of the library's.
    `setup` are statements that each of them runs first, and `prepare` is called with each before that: to define() host
    functions, say. submit() never waits, unless `backlog` says how many tasks may wait. An interpreter that was stopped
    or has run out of memory is replaced, and so is one that has done `runs_per_worker` runs; `spares` of them are made in
    advance. `isolation` is where they live. The others are the options of create().
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        setup: str = "",
        prepare: Callable[[Any], object] | None = None,
        backlog: int | None = None,
        spares: int = 1,
        runs_per_worker: int | None = None,
        isolation: Isolation = Isolation.OWN_GIL,
        gil: Gil = Gil.OWN,
        busy: Busy = Busy.REFUSE,
        flags: Flag = Flag.NONE,
        path: Iterable[Any] = (),
        timeout: float | None = None,
        memory_limit: int | None = None,
        grace: float | None = None,
        cpu_limit: float | None = None,
        readable: Iterable[Any] = (),
        writable: Iterable[Any] = (),
        venv: Any = None,
    ) -> None:
        check_is_main()
        if max_workers is not None and count(max_workers, "max_workers") == 0:
            raise ValueError("max_workers must be greater than 0")
        options = PoolOptions(sizeof(PoolOptions), max_workers or 0)
        options.backlog = _ANY_NUMBER if backlog is None else count(backlog, "backlog", 1)
        options.spares, options.flags = count(spares, "spares"), 0 if spares else _NO_SPARES
        interp = interp_options(
            gil, busy, flags, path, timeout, memory_limit, grace, cpu_limit, readable, writable, venv
        )
        options.interp = pointer(interp)
        text = source(setup, "setup")
        options.setup, options.setup_len = text, len(text)
        options.runs_per_worker = 0 if runs_per_worker is None else count(runs_per_worker, "runs_per_worker", 1)
        options.isolation = Isolation(isolation)
        if prepare is not None:
            options.prepare, options.finalize = cast(_prepare, c_void_p), cast(finalize, c_void_p)
            options.userdata = register(prepare)  # which is released whatever becomes of it
        self._pool, self._options, self._submitter = _Pool(), Options(0, None, None, 0), 0
        self._pool.has_bound = backlog is not None
        try:
            run(library.subpy_pool_new, byref(options), byref(self._pool.handle))
            _open.add(self._pool)
        except BaseException:
            if self._pool.handle:  # a signal handler raised
                library.subpy_pool_close(self._pool.handle, None, None)
            raise

    def with_options(
        self,
        *,
        timeout: float | None = None,
        cancel: Cancel | None = None,
        output: Any = None,
        results: Results | None = None,
        run_async: bool | None = None,
        submitter: int | None = None,
    ) -> InterpreterPoolExecutor:
        """The same pool, for tasks with these options, see Interpreter.with_options().

        `timeout` counts from when a task begins. Submitters, which are numbers, take turns, so that one with many tasks
        does not keep the others waiting.
        """
        other = copy.copy(self)
        other._options = changed(self._options, timeout, cancel, output, results, run_async)
        if submitter is not None:
            other._submitter = count(submitter, "submitter")
        return other

    def submit(self, fn: str | Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
        """Have "name" or "package.module:name" called. Also a function of a module that can be imported.

        cancel() of the future takes the task out of the queue, and stops it when it runs. What is added with
        add_done_callback() is called on the worker's thread, before that takes the next task.
        """
        name, given = source(_name_of(fn), "fn"), Given(args, kwargs)
        request = RunRequest(sizeof(RunRequest), 0, CALL, 0, name, len(name), 0, *given.places)
        return self._submit(request, given.memory)

    def submit_exec(self, code: str, /) -> Future[Any]:
        """Have statements run."""
        text = source(code, "code")
        return self._submit(RunRequest(sizeof(RunRequest), 0, EXEC, 0, text, len(text)), None)

    def submit_eval(self, expression: str, /) -> Future[Any]:
        """Have an expression evaluated."""
        text = source(expression, "expression")
        return self._submit(RunRequest(sizeof(RunRequest), 0, EVAL, 0, text, len(text)), None)

    def _submit(self, request: RunRequest, memory: dict[int, memoryview] | None) -> Future[Any]:
        self._check_open()
        task = _Task(self._pool, self._options.cancel)
        task.output = apply(self._options, request)
        task.begin(self._submitter, request, memory)
        return task

    def _check_open(self) -> None:
        if self._pool.is_shut_down:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def map(
        self,
        fn: str | Callable[..., Any],
        /,
        *iterables: Iterable[object],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """Call something once for each row of arguments, and iterate over the results in the order of the rows.

        As for other executors, the rows are taken at once, unless `buffersize` says how many results may be there that
        nobody has taken. `chunksize` rows travel together, which saves most of what a task costs; all rows are taken at
        once then. The first exception ends it, and what has not ended is cancelled.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if chunksize == 1:
            # mypy knows of no names of functions here.
            return super().map(fn, *iterables, timeout=timeout, buffersize=buffersize)  # type: ignore[arg-type]
        if buffersize is not None and count(buffersize, "buffersize") == 0:
            raise ValueError("buffersize must be None or > 0")
        self._check_open()
        late = None if timeout is None else time.monotonic() + timeout
        return _Map(self, _name_of(fn), [*zip(*iterables)], chunksize, buffersize).results(late)

    def stats(self) -> Stats:
        """What it has done, and has to do."""
        stats = PoolStats(sizeof(PoolStats))
        run(library.subpy_pool_get_stats, self._pool.handle, byref(stats))
        fields = {field[0]: getattr(stats, field[0]) for field in PoolStats._fields_[1:] if field[0] != "reserved"}
        fields["isolation"], fields["reason"] = Isolation(stats.isolation), stats.reason.decode()
        return Stats(**{
            name.removesuffix("_us"): value / 1e6 if name.endswith("_us") else value for name, value in fields.items()
        })

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and close the interpreters when all tasks have ended.

        `cancel_futures` cancels those that have not, also those that run, which are stopped. Without `wait` that goes on
        when this returns.
        """
        self._pool.is_shut_down = True
        if cancel_futures:
            for task in [*self._pool.tasks]:
                task.cancel()
        if wait:
            self._pool.end()
        else:
            threading.Thread(target=self._pool.end, name="subpy-pool-end").start()

    def close(self, *, timeout: float | None = None, interrupt: bool = False, drain: bool = False) -> None:
        """End it within a time, as Interpreter.close() does: InterpreterError (BUSY) when it has not come to rest.

        `drain` lets tasks finish. `interrupt` cancels those that wait and stops those that run; with both, when half of
        the time is over.
        """
        self._pool.close(close_options(timeout, interrupt, drain))


class _Map:
    """A map whose rows travel in chunks. The library passes the results on to a thread that waits for them."""

    def __init__(
        self, pool: InterpreterPoolExecutor, name: str, rows: list[Any], chunksize: int, buffersize: int | None
    ) -> None:
        self._count, self._width = len(rows), len(rows[0]) if rows else 0
        values = [value for row in rows for value in row]
        self._values = Arguments(values, lambda index: f"rows[{index // self._width}][{index % self._width}]")
        self._token, self._cancel = Token(), pool._options.cancel
        self._results: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._room = None if buffersize is None else threading.Semaphore(buffersize)
        self._ended = False
        text = source(name, "fn")
        request = RunRequest(sizeof(RunRequest), 0, CALL, 0, text, len(text))
        request.cancel = self._token._handle
        if self._cancel is not None:
            self._cancel._add(self._token)
        number = apply(pool._options, request)
        thread = threading.Thread(
            target=self._run, args=(pool._pool.handle, request, chunksize, number), name="subpy-map", daemon=True
        )
        thread.start()

    def _run(self, pool: c_uint64, request: RunRequest, chunksize: int, output: int) -> None:
        take = register(self._take)
        place = self._values.at(0), self._count, self._width, chunksize, _take, take
        try:
            run(library.subpy_pool_map, pool, byref(request), *place, memory=self._values.memory)
        except BaseException as error:
            self._results.put((None, error))
        finally:
            release(take)
            release(output)
            if self._cancel is not None:
                self._cancel._others.discard(self._token)

    def _take(self, result: int | None, error: int | None) -> bool:
        if self._room is not None:
            self._room.acquire()
        if self._ended:
            return False
        taken: tuple[Any, BaseException | None]
        try:
            if result:
                taken = owned(result), None
            else:
                failure = c_void_p(error)
                taken = None, exception(library.subpy_error_status(failure), failure)
        except Exception as unreadable:
            taken = None, unreadable
        self._results.put(taken)
        return True

    def results(self, late: float | None) -> Iterator[Any]:
        results = self._iterate(late)
        weakref.finalize(results, self._end)  # also when it was never begun
        return results

    def _end(self) -> None:
        self._ended = True
        self._token.fire()
        if self._room is not None:
            self._room.release(self._count + 1)

    def _iterate(self, late: float | None) -> Iterator[Any]:
        try:
            for _ in range(self._count):
                try:
                    result, error = self._results.get(timeout=late and max(0, late - time.monotonic()))
                except queue.Empty:
                    raise TimeoutError from None
                if error is not None:
                    raise error
                if self._room is not None:
                    self._room.release()
                yield result
        finally:
            self._end()


@CFUNCTYPE(c_bool, c_void_p, c_size_t, c_void_p, c_void_p)
def _take(number: int, index: int, result: int | None, error: int | None) -> bool:
    taken: bool = called[number](result, error)
    return taken


def _name_of(fn: object) -> str:
    """How a function is called in another interpreter."""
    if isinstance(fn, str):
        return fn
    module, qualname = getattr(fn, "__module__", None), getattr(fn, "__qualname__", "")
    found: Any = sys.modules.get(module or "")
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is not fn or module == "__main__":
        raise TypeError(
            f"{fn!r} is not known to the interpreters of the pool: pass the name of what `setup` defines there, or of a "
            "function of a module"
        )
    return f"{module}:{qualname}"


def _at_exit() -> None:
    for pool in [*_open]:
        pool.is_shut_down = True
        pool.end()


# As concurrent.futures does it: before exit handlers, and while threads can still be started.
getattr(threading, "_register_atexit", atexit.register)(_at_exit)
