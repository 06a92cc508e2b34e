# A generator that never ends, under a function in C.
import itertools

any(number < 0 for number in itertools.count())
