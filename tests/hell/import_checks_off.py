# Switches off the check that keeps modules out which do not know several interpreters, and imports some.
import _imp

_imp._override_multi_interp_extensions_check(-1)
for it in ("readline", "_curses", "faulthandler"):
    try:
        __import__(it)
    except ImportError:
        pass
