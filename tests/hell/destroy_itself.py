# Destroys the interpreter that it is in.
import _interpreters

_interpreters.destroy(_interpreters.get_current()[0])
