# Reads a line, when nobody types, and closes `sys.stdin`.
import sys

try:
    input()
except EOFError:
    sys.stdin.close()
input()
