"""What the workers of the demo serve, beside census. Each result can be computed elsewhere."""

import collections
import hashlib
import os
import time


def digest(text, rounds):
    """SHA-256 of SHA-256 of ... of a text."""
    value = text.encode()
    for _ in range(rounds):
        value = hashlib.sha256(value).digest()
    return value.hex()


def primes(below):
    """How many prime numbers are smaller."""
    sieve = bytearray([1]) * max(below, 2)
    sieve[:2] = 0, 0
    for n in range(2, int(below**0.5) + 1):
        if sieve[n]:
            sieve[n * n :: n] = bytes(len(range(n * n, len(sieve), n)))
    return sum(sieve[:below])


def words(text, *, at_least=1):
    """How often each word occurs that occurs so often."""
    return {word: n for word, n in collections.Counter(text.split()).items() if n >= at_least}


def pause(seconds):
    """Takes longer than the server waits for an acknowledgement."""
    time.sleep(seconds)
    return seconds


def refuse(number):
    """Raises an exception."""
    raise ValueError(f"{number} is refused")


def crash():
    """Ends the process of its interpreter."""
    os.abort()
