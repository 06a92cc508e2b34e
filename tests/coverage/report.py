"""report.py LCOV: a table of what the tests have run, and docs/coverage.md. `tests/coverage/run` calls it.

Lines and branches of tests inside of src are left out: files of tests and models, and items that are there for tests alone.
Below the goal a file needs a reason, which `why` beside this file has; a reason that no file needs has to go.
"""

import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOAL = 92
TESTS = {"tests.rs", "model.rs", "bench.rs"}


def lines_of_tests(path):
    """The numbers of lines that are compiled for tests alone: items below a cfg that names `test`."""
    found, lines = set(), path.read_text().splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        text = line.strip()
        if text.startswith("#[cfg(") and "test" in text and "not(all(test" not in text and text.endswith("]"):
            indent = line[: len(line) - len(line.lstrip())]
            begin = number
            number += 1
            while lines[number].strip().startswith("#["):
                number += 1
            if not lines[number].rstrip().endswith(";"):
                while lines[number].rstrip() not in (indent + "}", indent + "};"):
                    number += 1
            found.update(range(begin + 1, number + 2))
        number += 1
    return found


def read(lcov):
    """For each file its lines, and its branches, with how often they were run."""
    lines, branches = defaultdict(dict), defaultdict(dict)
    file = None
    for record in lcov.read_text().splitlines():
        what, _, rest = record.partition(":")
        if what == "SF":
            file = rest
        elif what == "DA":
            number, count = map(int, rest.split(",")[:2])
            lines[file][number] = max(count, lines[file].get(number, 0))
        elif what == "BRDA":
            number, block, branch, count = rest.split(",")
            key = (int(number), block, branch)
            branches[file][key] = max(0 if count == "-" else int(count), branches[file].get(key, 0))
    return lines, branches


def percent(run, all_):
    return 100.0 * run / all_ if all_ else 100.0


def figures(lcov):
    """Each file of src with its lines, those that ran, its branches, those that ran, and the lines that did not."""
    lines, branches = read(lcov)
    rows = []
    for path in sorted((ROOT / "src").rglob("*.rs")):
        if path.name in TESTS or not lines.get(str(path)):
            continue
        left_out = lines_of_tests(path)
        own = {number: count for number, count in lines[str(path)].items() if number not in left_out}
        ways = {key: count for key, count in branches[str(path)].items() if key[0] not in left_out}
        if own:
            missed = sorted(number for number, count in own.items() if not count)
            name = str(path.relative_to(ROOT / "src"))
            rows.append((name, len(own), len(own) - len(missed), len(ways), sum(map(bool, ways.values())), missed))
    return rows


def page(total, rows, why):
    """docs/coverage.md."""
    line, branch = percent(total[1], total[0]), percent(total[3], total[2])
    text = f"""# Coverage

Written by `make coverage`. Its tests run {line:.1f} % of the {total[0]:,} lines of `src/` and {branch:.1f} % of its {total[2]:,}
branches. Tests inside of `src/` do not count. What other processes run counts: those of interpreters, forks, and what is killed.

Files of which less than {GOAL} % of the lines are run, and why:

| file | lines run | branches run | why |
|---|---|---|---|
"""
    for name, all_, run, ways, ways_run, _ in rows:
        if percent(run, all_) < GOAL:
            branch = f"{percent(ways_run, ways):.0f} %" if ways else ""
            text += f"| `{name}` | {run} of {all_}, {percent(run, all_):.0f} % | {branch} | {why.get(name, '')} |\n"
    return text


def main():
    rows = figures(Path(sys.argv[1]))
    why = dict(line.split(": ", 1) for line in Path(__file__).with_name("why").read_text().splitlines() if ": " in line)
    total = [sum(row[column] for row in rows) for column in (1, 2, 3, 4)]
    for name, all_, run, ways, ways_run, missed in rows:
        numbers = " ".join(map(str, missed)) if percent(run, all_) < GOAL else ""
        print(f"{name:42} {run:4} of {all_:4} {percent(run, all_):5.1f} %  {ways_run:4} of {ways:4} {percent(ways_run, ways):5.1f} %  {numbers}")
    print(f"{'all':42} {total[1]} of {total[0]} lines {percent(total[1], total[0]):.1f} %, "
          f"{total[3]} of {total[2]} branches {percent(total[3], total[2]):.1f} %")
    low = {row[0] for row in rows if percent(row[2], row[1]) < GOAL}
    wrong = [f"{name}: below {GOAL} % of its lines and without a reason in tests/coverage/why" for name in sorted(low - why.keys())]
    wrong += [f"{name}: has a reason in tests/coverage/why and needs none" for name in sorted(why.keys() - low)]
    if percent(total[1], total[0]) < GOAL:
        wrong.append(f"below {GOAL} % of all lines")
    print("\n".join(wrong), file=sys.stderr)
    (ROOT / "docs/coverage.md").write_text(page(total, rows, why))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
