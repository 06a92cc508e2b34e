# Runs code in another interpreter of the host's.
import _interpreters

_interpreters.exec(idle, "x = 1")
