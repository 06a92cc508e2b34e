"""The results as a table for the terminal, and as docs/performance.md."""

import textwrap
from statistics import median

from work import CONTENDERS, NAMES, TABLES

UNSURE = 0.05  # a figure is marked when its median may be off by more
QUIET = 0.02  # what others may use of the processors without a word


def number(value):
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f}"


def off_by(summary):
    """How far the median may be off, as a part of it; None when the rounds are too few to tell."""
    if "between" not in summary or summary["median"] == 0:
        return None
    low, high = summary["between"]
    return max(summary["median"] - low, high - summary["median"]) / summary["median"]


def figure(summary):
    return f"{'~' if (off_by(summary) or 0) > UNSURE else ''}{number(summary['median'])}"


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


def of(table, results):
    """What belongs to one of the tables."""
    parts = {key: [each for each in results[key] if each["table"] == table] for key in ("lines", "goals")}
    return {**results, **parts}


def rows(results, table):
    """A heading, and a row a line: the work, the thread, a figure a contender, two ratios."""
    marks = notes(results["lines"])
    columns, limits = TABLES[table]
    yield ["", "thread", *columns, *(f"{one} / {other}" for one, other in limits)]
    for line in results["lines"]:
        row = [named(line), line["thread"]]
        for name in columns:
            figures = line["contenders"].get(name)
            row.append(figure(figures) if figures else f"- ({marks[line['missing'][name]]})")
        for limit in line["limits"].values():
            row.append(figure(limit) if limit and line["unit"] else "-")
        yield row


def verdict(goal):
    words = [goal[key] for key in ("line", "thread", "what", "goal")]
    return [*words, number(goal["value"]), ("met" if goal["met"] else "missed") + (" ~" if goal["open"] else "")]


def percent(part):
    return f"{100 * part:.{0 if part >= 0.1 else 1}f}".removesuffix(".0") + " %"


def scatter(results):
    """What the rounds tell of the figures: sentences."""
    timed = [line for line in results["lines"]
             if line["unit"] == "µs" and "quartiles" in line["contenders"].get("raw", {})]
    if timed:
        raw = [line["contenders"]["raw"] for line in timed]
        middle = median((each["quartiles"][1] - each["quartiles"][0]) / each["median"] for each in raw)
        ratios = {f"{line['name']} ({line['thread']})": off_by(line["limits"]["subpy / raw"]) for line in timed}
        worst = max(ratios, key=ratios.get)
        yield f"In the median line of times the middle half of the rounds of `raw` spans {percent(middle)} of its time."
        yield (f"So there a time is known to ± {percent(median(map(off_by, raw)))}, and a ratio subpy / raw to "
               f"± {percent(median(ratios.values()))}; in the worst line, {worst}, to ± {percent(ratios[worst])}.")
    summaries = [each for line in results["lines"]
                 for each in [*line["contenders"].values(), *line["limits"].values()] if each]
    doubts = [off_by(each) or 0 for each in summaries if "between" in each]
    marked = sum(doubt > UNSURE for doubt in doubts)
    if doubts:
        yield (f"{marked or 'None'} of the {len(doubts)} figures of five rounds or more may be off by more than "
               f"{percent(UNSURE)}. These are marked with ~, as is a goal whose limit lies within what its figure leaves "
               "open.")
    if len(doubts) < len(summaries):
        yield f"{len(summaries) - len(doubts)} figures are of fewer rounds, which cannot tell."


def company(results):
    """What others did meanwhile, and which figures that spoils: sentences."""
    cores = results["cores"]
    others = results["others"] / cores
    share = "next to no" if others < QUIET else f"{percent(others)} of all"
    yield f"Others used {share} processor time meanwhile: other programs, and other virtual machines."
    together = [line["others"] for line in results["lines"] if line["unit"] == "× one"]
    if not together:
        return
    used = max(0, median(together))
    if used < QUIET * cores:
        yield "Several threads had all cores to themselves, so what they do together (× one) can be taken as it stands."
    else:
        yield (f"While several threads were measured, others used {used:.2f} of {cores} cores: what they do together "
               "(× one) is less than what an idle machine shows, and slowest / fastest says more about those others.")


def quiet_machine(results):
    return " ".join([*company(results), *scatter(results)])


def text(results):
    out = []
    for table in TABLES:
        part = of(table, results)
        if not part["lines"]:
            continue
        out += aligned(rows(part, table), 2)
        out += ["", *(f"({mark}) {why}" for why, mark in notes(part["lines"]).items()), ""]
        out += [*aligned(map(verdict, part["goals"]), 3), ""]
    return "\n".join([*out, *company(results), *scatter(results)])


def aligned(table, left):
    table = list(table)
    widths = [max(map(len, column)) for column in zip(*table)]
    sides = ["<" if i < left else ">" for i in range(len(widths))]
    return ["  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths)) for row in table]


def markdown(table, left):
    heading, *body = [[cell.replace("|", "\\|") for cell in row] for row in table]
    ruler = ["---" if i < left else "--:" for i in range(len(heading))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heading, ruler, *body])


def page(template, results, table):
    results = of(table, results)
    columns, _ = TABLES[table]
    goals = [["work", "thread", "what", "goal", "measured", ""], *map(verdict, results["goals"])]
    parts = {
        **{key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in results.items()},
        "contenders": "\n".join(f"- **{name}**: {what}" for name, _, _, what in CONTENDERS if name in columns),
        "quiet": textwrap.fill(quiet_machine(results), 120),
        "table": markdown(rows(results, table), 2),
        "notes": "\n".join(f"{mark}. {why}" for why, mark in notes(results["lines"]).items()),
        "goals": markdown(goals, 3),
    }
    for key, value in parts.items():
        template = template.replace("{{" + key + "}}", value)
    return template
