# A line that nobody will type.
input()
