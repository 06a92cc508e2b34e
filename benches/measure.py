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

    def met(self, value):
        return value <= self.at_most if self.at_least is None else value >= self.at_least


class Measurement:
    threads = ("main", "worker")
    alone = False  # needs a process that did nothing before
    mapped = False  # with 3,000 more mappings

    def prepare(self, size):
        pass

    def measure(self, contender, thread, size):
        """The figures, one a line; None when the contender cannot do it."""
        raise NotImplementedError


class Time(Measurement):
    """Microseconds a piece of work."""

    def __init__(self, name, work, result, mapped=False):
        self.lines = [(name, "µs")]
        self.work, self.result, self.mapped = work, result, mapped
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
        return [self.run(contender, thread, self.counts[key])]


class Cycle(Measurement):
    """Milliseconds to create an interpreter, and to close it after exec("x = 1")."""

    def __init__(self, create, close, mapped=False):
        self.lines = [(create, "ms"), (close, "ms")]
        self.mapped = mapped

    def measure(self, contender, thread, size):
        return [time / size.cycles / 1e6 for time in contender.ask(f"cycle {thread} {size.cycles}")]


class Memory(Measurement):
    threads = ("main",)
    alone = True

    def __init__(self, name):
        self.lines = [(name, "MiB")]

    def measure(self, contender, thread, size):
        contender.ask("hold 1")
        before = contender.memory()
        contender.ask(f"hold {size.held}")
        return [(contender.memory() - before) / size.held / 2**20]


class Left(Measurement):
    threads = ("main",)
    alone = True

    def __init__(self, name):
        self.lines = [(name, "KiB")]

    def measure(self, contender, thread, size):
        contender.ask(f"cycle main {max(1, size.left // 20)}")
        before = contender.memory()
        contender.ask(f"cycle main {size.left}")
        return [(contender.memory() - before) / size.left / 1024]


class Parallel(Measurement):
    """What threads do together, as a multiple of what one does, and how evenly it is shared out among them."""

    threads = ("worker",)
    KINDS = {"wait": "one that waits", "share": "one that is shared"}

    def __init__(self, name, work, kind="own"):
        self.name, self.work, self.kind = name, work, kind

    def prepare(self, size):
        self.counts = [count for count in size.parallel if count > 1] if self.kind == "own" else [8]
        self.lines = [(f"{self.name}, 1 thread", "1,000/s")] if self.kind == "own" else []
        for count in self.counts:
            where = f"{count} interpreters" if self.kind == "own" else f"{count} threads, {self.KINDS[self.kind]}"
            self.lines += [(f"{self.name}, {where}", "× one"), (f"{self.name}, {where}: slowest / fastest", "")]

    def run(self, contender, count, ms):
        answer = contender.ask(f"parallel {self.work} {self.kind} {count} {ms}")
        if answer is None:
            return None
        result, total, least, most, time = answer
        if result < 0:
            raise SystemExit(f"{contender.name}: {self.work} gave different results")
        return total / time * 1e6, least / most

    def measure(self, contender, thread, size):
        one = self.run(contender, 1, size.parallel_ms)
        if one is None:
            return None
        figures = [one[0]] if self.kind == "own" else []
        for count in self.counts:
            together, evenly = self.run(contender, count, size.parallel_ms * (4 if count > 8 else 1))
            figures += [together / one[0], evenly]
        return figures
