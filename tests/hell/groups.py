# Raises an exception group in an exception group, ten thousand deep.
error = ValueError()
for _ in range(10_000):
    error = ExceptionGroup("", [error])
raise error
