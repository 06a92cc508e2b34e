# A message that nobody will send.
import socket

ours, theirs = socket.socketpair()
ours.recv(1)
