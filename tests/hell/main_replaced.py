# Has `__main__` be of a class whose attributes raise, and takes it out of `sys.modules`.
import sys, types


class Evil(types.ModuleType):
    def __getattribute__(self, name):
        raise RuntimeError(name)


sys.modules["__main__"].__class__ = Evil
sys.modules["__main__"] = Evil("other")
