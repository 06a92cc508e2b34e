# Deletes `__builtins__`.
del __builtins__
