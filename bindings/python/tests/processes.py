"""Interpreters in processes of their own: what they find, how they end, and what holds those that are locked."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import venv

import subpy
from check import fails

IN_VENV = "print-what-a-virtual-environment-has"


def path(folder: pathlib.Path) -> None:
    """They find what the host finds."""
    folder.joinpath("beside_the_host.py").write_text("number = 42")
    sys.path.insert(0, str(folder))
    with subpy.create(flags=subpy.Flag.PROCESS) as interp:
        assert interp.eval("__import__('beside_the_host').number") == 42
        assert interp.eval("__import__('subpy').Flag.PROCESS.value") == subpy.Flag.PROCESS
        # The one may be written with the other's "bin/..".
        assert os.path.realpath(interp.eval("__import__('sys').prefix")) == os.path.realpath(sys.prefix)
    with subpy.create(flags=subpy.Flag.PROCESS, path=["/first"]) as interp:
        assert interp.eval("__import__('sys').path[:2]") == ["/first", str(folder)]


def virtual_environment(folder: pathlib.Path) -> None:
    # As `python -m venv` does it: a copy would not find its library beside it.
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    packages.joinpath("only_in_there.py").write_text("number = 41")
    command = [str(folder / "bin/python"), "-B", __file__, IN_VENV]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    assert found.stdout == f"41 {folder}\n" and not found.stderr, found


def in_virtual_environment() -> None:
    with subpy.create(flags=subpy.Flag.PROCESS) as interp:
        print(interp.eval("__import__('only_in_there').number"), interp.eval("__import__('sys').prefix"))
    subpy.shutdown()


def crashes() -> None:
    def ended_by(kind: type[subpy.InterpreterError], code: str) -> subpy.InterpreterError:
        with subpy.create(flags=subpy.Flag.PROCESS, timeout=0.1, grace=0.05) as interp:
            error = fails(kind, lambda: interp.exec(code))
            fails(subpy.InterpreterNotFoundError, lambda: interp.exec("1"))
            fails(subpy.InterpreterNotFoundError, interp.close)
        assert interp not in subpy.list_all() and type(error) is kind
        return error

    aborted = ended_by(subpy.InterpreterCrashedError, "import os\ndef fail():\n    os.abort()\nfail()")
    assert aborted.status == subpy.Status.CRASHED and (aborted.signal, aborted.exit_code) == (signal.SIGABRT, None)
    assert aborted.message == "the interpreter's process was killed by signal 6 (SIGABRT)"
    assert aborted.traceback.startswith("Fatal Python error: Aborted\n")
    assert '\n  File "<script>", line 3 in fail\n' in aborted.traceback
    left = ended_by(subpy.InterpreterCrashedError, "import os; os._exit(3)")
    assert left.message == left.traceback == "the interpreter's process has ended with exit code 3"
    assert (left.signal, left.exit_code) == (None, 3)
    late = ended_by(subpy.InterpreterTimeoutError, "import ctypes\nctypes.CDLL(None).sleep(1000)")
    expected = "timed out after 100 ms, and the code did not end within 50 ms more: its process was killed"
    assert late.message == expected

    # Children of the host's own are left alone, and those of subpy are none of them.
    assert subprocess.run(["sh", "-c", "exit 7"]).returncode == 7
    with subpy.create(flags=subpy.Flag.PROCESS) as interp:
        fails(ChildProcessError, lambda: os.waitpid(-1, os.WNOHANG))
        assert interp.eval("1") == 1


def locks() -> None:
    locked = subpy.Flag.PROCESS | subpy.Flag.LOCKED
    for flags in (locked, locked | subpy.Flag.LOCK_BEST_EFFORT):
        with subpy.create(flags=flags) as interp:
            info = interp.lock_info()
            assert info.landlock >= 6 and info.seccomp is True, info
            failed = fails(subpy.ExecutionFailed, lambda interp=interp: interp.exec("open('/etc/passwd')"))
            assert failed.excinfo.type.__name__ == "PermissionError"
        fails(subpy.InterpreterNotFoundError, interp.lock_info)
    with subpy.create(flags=subpy.Flag.PROCESS) as interp:
        assert fails(subpy.InterpreterError, interp.lock_info).status == subpy.Status.WRONG_STATE


if __name__ == "__main__":
    if sys.argv[1:] == [IN_VENV]:
        in_virtual_environment()
        sys.exit()
    with tempfile.TemporaryDirectory() as found:
        folder = pathlib.Path(found)
        path(folder)
        virtual_environment(folder / "venv")
    crashes()
    locks()
    subpy.shutdown()
    print("done")
