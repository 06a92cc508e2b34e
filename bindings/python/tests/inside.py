"""subpy beside `concurrent.interpreters`: used from interpreters that the host made itself, and from their threads."""

import os
import threading
from concurrent import interpreters

import subpy

GUEST = """
import subpy
import threading

host = subpy.get_current()
assert host != subpy.get_main() and host.whence == "_interpreters module"
assert host.id == __import__("_interpreters").get_current()[0]

def use():
    with subpy.create() as interp:
        interp.exec("import json")
        assert interp.call("json:loads", "[1, 2]") == [1, 2]
        try:
            interp.exec("1/0")
        except subpy.ExecutionFailed as failed:
            assert failed.excinfo.formatted == "ZeroDivisionError: division by zero"
        assert interp.call_in_thread("math:sqrt", 4.0).join() == 2.0
    assert subpy.get_current() == host

use()
threads = [threading.Thread(target=use) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

# Interpreters that Python code made are Python's to run and to close.
for refused in (lambda: host.exec("1"), lambda: host.call("math:sqrt", 4.0), host.close):
    try:
        refused()
    except subpy.InterpreterError as error:
        assert error.status == subpy.Status.INTERPRETER and "unrecognized interpreter" in str(error), error
    else:
        raise AssertionError("it was driven")
# Nor can everything be shut down from inside one.
try:
    subpy.shutdown()
except subpy.InterpreterError as error:
    assert error.status == subpy.Status.BUSY, error
else:
    raise AssertionError("shut down from inside")
"""


def in_a_host_interpreter() -> None:
    interp = interpreters.create()
    interp.prepare_main(path=os.path.dirname(os.path.dirname(subpy.__file__)))
    interp.exec("import sys; sys.path.insert(0, path)")
    interp.exec(GUEST)
    interp.close()


if __name__ == "__main__":
    subpy.init()
    in_a_host_interpreter()
    failures = []

    def guarded() -> None:
        try:
            in_a_host_interpreter()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert [interp.id for interp in interpreters.list_all()] == [0]
    subpy.shutdown()
    print("done")
