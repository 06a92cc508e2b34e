# It does not compile.
print("nothing of this is run"
