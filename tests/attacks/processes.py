# What an attack does is its first line. It must do no harm but to what the test made: `it` says what that is.
import os
import signal
import time


def fork(it):
    """Forks."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return True


def clone(it):
    """Forks with the system call that makes threads."""
    child = system_call(56, 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return True


def clone3(it):
    """Forks with that call's successor."""
    import ctypes

    arguments = (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17, 0, 0, 0)
    child = system_call(435, ctypes.addressof(arguments), 64)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return True


def subprocess(it):
    """Starts a program with subprocess."""
    import subprocess

    return subprocess.run([it.program, "-c", ""], env={}).returncode == 0


def posix_spawn(it):
    """Starts a program with posix_spawn."""
    child = os.posix_spawn(it.program, [it.program, "-c", ""], {})
    return os.waitpid(child, 0)[1] == 0


def shell(it):
    """Starts a shell with os.system."""
    return os.system("exit 7") == 7 << 8


def execute(it):
    """Becomes another program."""
    os.execve(it.program, [it.program, "-c", "print('through')"], {})


def execute_memory(it):
    """Becomes a program that is in memory alone."""
    file = memory_file()
    os.write(file, b"#!%s\nprint('through')\n" % it.program.encode())
    os.execve("/proc/self/fd/%d" % file, ["program"], {})


def execute_descriptor(it):
    """Becomes a program that is open (execveat)."""
    import ctypes

    file = os.open(it.program, os.O_RDONLY)
    arguments = (ctypes.c_char_p * 4)(b"program", b"-c", b"print('through')", None)
    system_call(322, file, ctypes.c_char_p(b""), arguments, (ctypes.c_char_p * 1)(None), 0x1000)


def read_memory(it):
    """Reads another process's memory (/proc/PID/mem)."""
    with open("/proc/%d/mem" % it.victim, "rb") as file:
        file.seek(it.address)
        return file.read(9) == b"in memory"


def write_memory(it):
    """Writes another process's memory (/proc/PID/mem)."""
    with open("/proc/%d/mem" % it.victim, "r+b", 0) as file:
        file.seek(it.address + 32)
        return file.write(b"x") == 1


def vector(address, length):
    import ctypes

    return (ctypes.c_uint64 * 2)(address, length)


def read_memory_by_call(it):
    """Reads another process's memory (process_vm_readv)."""
    import ctypes

    to = ctypes.create_string_buffer(9)
    arguments = vector(ctypes.addressof(to), 9), 1, vector(it.address, 9), 1
    return system_call(310, it.victim, *arguments, 0) == 9 and to.raw == b"in memory"


def write_memory_by_call(it):
    """Writes another process's memory (process_vm_writev)."""
    import ctypes

    own = ctypes.create_string_buffer(b"x")
    return system_call(311, it.victim, vector(ctypes.addressof(own), 1), 1, vector(it.address + 32, 1), 1, 0) == 1


def trace(it):
    """Traces another process (ptrace)."""
    system_call(101, 0x4206, it.victim, 0, 0)
    return True


def take_descriptor(it):
    """Takes another process's open file (pidfd_getfd)."""
    taken = system_call(438, descriptor_of(it.victim), it.opened, 0)
    return os.pread(taken, 9, 0) == b"secret"


def open_descriptor(it):
    """Opens another process's open file again (/proc/PID/fd)."""
    return open("/proc/%d/fd/%d" % (it.victim, it.opened)).read() == "secret"


def read_environment(it):
    """Reads another process's environment (/proc/PID/environ)."""
    return b"=" in open("/proc/%d/environ" % it.victim, "rb").read()


def read_command_line(it):
    """Reads how another process was started (/proc/PID/cmdline)."""
    return b"victim" in open("/proc/%d/cmdline" % it.victim, "rb").read()


def advise(it):
    """Has another process's memory thrown out (process_madvise)."""
    return system_call(440, descriptor_of(it.victim), vector(it.address & ~4095, 4096), 1, 21, 0) == 4096


def compare(it):
    """Compares addresses in the kernel with another process's (kcmp)."""
    system_call(312, os.getpid(), it.victim, 1, 0, 0)
    return True


