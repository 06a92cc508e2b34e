# Empties the module `sys`.
import sys

sys.__dict__.clear()
