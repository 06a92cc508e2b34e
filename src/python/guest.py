# Runs once in each new interpreter, compiled and marshalled once a process. See output.rs and interp.rs.
# Not io, whose abstract classes would take longer than all the rest; many programs never import it.
import _io
import sys
from _frozen_importlib_external import SourceFileLoader


class StandardBuffer(_io._BufferedIOBase):
    """The binary layer of a standard stream: it hands everything to the library, in one order with the text layer."""

    # isinstance() finds what stands here in CPython, and what io's abstract classes know.
    __class__ = property(lambda self: _io.BufferedWriter)

    def __init__(self, raw, write, flush, captured):
        self.raw = raw
        self.mode = "wb"
        self.name = raw.name
        self._write = write
        self._flush = flush
        self._captured = captured

    def write(self, data):
        if self.closed:
            raise ValueError("write to closed file")
        return self._write(data)

    def flush(self):
        if self.closed:
            raise ValueError("flush of closed file")
        self._flush()

    # A host's function that gets the text is no file, and no terminal that shows colours.
    def fileno(self):
        if self._captured():
            raise _io.UnsupportedOperation("fileno")
        return self.raw.fileno()

    def isatty(self):
        return not self._captured() and self.raw.isatty()

    def writable(self):
        return True


def stream(fd, name, errors, line_buffering, functions):
    try:
        raw = _io.FileIO(fd, "w", closefd=False)
    except OSError:
        return None  # as CPython does for a closed descriptor
    raw.name = name
    write_text, write_bytes, flush, captured = functions
    binary = StandardBuffer(raw, write_bytes, flush, captured)
    text = _io.TextIOWrapper(binary, "utf-8", errors, "\n", line_buffering or raw.isatty(), True)
    text.mode = "w"
    kind = _io.TextIOWrapper

    # print() looks `write` up on the object, so this one stands before the method: it does what the method does with
    # this encoding, an order of magnitude sooner. It goes as soon as one of these changes what write() has to do.
    def plain():
        text.__dict__.pop("write", None)

    def reconfigure(*, write_through=None, **options):
        # The text layer never holds text back, so that nothing can be lost in it.
        kind.reconfigure(text, write_through=True, **options)
        if options.pop("line_buffering", None) or options:
            plain()

    def close():
        plain()
        kind.close(text)

    def detach():
        plain()
        return kind.detach(text)

    text.write, text.reconfigure, text.close, text.detach = write_text, reconfigure, close, detach
    return text


class NoInput(_io.BytesIO):
    """What is read from a stdin that is at its end: input() raises EOFError."""

    name = "<stdin>"

    def writable(self):
        return False


def look_like_a_file(module):
    """For what frozen.rs has frozen: as it would be had it been read from its file."""
    spec, file = module.__spec__, module.__file__
    spec.loader = module.__loader__ = SourceFileLoader(module.__name__, file)
    spec.origin, spec.has_location, spec.loader_state = file, True, None
    if sys.version_info < (3, 15):
        module.__cached__ = spec.cached


def configure(no_stdin, path):
    if no_stdin:
        sys.stdin = sys.__stdin__ = _io.TextIOWrapper(NoInput(), "utf-8", "surrogateescape")
        sys.stdin.mode = "r"
    sys.path[:0] = path


def use_venv(folder, with_system):
    """What CPython and site do in a program of this virtual environment (PEP 405), where they have done it for another one,
    or for none. venv.rs has checked that it is one."""
    import os
    import site

    # What site has found goes. It puts that behind all else.
    of_site = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        of_site.append(site.getusersitepackages())
    found = [at for at, entry in enumerate(sys.path) if entry in of_site]
    if found:
        del sys.path[found[0] :]
    sys.prefix = sys.exec_prefix = folder
    program = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    executable = os.path.join(folder, *program)
    if os.path.exists(executable):
        sys.executable = executable
    site.PREFIXES = [folder]
    if with_system:
        # Those of a Python that is in another environment are not the system's.
        site.PREFIXES += dict.fromkeys([sys.base_prefix, sys.base_exec_prefix])
    else:
        site.ENABLE_USER_SITE = False
    for packages in site.getsitepackages():
        if os.path.isdir(packages):
            site.addsitedir(packages)


def setup(stdout, stderr, frozen, find_spec):
    sys.stdout = sys.__stdout__ = stream(1, "<stdout>", "surrogateescape", False, stdout)
    sys.stderr = sys.__stderr__ = stream(2, "<stderr>", "backslashreplace", True, stderr)
    # For subpy_queues.
    sys.meta_path.append(type(sys.implementation)(find_spec=find_spec))
    for module in map(sys.modules.get, frozen):
        if getattr(module, "__file__", None) and module.__spec__.origin == "frozen":
            look_like_a_file(module)


def replace_current(main):
    """Before CPython 3.15 these two touch the frames of other interpreters, which ends the process: hooks.rs refuses that, so
    what can be had safely is what the calling thread has. In main they do what they did as long as there is no other."""
    import _thread

    frames_of_all, exceptions_of_all = sys._current_frames, sys._current_exceptions

    def current(of_all, own):
        try:
            found = of_all() if main else {}
        except RuntimeError:
            found = {}
        found[_thread.get_ident()] = own
        return found

    def _current_frames():
        """Return a dict with the calling thread's frame, alone if there are other interpreters."""
        return current(frames_of_all, sys._getframe(1))

    def _current_exceptions():
        """Return a dict with the calling thread's exception, alone if there are other interpreters."""
        return current(exceptions_of_all, sys.exception())

    sys._current_frames, sys._current_exceptions = _current_frames, _current_exceptions


def ask(module, name, event):
    """Has this function raise the event first."""
    original = getattr(module, name)
    if original.__module__ != __name__:

        def asks(*args):
            sys.audit(event)
            return original(*args)

        asks.__name__, asks.__qualname__, asks.__doc__ = name, name, original.__doc__
        setattr(module, name, asks)


def share_environment(put, unset):
    """Has changes of the environment made by environ.rs: others may read it, with another GIL."""
    import posix

    def putenv(name, value, /):
        from os import fsencode

        name, value = fsencode(name), fsencode(value)
        if b"=" in name:
            raise ValueError("illegal environment variable name")
        sys.audit("os.putenv", name, value)
        put(name, value)

    def unsetenv(name, /):
        from os import fsencode

        name = fsencode(name)
        sys.audit("os.unsetenv", name)
        unset(name)

    for function in putenv, unsetenv:
        original = getattr(posix, function.__name__)
        function.__doc__, function.__qualname__ = original.__doc__, function.__name__
        for module in posix, sys.modules.get("os"):
            if module:
                setattr(module, function.__name__, function)


def ask_before_tracing(tracemalloc):
    """Of what only one interpreter can do hooks.rs is told, which refuses it while there are others."""
    ask(sys, "activate_stack_trampoline", "subpy.trampoline")
    if tracemalloc:
        import _tracemalloc

        ask(_tracemalloc, "start", "subpy.tracemalloc")
        if "tracemalloc" in sys.modules:
            sys.modules["tracemalloc"].start = _tracemalloc.start
