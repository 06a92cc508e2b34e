# Empties the module `builtins`.
import builtins

builtins.__dict__.clear()
