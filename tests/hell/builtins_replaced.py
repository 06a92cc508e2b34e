# Has an int as `__builtins__`.
__builtins__ = 42
