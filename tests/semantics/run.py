"""run.py list: the names of all cases, and which run on the library alone.
run.py SIDE RESULTS CASE...: runs these cases on a side, and writes a line of JSON for each to the file RESULTS.

The line is written when the case has ended; before, there is one that says that it has begun. So whoever started this
knows in which case it died. A case that takes longer than LIMIT ends the process, with a traceback of its threads.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from cases import CASES
from sides import SIDES

LIMIT = 60  # seconds


def main() -> None:
    if sys.argv[1:] == ["list"]:
        print(json.dumps({name: case.alone for name, case in CASES.items()}))
        return
    kind, path, *names = sys.argv[1:]
    with open(path, "a") as results:
        for name in names:
            print(json.dumps({"begins": name}), file=results, flush=True)
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            side = SIDES[kind]()
            try:
                CASES[name].function(side)
            finally:
                side.finish()
            faulthandler.cancel_dump_traceback_later()
            outcome = {"ended": name, "outcomes": side.outcomes, "expected": side.expected}
            print(json.dumps(outcome), file=results, flush=True)
    if kind != "stdlib":
        import subpy

        subpy.shutdown()


if __name__ == "__main__":
    main()
