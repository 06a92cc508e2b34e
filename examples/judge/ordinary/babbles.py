# More output than anybody wants to see.
for number in range(20_000):
    print("line", number)
