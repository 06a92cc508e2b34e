"""A host that ends while interpreters are there: `at_exit.py tidy`, `left`, `daemon`, `creating`, `late` or `called`."""

import atexit
import sys
import threading

import subpy


def tidy() -> None:
    """What a program should do. Exit handlers run in reverse order, so those that come later find everything there."""
    atexit.register(subpy.shutdown)
    interp = subpy.create()
    atexit.register(lambda: print("at exit:", interp.call("math:sqrt", 9.0), subpy.create().eval("1 + 1")))


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def __del__(self) -> None:
        print(self.name, "is finalised", flush=True)


def left() -> None:
    """Nobody shuts down: CPython ends the interpreters, runs their exit handlers, finalises what is left, and warns."""
    global kept
    kept = Named("an object of __main__")
    interp = subpy.create()
    interp.exec("import atexit; atexit.register(print, 'the exit handler of an interpreter')")


def daemon() -> None:
    """Daemon threads of the host call on and on while it ends: the calls end with errors, or never."""
    started = threading.Barrier(4)

    def loop(interp: subpy.Interpreter) -> None:
        interp.call("math:sqrt", 2)
        started.wait()
        try:
            while True:
                interp.call("math:sqrt", 2)
        except subpy.InterpreterError:
            pass

    for _ in range(3):
        threading.Thread(target=loop, args=(subpy.create(),), daemon=True).start()
    started.wait()


def creating() -> None:
    """Daemon threads of the host create on and on while it ends: what is begun is finished, and nothing is begun any more."""
    started = threading.Barrier(4)

    def loop() -> None:
        subpy.create().close()
        started.wait()
        try:
            while True:
                interp = subpy.create()
                interp.exec("1")
                interp.close()
        except subpy.InterpreterError:
            pass

    for _ in range(3):
        threading.Thread(target=loop, daemon=True).start()
    started.wait()


def called() -> None:
    """Exit handlers of interpreters call host functions and print to the host, which is ending itself."""
    interp = subpy.create()
    interp.define("host:show", lambda text: print(text, flush=True))
    interp.set_output(lambda stream, text: print("printed:", text, end="", flush=True))
    interp.exec("import atexit, host; atexit.register(host.show, 'called'); atexit.register(print, 'at exit')")


def pool() -> None:
    """As with other executors, what was submitted is done before the program ends."""
    made = subpy.InterpreterPoolExecutor(2)
    for _ in range(4):
        made.submit("time:sleep", 0.05)
    made.submit("builtins:abs", -3).add_done_callback(lambda future: print("done:", future.result(), flush=True))


class Late:
    def __init__(self, interp: subpy.Interpreter) -> None:
        self.interp = interp

    def __del__(self) -> None:
        try:
            self.interp.call("math:sqrt", 2)
        except subpy.InterpreterNotFoundError as error:
            print("after the exit handlers:", error)


def late() -> None:
    """An object that outlives the shutdown."""
    global kept
    atexit.register(subpy.shutdown)
    kept = Late(subpy.create())


if __name__ == "__main__":
    ways = {"tidy": tidy, "left": left, "daemon": daemon, "creating": creating, "late": late, "called": called}
    {**ways, "pool": pool}[sys.argv[1]]()
    print("the end of the program")
