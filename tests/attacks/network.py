# What an attack does is its first line. It must do no harm but to what the test made: `it` says what that is.
import socket


def connect(it):
    """Connects over TCP."""
    socket.create_connection(("127.0.0.1", it.tcp), 5).close()
    return True


def listen(it):
    """Listens for connections over TCP."""
    socket.create_server(("127.0.0.1", 0)).close()
    return True


def send_datagram(it):
    """Sends a datagram over UDP."""
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", it.udp))
    return True


def connect_6(it):
    """Makes a socket for IPv6."""
    socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    return True


def look_up(it):
    """Looks up a name."""
    return bool(socket.getaddrinfo("localhost", 80))


def connect_unix(it):
    """Connects to a socket in a folder."""
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(it.stream)
    return True


def send_unix(it):
    """Sends a datagram to a socket in a folder."""
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", it.datagrams)
    return True


def send_from_pair(it):
    """The same with one of two sockets that are connected to each other."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", it.datagrams)
    return True


def send_message_from_pair(it):
    """The same with a pair that may be made, and sendmsg, whose address no filter sees."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.sendmsg([b"x"], [], 0, it.datagrams)
    # Such a socket looks at no address: it went to the other one.
    return not other.recv(2)


def connect_abstract(it):
    """Connects to a socket that is in no folder."""
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect("\0" + it.abstract)
    return True


def bind_abstract(it):
    """Listens at a socket that is in no folder."""
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.bind("\0subpy-attack-%d" % it.victim)
    return True


def netlink(it):
    """Asks the kernel about networks (AF_NETLINK)."""
    return bool(socket.if_nameindex())


def raw(it):
    """Makes a socket for raw packets."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()
    return True


def packet(it):
    """Makes a socket that sees all packets."""
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    return True


def crypto(it):
    """Makes a socket for the kernel's cryptography (AF_ALG)."""
    socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET, 0).close()
    return True


def attach_filter(it):
    """Has the kernel run a program for a socket (SO_ATTACH_FILTER)."""
    import ctypes

    one, other = socket.socketpair()
    code = (ctypes.c_uint64 * 1)(0x06)
    program = (ctypes.c_uint64 * 2)(1, ctypes.addressof(code))
    c_call("setsockopt", one.fileno(), 1, 26, program, 16)
    return True
