# A regular expression that backtracks through all the ways to split a text: in C, with the GIL.
import re

re.match(r"(a+)+$", "a" * 60 + "b")
