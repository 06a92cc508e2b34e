# It reads from a standard input that is at its end.
name = input("your name? ")
