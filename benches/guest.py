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


# Data. Modules are imported by what needs them: an interpreter is created, and prepared, for less.

BLOB = None

def echo(there, back):
    while (item := there.get()) is not None:
        back.put(item)


def ping(there, back, count):
    for _ in range(count):
        there.put(7)
        item = back.get()
    return item


def echo_pipe(there, back):
    while item := os.read(there, 8):
        os.write(back, item)


def ping_pipe(there, back, count):
    for _ in range(count):
        os.write(there, b"\x07\0\0\0\0\0\0\0")
        item = os.read(back, 8)
    return item[0]


def blob():
    global BLOB
    BLOB = BLOB or bytes(100 << 20)
    return BLOB


def blob_view():
    return memoryview(blob())


class Thing:
    def __init__(self):
        self.x = 7

    def get(self):
        return self.x


def mix():
    """What programs do: JSON, texts, lists, regular expressions, objects, numbers."""
    import json
    import re

    text = json.dumps(TABLE)
    words = re.findall(r"[a-z]+ \d+", text)
    things = [Thing() for _ in words]
    lengths = sorted(len(f"{word}: {thing.get()}") for word, thing in zip(words, things))
    rows = [(row["name"].upper(), row["price"] * 1.5) for row in json.loads(text).values() for _ in range(10)]
    return len({name: price for name, price in rows}) + len(lengths) + len(b"".join([text.encode()] * 20)) // len(text)


async def later(a, b):
    import asyncio

    await asyncio.sleep(0)
    return a + b


def run_later(a, b):
    import asyncio

    return asyncio.run(later(a, b))


def last(data):
    return len(data) + data[-1]


# For contenders that can only call functions.


def run(source):
    exec(source, globals())


def value(expression):
    return eval(expression, globals())


def last_shared(name):
    from multiprocessing.shared_memory import SharedMemory

    memory = SharedMemory(name, track=False)
    result = last(memory.buf)
    memory.close()
    return result


def tell(pipe):
    """Says something, and waits until it may end."""
    pipe.send(add(1000, 2000))
    pipe.recv()
