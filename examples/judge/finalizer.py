# A __del__ that never ends, three times.
class Endless:
    def __del__(self):
        while True:
            pass


for _ in range(3):
    Endless()
