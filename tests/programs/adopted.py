# Runs behind host.py in a CPython that fits: the library adopts it.
import atexit
import decimal
import gc
import sys
import threading

subpy = Subpy(load)
local = threading.local()
HostCall = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)


def check_host():
    """The host is as it was: its main interpreter, its thread-local things, its modules."""
    import _interpreters

    assert _interpreters.get_current()[0] == 0
    assert local.name == threading.current_thread().name, local.name
    assert decimal.getcontext().prec == local.precision


def check_frames(alone):
    """The frames of all threads: before 3.15 CPython looks at those of other interpreters as well, which ends the process."""
    for look in sys._current_frames, sys._current_exceptions:
        try:
            assert threading.get_ident() in look()
            assert alone or sys.version_info >= (3, 15)
        except RuntimeError as error:
            assert not alone and "while other interpreters are open" in str(error), error


@HostCall
def called_back(number):
    check_host()
    return number + 1


def use():
    local.name = threading.current_thread().name
    local.precision = decimal.getcontext().prec = 10 + threading.get_ident() % 7
    interp = subpy.create()
    for number in range(20):
        subpy.exec(interp, f"import decimal, threading; decimal.getcontext().prec = 3; x = {number}")
        assert subpy.eval(interp, "x * 2") == number * 2
        check_host()
    # A callback into the host after a stay in the interpreter, within one C call of the host, and the other way round.
    assert called_back(1) == 2
    status, message = subpy.attempt("subpy_exec", interp, b"1/0", subpy.AUTO_LEN)
    assert (status, message) == (-4, "ZeroDivisionError: division by zero"), (status, message)
    check_host()
    subpy.exec(interp, "def f(): return threading.current_thread().name")
    check_frames(alone=False)
    subpy.call("subpy_close", interp)
    check_host()
    assert subpy.attempt("subpy_exec", interp, b"1", subpy.AUTO_LEN)[0] == -2


def main_interpreter():
    """The host's own `__main__`, driven through the library: its streams and its marks stay the host's."""
    main = ctypes.c_uint64()
    subpy.call("subpy_get_main", ctypes.byref(main))
    global seen
    subpy.exec(main, "seen = 42")
    assert seen == 42
    assert subpy.eval(main, "seen + 1") == 43
    assert subpy.attempt("subpy_close", main)[0] == -6
    check_host()


def on_threads(count):
    failures = []

    def guarded():
        try:
            use()
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


out, err = sys.stdout, sys.stderr
for _ in range(3):
    use()
    main_interpreter()
    on_threads(4)
    use()
    # Python's own interpreters live beside.
    from concurrent import interpreters

    own = interpreters.create()
    own.exec("assert 1")
    assert own.id in [interpreter.id for interpreter in interpreters.list_all()]
    left = subpy.create()
    assert len(interpreters.list_all()) == 3
    own.close()
    # The host goes on after a shutdown, and can begin again.
    subpy.call("subpy_shutdown")
    assert subpy.attempt("subpy_exec", left, b"1", subpy.AUTO_LEN)[0] == -2
    check_host()
    check_frames(alone=True)
    gc.collect()
    assert sys.stdout is out and sys.stderr is err and sum(range(10)) == 45
    assert [interpreter.id for interpreter in interpreters.list_all()] == [0]

if not shut_down:
    subpy.create()
atexit.register(print, "the host's exit handler runs")
