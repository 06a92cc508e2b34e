# What packages that are installed can be imported as, and their versions: JSON. The arguments are names of packages.

import datetime
import json
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution

# The most that a package is imported as, and the most of its extension modules that are tried.
MOST, MOST_EXTENSIONS = 5, 50
BESIDE = {"benchmarks", "doc", "docs", "examples", "scripts", "setup", "test", "testing", "tests"}


def squeezed(text):
    return re.sub("[^a-z0-9]", "", text.lower())


def modules(name, files):
    packages, others = set(), set()
    for file in files:
        *folders, last = file.parts
        stem, *_, suffix = [*last.split("."), ""][: last.count(".") + 1] if "." in last else (last, "")
        path = (*folders, stem)
        if suffix not in ("py", "so") or not all(part.isidentifier() for part in path):
            continue
        if stem == "__init__":
            packages.add(tuple(folders))
        else:
            others.add(path)
    packages.discard(())

    def is_inside(path):
        return any(path[:length] in packages for length in range(1, len(path)))

    found = {path for path in packages if not is_inside(path)} | {path for path in others if len(path) == 1}
    # All of it lies in namespaces.
    found = found or {path for path in others if not is_inside(path)}
    public = {path for path in found if path[0] not in BESIDE and not any(part.startswith("_") for part in path)}
    found = public or found
    key = squeezed(name)
    named = {path for path in found if key in (squeezed(path[-1]), squeezed("".join(path)))}
    chosen = sorted(named or found, key=lambda path: (len(path), path))
    return [".".join(path) for path in chosen[:MOST]]


def extensions(files):
    found = set()
    for file in files:
        *folders, last = file.parts
        path = (*folders, last.split(".")[0])
        if last.endswith(".so") and all(part.isidentifier() and "test" not in part for part in path):
            found.add(".".join(path))
    return sorted(found)[:MOST_EXTENSIONS]


def about(name):
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    files = found.files or ()
    return {"version": found.version, "modules": modules(name, files), "extensions": extensions(files)}


print(json.dumps({
    "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    "packages": {name: about(name) for name in sys.argv[1:]},
}))
