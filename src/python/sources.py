# Runs once in an interpreter, when its linecache is needed. `text` and `line` are of sources.rs: None for code whose source
# the library does not have.


def _getlines_from_code(code, otherwise=linecache._getlines_from_code):
    source = text(code)
    if source is None:
        return otherwise(code)
    return [found + "\n" for found in source.replace("\r\n", "\n").replace("\r", "\n").split("\n")]


def _getline_from_code(code, lineno, otherwise=linecache._getline_from_code):
    found = line(code, lineno)
    return otherwise(code, lineno) if found is None else found


linecache._getlines_from_code, linecache._getline_from_code = _getlines_from_code, _getline_from_code
