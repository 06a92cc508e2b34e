# Destroys another interpreter of the host's (`_interpreters.destroy`).
import _interpreters

_interpreters.destroy(idle)
