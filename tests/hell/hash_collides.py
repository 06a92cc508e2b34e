# Calls the host with keys whose `__hash__` and `__eq__` change what they are in.
import host

table = {}


class Key:
    def __hash__(self):
        table.clear()
        return 1

    def __eq__(self, other):
        table.clear()
        return True


try:
    for _ in range(100):
        table[Key()] = 1
    host.note(table)
except (TypeError, ValueError, RuntimeError):
    pass
host.note()
