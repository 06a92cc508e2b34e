# Runs in each interpreter of `subpy run`, before the first input; Rust adds a line that calls load().

def load(path, name):
    import json
    import os
    import sys
    import types

    # Nothing but results goes to stdout.
    sys.stdout = sys.stderr
    sys.path.insert(0, os.path.dirname(path))
    module = types.ModuleType("subpy_script")
    module.__file__ = path
    sys.modules[module.__name__] = module
    with open(path, "rb") as file:
        source = file.read()
    exec(compile(source, path, "exec"), module.__dict__)
    function = getattr(module, name, None)
    if not callable(function):
        raise AttributeError(f"it has no function {name!r}: define it, or name another one with --function")

    def subpy_run(item):
        result = function(item)
        try:
            text = json.dumps(result, allow_nan=False, ensure_ascii=False)
            text.encode()
        except (RecursionError, TypeError, ValueError) as error:
            raise NotJson(f"the result is not JSON: {error}") from None
        return text

    globals().update(subpy_run=subpy_run)


class NotJson(Exception):
    pass
