"""Memory that processes share, as CPython has it: `multiprocessing.shared_memory`."""

from multiprocessing.shared_memory import SharedMemory

import guest

SIZE = 100 << 20
BLOB = b"\1" * SIZE


class Shared:
    """Passed by its name to a function that maps it, by a `call(function, *args)`."""

    def __init__(self, call):
        self.call = call
        self.memory = None

    def shared(self, count):
        """It is there, and stays."""
        self.memory = self.memory or filled()
        for _ in range(count):
            result = self.call(guest.last_shared, self.memory.name)
        return result

    def filled(self, count):
        for _ in range(count):
            memory = filled()
            result = self.call(guest.last_shared, memory.name)
            end(memory)
        return result

    def end(self):
        if self.memory is not None:
            end(self.memory)


def filled():
    memory = SharedMemory(create=True, size=SIZE)
    memory.buf[:SIZE] = BLOB
    return memory


def end(memory):
    memory.close()
    memory.unlink()
