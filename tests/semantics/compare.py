"""compare.py PAGE: runs all cases on all sides, and compares them.

PAGE is docs/semantics.md. Its tables whose last column is "cases" have a row for each thing that is to be so, with the
cases that show it; the one whose first column is "case" lists the differences. What is not listed must be the same, and
what is listed must differ. In a cell, "…" stands for any text.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import outcomes

LIMIT = 300  # seconds for all cases of a side
SIDES = ("subpy", "process")
Fields = dict[str, str]


class Difference(NamedTuple):
    case: str
    outcome: str
    there: str
    here: str


class Listed(NamedTuple):
    """A row of the table of differences."""

    difference: Difference
    where: list[str]

    def matches(self, found: Difference) -> bool:
        return all(matches(pattern, text) for pattern, text in zip(self.difference, found, strict=True))


def matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("…")), text, re.DOTALL) is not None


# ---- the page


def tables(page: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The header and the rows of each table."""
    rows: list[list[str]] = []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            yield rows[0], rows[2:]
            rows = []


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def shown(text: str) -> str:
    """A text as it stands in a cell."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\0", "\\0").replace("|", "\\|").replace("`", "'")


def listed(page: str) -> list[Listed]:
    found = []
    for header, rows in tables(page):
        if header[0] == "case":
            for row in rows:
                case, outcome, there, here = (codes(cell)[0] for cell in row[:4])
                where = {"both": SIDES, "in process": ("subpy",), "processes": ("process",)}[row[4]]
                assert row[5], f"{case}, {outcome}: a difference has a reason"
                found.append(Listed(Difference(case, outcome, there, here), [*where]))
    return found


def rows_name_cases(page: str, cases: list[str]) -> list[str]:
    """What is wrong: a row without a case, a case without a row, a name of nothing."""
    wrong, named = [], set()
    for header, rows in tables(page):
        for row in rows if header[-1] == "cases" else []:
            names = codes(row[-1])
            if not names:
                wrong.append(f"no case shows this row: {row[0]}")
            for name in names:
                if ".c: " in name:
                    if not is_in_c(*name.split(": ", 1)):
                        wrong.append(f"tests/c has no {name}")
                    continue
                those = {case for case in cases if matches(name, case)}
                if not those:
                    wrong.append(f"there is no case {name}")
                named |= those
    wrong += [f"no row names the case {case}" for case in cases if case not in named]
    return wrong


def is_in_c(file: str, function: str) -> bool:
    """Whether a C test has this function, and calls it."""
    try:
        with open(os.path.join(outcomes.HERE, "..", "c", file)) as source:
            return len(re.findall(rf"\b{re.escape(function)}\b", source.read())) >= 2
    except FileNotFoundError:
        return False


# ---- the comparison


def brief(fields: Fields | None) -> str:
    if fields is None:
        return "nothing"
    return f"{fields['error']}: {fields.get('message', '')}" if "error" in fields else fields["result"]


def differences(case: str, there: dict[str, Any] | None, here: dict[str, Any]) -> Iterator[Difference]:
    """Between what is to be, which is what `there` did, and what the case says that it expects; and what `here` did."""
    if "died" in here:
        yield Difference(case, "process", "lives", f"{here['died']}: {here['said']}")
        return
    expected: dict[str, Fields] = here["expected"]
    reference: dict[str, Fields] = {}
    if there is not None and "died" in there:
        yield Difference(case, "process", there["died"], "lives")
        reference = {label: here["outcomes"][label] for label in here["outcomes"] if label not in expected}
    elif there is not None:
        reference = there["outcomes"]
    for label in dict.fromkeys([*reference, *here["outcomes"], *expected]):
        mine, other = here["outcomes"].get(label), expected.get(label, reference.get(label))
        if mine is None or other is None or mine.get("error") != other.get("error"):
            yield Difference(case, label, brief(other), brief(mine))
            continue
        # Of what a case expects itself only the fields count that it names.
        for name in other if label in expected else dict.fromkeys([*other, *mine]):
            if other.get(name) != mine.get(name):
                yield Difference(case, f"{label}.{name}", str(other.get(name)), str(mine.get(name)))


def main() -> None:
    with open(sys.argv[1]) as file:
        page = file.read()
    runner = outcomes.python(os.path.join(outcomes.HERE, "run.py"))
    alone: dict[str, bool] = json.loads(subprocess.check_output([*runner, "list"]))
    wrong = rows_name_cases(page, list(alone))
    known = listed(page)
    used: dict[str, set[int]] = {side: set() for side in SIDES}

    twice = [name for name, is_alone in alone.items() if not is_alone]
    reference = outcomes.run([*runner, "stdlib"], twice, LIMIT)
    count = 0
    for side in SIDES:
        for name, here in outcomes.run([*runner, side], list(alone), LIMIT).items():
            count += len(here.get("outcomes", ()))
            for found in differences(name, reference.get(name), here):
                found = Difference(*map(shown, found))
                rows = {i for i, row in enumerate(known) if side in row.where and row.matches(found)}
                used[side] |= rows
                if not rows:
                    cells = "` | `".join(text if len(text) < 200 else text[:200] + "…" for text in found)
                    wrong.append(f"not listed, {side}: | `{cells}` |")
    for i, row in enumerate(known):
        gone = [side for side in row.where if i not in used[side]]
        if gone:
            wrong.append(f"listed, but no difference ({', '.join(gone)}): {row.difference}")
    print("\n".join(wrong))
    if wrong:
        sys.exit(f"{len(wrong)} things are wrong")
    print(f"{len(twice)} cases twice, {len(alone) - len(twice)} on the library alone")
    print(f"{count} outcomes, {len(known)} differences")


if __name__ == "__main__":
    main()
