import collections

def main(path):
    with open(path, encoding="utf-8") as file:
        words = collections.Counter(file.read().lower().split())
    return dict(words.most_common(3))
