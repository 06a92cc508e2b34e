"""What the contenders run: each imports everything from here into `__main__` of its interpreters."""

import os

import __main__

x = 0
NUMBERS = list(range(1_000_000, 1_001_000))
TABLE = {f"key {i}": {"id": i, "name": f"name {i}", "price": i + 0.5, "active": i % 2 == 0} for i in range(50)}


def nothing():
    pass


def add(a, b):
    return a + b


def same(value):
    return value


def length(value):
    return len(value)


def numbers():
    return NUMBERS


def table():
    return TABLE


def say(count):
    for _ in range(count):
        print("a short line")


def fail():
    inner(3)


def inner(depth):
    if depth == 0:
        raise ValueError("wrong")
    inner(depth - 1)


def spin():
    total = 0
    for i in range(5_000):
        total += i * i
    return total


def ask(count):
    host = __main__.host
    for _ in range(count):
        result = host(1000, 2000)
    return result


def ask_with_gil(count):
    host = __main__.host_with_gil
    for _ in range(count):
        result = host(1000, 2000)
    return result


def forever(begun):
    os.write(begun, b".")
    while True:
        pass


def until_interrupted(begun):
    try:
        forever(begun)
    except KeyboardInterrupt:
        return 1


# For contenders that can only call functions.


def run(source):
    exec(source, globals())


def value(expression):
    return eval(expression, globals())
