# Sets the highest limit of recursion, then recurses in Python, and in C without end.
import sys

sys.setrecursionlimit(2**31 - 1)


def down(depth):
    return depth and down(depth - 1)


down(50_000)


class Endless:
    def __repr__(self):
        return repr([self])


repr(Endless())
