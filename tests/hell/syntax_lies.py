# Raises a SyntaxError whose attributes are not what they should be.


class Line:
    def __index__(self):
        raise RuntimeError("no number")


error = SyntaxError("odd", ("file", 1, 1, "text", 1, 1))
error.lineno, error.offset, error.text, error.filename, error.end_lineno = Line(), 2**100, Line(), 42, "x"
raise error
