# Gives up references to another interpreter that it never had, so that it is destroyed (`_interpreters.decref`).
import _interpreters

_interpreters.incref(idle, implieslink=True)
for _ in range(3):
    _interpreters.decref(idle)
