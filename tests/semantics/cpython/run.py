"""run.py list: the ids of CPython's tests of concurrent.interpreters, and the file that they are about.
run.py RESULTS ID...: runs these tests, and writes lines of JSON as the runner of the cases does.
"""

import faulthandler
import json
import sys
import traceback
import unittest
from concurrent import interpreters

from test import support

LIMIT = 60  # seconds for a test
MEMORY = 8 << 30  # what they may use; they use a tenth of what they say
PARTS = (
    "test_api",
    "test_lifecycle",
    "test_queues",
    "test_stress",
)  # not test_channels: of a module that the library has not


def tests(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests(test)
        else:
            yield test


class Outcome(unittest.TestResult):
    """The outcome of one test, in a text: "ok", "skipped: ..." or what failed, its subtests too."""

    def text(self):
        failed = [text for _, text in self.failures + self.errors]
        if failed:
            return "\n".join(failed)
        return "; ".join(f"skipped: {why}" for _, why in self.skipped) or "ok"


def main():
    support.max_memuse = support.real_max_memuse = MEMORY
    names = [f"test.test_interpreters.{part}" for part in PARTS]
    found = {test.id(): test for test in tests(unittest.defaultTestLoader.loadTestsFromNames(names))}
    if sys.argv[1:] == ["list"]:
        # What cannot be imported is a test that fails, too.
        print(json.dumps([list(found), interpreters.__file__]))
        return
    with open(sys.argv[1], "a") as results:
        for name in sys.argv[2:]:
            print(json.dumps({"begins": name}), file=results, flush=True)
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            outcome = Outcome()
            try:
                found[name].run(outcome)
                text = outcome.text()
            except BaseException:
                text = traceback.format_exc()
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps({"ended": name, "outcome": text}), file=results, flush=True)


if __name__ == "__main__":
    main()
