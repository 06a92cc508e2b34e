# Leaves objects a million deep: lists, dicts, tuples, generators, exceptions, which are freed at the end.
lists, dicts, tuples, links = [], {}, (), None


class Link:
    def __init__(self, next):
        self.next = next

    def __del__(self):
        pass


for _ in range(1_000_000):
    lists, dicts, tuples = [lists], {1: dicts}, (tuples,)
for _ in range(200_000):
    links = Link(links)
