"""The kinds of measurements. Each has lines of the table, `(name, unit)`, and asks a contender for their figures."""

from dataclasses import dataclass


@dataclass
class Goal:
    line: str
    threads: tuple
    contender: str
    of: str | None
    at_most: float | None = None
    at_least: float | None = None
    best: bool = False  # of the rounds, instead of the median

    def met(self, value):
        return value <= self.at_most if self.at_least is None else value >= self.at_least


@dataclass
class Panel:
    """Of the chart: bars of one unit."""

    title: str
    bars: list  # label, contender, line
    thread: str = "worker"


class Measurement:
    table = "calls"
    threads = ("main", "worker")
    share = 1.0  # of the rounds; less for what takes long
    alone = False  # needs a process that did nothing before
    all_cores = False  # worthless while others compute
    mapped = False  # with 3,000 more mappings

    def prepare(self, size):
        pass

    def finish(self, lines):
        """All rounds are over."""

    def measure(self, contender, thread, size):
        """The figures, one a line; None when the contender cannot do it."""
        raise NotImplementedError


class Time(Measurement):
    """Microseconds a piece of work; if it is calls, of each."""

    def __init__(self, name, work, result, mapped=False, calls=1):
        self.lines = [(name, "µs")]
        self.work, self.result, self.mapped, self.calls = work, result, mapped, calls
        self.counts = {}

    def run(self, contender, thread, count):
        result, time = contender.ask(f"time {self.work} {thread} {count}")
        if result != self.result:
            raise SystemExit(f"{contender.name}: {self.work} gave {result} and not {self.result}")
        return time / count / 1000

    def measure(self, contender, thread, size):
        key = contender.name, thread
        if key not in self.counts:  # as many as fill a batch; the second try is with warm caches
            count = 1
            for _ in range(2):
                count = max(1, int(size.batch_us / self.run(contender, thread, count)))
            self.counts[key] = count
        return [self.run(contender, thread, self.counts[key]) / self.calls]


class Data(Time):
    """The same of the second table. What takes long is done once in a round, in fewer rounds."""

    table = "data"
    threads = ("worker",)
    all_cores = True

    def __init__(self, name, work, result, calls=1, long=False):
        super().__init__(name, work, result, calls=calls)
        self.long = long
        self.share = 1 / 5 if long else 1.0

    def measure(self, contender, thread, size):
        if self.long:
            return [self.run(contender, thread, 1) / self.calls]
        return super().measure(contender, thread, size)


class OfProcesses(Data):
    """The same of the third table."""

    table = "processes"


class Cycle(Measurement):
    """Milliseconds to create an interpreter, and to close it after exec("x = 1")."""

    share = 1 / 3

    def __init__(self, create, close, mapped=False, two=False):
        self.lines = [(create, "ms"), (close, "ms")]
        self.mapped, self.two = mapped, two
        if two:
            self.threads = ("worker",)

    def measure(self, contender, thread, size):
        thread = "two" if self.two else thread
        return [time / size.cycles / 1e6 for time in contender.ask(f"cycle {thread} {size.cycles}")]


class Cancels(Measurement):
    """Microseconds from the begin of a cancel until what was cancelled is over."""

    share = 1 / 10
    all_cores = True
    threads = ("worker",)

    def __init__(self, name, function):
        self.function = function
        self.lines = [(f"{name}, median", "µs"), (f"{name}, 99 %", "µs")]

    def measure(self, contender, thread, size):
        return [time / 1000 for time in contender.ask(f"cancel {self.function} {size.cancels}")]


class Memory(Measurement):
    share = 1 / 20
    threads = ("main",)
    alone = True

    def __init__(self, name):
        self.lines = [(name, "MiB")]

    def measure(self, contender, thread, size):
        contender.ask("hold 1")
        before = contender.memory()
        contender.ask(f"hold {size.held}")
        return [(contender.memory() - before) / size.held / 2**20]


class OfOneProcess(Memory):
    table = "processes"


class Left(Measurement):
    share = 0
    threads = ("main",)
    alone = True

    def __init__(self, name):
        self.lines = [(name, "KiB")]

    def measure(self, contender, thread, size):
        contender.ask(f"cycle main {min(50, size.left)}")  # until the allocator has what it needs
        before = contender.memory()
        contender.ask(f"cycle main {size.left}")
        return [(contender.memory() - before) / size.left / 1024]


class Parallel(Measurement):
    """What threads do together, as a multiple of what one does, and how evenly it is shared out among them."""

    share = 1 / 6
    all_cores = True
    threads = ("worker",)
    KINDS = {"own": "", "wait": ", one that waits", "share": ", one that is shared"}

    def __init__(self, name, work, kind="own"):
        self.name, self.work, self.kind = name, work, kind
        if kind == "wait":
            self.share = 1 / 10

    def prepare(self, size):
        self.counts = size.parallel if self.kind == "own" else (1, 8)
        self.lines = []
        for count in self.counts:
            what = "interpreters" if self.kind == "own" else "threads"
            name = f"{self.name}, {count} {what if count > 1 else what[:-1]}{self.KINDS[self.kind]}"
            self.lines.append((name, "× one" if count > 1 else "1,000/s"))
            if count > 1:
                self.lines.append((f"{name}: slowest / fastest", ""))

    def measure(self, contender, thread, size):
        figures = []
        for count in self.counts:
            ms = size.parallel_ms * max(1, count // 8)
            if count > 1 and self.kind == "wait":  # fair is what is fair in a while
                ms = size.waiting_ms
            answer = contender.ask(f"parallel {self.work} {self.kind} {count} {ms}")
            if answer is None:
                return None
            result, total, least, most, time = answer
            if result < 0:
                raise SystemExit(f"{contender.name}: {self.work} gave different results")
            figures.append(total / time * 1e6)
            if count > 1:
                figures.append(least / most if most else 1.0)
        return figures

    def finish(self, lines):
        """Multiples of what one thread does in its best round: whatever disturbs that one would look like a gain."""
        for name, rounds in lines[0]["rounds"].items():
            for line in lines:
                if line["unit"] == "× one":
                    line["rounds"][name] = [figure / max(rounds) for figure in line["rounds"][name]]


class Waits(Measurement):
    """Milliseconds: of the longest calls of each of 8 threads on one interpreter in each tenth of a second."""

    share = 0
    all_cores = True
    threads = ("worker",)

    def __init__(self, name, work):
        self.work = work
        self.lines = [(f"{name}, 8 threads, one that waits: longest wait, {part}", "ms")
                      for part in ("median", "99 %", "maximum")]

    def measure(self, contender, thread, size):
        answer = contender.ask(f"waits {self.work} wait 8 {size.waits_ms}")
        if answer is None:
            return None
        result, *times = answer
        if result < 0:
            raise SystemExit(f"{contender.name}: {self.work} gave different results")
        return [time / 1e6 for time in times]
