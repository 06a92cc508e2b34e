"""docs/performance.svg: the lines that matter, as bars. Each panel has a scale of its own, which begins at nothing."""

from xml.sax.saxutils import escape

from report import QUIET, UNSURE, figure, percent
from work import CHART

WIDTH, COLUMN, BAR, LABEL, LONGEST = 700, 340, 20, 118, 145
TOP, HEAD, GAP = 56, 40, 18  # of the chart, of a panel, below it

# Its own background, so that it can be read wherever it is shown; the greys keep 3:1 to it, the words 4.5:1.
STYLE = """
  text { font: 12px -apple-system, "Segoe UI", "Liberation Sans", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 } .work { font-weight: 600 } .small { font-size: 11px; fill: #59636e }
  .page { fill: #ffffff; stroke: #d1d9e0 } .subpy { fill: #0969da } .raw { fill: #59636e } .other { fill: #8c959f }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .small { fill: #9198a1 }
    .page { fill: #0d1117; stroke: #3d444d } .subpy { fill: #4493f8 } .raw { fill: #b1bac4 } .other { fill: #656c76 }
  }
"""


# The others are "other".
COLOURS = {"subpy": "subpy", "function": "subpy", "session": "subpy", "raw": "raw", "raw kept": "raw"}


def bars(panel, lines):
    """Label, colour and summary of each; those that could not be measured are left out."""
    for label, contender, name in panel.bars:
        summary = lines[name, panel.thread]["contenders"].get(contender)
        if summary:
            yield label, COLOURS.get(contender, "other"), summary


def scale(panel, lines, cores):
    """What its bars mean. Several threads at once are worth what they had: others may have taken a part of it."""
    line = lines[panel.bars[0][2], panel.thread]
    if line["unit"] != "× one":
        return f"{line['unit']}, shorter is better"
    taken = f" (others used {line['others']:.1f} of {cores} cores)" if line["others"] > QUIET * cores else ""
    return f"× one thread, longer is better{taken}"


def drawn_panel(panel, lines, cores, x, y):
    yield f'<text class="work" x="{x}" y="{y + 12}">{escape(panel.title)}</text>'
    yield f'<text class="small" x="{x}" y="{y + 28}">{scale(panel, lines, cores)}</text>'
    found = list(bars(panel, lines))
    most = max(summary["median"] for *_, summary in found) or 1
    for i, (label, colour, summary) in enumerate(found):
        top, length = y + HEAD + i * BAR, max(1, LONGEST * summary["median"] / most)
        yield f'<text x="{x + LABEL - 8}" y="{top + 12}" text-anchor="end">{escape(label)}</text>'
        yield f'<rect class="{colour}" x="{x + LABEL}" y="{top + 2}" width="{length:.1f}" height="{BAR - 6}" rx="2"/>'
        yield f'<text x="{x + LABEL + length + 6:.1f}" y="{top + 12}">{figure(summary)}</text>'


def described(panel, lines, cores):
    words = [f"{label} {figure(summary)}" for label, _, summary in bars(panel, lines)]
    return f"{panel.title}, {scale(panel, lines, cores)}: {', '.join(words)}"


def drawn(results):
    lines = {(line["name"], line["thread"]): line for line in results["lines"]}
    out, y, cores = [], TOP, results["cores"]
    for left, right in zip(CHART[::2], CHART[1::2]):
        out += drawn_panel(left, lines, cores, 20, y)
        out += drawn_panel(right, lines, cores, WIDTH - COLUMN + 10, y)
        y += HEAD + max(len(left.bars), len(right.bars)) * BAR + GAP
    words = [
        "raw: the C API by hand, with a fresh thread state for each call; kept: with one that the thread keeps.",
        "interpreters, pools: Python\u2019s own concurrent.interpreters, InterpreterPoolExecutor, ProcessPoolExecutor.",
    ]
    if any(figure(summary).startswith("~") for panel in CHART for *_, summary in bars(panel, lines)):
        words.append(f"~: may be off by more than {percent(UNSURE)}, so much did it vary on this machine.")
    small = [f'<text class="small" x="20" y="{y + 14 * i}">{escape(text)}</text>' for i, text in enumerate(words)]
    height = y + 14 * len(words) + 6
    about = f"CPython {results['python']}, {results['cpu']}, {cores} cores"
    return f"""<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc"
  width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">
<title id="title">subpy {results["subpy"]} beside the C API by hand and Python\u2019s own modules</title>
<desc id="desc">{escape(". ".join(described(panel, lines, cores) for panel in CHART))}.</desc>
<style>{STYLE}</style>
<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>
<text class="title" x="20" y="27">subpy beside the C API by hand and Python\u2019s own modules</text>
<text class="small" x="20" y="43">{escape(about)}</text>
{chr(10).join(out + small)}
</svg>
"""
