//! The benchmarks run, every contender computes what it should, and nobody is left out without a reason. How fast they
//! are is not looked at.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{expect_success, library_folder, root, skipped};

/// The CPython with headers, which all contenders use.
fn python_with_headers() -> Option<PathBuf> {
    let output = Command::new(root().join("tools/get-python")).arg("gcc").output().expect("tools/get-python runs");
    if output.status.success() {
        return Some(PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim()));
    }
    skipped("the benchmarks", String::from_utf8_lossy(&output.stderr).trim());
    None
}

/// What the JSON file must look like: a figure or a reason for each line and contender. And what is made of it.
const CHECK: &str = r#"
import copy, json, math, sys
from xml.etree import ElementTree
sys.path.insert(0, sys.argv[1])
import chart, report
from bench import SIZES, summary
from work import CHART, GOALS, MEASUREMENTS, PAGES, TABLES
with open(sys.argv[2]) as file:
    results = json.load(file)
names = {name for columns, _ in TABLES.values() for name in columns}
unbuilt = {name for name in names if not any(name in line["contenders"] for line in results["lines"])}
assert unbuilt <= {"pybind11", "pybind11 kept"}, unbuilt
for line in results["lines"]:
    for name in TABLES[line["table"]][0]:
        figures = line["contenders"].get(name)
        if figures is None:
            assert line["missing"][name], (line["name"], name)
        else:
            assert all(map(math.isfinite, figures.values())), (line["name"], name, figures)
            assert line["ratio"][name] is not None, (line["name"], name)
    assert TABLES[line["table"]][0][0] in line["contenders"], line["name"]
    assert math.isfinite(line["others"]), line["name"]
found = {(line["name"], line["thread"]) for line in results["lines"]}
for measurement in MEASUREMENTS:
    measurement.prepare(SIZES["test"])
    for thread in measurement.threads:
        assert {(name, thread) for name, _ in measurement.lines} <= found, measurement.lines
assert len(results["goals"]) == sum(len(goal.threads) for goal in GOALS), results["goals"]

# The chart has all bars, and says in words what they show.
drawing = ElementTree.fromstring(chart.drawn(results))
tag = "{http://www.w3.org/2000/svg}"
expected = sum(name not in unbuilt for panel in CHART for _, name, _ in panel.bars)
assert len(drawing.findall(tag + "rect")) == expected + 1, expected
assert all(panel.title in drawing.find(tag + "desc").text for panel in CHART)
width, height = map(float, drawing.get("viewBox").split()[2:])
for text in drawing.findall(tag + "text"):
    assert float(text.get("y")) < height, text.text
    room = float(text.get("x")) if text.get("text-anchor") else width - float(text.get("x"))
    assert len(text.text) * (5.3 if text.get("class") == "small" else 6.5) < room, text.text

# The pages have all goals and lines.
for table, name in PAGES.items():
    page, part = report.page(open(f"{sys.argv[1]}/{name}.in").read(), results, table), report.of(table, results)
    assert "{{" not in page and page.count("\n| ") == len(part["goals"]) + len(part["lines"]) + 4, page

# How sure a figure is, and what the page says about the machine.
assert "between" not in summary([1.0, 2.0, 3.0])
steady, shaky = summary([100.0, 101.0] * 20), summary([100.0, 150.0] * 20)
assert report.figure(steady) == "100" and report.figure(shaky) == "~125", (steady, shaky)
assert summary(range(51))["between"] == [18, 32] and summary(range(51))["quartiles"] == [12, 38]
def told(others, figures):
    changed = copy.deepcopy(results)
    changed["others"] = others
    for line in changed["lines"]:
        line["others"] = others
        line["contenders"] = dict.fromkeys(line["contenders"], figures)
        line["limits"] = dict.fromkeys(line["limits"], figures)
    return report.quiet_machine(changed)
quiet, noisy = told(0, steady), told(results["cores"] / 2, shaky)
assert "next to no" in quiet and "to themselves" in quiet and "None of" in quiet, quiet
assert "50 % of all" in noisy and "less than what an idle machine shows" in noisy and "±" in noisy, noisy
"#;

#[test]
fn every_contender_computes_the_same() {
    let Some(python) = python_with_headers() else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    let json = folder.join("bench.json");
    let mut bench = Command::new(&python);
    bench.arg("-B").arg(root().join("benches/bench.py")).arg(library_folder()).arg(&folder).arg(&json);
    bench.args(["--size", "test"]).env_remove("VIRTUAL_ENV");
    let printed = expect_success(bench);
    for line in String::from_utf8_lossy(&printed.stderr).lines() {
        if let Some((what, why)) = line.strip_prefix("skipped: ").and_then(|rest| rest.split_once(": ")) {
            skipped(what, why);
        }
    }
    let mut check = Command::new(&python);
    check.args(["-B", "-c", CHECK]).arg(root().join("benches")).arg(&json);
    expect_success(check);
}
