"""The job that this interpreter runs for subpy-worker-nats: current_job()."""

import asyncio
import datetime
import functools
import importlib.util
import inspect
import json
import sys
import traceback
import typing

__all__ = ["Job", "current_job"]


class Job(typing.NamedTuple):
    key: str
    queue: str
    function: str
    deadline: datetime.datetime | None
    deliveries: int
    traceparent: str
    tracestate: str


class _NotLoaded(Exception):
    """The modules could not be imported: no fault of a job. It has the traceback."""


def current_job() -> Job:
    """The job that runs. RuntimeError when none does."""
    if _job is None:
        raise RuntimeError("no job runs in this interpreter")
    key, queue, function, deadline, *rest = _job
    return Job(key, queue, function, datetime.datetime.fromisoformat(deadline) if deadline else None, *rest)


_job = None
_functions = {}
_limit = 0
_tracing = False
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def _serve(modules, limit):
    """Import what is served. Cached bytecode would hide a change within one second, so none is written."""
    global _limit, _tracing
    _limit = limit
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        for name in modules:
            __import__(name)
            module = sys.modules[name]
            for attribute, value in vars(module).items():
                if not attribute.startswith("_") and _defined_in(value, name):
                    _functions[f"{name}.{attribute}"] = value
    except BaseException as e:
        raise _NotLoaded("".join(traceback.format_exception(e)).rstrip()) from None
    finally:
        sys.dont_write_bytecode = writes
    _tracing = _has_tracing()


def _defined_in(value, module):
    is_function = inspect.isroutine(value) or isinstance(value, functools._lru_cache_wrapper)
    return is_function and getattr(value, "__module__", None) == module


def _list():
    return [(name, _signature(value), inspect.getdoc(value) or "") for name, value in sorted(_functions.items())]


def _signature(value):
    try:
        return str(inspect.signature(value))
    except (TypeError, ValueError):
        return "(...)"


def _run_json(function, args, kwargs, job):
    """The value as JSON, or a tuple of the kind of error, the type and a message."""
    try:
        args = json.loads(args) if args else ()
        kwargs = json.loads(kwargs) if kwargs else {}
    except (ValueError, RecursionError) as e:
        return "invalid", type(e).__name__, str(e)
    value = _call(function, args, kwargs, job)
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError) as e:
        return "value", type(e).__name__, str(e)
    if len(text) > _limit:
        return "value", "", f"the value is {len(text)} bytes of JSON, and the limit is {_limit}"
    return text


def _run(function, args, kwargs, job):
    return (_call(function, args, kwargs, job),)


def _call(function, args, kwargs, job):
    global _job
    _job = job
    token = _attach(job[5], job[6]) if _tracing and job[5] else None
    try:
        value = _functions[function](*args, **kwargs)
        return asyncio.run(value) if inspect.iscoroutine(value) else value
    finally:
        _job = None
        if token is not None:
            _detach(token)


def _has_tracing():
    # Other distributions have a part of the package opentelemetry, too.
    try:
        return importlib.util.find_spec("opentelemetry.context") is not None
    except ModuleNotFoundError:
        return False


def _attach(traceparent, tracestate):
    from opentelemetry import context
    from opentelemetry.trace.propagation import tracecontext

    carrier = {"traceparent": traceparent, "tracestate": tracestate}
    return context.attach(tracecontext.TraceContextTextMapPropagator().extract(carrier))


def _detach(token):
    from opentelemetry import context

    context.detach(token)
