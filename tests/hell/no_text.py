# Raises an exception whose `__str__`, `__repr__` and attributes raise.


class Evil(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__

    def __getattribute__(self, name):
        raise RuntimeError(name)


raise Evil
