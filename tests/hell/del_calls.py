# Calls the host in `__del__`, while the interpreter ends: of a global, of something in a cycle, of a module's.
import host, sys


class Thing:
    def __init__(self):
        self.note = host.note

    def __del__(self):
        self.note()


kept = Thing()
circle = Thing()
circle.itself = circle
sys.kept = Thing()
