# Empties its own globals, and leaves keys that are no names.
space = globals()
space.clear()
space[42] = space["\udc80"] = space[("a",)] = 1
