# A recursion that goes as deep as it may, again and again.
def deeper():
    deeper()


while True:
    try:
        deeper()
    except RecursionError:
        pass
