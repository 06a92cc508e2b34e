"""check.py PAGE FOLDER: runs CPython's own tests of concurrent.interpreters with the library in its place.

Each class of tests has a process of its own. Its Python is that of a virtual environment in FOLDER, so that processes
and interpreters that the tests start have the library, too. PAGE lists the tests that do not apply, with the reason:
they have to fail, and all others to pass.
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import compare
import outcomes
import subpy

LIMIT = 300  # seconds for the tests of a class


def environment(folder):
    """A virtual environment in which `concurrent.interpreters` is the one beside this file. The path of its Python."""
    site = os.path.join(folder, "lib", f"python3.{sys.version_info[1]}", "site-packages")
    for path in (os.path.join(folder, "bin"), site):
        os.makedirs(path)
    python = os.path.join(folder, "bin", "python3")
    os.symlink(sys.executable, python)
    with open(os.path.join(folder, "pyvenv.cfg"), "w") as file:
        file.write(f"home = {os.path.dirname(sys.executable)}\n")
    with open(os.path.join(site, "semantics.pth"), "w") as file:
        package = os.path.dirname(os.path.dirname(subpy.__file__))
        file.write(
            f"{package}\nimport concurrent; concurrent.__path__.insert(0, {os.path.join(HERE, 'concurrent')!r})\n"
        )
    return python


def listed(page):
    """The tests that do not apply."""
    found = []
    for header, rows in compare.tables(page):
        if header == ["test", "why"]:
            assert all(row[1] for row in rows), "each has a reason"
            found += [f"test.test_interpreters.{compare.codes(row[0])[0]}" for row in rows]
    return set(found)


def main():
    with open(sys.argv[1]) as file:
        page = file.read()
    del os.environ["PYTHONPATH"]  # all have it from the environment
    runner = [environment(sys.argv[2]), "-B", os.path.join(HERE, "run.py")]
    names, module = json.loads(subprocess.check_output([*runner, "list"]))
    assert module.startswith(HERE), f"the tests would be about {module}"
    classes = {}
    for name in names:
        classes.setdefault(name.rpartition(".")[0], []).append(name)
    expected, found = listed(page), {}
    for tests in classes.values():
        found |= outcomes.run(runner, tests, LIMIT)
    wrong, counts = [], {"passed": 0, "do not apply": 0, "skipped": 0}
    for name, line in found.items():
        if "died" in line:  # a crash or a hang is never what is expected
            wrong.append(f"{name}: {line['died']}\n{line['said']}")
        elif line["outcome"] == "ok" or line["outcome"].startswith("skipped: "):
            counts["passed" if line["outcome"] == "ok" else "skipped"] += 1
            if line["outcome"] != "ok":
                print(f"skipped by CPython's own test: {name}: {line['outcome'].removeprefix('skipped: ')}")
            if name in expected:
                wrong.append(f"{name} is listed, but it passes or is skipped")
        elif name in expected:
            counts["do not apply"] += 1
        else:
            wrong.append(f"{name}\n{line['outcome']}")
    wrong += [f"{name} is listed, but there is no such test" for name in expected - found.keys()]
    print("\n".join(wrong))
    if wrong:
        sys.exit(f"{len(wrong)} things are wrong")
    print(", ".join(f"{count} {what}" for what, count in counts.items()))


if __name__ == "__main__":
    main()
