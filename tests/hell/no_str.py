# Raises an exception whose text is no text, and whose class has odd names.


class Text(str):
    def __str__(self):
        return 42

    encode = __len__ = __str__


class Odd(Exception):
    __module__ = 42

    def __str__(self):
        return Text("odd")


Odd.__qualname__ = "\0\udc80" + "x" * 100_000
Odd.__notes__ = 42
raise Odd
