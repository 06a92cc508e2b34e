# Leaves generators, coroutines and asynchronous generators that do something when they are thrown away.
import host


def generator():
    try:
        yield
    finally:
        host.note()


async def coroutine():
    try:
        await waits()
    finally:
        host.note()


async def asynchronous():
    try:
        yield 1
    finally:
        host.note()


class waits:
    def __await__(self):
        yield


kept = [generator(), coroutine(), asynchronous().__anext__()]
next(kept[0]), kept[1].send(None)
