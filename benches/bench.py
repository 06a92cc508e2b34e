"""`make bench`: measures what work.py lists, and writes a table, a JSON file and docs/performance.md.

    python bench.py LIBRARY-FOLDER BUILD-FOLDER JSON-FILE [--size full|quick|test] [--only TEXT] [--write]

Run by the CPython that all contenders use: a GCC build with headers. Each contender is a process that waits for its
turn (worker.h says for what). In a round each does a batch of the same work, in turns from first to last and from last
to first; figures are medians of the rounds, ratios are taken in each round.
"""

import argparse
import ctypes
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import report
from work import CANNOT, CONTENDERS, GOALS, MEASUREMENTS

HERE = Path(__file__).resolve().parent


@dataclass
class Size:
    rounds: int
    batch_us: float
    cycles: int  # of create and close in a batch
    held: int  # interpreters, to weigh them
    left: int  # cycles, to weigh what they leave
    parallel: tuple  # how many interpreters
    parallel_ms: int
    patience: float  # seconds that may be spent waiting until nobody else computes


SIZES = {
    "full": Size(61, 4000, 2, 20, 1000, (1, 2, 4, 8, 64), 50, 120),
    "quick": Size(5, 1000, 1, 5, 20, (1, 2, 8), 20, 0),
    "test": Size(1, 10, 1, 1, 1, (1, 2), 1, 0),
}

# ---- getting and building the contenders ----


def libpython():
    with open("/proc/self/maps") as maps:
        return next(line.split()[-1] for line in maps if "/libpython3" in line)


def run(*command):
    outcome = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if outcome.returncode != 0:
        raise RuntimeError(f"{shlex.join(map(str, command))}:\n{outcome.stdout}{outcome.stderr}")


def pybind11():
    """The folder with its headers; from PyPI, with the checksum of requirements.txt, kept where tools/get-python keeps things."""
    requirements = HERE / "requirements.txt"
    cache = os.environ.get("SUBPY_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "subpy"
    folder = Path(cache) / requirements.read_text().split()[0].replace("==", "-")
    if not folder.exists():
        Path(cache).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as new:
            run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "-r", requirements, "-d", new)
            wheel = next(Path(new).glob("*.whl"))
            zipfile.ZipFile(wheel).extractall(f"{new}/tree")
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
        # Old-style paths, which come before an LD_LIBRARY_PATH: an older library may lie there.
        run(*compiler("CC", "cc"), "-std=c11", HERE / source, "-o", program, "-L", library, "-lsubpy", "-ldl", "-pthread",
            f"-Wl,--disable-new-dtags,-rpath,{library}")
    else:
        python = Path(libpython())
        includes = ["-isystem", pybind11(), "-isystem", sysconfig.get_path("include")]
        run(*compiler("CXX", "c++"), "-std=c++17", "-fvisibility=hidden", "-Wno-missing-field-initializers", *includes,
            HERE / source, "-o", program, python, "-pthread", f"-Wl,--disable-new-dtags,-rpath,{python.parent}")
    return [program]


class Contender:
    def __init__(self, name, program, mode, long_source):
        self.name = name
        if program[0] == sys.executable:
            self.arguments = [*program, mode, long_source]
        else:
            self.arguments = [*program, mode, sys.executable, libpython(), HERE, long_source]
        self.process = None

    def start(self):
        environment = {**os.environ, "PYTHONPATH": str(HERE)}
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

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

    def memory(self):
        """What it and its processes have in memory, in bytes; what processes share is counted in parts."""
        total, pids = 0, [self.process.pid]
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += (task / "children").read_text().split()
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) * 1024
        return total


def contenders(library, into):
    """Those that can be built, and why the others cannot."""
    into.mkdir(parents=True, exist_ok=True)
    long_source = into / "long.py"
    function = "def f{0}(a, b={0}):\n    total = [a * i + b for i in range(10)]\n    return {{'total': sum(total), 'name': f'f{{a}}'}}\n\n"
    long_source.write_text("".join(function.format(i) for i in range(24)) + "import math\nclass C: pass\nC.pi = math.pi\nx = 100\n")
    programs, missing = {}, {}
    for source in dict.fromkeys(source for _, source, _, _ in CONTENDERS):
        try:
            programs[source] = build(source, library, into)
        except RuntimeError as error:
            if source != "pybind11.cpp" or os.environ.get("CI") == "true":
                raise SystemExit(f"{source}: {error}")
            print(f"skipped: {source}: {error}", file=sys.stderr)
            missing.update((name, "could not be built on this machine") for name, of, _, _ in CONTENDERS if of == source)
    ready = [Contender(name, programs[source], mode, long_source)
             for name, source, mode, _ in CONTENDERS if source in programs]
    return ready, missing


# ---- measuring ----


def reason(name, line):
    return next((why for who, part, why in CANNOT if who == name and part in line), None)


