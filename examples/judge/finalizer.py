# A __del__ that never ends, and then the next one.
class Endless:
    def __del__(self):
        while True:
            pass


while True:
    Endless()
