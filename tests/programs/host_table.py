# Runs behind host.py in a CPython whose host has frozen modules of its own: the library's table has them too.
import marshal


class Frozen(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("code", ctypes.c_char_p), ("size", ctypes.c_int), ("is_package", ctypes.c_int)]


table = ctypes.c_void_p.in_dll(ctypes.pythonapi, "PyImport_FrozenModules")
code = marshal.dumps(compile("answer = 42", "<the host>", "exec"))
own = (Frozen * 2)(Frozen(b"hosts_own", code, len(code), 0))
table.value = ctypes.addressof(own)

subpy = Subpy(ctypes.CDLL)
interp = subpy.create()
assert subpy.eval(interp, "__import__('hosts_own').answer") == 42
assert subpy.eval(interp, "__import__('_imp').is_frozen('encodings') + 0") == 1
import hosts_own
import encodings
import importlib

assert hosts_own.answer == 42
assert importlib.reload(encodings).search_function("cp1252").name == "cp1252"
subpy.call("subpy_shutdown")
assert importlib.reload(hosts_own).answer == 42
# The host may change its mind at any time.
table.value = ctypes.addressof(own)
interp = subpy.create()
assert subpy.eval(interp, "__import__('hosts_own').answer") == 42
subpy.call("subpy_shutdown")
print("done")
