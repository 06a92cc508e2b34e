# Runs one attack, which has got through when it returns True, and tells what came of it.
import errno
import os


class Context:
    def __init__(self, about):
        self.__dict__.update(about)


def libc():
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def system_call(number, *arguments):
    """A system call by its number."""
    import ctypes

    library = libc()
    library.syscall.restype = ctypes.c_long
    given = [ctypes.c_long(it) if isinstance(it, int) else it for it in arguments]
    result = library.syscall(ctypes.c_long(number), *given)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def c_call(name, *arguments):
    """A function of the C library that says -1 when it fails."""
    import ctypes

    result = getattr(libc(), name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# Not every Python has these in its module os.
def descriptor_of(process):
    """pidfd_open"""
    return system_call(434, process, 0)


def memory_file():
    """memfd_create"""
    import ctypes

    return system_call(319, ctypes.c_char_p(b"attack"), 0)


def tell(text):
    os.write(1, text.encode() + b"\n")


def main(source, filename, name, context):
    import json

    space = {"system_call": system_call, "c_call": c_call, "libc": libc}
    space |= {"descriptor_of": descriptor_of, "memory_file": memory_file}
    exec(compile(source, filename, "exec"), space)
    try:
        got = space[name](Context(json.loads(context)))
    except OSError as error:
        tell(("%s %s" % (type(error).__name__, errno.errorcode.get(error.errno, ""))).strip())
    except Exception as error:
        tell(type(error).__name__)
    else:
        tell("through" if got is True else "nothing")
