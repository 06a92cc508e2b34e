# Empties `sys.modules`.
import sys

sys.modules.clear()
