# Runs in an interpreter that is to be closed: what is in the way, and how to have it end. See closing.rs.
import sys

# Idents of the threads in which asyncio's loops were seen to run.
loop_threads = set()
# Weak references to the event loops and the pools that were seen.
seen = []
# Threads that end by themselves once they are woken are told so often before anything is raised in them.
PATIENCE = 6


def look(time, stop, runs, frames, look_here):
    """What is still there, in words, and the idents of threads that are to be told to end.

    time is 0, or how many times runs were told to end, counted from 1, stop the same of threads. runs are the innermost
    frames of the runs that are in, frames those of all threads: None while runs are in. look_here raises an exception in
    a run that is to end."""
    found = ["a run at " + place(frame) for frame in runs]
    threading = sys.modules.get("threading")
    if threading is None:
        return found
    pools = sys.modules.get("concurrent.futures.thread")
    # Copies, and no lock: code that was interrupted may have left it locked.
    started = threading._active.copy()
    threads = [*started.values(), *threading._limbo.copy().values()]
    # Those that Python started, and that its end waits for.
    others = threading._MainThread, threading._DummyThread
    threads = [thread for thread in threads if not (thread._daemonic or type(thread) in others) and exists(thread)]
    if time:
        wake(time, stop, threading, pools, threads, look_here)
    places = {id(thread_of(frame, threading)): frame for frame in frames or ()}
    for thread in threads:
        frame = places.get(id(thread))
        queue = pools and pools._threads_queues.get(thread)
        if queue is not None and frame and frame.f_code is pools._worker.__code__ and queue.empty():
            continue  # It has nothing to do, and the end of the interpreter wakes it up.
        found.append(f"thread {thread._name!r}" + (f" at {place(frame)}" if frame else ""))
        # A thread that has not quite started would leave the one that starts it waiting. Those of pools and loops clean
        # up, and complain when something is raised meanwhile.
        cleans_up = queue is not None or thread._ident in loop_threads
        patience = PATIENCE if cleans_up else 0
        if stop > patience and started.get(thread._ident) is thread:
            found.append(thread._ident)
    return found


def exists(thread):
    """Code that was interrupted in Thread.start() leaves behind what no thread of the system belongs to, and in the last
    lines of a thread what has ended. As long as the code goes on, that is in the way itself."""
    try:
        handle = thread._os_thread_handle
        return handle.ident != 0 and not handle.is_done()
    except BaseException:
        return True  # It is of a kind of its own.


def place(frame):
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno} in {code.co_name}"


def thread_of(frame, threading):
    """The threading.Thread that has this frame innermost."""
    beginning = threading.Thread._bootstrap_inner.__code__
    while frame is not None:
        if frame.f_code is beginning:
            return frame.f_locals.get("self")
        frame = frame.f_back


def wake(time, stop, threading, pools, threads, look_here):
    """Nothing is raised in what sleeps in C code: timers, loops and pools are told in their own ways."""
    if stop:
        for thread in threads:
            if issubclass(type(thread), threading.Timer):
                thread.finished.set()
    loops = sys.modules.get("asyncio.base_events")
    if not (pools or loops):
        return
    # Looking through all objects takes a while, and nearly always once is enough.
    if time % 8 == 1 or stop % 8 == 1:
        try:
            find(loops, pools)
        except BaseException:
            pass  # No memory, or one that has no weak references.
    idents = {thread._ident for thread in threads}
    for thing in [reference() for reference in seen]:
        try:
            if loops and issubclass(type(thing), loops.BaseEventLoop):
                wake_loop(thing, time, stop, idents, look_here)
            elif pools and stop % 8 == 1 and issubclass(type(thing), pools.ThreadPoolExecutor):
                end_pool(thing)
        except BaseException:
            pass  # Not quite made, gone already, or of a kind of its own.


def find(loops, pools):
    import gc
    from _weakref import ref

    kinds = *([loops.BaseEventLoop] if loops else []), *([pools.ThreadPoolExecutor] if pools else [])
    seen[:] = [ref(thing) for thing in gc.get_objects() if issubclass(type(thing), kinds)]


def wake_loop(loop, time, stop, idents, look_here):
    if not loop.is_running():
        return
    loop_threads.add(loop._thread_id)
    if loop._thread_id in idents:
        if stop % 8 == 1:
            loop.call_soon_threadsafe(end_thread)
    # The loop of a run looks itself: it sleeps in asyncio.run()'s `with`, where others may not interrupt it. It was left in
    # the middle of its callbacks, maybe, and then sleeps in its end. That has some time first.
    elif time % 4 == 1:
        loop.call_soon_threadsafe(look_here)


def end_thread():
    raise SystemExit


def end_pool(pool):
    """Its shutdown(wait=False, cancel_futures=True), without the locks."""
    pool._shutdown = True
    queue = pool._work_queue
    while not queue.empty():
        item = queue.get_nowait()
        if item is not None:
            item.future.cancel()
    queue.put(None)
