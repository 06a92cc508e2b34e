# Runs code in the main interpreter.
import _interpreters

_interpreters.exec(0, "x = 1")
