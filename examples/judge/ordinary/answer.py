# It ends, and has printed.
print("the answer is", 6 * 7)
