# Destroys the main interpreter.
import _interpreters

_interpreters.destroy(0)
