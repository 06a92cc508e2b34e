# Raises, and calls the host with, an instance of a class whose metaclass raises at every question.


class Meta(type):
    def __instancecheck__(cls, it):
        raise RuntimeError("instance")

    def __subclasscheck__(cls, it):
        raise RuntimeError("subclass")

    def __getattribute__(cls, name):
        raise RuntimeError(name)


class Evil(Exception, metaclass=Meta):
    @property
    def __class__(self):
        raise RuntimeError("class")


import host

try:
    host.note(Evil())
except Exception:
    pass
raise Evil
