# An import that never ends.
import sys
from importlib.machinery import ModuleSpec


class Endless:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == "endless" else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        while True:
            pass


sys.meta_path.append(Endless())
import endless
