# Raises an exception with a hundred thousand others before it.
error = None
for _ in range(100_000):
    error, before = ValueError(), error
    error.__context__ = before
raise error
