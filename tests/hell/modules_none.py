# Has every module be None in `sys.modules`.
import sys

for name in list(sys.modules):
    sys.modules[name] = None
