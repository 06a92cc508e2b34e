"""Starts runners, in processes of their own, and reads what they wrote: also when one dies or hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))


def lines(path: str) -> Iterator[dict[str, Any]]:
    with open(path) as file:
        for line in file:
            yield json.loads(line)


def run(command: list[str], names: list[str], limit: float) -> dict[str, dict[str, Any]]:
    """What a runner (command, RESULTS, names) wrote about each name.

    When it ends too early, what it was at gets {"died": how}, and another one goes on behind that. `limit` is for all
    of them together, in seconds; a runner has its own for each name.
    """
    found: dict[str, dict[str, Any]] = {}
    left = list(names)
    while left:
        with tempfile.NamedTemporaryFile("r") as results:
            status, said = _start([*command, results.name, *left], limit)
            begun = None
            for line in lines(results.name):
                begun = line.get("begins")
                if begun is None:
                    found[line["ended"]] = line
        left = [name for name in left if name not in found]
        if begun is not None:
            found[begun] = {"died": status, "said": said}
            left.remove(begun)
        elif left or status != "0":
            raise SystemExit(f"{command}: {status}, and no case was at fault; {len(left)} are left\n{said}")
    return found


def _start(command: list[str], limit: float) -> tuple[str, str]:
    """How it ended: "0", "signal 11" or "exit 1"; and what it printed."""
    with tempfile.TemporaryFile() as output:
        # A session of its own, so that a limit ends what it has started, too.
        # Options of Python's that this environment has for other reasons change what is printed when.
        ours = ("PYTHONPATH", "PYTHONHOME")
        environment = {
            name: value for name, value in os.environ.items() if name in ours or not name.startswith("PYTHON")
        }
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            code = -9
        output.seek(0)
        said = output.read().decode(errors="replace")[-20_000:]
    return (f"signal {-code}" if code < 0 else "0" if code == 0 else f"exit {code}"), said


def python(*arguments: str) -> list[str]:
    return [sys.executable, "-B", *arguments]
