# Imports modules that fail half way: one that raises, one that removes itself, one that is another thing afterwards.
import importlib.abc, importlib.machinery, sys


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name.startswith("half_") else None

    def exec_module(self, module):
        module.done = True
        if module.__name__ == "half_raises":
            raise RuntimeError("half way")
        if module.__name__ == "half_removes":
            del sys.modules[module.__name__]
        if module.__name__ == "half_other":
            sys.modules[module.__name__] = 42


sys.meta_path.insert(0, Loader())
for it in ("half_raises", "half_removes", "half_other", "half_other.child"):
    try:
        __import__(it)
    except (RuntimeError, ImportError, KeyError):
        pass
