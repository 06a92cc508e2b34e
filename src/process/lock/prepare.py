# Run in a worker's main interpreter before it is locked: what Python has of the environment goes, and the list is of
# what this Python reads.
import os
import posix
import sys

os.environ.clear()
posix.environ.clear()
# What is here was found by way of the environment or the program's name.
folders = [path for path in sys.path if os.path.isabs(path)]
for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
    folders += [os.path.join(prefix, name) for name in ("lib", sys.platlibdir, "pyvenv.cfg")]
readable = sorted({path for path in folders if os.path.exists(path)})
