# Raises an exception that is its own cause and context, in a traceback without end.
error = ValueError("in a circle")
other = KeyError()
error.__cause__ = other
other.__context__ = error
other.__cause__ = error
error.__notes__ = [error]
try:
    raise error
except ValueError:
    traceback = error.__traceback__
    for _ in range(10_000):
        traceback = type(traceback)(traceback, traceback.tb_frame, 0, 2**31 - 1)
raise error.with_traceback(traceback)
