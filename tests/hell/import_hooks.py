# Puts hooks for imports first that raise.
import sys


class Finder:
    def find_spec(self, *_):
        raise RuntimeError("no")


def hook(_):
    raise RuntimeError("no")


sys.meta_path.insert(0, Finder())
sys.path_hooks.insert(0, hook)
sys.path_importer_cache.clear()
