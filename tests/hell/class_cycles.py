# Leaves ten thousand classes, in circles, with instances that have `__del__`.
for number in range(10_000):
    it = type(f"Class{number}", (), {"__del__": lambda self: type(self).__name__})
    it.itself = it()
