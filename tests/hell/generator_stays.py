# Leaves a generator that does not stop when it is closed.


def generator():
    while True:
        try:
            yield
        except GeneratorExit:
            pass


kept = [generator() for _ in range(10)]
for it in kept:
    next(it)
