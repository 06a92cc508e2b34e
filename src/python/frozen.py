# Runs once in main, when it starts or is adopted: `modules` is what frozen.rs freezes.
import sys


def file(name, is_package):
    """Where FrozenImporter says that a module of the standard library is."""
    parts = [sys._stdlib_dir, *name.split("."), *(["__init__"] if is_package else [])]
    return ("\\" if sys.platform == "win32" else "/").join(parts) + ".py"


def codecs():
    for name, module in list(sys.modules.items()):
        is_package = hasattr(module, "__path__")
        # Not those that come from elsewhere: PYTHONPATH, a zip file, a table of frozen modules.
        if name.partition(".")[0] == "encodings" and getattr(module, "__file__", None) == file(name, is_package):
            loader = module.__spec__.loader
            if hasattr(loader, "get_filename"):
                yield name, is_package, marshal.dumps(loader.get_code(name))


# Only where Python's own modules are frozen: who develops them says -X frozen_modules=off.
modules = []
if sys.modules["codecs"].__spec__.origin == "frozen" and getattr(sys, "_stdlib_dir", None):
    import marshal

    modules += codecs()
