# A loop that catches whatever is raised to end it, for a while.
for attempt in range(5):
    try:
        while True:
            pass
    except BaseException:
        continue
