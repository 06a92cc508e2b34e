"""The two kinds of job: one that does nothing, and one that computes for about ten milliseconds."""


def noop(number):
    return number


def busy(number):
    total = 0
    for i in range(115_000):
        total += i * i % 7
    return number if total else None
