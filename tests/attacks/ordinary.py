# What code may do that is not an attack, in a locked process. `own` is a folder that can be written, or None.
import asyncio
import concurrent.futures
import contextlib
import ctypes
import datetime
import decimal
import hashlib
import importlib
import io
import json
import locale
import mimetypes
import os
import pathlib
import platform
import random
import signal
import socket
import sqlite3
import ssl
import sys
import tempfile
import threading
import time
import traceback
import uuid
import zlib
import zoneinfo
from concurrent import interpreters

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert sum(pool.map(len, ["ab"] * 100)) == 200


async def main():
    async with asyncio.timeout(60):
        await asyncio.sleep(0.001)
        reader, writer = os.pipe()
        os.close(reader), os.close(writer)
        return await asyncio.to_thread(lambda: 5)


assert asyncio.run(main()) == 5

one, other = socket.socketpair()
one.sendall(b"x")
other.setblocking(False)
assert other.recv(1) == b"x"
one.close(), other.close()

assert sqlite3.connect(":memory:").execute("select 40 + 2").fetchone() == (42,)
assert ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).verify_mode == ssl.CERT_REQUIRED
assert mimetypes.guess_type("a.png") == ("image/png", None)
datetime.datetime.now().astimezone()
with contextlib.suppress(zoneinfo.ZoneInfoNotFoundError):
    datetime.datetime.now(zoneinfo.ZoneInfo("Europe/Paris"))
assert os.cpu_count() >= 1 and os.process_cpu_count() >= 1
assert len(os.urandom(8)) == 8 and len(uuid.uuid4().hex) == 32
random.seed()
hashlib.sha256(b"x").hexdigest()
assert zlib.decompress(zlib.compress(b"x")) == b"x"
os.path.expanduser("~")
platform.machine(), locale.getlocale()
pathlib.Path(os.__file__).stat()
assert ctypes.CDLL(None).getpid() == os.getpid()
assert not sys.stdin or not os.isatty(0)
time.sleep(0.001)
os.kill(os.getpid(), 0)
assert threading.Thread(target=time.time).start() is None


def deep(n):
    return deep(n + 1)


try:
    deep(0)
except RecursionError as error:
    # With the source of the lines, which is read.
    io.StringIO(traceback.format_exc())

signal.setitimer(signal.ITIMER_REAL, 0)
guest = interpreters.create()
guest.exec("import json, threading; threading.Thread(target=print).start()")
guest.close()

# What stands in the standard library can be imported, where this Python has it.
for name in sorted(sys.stdlib_module_names - {"antigravity", "this", "idlelib", "tkinter", "turtle", "turtledemo"}):
    if not name.startswith("_"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            pass
        except ImportError as error:
            # A module whose shared library is not on this machine.
            assert "cannot open shared object file: No such file" in str(error), error

if own is None:
    for attempt in (tempfile.gettempdir, lambda: open(os.devnull, "w")):
        try:
            attempt()
        except OSError:
            pass
        else:
            raise AssertionError("it writes")
else:
    os.chdir(own)
    pathlib.Path("folder").mkdir()
    path = pathlib.Path("folder/file")
    path.write_text("text")
    os.replace(path, "other")
    os.rmdir("folder")
    assert pathlib.Path("other").read_text() == "text"
    with tempfile.NamedTemporaryFile(dir=own) as file:
        file.write(b"x")
    with tempfile.TemporaryFile(dir=own) as file:
        file.write(b"x")
    data = sqlite3.connect(os.path.join(own, "data"))
    data.execute("create table t (a)")
    data.execute("insert into t values (1)")
    data.commit()
    data.close()
    with open(os.devnull, "w") as file:
        file.write("x")
json.dumps({})
fine = True
