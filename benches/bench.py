"""`make bench`: measures what work.py lists, and writes tables, a JSON file and the pages docs/performance*.md.

    python bench.py LIBRARY-FOLDER BUILD-FOLDER JSON-FILE [--size full|quick|test] [--only TEXT] [--write]
                    [--table calls|data|processes]

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
from math import floor, sqrt
from pathlib import Path
from statistics import median, quantiles

import chart
import report
from contenders import build_all
from work import CANNOT, GOALS, MEASUREMENTS, PAGES, TABLES

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
    waiting_ms: int  # of 8 threads on one that waits
    waits_ms: int  # of the same, to find the longest wait
    cancels: int  # in a batch
    patience: float  # seconds that may be spent waiting until nobody else computes


SIZES = {
    "full": Size(51, 4000, 2, 20, 1000, (1, 2, 4, 8, 64), 50, 1000, 10000, 1000, 60),
    "quick": Size(5, 1000, 1, 5, 20, (1, 2, 8), 20, 100, 300, 200, 0),
    "test": Size(1, 10, 1, 1, 1, (1, 2), 1, 1, 1, 3, 0),
}

def reason(name, line):
    return next((why for who, part, why in CANNOT if who == name and part in line), None)


def busy():
    """Seconds that the machine's processors were not idle, or were lent to other virtual machines."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(size):
    while size.patience > 0:
        start = busy()
        time.sleep(0.1)
        if busy() - start < 0.02:
            break
        size.patience -= 0.1


def measure(measurement, thread, all_contenders, size):
    """Its lines, with the figures of each round."""
    lines = [{"name": name, "unit": unit, "thread": thread, "table": measurement.table, "rounds": {}}
             for name, unit in measurement.lines]
    columns, _ = TABLES[measurement.table]
    shared = Shared()
    able = [each for each in all_contenders if each.name in columns and reason(each.name, lines[0]["name"]) is None]
    for number in range(max(1, int(size.rounds * measurement.share))):
        for contender in able if number % 2 == 0 else reversed(able):
            figures = turn(measurement, contender, thread, size, shared)
            for line, figure in zip(lines, figures or [None] * len(lines)):
                if figure is None:
                    raise SystemExit(f"{contender.name} cannot do {line['name']!r}, and work.py does not say why")
                line["rounds"].setdefault(contender.name, []).append(figure)
    measurement.finish(lines)
    for line in lines:
        line["others"] = shared.others / shared.seconds
    return lines


class Shared:
    """How much others computed during all turns of a measurement."""

    def __init__(self):
        self.others = self.seconds = 0.0

    def measure(self, measurement, contender, thread, size):
        start, start_others = time.monotonic(), busy() - sum(os.times()[:2]) - contender.computed()
        figures = measurement.measure(contender, thread, size)
        self.others += busy() - sum(os.times()[:2]) - contender.computed() - start_others
        self.seconds += time.monotonic() - start
        return figures


def turn(measurement, contender, thread, size, shared):
    if measurement.all_cores:
        wait_for_quiet(size)
    if measurement.alone:
        contender.stop()
    if measurement.mapped:
        contender.ask("map")
    figures = shared.measure(measurement, contender, thread, size)
    if measurement.mapped:
        contender.ask("unmap")
    if measurement.alone:
        contender.stop()
    return figures


def ratios(line, one, other):
    """Those of the rounds, or None."""
    rounds = line["rounds"]
    if one not in rounds or other not in rounds:
        return None
    return [a / b if b else 1.0 for a, b in zip(rounds[one], rounds[other])]


def summary(figures):
    """Their median, and between what it lies in 19 of 20 cases, if it can be told: None of None."""
    if figures is None:
        return None
    figures = sorted(figures)
    result = {"median": median(figures), "minimum": figures[0], "maximum": figures[-1]}
    if len(figures) >= 5:
        low, _, high = quantiles(figures, n=4)
        result["quartiles"] = [low, high]
        last = len(figures) - 1
        first = max(0, floor(last / 2 - 0.98 * sqrt(len(figures))))
        result["between"] = [figures[first], figures[last - first]]
    return result


def summed_up(line, missing):
    result = {key: line[key] for key in ("name", "unit", "thread", "table", "others")}
    columns, limits = TABLES[line["table"]]
    result["contenders"] = {name: summary(figures) for name, figures in line["rounds"].items()}
    result["ratio"] = {name: summary(ratios(line, name, columns[0]))["median"] for name in line["rounds"]}
    result["limits"] = {f"{one} / {other}": summary(ratios(line, one, other)) for one, other in limits}
    result["missing"] = {
        name: missing.get(name) or reason(name, line["name"]) for name in columns if name not in line["rounds"]
    }
    return result


def judged(goal, lines):
    for line in lines:
        if line["name"] != goal.line or line["thread"] not in goal.threads or goal.contender not in line["rounds"]:
            continue
        rounds = line["rounds"][goal.contender]
        if goal.of:
            subject, measured = f"{goal.contender} / {goal.of}", summary(ratios(line, goal.contender, goal.of))
        elif goal.best:
            subject, measured = f"{goal.contender}, best round", {"median": max(rounds)}
        else:
            subject, measured = goal.contender, summary(rounds)
        value, limit = measured["median"], goal.at_least if goal.at_most is None else goal.at_most
        low, high = measured.get("between", (value, value))
        yield {
            "line": line["name"] if goal.of else report.named(line), "thread": line["thread"], "what": subject,
            "table": line["table"],
            "goal": f"{'≥' if goal.at_most is None else '≤'} {limit:g}", "value": value, "met": goal.met(value),
            "open": low < limit < high,
        }


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
    parser.add_argument("--table", choices=TABLES, help="measure only what is in this table")
    parser.add_argument("--write", action="store_true", help="write the pages of what is measured, and the chart")
    options = parser.parse_args()
    if options.write and (options.only or options.size != "full"):
        parser.error("the page is written from a full run")
    library = options.library.resolve()
    size = SIZES[options.size]

    about = machine()
    version = ctypes.CDLL(str(library / "libsubpy.so")).subpy_version_string
    version.restype = ctypes.c_char_p
    about.update(subpy=version().decode(), python=platform.python_version())
    about.update(size=options.size, held=size.held, left=size.left, waits=size.waits_ms / 1000)
    about.update(cancels=f"{size.cancels:,}")

    start, start_busy = time.monotonic(), busy()
    ready, missing = build_all(library, options.build.resolve())
    lines = []
    tables = [options.table] if options.table else list(TABLES)
    for measurement in MEASUREMENTS:
        if measurement.table not in tables:
            continue
        measurement.prepare(size)
        for thread in measurement.threads:
            if any(options.only in name for name, _ in measurement.lines):
                print(f"{measurement.lines[0][0]}, {thread} ...", file=sys.stderr, flush=True)
                lines += measure(measurement, thread, ready, size)
    for contender in ready:
        contender.stop()
    seconds = time.monotonic() - start
    about["minutes"] = round(seconds / 60, 1)
    about["others"] = (busy() - start_busy - sum(os.times()[:4])) / seconds

    results = {
        **about,
        "lines": [summed_up(line, missing) for line in lines],
        "goals": [judgement for goal in GOALS for judgement in judged(goal, lines)],
    }
    options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(report.text(results))
    if options.write:
        for table in tables:
            name = PAGES[table]
            page = report.page((HERE / f"{name}.in").read_text(), results, table)
            (HERE.parent / "docs" / name).write_text(page)
        if "calls" in tables:
            (HERE.parent / "docs/performance.svg").write_text(chart.drawn(results))


if __name__ == "__main__":
    main()
