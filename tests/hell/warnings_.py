# Makes errors of all warnings, and has what shows them raise.
import sys, warnings


def show(*_, **__):
    raise RuntimeError("shown")


warnings.showwarning = warnings._showwarnmsg = warnings.formatwarning = show
warnings.simplefilter("error")
sys.warnoptions[:] = [42]
warnings.filters.insert(0, 42)
