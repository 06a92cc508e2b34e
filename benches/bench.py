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
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import report
from contenders import build_all
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
    shared_ms: int  # of 8 threads on one interpreter
    waits_ms: int
    patience: float  # seconds that may be spent waiting until nobody else computes


SIZES = {
    "full": Size(61, 4000, 2, 20, 1000, (1, 2, 4, 8, 64), 50, 1000, 10000, 120),
    "quick": Size(5, 1000, 1, 5, 20, (1, 2, 8), 20, 100, 300, 0),
    "test": Size(1, 10, 1, 1, 1, (1, 2), 1, 1, 1, 0),
}

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
        verdict = {"what": subject, "goal": limit, "value": value, "met": goal.met(value)}
        yield {"line": name, "thread": line["thread"], **verdict}


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
    about.update(subpy=version().decode(), python=platform.python_version())
    about.update(size=options.size, held=size.held, left=size.left)

    start, start_busy = time.monotonic(), busy()
    ready, missing = build_all(library, options.build.resolve())
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
