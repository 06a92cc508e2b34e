# Leaves with an exit status that is no number, and raises when it is asked.


class Status:
    def __str__(self):
        raise SystemExit(self)

    __index__ = __int__ = __str__


raise SystemExit(Status())
