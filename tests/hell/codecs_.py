# Has codecs and error handlers raise.
import codecs, encodings


def refuse(*_):
    raise RuntimeError("no codec")


codecs.unregister(encodings.search_function)
codecs.register(refuse)
for it in ("strict", "replace", "surrogateescape", "backslashreplace", "surrogatepass"):
    codecs.register_error(it, refuse)
