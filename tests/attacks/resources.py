# What an attack does is its first line. It must do no harm but to what the test made: `it` says what that is. Each ends
# by itself, a little beyond the limits that a locked process has here.
import os

MIB = 1 << 20


def memory(it):
    """Takes 64 MiB, in large pieces; the limit is 32."""
    return len([bytearray(4 * MIB) for _ in range(16)]) == 16


def memory_in_small_pieces(it):
    """The same in small pieces."""
    # Of the allocator for small objects; smaller ones would meet the limit of the processor's time first.
    return len([bytes(250) for _ in range(MIB // 4)]) == MIB // 4


def shared_memory(it):
    """The same as memory that could be shared with others, which the limit does not count."""
    import mmap

    block = mmap.mmap(-1, 64 * MIB)
    for place in range(0, 64 * MIB, 4096):
        block[place] = 1
    return True


def growing_memory(it):
    """The same as memory that could grow like a stack, which the limit does not count (MAP_GROWSDOWN)."""
    import mmap

    block = mmap.mmap(-1, 64 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100)
    for place in range(0, 64 * MIB, 4096):
        block[place] = 1
    return True


def zeros(it):
    """The same by reading shared memory of /dev/zero, which takes as much."""
    import mmap

    block = mmap.mmap(os.open("/dev/zero", os.O_RDONLY), 64 * MIB, mmap.MAP_SHARED, mmap.PROT_READ)
    return sum(block[place] for place in range(0, 64 * MIB, 4096)) == 0


def tables(it):
    """Takes memory for the kernel's tables of where memory is, by reading a little in many places."""
    import mmap

    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE
    block = mmap.mmap(-1, 1 << 40, flags, mmap.PROT_READ)
    return sum(block[place << 21] for place in range(8192)) == 0


def files_in_memory(it):
    """The same in a file that is nowhere (memfd_create)."""
    file = memory_file()
    return sum(os.write(file, bytes(MIB)) for _ in range(64)) == 64 * MIB


def memory_by_limit(it):
    """Raises the limit of its memory before."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return len([bytearray(4 * MIB) for _ in range(16)]) == 16


def threads(it):
    """Starts 32 threads, whose stacks are memory."""
    import threading

    threading.stack_size(8 * MIB)
    end = threading.Event()
    started = []
    try:
        for _ in range(32):
            started.append(threading.Thread(target=end.wait))
            started[-1].start()
    finally:
        end.set()
    return True


def descriptors(it):
    """Opens 300 files; the limit is 128."""
    return len([os.pipe() for _ in range(150)]) == 150


def disk(it):
    """Writes 2 MiB into a file; the limit is 1."""
    with open(os.path.join(it.own, "large"), "wb", 0) as file:
        for _ in range(32):
            file.write(bytes(64 << 10))
    return True


def disk_ahead(it):
    """Has 2 MiB reserved for a file (posix_fallocate)."""
    with open(os.path.join(it.own, "large"), "wb", 0) as file:
        os.posix_fallocate(file.fileno(), 0, 2 * MIB)
    return True


def processor(it):
    """Computes for half a second; the limit is 0.2."""
    import time

    while time.process_time() < 0.5:
        pass
    return True


def processor_without_signals(it):
    """Computes for longer, and does not hear the signal that ends it."""
    import signal
    import time

    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while time.process_time() < 1.5:
        pass
    return True


def lock_memory(it):
    """Has memory kept from being swapped out (mlock)."""
    import ctypes

    block = ctypes.create_string_buffer(8192)
    c_call("mlock", block, ctypes.c_size_t(8192))
    return True
