# Has the hooks for asynchronous generators raise, and leaves coroutines that were never awaited.
import sys


def hook(*_):
    raise RuntimeError("hooked")


sys.set_asyncgen_hooks(hook, hook)
sys.set_coroutine_origin_tracking_depth(2**31 - 1)


async def never():
    yield


async def awaited():
    pass


kept = awaited()
never().__aiter__()
try:
    never().asend(None).send(None)
except RuntimeError:
    pass
