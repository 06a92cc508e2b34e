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

/// What the JSON file must look like: a figure or a reason for each line and contender.
const CHECK: &str = r#"
import json, math, sys
sys.path.insert(0, sys.argv[1])
from bench import SIZES
from work import CONTENDERS, GOALS, MEASUREMENTS
with open(sys.argv[2]) as file:
    results = json.load(file)
names = [name for name, *_ in CONTENDERS]
unbuilt = {name for name in names if all(name in line["missing"] for line in results["lines"])}
assert unbuilt <= {"pybind11", "pybind11 kept"}, unbuilt
for line in results["lines"]:
    for name in names:
        figures = line["contenders"].get(name)
        if figures is None:
            assert line["missing"][name], (line["name"], name)
        else:
            assert all(map(math.isfinite, figures.values())), (line["name"], name, figures)
            assert line["ratio"][name] is not None, (line["name"], name)
    assert "subpy" in line["contenders"], line["name"]
found = {(line["name"], line["thread"]) for line in results["lines"]}
for measurement in MEASUREMENTS:
    measurement.prepare(SIZES["test"])
    for thread in measurement.threads:
        assert {(name, thread) for name, _ in measurement.lines} <= found, measurement.lines
assert len(results["goals"]) == sum(len(goal.threads) for goal in GOALS), results["goals"]
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
