"""What CPython itself has for data: queues, large bytes, pools of two. Each work is done `count` times."""

import queue
from concurrent import interpreters
from threading import Thread
from time import perf_counter_ns

import guest

TASKS = 1000


class Data:
    def __init__(self, mode, pool):
        self.mode, self.pool = mode, pool
        self.wires, self.threads = {}, []
        self.blob = self.two = self.memory = None
        self.not_counted = 0
        works = [self.queue_host, self.queue_pair, self.buffer_in, self.buffer_out, self.bytes_in, self.bytes_out]
        works += [self.task, self.tasks_1000, self.map_1000, self.task_alone, self.mix, self.async_2]
        works += [self.first, self.copied, self.shared, self.filled]
        self.works = {work.__name__: work for work in works}

    def end(self):
        for there, _ in self.wires.values():
            there.put(None)
        for thread in self.threads:
            thread.join()
        if self.two is not None:
            self.two.close()
        if self.memory is not None:
            self.memory.end()

    def wired(self, name):
        """Two queues, and one more interpreter, or thread, that sends back what comes."""
        if name not in self.wires:
            create = interpreters.create_queue if self.mode == "interpreters" else queue.Queue
            there, back = self.wires[name] = create(), create()
            if self.mode == "interpreters":
                self.threads.append(Thread(target=interpreters.create().call, args=(guest.echo, there, back)))
            else:
                self.threads.append(Thread(target=guest.echo, args=(there, back)))
            self.threads[-1].start()
        return self.wires[name]

    def queue_host(self, at, count):
        return guest.ping(*self.wired("host"), count)

    def queue_pair(self, at, count):
        return at.call(guest.ping, *self.wired("pair"), count)

    def bytes_in(self, at, count):
        self.blob = self.blob or b"\1" * (100 << 20)
        return self.many(at, guest.length, self.blob, count)

    def buffer_in(self, at, count):
        self.blob = self.blob or b"\1" * (100 << 20)
        return self.many(at, guest.length, memoryview(self.blob), count)

    @staticmethod
    def many(at, function, argument, count):
        for _ in range(count):
            result = at.call(function, argument)
        return result

    def bytes_out(self, at, count):
        for _ in range(count):
            result = at.call(guest.blob)
        return len(result) + result[-1]

    def buffer_out(self, at, count):
        for _ in range(count):
            result = at.call(guest.blob_view)
        return len(result) + result[-1]

    def pool_of_2(self):
        if self.two is None:
            self.two = self.pool(2)
            self.tasks(self.two)
        return self.two

    def task(self, at, count):
        pool = self.pool_of_2()
        for _ in range(count):
            result = pool.call(guest.add, 1000, 2000)
        return result

    def tasks(self, pool):
        futures = [pool.pool.submit(guest.add, 1000, 2000) for _ in range(TASKS)]
        return sum(future.result() for future in futures)

    def tasks_1000(self, at, count):
        for _ in range(count):
            result = self.tasks(self.pool_of_2())
        return result

    def map_1000(self, at, count):
        pool = self.pool_of_2().pool
        for _ in range(count):
            result = sum(pool.map(guest.add, [1000] * TASKS, [2000] * TASKS, chunksize=100))
        return result

    def task_alone(self, at, count):
        """In an interpreter, or a process, that is made for the task."""
        for _ in range(count):
            if self.mode == "interpreters":
                interp = interpreters.create()
                result = interp.call(guest.add, 1000, 2000)
                interp.close()
            else:
                pool = self.pool(1)
                result = pool.call(guest.add, 1000, 2000)
                pool.close()
        return result

    def mix(self, at, count):
        for _ in range(count):
            result = at.call(guest.mix)
        return result

    def async_2(self, at, count):
        for _ in range(count):
            result = at.call(guest.run_later, 1000, 2000)
        return result

    def first(self, at, count):
        """Until the first result of a new pool is there."""
        for _ in range(count):
            pool = self.pool(1)
            result = pool.call(guest.add, 1000, 2000)
            start = perf_counter_ns()
            pool.close()
            self.not_counted += perf_counter_ns() - start
        return result

    def copied(self, at, count):
        self.blob = self.blob or b"\1" * (100 << 20)
        return self.many(at, guest.last, self.blob, count)

    def in_memory(self, at):
        if self.memory is None:
            from shared import Shared

            self.memory = Shared(at.call)
        return self.memory

    def shared(self, at, count):
        return self.in_memory(at).shared(count)

    def filled(self, at, count):
        return self.in_memory(at).filled(count)
