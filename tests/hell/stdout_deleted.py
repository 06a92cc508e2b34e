# Deletes `sys.stdout`, `sys.stderr`, and what they were at first.
import sys

del sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
