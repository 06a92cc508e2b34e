# Sets the lowest limit of recursion that there can be.
import sys

for limit in range(200, 0, -1):
    sys.setrecursionlimit(limit)
