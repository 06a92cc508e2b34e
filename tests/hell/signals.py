# Handles SIGINT and SIGTERM itself, and sends itself SIGINT.
import os, signal

signal.signal(signal.SIGINT, lambda *_: None)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(os.getpid(), signal.SIGINT)
