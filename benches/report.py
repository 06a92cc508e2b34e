"""The results as a table for the terminal, and as docs/performance.md."""

from work import CONTENDERS

NAMES = [name for name, *_ in CONTENDERS]


def number(value):
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f}"


def named(line):
    """What a line is called in a table."""
    unit = f", {line['unit']}" if line["unit"] else ""
    return line["name"] + unit


def notes(lines):
    """Why there is no figure, each reason once, in the order in which they come up."""
    found = {}
    for line in lines:
        for name in NAMES:
            if name in line["missing"]:
                found.setdefault(line["missing"][name], len(found) + 1)
    return found


def rows(results):
    """A heading, and a row a line: the work, the thread, a figure a contender, two ratios."""
    marks = notes(results["lines"])
    yield ["", "thread", *NAMES, "subpy / raw", "session / raw kept"]
    for line in results["lines"]:
        row = [named(line), line["thread"]]
        for name in NAMES:
            figures = line["contenders"].get(name)
            row.append(number(figures["median"]) if figures else f"- ({marks[line['missing'][name]]})")
        limits = line["limits"] if line["unit"] else dict.fromkeys(line["limits"])
        yield [*row, number(limits["subpy / raw"]), number(limits["session / raw kept"])]


def verdict(goal):
    words = [goal[key] for key in ("line", "thread", "what", "goal")]
    return [*words, number(goal["value"]), "met" if goal["met"] else "missed"]


def text(results):
    out = aligned(rows(results), 2)
    out += ["", *(f"({mark}) {why}" for why, mark in notes(results["lines"]).items()), ""]
    out += aligned(map(verdict, results["goals"]), 3)
    return "\n".join(out)


def aligned(table, left):
    table = list(table)
    widths = [max(map(len, column)) for column in zip(*table)]
    sides = ["<" if i < left else ">" for i in range(len(widths))]
    return ["  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths)) for row in table]


def markdown(table, left):
    heading, *body = [[cell.replace("|", "\\|") for cell in row] for row in table]
    ruler = ["---" if i < left else "--:" for i in range(len(heading))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heading, ruler, *body])


def page(template, results):
    goals = [["work", "thread", "what", "goal", "measured", ""], *map(verdict, results["goals"])]
    parts = {
        "contenders": "\n".join(f"- **{name}**: {what}" for name, _, _, what in CONTENDERS),
        "table": markdown(rows(results), 2),
        "notes": "\n".join(f"{mark}. {why}" for why, mark in notes(results["lines"]).items()),
        "goals": markdown(goals, 3),
        **{key: str(value) for key, value in results.items() if key not in ("lines", "goals")},
    }
    for key, value in parts.items():
        template = template.replace("{{" + key + "}}", value)
    return template
