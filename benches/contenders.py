"""The contenders: gets what they need, builds them, talks to their processes."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

from work import CONTENDERS

HERE = Path(__file__).resolve().parent

def libpython():
    with open("/proc/self/maps") as maps:
        return next(line.split()[-1] for line in maps if "/libpython3" in line)


def run(*command):
    outcome = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if outcome.returncode != 0:
        raise RuntimeError(f"{shlex.join(map(str, command))}:\n{outcome.stdout}{outcome.stderr}")


def pybind11():
    """The folder with its headers: from PyPI, as requirements.txt says; kept where tools/get-python keeps things."""
    requirements = HERE / "requirements.txt"
    cache = os.environ.get("SUBPY_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "subpy"
    folder = Path(cache) / requirements.read_text().split()[0].replace("==", "-")
    if not folder.exists():
        Path(cache).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as new:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
            run(*pip, "-r", requirements, "-d", new)
            zipfile.ZipFile(next(Path(new).glob("*.whl"))).extractall(f"{new}/tree")
            try:
                os.rename(f"{new}/tree", folder)
            except OSError:  # somebody else was first
                pass
    return folder / "pybind11/include"


def compiler(variable, default):
    command = shlex.split(os.environ.get(variable) or default)
    if shutil.which(command[0]) is None:
        raise RuntimeError(f"{command[0]} is missing (install a compiler, or set {variable})")
    return [*command, "-O2", "-Wall", "-Wextra", "-I", HERE.parent / "include"]


def build(source, library, into):
    """Returns the beginning of the command line, without the mode."""
    program = into / Path(source).stem
    if source.endswith(".py"):
        return [sys.executable, HERE / source]
    if source.endswith(".c"):
        command = [*compiler("CC", "cc"), "-std=c11"]
        libraries = [f"-L{library}", "-lsubpy", "-ldl"]
    else:
        command = [*compiler("CXX", "c++"), "-std=c++17", "-fvisibility=hidden", "-Wno-missing-field-initializers"]
        command += ["-isystem", pybind11(), "-isystem", sysconfig.get_path("include")]
        library = os.path.dirname(libpython())
        libraries = [libpython()]
    # Old-style paths, which come before an LD_LIBRARY_PATH: an older library may lie there.
    run(*command, HERE / source, "-o", program, *libraries, "-pthread", f"-Wl,--disable-new-dtags,-rpath,{library}")
    return [program]


def long_source(path):
    """100 lines of Python."""
    function = """
def f{0}(a, b={0}):
    total = [a * i + b for i in range(10)]
    return {{'total': sum(total), 'name': f'f{{a}}'}}
"""
    end = "import math\nPI = math.pi\nclass C: pass\nx = 100\n"
    path.write_text("".join(function.format(i) for i in range(24)) + end)
    return path


class Contender:
    """A process that answers commands, started when it is first asked."""

    def __init__(self, name, program, mode, source_file):
        self.name = name
        if program[0] == sys.executable:
            self.arguments = [*program, mode, source_file]
        else:
            self.arguments = [*program, mode, sys.executable, libpython(), HERE, source_file]
        self.mark = f"SUBPY_BENCH={os.getpid()} {name}" if mode in ("process", "process-session") else ""
        self.process = None

    def start(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        environment = {**os.environ, "PYTHONPATH": str(HERE)}
        if self.mark:
            name, _, value = self.mark.partition("=")
            environment[name] = value
        self.process = subprocess.Popen(self.arguments, env=environment, **pipes)

    def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
        self.process = None

    def ask(self, command):
        """The numbers that it answers; None when it cannot do that."""
        if self.process is None:
            self.start()
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            raise SystemExit(f"{self.name}: ended at: {command}")
        return None if answer == ["-"] else [int(number) for number in answer]

    def tree(self):
        """It and its processes."""
        pids = [str(self.process.pid)] if self.process else []
        for pid in pids:
            yield pid
            with suppress(OSError):  # it has just ended, or a thread has
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pids += (task / "children").read_text().split()
        if self.process and self.mark:
            yield from (pid for pid in self.marked() if pid not in pids)

    def marked(self):
        """Those of interpreters are nobody's children, but have its environment."""
        for file in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if self.mark.encode() in file.read_bytes().split(b"\0"):
                    yield file.parent.name

    def read(self, name):
        """A file of /proc of each."""
        for pid in self.tree():
            with suppress(OSError):
                yield Path(f"/proc/{pid}/{name}").read_text()

    def memory(self):
        """What they have in memory, in bytes; what processes share is counted in parts."""
        lines = (line for rollup in self.read("smaps_rollup") for line in rollup.splitlines())
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))

    def computed(self):
        """Seconds of processor time; what has ended counts with who waited for it."""
        stats = (stat.rpartition(")")[2].split() for stat in self.read("stat"))
        return sum(sum(map(int, fields[11:15])) for fields in stats) / os.sysconf("SC_CLK_TCK")


def build_all(library, into):
    """Those that can be built, and why the others cannot."""
    into.mkdir(parents=True, exist_ok=True)
    programs, missing = {}, {}
    for source in dict.fromkeys(source for _, source, _, _ in CONTENDERS):
        try:
            programs[source] = build(source, library, into)
        except RuntimeError as error:
            if source != "pybind11.cpp" or os.environ.get("CI") == "true":
                raise SystemExit(f"{source}: {error}")
            print(f"skipped: {source}: {error}", file=sys.stderr)
            missing.update((name, "could not be built here") for name, of, _, _ in CONTENDERS if of == source)
    source_file = long_source(into / "long.py")
    ready = [Contender(name, programs[source], mode, source_file)
             for name, source, mode, _ in CONTENDERS if source in programs]
    return ready, missing
