# Puts a folder first in `sys.path` with its own, harmful, `traceback`, `threading`, `atexit`, `json`; and what is no path.
import os, shutil, sys, tempfile

folder = tempfile.mkdtemp()
for it in ("traceback", "threading", "linecache", "json", "asyncio", "concurrent", "weakref", "_weakrefset", "io"):
    with open(os.path.join(folder, it + ".py"), "w") as file:
        file.write("raise SystemExit('harm')")
    sys.modules.pop(it, None)
sys.path[:0] = [folder, 42, None, "\0", object()]
import atexit

atexit.register(shutil.rmtree, folder)
