"""How functions and instances cross: by pickle, and functions that need nothing of their module by their code.

Imported on both sides.
"""

import builtins
import dis
import functools
import io
import marshal
import pickle
import types

from _interpreters import NotShareableError

import __main__


def prepared(data):
    """A call that is ready to be made."""
    callable, args, kwargs = loads(data)
    if callable in (eval, exec) and len(args) == 1:  # which take the caller's names
        args = (*args, vars(__main__))
    return functools.partial(callable, *args, **kwargs)


def script(code):
    """The code of a function, as statements; the code itself."""
    if isinstance(code, types.FunctionType):
        code = code.__code__
    if not isinstance(code, types.CodeType):
        raise TypeError(f"unsupported script {code!r}")
    return code


def dumps(value):
    file = io.BytesIO()
    try:
        _Pickler(file).dump(value)
    except Exception as error:
        raise NotShareableError(f"object does not support cross-interpreter data: {error}") from None
    return file.getvalue()


def loads(data):
    try:
        return pickle.loads(data)
    except Exception as error:
        raise NotShareableError(f"object not shareable: {error}") from None


class _Pickler(pickle.Pickler):
    def reducer_override(self, value):
        if isinstance(value, types.FunctionType) and _is_stateless(value):
            return _function, (marshal.dumps(value.__code__),)
        if isinstance(value, types.CodeType):
            return marshal.loads, (marshal.dumps(value),)
        if isinstance(value, memoryview):
            return memoryview, (value.tobytes(),)
        return NotImplemented


def _is_stateless(function):
    if function.__closure__ or function.__defaults__ or function.__kwdefaults__:
        return False
    names = {i.argval for i in dis.get_instructions(function) if i.opname.endswith("_GLOBAL")}
    # __name__ and its like are builtins' own.
    return names <= {name for name in vars(builtins) if not name.startswith("__") or name == "__import__"}


def _function(data):
    return types.FunctionType(marshal.loads(data), vars(__main__))
