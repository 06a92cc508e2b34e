"""What is computed from an access log in CSV: requests, errors, bytes and response times of each route.

The contenders have these functions in common: digest() for a chunk of lines, collect() for what it has returned.
"""

import csv
from collections import Counter
from itertools import accumulate


def digest(chunk):
    """A chunk of whole lines, as anything that has bytes: of each route errors, bytes, and how often it took how long."""
    routes = {}
    for _time, method, route, status, size, ms, _agent in csv.reader(str(chunk, "utf-8").splitlines()):
        key = f"{method} {route}"
        if (found := routes.get(key)) is None:
            found = routes[key] = [0, 0, []]
        found[0] += status >= "500"
        found[1] += int(size)
        found[2].append(ms)
    return {key: (errors, size, {int(ms): count for ms, count in Counter(times).items()})
            for key, (errors, size, times) in routes.items()}


def collect(digests):
    """Adds them up, and returns a line of text for each route."""
    routes = {}
    for digest in digests:
        for key, (errors, size, times) in digest.items():
            found = routes.setdefault(key, [0, 0, Counter()])
            found[0] += errors
            found[1] += size
            found[2].update(times)
    return [line(key, *found) for key, found in sorted(routes.items())]


def line(key, errors, size, times):
    """Requests, errors, bytes; then milliseconds: the least, the mean, percentiles, the most."""
    ordered = sorted(times.items())
    reached = list(accumulate(count for _, count in ordered))
    requests = reached[-1]

    def percentile(part):
        return next(ms for (ms, _), count in zip(ordered, reached) if count * 100 >= requests * part)

    mean = sum(ms * count for ms, count in ordered) / requests
    return (f"{key:24}{requests:>10}{errors:>8}{size:>14}{ordered[0][0]:>6}{mean:>8.1f}{percentile(50):>6}"
            f"{percentile(95):>6}{percentile(99):>6}{ordered[-1][0]:>6}")


def analyse(chunks):
    """All of it in one interpreter."""
    return collect(map(digest, chunks))


def work(chunk, digests):
    """A task of subpy's pool: the digest goes into a queue, to the interpreter that collects them."""
    digests.put(digest(chunk))


def work_on(place):
    """A task of a process that reads its chunk itself."""
    path, offset, size = place
    with open(path, "rb") as file:
        file.seek(offset)
        return digest(file.read(size))
