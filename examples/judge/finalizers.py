# A __del__ that never ends, and always one more of them: what is raised in one is lost.
class Endless:
    def __del__(self):
        while True:
            pass


while True:
    Endless()
