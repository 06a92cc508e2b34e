# Reads its own process as a profiler does.
import os

from _remote_debugging import RemoteUnwinder

for every in True, False:
    unwinder = RemoteUnwinder(os.getpid(), all_threads=every)
    for look in unwinder.get_stack_trace, unwinder.get_all_awaited_by:
        for _ in range(100):
            try:
                repr(look())
            except Exception as error:
                repr(error)
