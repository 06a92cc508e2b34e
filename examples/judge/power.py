# A number with a hundred million digits: one operation, in C, that does not let go of the GIL.
10 ** 10**8
