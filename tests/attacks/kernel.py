# What an attack does is its first line. It must do no harm but to what the test made: `it` says what that is.
import os


def io_uring(it):
    """Has system calls made by a ring (io_uring)."""
    import ctypes

    system_call(425, 1, (ctypes.c_uint64 * 32)())
    return True


def bpf(it):
    """Loads something into the kernel (bpf)."""
    import ctypes

    system_call(321, 0, (ctypes.c_uint32 * 32)(2, 4, 8, 1), 72)
    return True


def perf(it):
    """Measures what the processor does (perf_event_open)."""
    import ctypes

    system_call(298, (ctypes.c_uint32 * 32)(1, 112), 0, -1, -1, 0)
    return True


def user_faults(it):
    """Handles page faults itself (userfaultfd)."""
    system_call(323, 0)
    return True


def keys(it):
    """Puts a key into the kernel (add_key)."""
    import ctypes

    system_call(248, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"attack"), ctypes.c_char_p(b"x"), 1, -2)
    return True


def user_space(it):
    """Makes a name space in which it is root (unshare)."""
    os.unshare(os.CLONE_NEWUSER)
    return True


def join_space(it):
    """Goes into another process's name spaces (setns)."""
    system_call(308, descriptor_of(it.victim), 0x04000000)
    return True


def kernel_log(it):
    """Reads the kernel's messages (syslog)."""
    return system_call(103, 10, 0, 0) >= 0


def personality(it):
    """Switches off the randomness of addresses for what it starts."""
    system_call(135, 0x0040000)
    return True


def priorities(it):
    """Has a lock hand priorities on (FUTEX_LOCK_PI)."""
    import ctypes

    word = ctypes.c_uint32(0)
    system_call(202, ctypes.addressof(word), 6, 0, 0, 0, 0)
    return word.value != 0


def segments(it):
    """Changes the table of segments (modify_ldt)."""
    import ctypes

    return system_call(154, 0, ctypes.create_string_buffer(64), 64) >= 0


def old_calls(it):
    """Makes a system call of 32-bit programs (int 0x80), whose numbers mean something else."""
    import ctypes

    # mov eax, 20; int 0x80; ret: getpid()
    code = bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3])
    library = libc()
    library.mmap.restype = ctypes.c_void_p
    page = library.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))
    ctypes.memmove(page, code, len(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(page)() == os.getpid()


def other_numbers(it):
    """Makes a system call by its number in the x32 ABI."""
    return system_call(0x40000000 | 39) == os.getpid()


def later_numbers(it):
    """Makes system calls of numbers that the list does not know."""
    import errno

    for number in range(470, 520):
        try:
            system_call(number, 0, 0, 0)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
        else:
            return True


def new_filter(it):
    """Puts a filter of its own before the one that is there, that lets all through (seccomp)."""
    import ctypes

    # What is stricter counts: it changes nothing, but it is not to be had.
    c_call("prctl", 38, 1, 0, 0, 0)
    code = (ctypes.c_uint64 * 1)(0x7FFF0000 << 32 | 0x06)
    program = (ctypes.c_uint64 * 2)(1, ctypes.addressof(code))
    c_call("prctl", 22, 2, program, 0, 0)
    return True


def outlive_host(it):
    """Has no signal sent to it when its parent ends (prctl)."""
    c_call("prctl", 1, 0, 0, 0, 0)
    return True


def become_dumpable(it):
    """Lets other processes look into it (prctl)."""
    c_call("prctl", 4, 1, 0, 0, 0)
    return True


def shared_segment(it):
    """Makes memory that outlives it (shmget)."""
    c_call("shmctl", c_call("shmget", 0, 4096, 0o600 | 0o1000), 0, None)
    return True


def message_queue(it):
    """Makes a queue that outlives it (mq_open)."""
    import ctypes

    name = ctypes.c_char_p(b"subpy-attack-%d" % os.getpid())
    try:
        system_call(240, name, os.O_CREAT | os.O_RDWR, 0o600, 0)
    finally:
        # Landlock lets it be made, but not be opened.
        system_call(241, name)
    return True


def type_into_terminal(it):
    """Types into a terminal that it can write to (TIOCSTI)."""
    import fcntl

    try:
        fcntl.ioctl(0, 0x5412, b"x")
    except OSError as error:
        # No terminal: it was tried.
        import errno

        if error.errno != errno.ENOTTY:
            raise
    return True
