# An exit status.
import sys

print("giving up", file=sys.stderr)
sys.exit(3)
