# Leaves objects a hundred thousand deep: lists, dicts, tuples, generators, exceptions, which are freed at the end.
lists, dicts, tuples, links = [], {}, (), None


class Link:
    def __init__(self, next):
        self.next = next

    def __del__(self):
        pass


for _ in range(100_000):
    lists, dicts, tuples = [lists], {1: dicts}, (tuples,)
for _ in range(50_000):
    links = Link(links)
