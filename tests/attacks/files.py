# What an attack does is its first line. It must do no harm but to what the test made: `it` says what that is.
import os
import stat


def read_secret(it):
    """Reads a file that is not to be read."""
    return open(it.secret).read() == "secret"


def read_by_links(it):
    """Reads a file by way of /proc/self/root."""
    return open("/proc/self/root" + it.secret).read() == "secret"


def read_from_above(it):
    """Reads a file by way of a readable folder: open/../private."""
    return open(os.path.join(it.open, "..", "private", "secret")).read() == "secret"


def list_folder(it):
    """Lists a folder that is not to be read."""
    return "secret" in os.listdir(it.private)


def read_by_handle(it):
    """Opens a file by its number, past all folders (open_by_handle_at)."""
    import ctypes

    handle = ctypes.create_string_buffer(8 + 128)
    ctypes.memmove(handle, (128).to_bytes(4, "little"), 4)
    mount = ctypes.c_int()
    c_call("name_to_handle_at", -100, it.secret.encode(), handle, ctypes.byref(mount), 0)
    root = os.open("/", os.O_RDONLY)
    return os.read(c_call("open_by_handle_at", root, handle, 0), 9) == b"secret"


def open_by_path(it):
    """Opens a file with O_PATH, and that again in /proc/self/fd."""
    found = os.open(it.secret, os.O_PATH)
    return open("/proc/self/fd/%d" % found).read() == "secret"


def write_new(it):
    """Makes a file in a folder that is not to be written."""
    open(os.path.join(it.private, "new"), "w").close()
    return True


def write_readable(it):
    """Makes a file in a folder that can be read."""
    open(os.path.join(it.open, "new"), "w").close()
    return True


def write_old(it):
    """Writes into a file that is there."""
    with open(it.file, "r+") as file:
        file.write("x")
    return True


def write_device(it):
    """Makes a terminal of its own."""
    os.openpty()
    return True


def cut(it):
    """Cuts off a file that can be read."""
    os.truncate(os.path.join(it.open, "file"), 0)
    return True


def delete(it):
    """Deletes a file."""
    os.unlink(it.file)
    return True


def delete_folder(it):
    """Deletes a folder."""
    os.rmdir(os.path.join(it.private, "empty"))
    return True


def rename(it):
    """Moves a file into the folder that can be written."""
    os.rename(it.file, os.path.join(it.own, "moved"))
    return True


def replace(it):
    """Puts a file in another one's place."""
    path = os.path.join(it.own, "new")
    open(path, "w").close()
    os.replace(path, it.file)
    return True


def hard_link(it):
    """Links a file into the folder that can be written."""
    os.link(it.file, os.path.join(it.own, "link"))
    return True


def symbolic_link(it):
    """Puts a symbolic link to a secret where the host may look for results."""
    os.symlink(it.secret, os.path.join(it.own, "result"))
    return True


def change_mode(it):
    """Makes a file everybody's (chmod)."""
    os.chmod(it.file, 0o777)
    return True


def change_mode_of_open(it):
    """The same with a file that can be read (fchmod)."""
    os.fchmod(os.open(os.path.join(it.open, "file"), os.O_RDONLY), 0o777)
    return True


def change_owner(it):
    """Gives a file away (chown)."""
    os.chown(it.file, 1, 1)
    return True


def change_times(it):
    """Changes when a file was written."""
    os.utime(it.file, (1, 1))
    return True


def change_attributes(it):
    """Gives a file an attribute."""
    os.setxattr(it.file, "user.attack", b"1")
    return True


def set_user_id(it):
    """Makes a program in the folder that can be written, which whoever starts it runs as this user."""
    made = os.open(os.path.join(it.own, "program"), os.O_CREAT | os.O_WRONLY, 0o4755)
    return bool(os.fstat(made).st_mode & stat.S_ISUID)


def make_device(it):
    """Makes a device in the folder that can be written."""
    os.mknod(os.path.join(it.own, "null"), stat.S_IFCHR | 0o600, os.makedev(1, 3))
    return True


def make_fifo(it):
    """Makes a FIFO where the host may look for results, which would then wait."""
    os.mkfifo(os.path.join(it.own, "result"))
    return True


def watch(it):
    """Watches a folder (inotify)."""
    c_call("inotify_add_watch", c_call("inotify_init1", 0), it.private.encode(), 0x100)
    return True


def change_root(it):
    """Makes a folder its root."""
    os.chroot(it.own)
    return True


def mount(it):
    """Mounts a file system."""
    c_call("mount", b"none", it.own.encode(), b"tmpfs", 0, None)
    c_call("umount2", it.own.encode(), 2)
    return True