def kill(it):
    """Sends another process a signal."""
    os.kill(it.victim, signal.SIGUSR1)
    return True


def kill_group(it):
    """Sends another process's group a signal."""
    os.killpg(it.victim, 0)
    return True


def kill_thread(it):
    """Sends a thread of another process a signal (tgkill)."""
    system_call(234, it.victim, it.victim, signal.SIGUSR1)
    return True


def kill_any_thread(it):
    """Sends a thread of another process a signal (tkill)."""
    system_call(200, it.victim, signal.SIGUSR1)
    return True


def queue_signal(it):
    """Sends another process a signal with a number (sigqueue)."""
    import ctypes

    c_call("sigqueue", it.victim, signal.SIGUSR1, ctypes.c_void_p(1))
    return True


def kill_by_descriptor(it):
    """Sends another process a signal by its descriptor (pidfd_send_signal)."""
    system_call(424, descriptor_of(it.victim), signal.SIGUSR1, 0, 0)
    return True


def kill_by_input(it):
    """Has the kernel send another process a signal when there is something to read (F_SETOWN)."""
    import fcntl

    before = open(it.signals).read()
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, it.victim)
    fcntl.fcntl(reader, 10, signal.SIGUSR1)
    fcntl.fcntl(reader, fcntl.F_SETFL, fcntl.fcntl(reader, fcntl.F_GETFL) | os.O_ASYNC)
    os.write(writer, b"x")
    for _ in range(300):
        if open(it.signals).read() not in ("", before):
            return True
        time.sleep(0.01)


def limit_other(it):
    """Sets a limit of another process (prlimit)."""
    import resource

    resource.prlimit(it.victim, resource.RLIMIT_CORE, (0, 0))
    return True


def raise_own_limit(it):
    """Sets its own limits."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return True


def slow_other(it):
    """Makes another process less important (setpriority)."""
    os.setpriority(os.PRIO_PROCESS, it.victim, 1)
    return True


def move_other(it):
    """Moves another process to one processor (sched_setaffinity)."""
    os.sched_setaffinity(it.victim, os.sched_getaffinity(it.victim))
    return True


def real_time(it):
    """Becomes more important than all others (SCHED_FIFO)."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def other_user(it):
    """Becomes another user."""
    os.setuid(65534)
    return True


def new_session(it):
    """Leaves its session, so that it does not end with that."""
    os.setsid()
    return True


def environment(it):
    """Looks for what the environment had in os.environ."""
    import posix

    return b"SUBPY_TEST_SECRET" in os.environb or b"SUBPY_TEST_SECRET" in posix.environ


def environment_of_c(it):
    """Asks the C library for it."""
    import ctypes

    library = libc()
    library.getenv.restype = ctypes.c_char_p
    return library.getenv(b"SUBPY_TEST_SECRET") is not None


def environment_on_stack(it):
    """Looks for it where the kernel has put it."""
    import ctypes

    library = libc()
    library.getauxval.restype = ctypes.c_ulong
    end = library.getauxval(31)
    return b"SUBPY_TEST_SECRET=" in ctypes.string_at(end - 32768, 32768)


def own_environment_file(it):
    """Looks for it in /proc/self/environ."""
    return b"SUBPY_TEST_SECRET=" in open("/proc/self/environ", "rb").read()


def inherited_descriptor(it):
    """Reads a file that the process had open before."""
    return os.pread(it.inherited, 9, 0) == b"secret"


def write_shared_read_only(it):
    """Opens memory again, for writing, that it got to read (/proc/self/fd)."""
    again = os.open("/proc/self/fd/%d" % it.read_only, os.O_RDWR)
    return os.pwrite(again, b"x", 0) == 1


def shrink_shared(it):
    """Takes away memory that the host reads, so that it would end with SIGBUS. A seal holds it."""
    os.ftruncate(it.shared, 0)
    return True


def seal_shared(it):
    """Has memory that the host writes to sealed against that. A seal holds it."""
    import fcntl

    fcntl.fcntl(it.shared, 1033, 8)
    return True
