"""A Python that is too old is refused with an error that says what to do. Run it with any from 3.9 to 3.13.

Its CPython is in the process already, and a second one beside it would mix the symbols of both.
"""

import platform

import subpy

for attempt in (subpy.create, subpy.init, subpy.get_main, subpy.list_all):
    try:
        attempt()
    except subpy.InterpreterError as error:
        message = str(error)
        assert error.status == subpy.Status.PYTHON_UNSUPPORTED, error.status
        assert message.startswith(f"CPython {platform.python_version()}, which is in this process already ("), message
        assert "3.14.1 or newer is needed" in message and "uv python install 3.14" in message, message
    else:
        raise AssertionError(f"{attempt} works in CPython {platform.python_version()}")
print(message)

# What needs no runtime works, and the process is as it was.
assert subpy.version() and subpy.python_version() is None and subpy.python_library() is None
subpy.shutdown()
assert sum(range(10)) == 45
