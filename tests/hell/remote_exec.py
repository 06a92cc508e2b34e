# Has its own process run a file.
import os, sys, tempfile, time

with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
    file.write("import sys; sys.version\n")
    file.flush()
    for _ in range(5):
        try:
            sys.remote_exec(os.getpid(), file.name)
        except Exception as error:
            repr(error)
        time.sleep(0.05)
