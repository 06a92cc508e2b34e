import collections
import re


def words(text):
    """The words of a text, the most frequent ones first."""
    if not text.strip():
        raise ValueError('there is no text')
    count = collections.Counter(re.findall(r'\w+', text.casefold()))
    return [{'text': word, 'count': n} for word, n in sorted(count.items(), key=lambda item: (-item[1], item[0]))]
