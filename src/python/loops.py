# Runs once in an interpreter, when something is awaited for the first time. See loops.rs.
import asyncio
import sys
import types


class Loop:
    """An event loop that is kept, and the task of the run that is on it."""

    def __init__(self, fd, on_wake):
        # On Windows only this one watches descriptors, which are sockets there.
        self.loop = asyncio.SelectorEventLoop() if sys.platform == "win32" else asyncio.new_event_loop()
        self.run = self.loop.run_forever
        self.on_wake = on_wake
        self.task = None
        self.loop.add_reader(fd, self.wake)

    def begin(self, awaitable):
        """The task that run() is to run to its end. None when there is a loop already that it would stand in the way of."""
        if asyncio._get_running_loop() is not None:
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            return None
        self.task = asyncio.ensure_future(awaitable, loop=self.loop)
        self.task.add_done_callback(self.stop)
        return self.task

    def stop(self, task):
        self.loop.stop()

    def wake(self):
        """The library has woken the loop: its run may have to end."""
        todo = self.on_wake()
        if todo == 1 and self.task is not None:
            self.task.cancel()
        elif todo:
            self.loop.stop()

    def unfinished(self, is_to_end):
        """The exception that says so of the task."""
        self.task.remove_done_callback(self.stop)
        if not is_to_end:
            return RuntimeError("Event loop stopped before Future completed.")
        frames = []
        coroutine = self.task.get_coro() if isinstance(self.task, asyncio.Task) else None
        while frame := getattr(coroutine, "cr_frame", None):
            frames.append(frame)
            coroutine = coroutine.cr_await
        place = None
        for frame in reversed(frames):
            place = types.TracebackType(place, frame, frame.f_lasti, frame.f_lineno)
        return KeyboardInterrupt().with_traceback(place)

    def wind_up(self, milliseconds):
        """End what is left on the loop, as asyncio.Runner does; within so many milliseconds, if that is not None."""
        loop = self.loop
        self.task = None
        if milliseconds is not None:
            loop.call_later(milliseconds / 1000, loop.stop)
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        if milliseconds is None:
            loop.run_until_complete(loop.shutdown_default_executor())

    def close(self):
        loop = self.loop
        self.task = None
        # An exception can have come while the loop was being left.
        if asyncio._get_running_loop() is loop:
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(None, None)
        if loop.is_running():
            loop._thread_id = None
        # Nobody can do anything about those that have not ended.
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False
        loop.close()
