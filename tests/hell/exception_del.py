# Raises an exception whose `__del__` raises, and imports.


class Last(Exception):
    def __del__(self):
        import decimal

        raise RuntimeError(decimal)


raise Last