def busy():
    """Seconds that all processes of the machine have computed."""
    with open("/proc/stat") as file:
        user, nice, system, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(size):
    while size.patience > 0:
        start = busy()
        time.sleep(0.1)
        if busy() - start < 0.02:
            break
        size.patience -= 0.1


def measure(measurement, thread, all_contenders, size):
    """Its lines, with the figures of each round."""
    lines = [{"name": name, "unit": unit, "thread": thread, "rounds": {}} for name, unit in measurement.lines]
    able = [each for each in all_contenders if reason(each.name, lines[0]["name"]) is None]
    for number in range(max(1, int(size.rounds * measurement.share))):
        for contender in able if number % 2 == 0 else reversed(able):
            figures = turn(measurement, contender, thread, size)
            for line, figure in zip(lines, figures or [None] * len(lines)):
                if figure is None:
                    raise SystemExit(f"{contender.name} cannot do {line['name']!r}, and work.py does not say why")
                line["rounds"].setdefault(contender.name, []).append(figure)
    measurement.finish(lines)
    return lines


def turn(measurement, contender, thread, size):
    if measurement.all_cores:
        wait_for_quiet(size)
    if measurement.alone:
        contender.stop()
    if measurement.mapped:
        contender.ask("map")
    figures = measurement.measure(contender, thread, size)
    if measurement.mapped:
        contender.ask("unmap")
    if measurement.alone:
        contender.stop()
    return figures


def ratio(line, one, other):
    """The median of the rounds' ratios, or None."""
    rounds = line["rounds"]
    if one not in rounds or other not in rounds:
        return None
    return median(a / b if b else 1.0 for a, b in zip(rounds[one], rounds[other]))


def summed_up(line, missing):
    result = {key: line[key] for key in ("name", "unit", "thread")}
    result["contenders"] = {
        name: {"median": median(figures), "minimum": min(figures), "maximum": max(figures)}
        for name, figures in line["rounds"].items()
    }
    result["ratio"] = {name: ratio(line, name, "subpy") for name in line["rounds"]}
    limits = [("subpy", "raw"), ("session", "raw kept")]
    result["limits"] = {f"{one} / {other}": ratio(line, one, other) for one, other in limits}
    result["missing"] = {
        name: missing.get(name) or reason(name, line["name"]) for name, *_ in CONTENDERS if name not in line["rounds"]
    }
    return result


def judged(goal, lines):
    for line in lines:
        if line["name"] != goal.line or line["thread"] not in goal.threads or goal.contender not in line["rounds"]:
            continue
        if goal.of:
            subject, value = f"{goal.contender} / {goal.of}", ratio(line, goal.contender, goal.of)
        elif goal.best:
            subject, value = f"{goal.contender}, best round", max(line["rounds"][goal.contender])
        else:
            subject, value = goal.contender, median(line["rounds"][goal.contender])
        limit = f"≥ {goal.at_least:g}" if goal.at_most is None else f"≤ {goal.at_most:g}"
        name = line["name"] if goal.of else report.named(line)
        yield {"line": name, "thread": line["thread"], "what": subject, "goal": limit, "value": value, "met": goal.met(value)}


def machine():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": platform.python_compiler(),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library", type=Path)
    parser.add_argument("build", type=Path)
    parser.add_argument("json", type=Path)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--only", default="", help="measure only what has this in its name")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    options = parser.parse_args()
    if options.write and (options.only or options.size != "full"):
        parser.error("the page is written from a full run")
    library = options.library.resolve()
    size = SIZES[options.size]

    about = machine()
    version = ctypes.CDLL(str(library / "libsubpy.so")).subpy_version_string
    version.restype = ctypes.c_char_p
    about.update(python=platform.python_version(), subpy=version().decode(), size=options.size, held=size.held, left=size.left)

    start, start_busy = time.monotonic(), busy()
    ready, missing = contenders(library, options.build.resolve())
    lines = []
    for measurement in MEASUREMENTS:
        measurement.prepare(size)
        for thread in measurement.threads:
            if any(options.only in name for name, _ in measurement.lines):
                print(f"{measurement.lines[0][0]}, {thread} ...", file=sys.stderr, flush=True)
                lines += measure(measurement, thread, ready, size)
    for contender in ready:
        contender.stop()
    seconds = time.monotonic() - start
    about["minutes"] = round(seconds / 60, 1)
    about["others"] = round(100 * (busy() - start_busy - sum(os.times()[:4])) / seconds / about["cores"])

    results = {
        **about,
        "lines": [summed_up(line, missing) for line in lines],
        "goals": [judgement for goal in GOALS for judgement in judged(goal, lines)],
    }
    options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(report.text(results))
    if options.write:
        page = (HERE / "performance.md.in").read_text()
        (HERE.parent / "docs/performance.md").write_text(report.page(page, results))


if __name__ == "__main__":
    main()
