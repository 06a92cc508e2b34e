# Puts an int where `sys.modules` is.
import sys

sys.modules = 42
