"""A program that has to stay on an older Python: it starts worker.py with a newer one, and asks that."""

import json
import os
import subprocess

newer = os.environ.get("SUBPY_PYTHON", "python3.14")
with subprocess.Popen([newer, "worker.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:

    def call(callable, *args):
        worker.stdin.write(json.dumps({"callable": callable, "args": args}) + "\n")
        worker.stdin.flush()
        return json.loads(worker.stdout.readline())

    print(call("math:factorial", 25))
    print(call("math:sqrt", -1)["error"].splitlines()[0])
    worker.stdin.close()
raise SystemExit(worker.returncode)
