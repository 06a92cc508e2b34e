# Replaces what everybody calls: `len`, `isinstance`, `print`, `type`, `Exception`.
import builtins


def lie(*_, **__):
    raise RuntimeError("no")


for it in "len isinstance issubclass print type str repr getattr hasattr Exception BaseException iter".split():
    setattr(builtins, it, lie)
