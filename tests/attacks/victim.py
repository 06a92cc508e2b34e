# The process that attacks aim at. It tells about itself in a line of JSON, and ends when its input does.
import ctypes
import json
import os
import signal
import socket
import sys
import threading

folder, secret = sys.argv[1:]
signals = os.path.join(folder, "signals")
heard = 0


def hear(*_):
    global heard
    heard += 1
    with open(signals, "w") as file:
        file.write(str(heard))


signal.signal(signal.SIGUSR1, hear)
hear()
memory = ctypes.create_string_buffer(b"in memory", 64)
opened = os.open(secret, os.O_RDONLY)
tcp = socket.create_server(("127.0.0.1", 0), backlog=1024)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))


kept = []


def unix(kind, address):
    it = socket.socket(socket.AF_UNIX, kind)
    it.bind(address)
    if kind == socket.SOCK_STREAM:
        it.listen(1024)
    kept.append(it)
    return address


about = {
    "victim": os.getpid(),
    "address": ctypes.addressof(memory),
    "signals": signals,
    "opened": opened,
    "tcp": tcp.getsockname()[1],
    "udp": udp.getsockname()[1],
    "stream": unix(socket.SOCK_STREAM, os.path.join(folder, "stream")),
    "datagrams": unix(socket.SOCK_DGRAM, os.path.join(folder, "datagrams")),
    "abstract": unix(socket.SOCK_STREAM, "\0subpy-attacks-%d" % os.getpid())[1:],
}
sys.stdout.write(json.dumps(about) + "\n")
sys.stdout.flush()
# Signals are heard by the main thread.
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()
while True:
    signal.pause()
