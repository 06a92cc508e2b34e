# Runs behind host.py in a CPython that fits: what was there before the library was.
import os
import threading
from concurrent import interpreters

idle, running = interpreters.create(), interpreters.create()
gone = interpreters.create()
gone.close()
subpy = Subpy(load)


def handle(name, *args):
    found = ctypes.c_uint64()
    subpy.call(name, *args, ctypes.byref(found))
    return found.value


def listed():
    all, count = (ctypes.c_uint64 * 16)(), ctypes.c_size_t()
    subpy.call("subpy_list_all", all, 16, ctypes.byref(count))
    return all[: count.value]


def find(id):
    return handle("subpy_find", ctypes.c_int64(id))


# From within one of them, or from the host itself: the first call of all.
if first == "guest":
    current = ctypes.c_uint64()
    code = f"import ctypes; library, handle = ctypes.{load.__name__}({sys.argv[1]!r}), ctypes.c_uint64()\n"
    idle.exec(code + "status = library.subpy_get_current(ctypes.byref(handle), None)\n")
    idle.exec("assert status == 0, status")
    idle.exec(f"ctypes.c_uint64.from_address({ctypes.addressof(current)}).value = handle.value")
    assert current.value == find(idle.id)
else:
    assert handle("subpy_get_current") == handle("subpy_get_main") == find(0)

ours = subpy.create().value
assert listed() == [find(0), find(idle.id), find(running.id), ours], listed()
assert subpy.attempt("subpy_find", ctypes.c_int64(gone.id), ctypes.byref(ctypes.c_uint64()))[0] == -2
for number, expected in (0, b"runtime init"), (idle.id, b"_interpreters module"):
    whence = ctypes.c_char_p()
    subpy.call("subpy_whence", ctypes.c_uint64(find(number)), ctypes.byref(whence))
    assert whence.value == expected, whence.value


def is_running(interp):
    answer = ctypes.c_bool()
    subpy.call("subpy_is_running", ctypes.c_uint64(find(interp.id)), ctypes.byref(answer))
    return answer.value


# One that runs is seen, and is in the way of a shutdown.
begun, end = os.pipe(), os.pipe()
thread = threading.Thread(target=running.exec, args=[f"import os; os.write({begun[1]}, b'.'); os.read({end[0]}, 1)"])
thread.start()
os.read(begun[0], 1)
assert is_running(running) and not is_running(idle)
assert subpy.attempt("subpy_shutdown")[0] == -3
os.write(end[1], b".")
thread.join()
assert not is_running(running)
idle.exec("x = 1")

# They end with the shutdown, and those that come after it are known to the next life of the library.
subpy.call("subpy_shutdown")
assert [interp.id for interp in interpreters.list_all()] == [0]
later = interpreters.create()
assert listed() == [find(0), find(later.id)]
later.close()
assert listed() == [find(0)]
subpy.call("subpy_shutdown")
print("done")
