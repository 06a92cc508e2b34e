# Destroys all queues and channels of `concurrent.interpreters` there are, whosever they are.
import _interpqueues

for queue, *_ in _interpqueues.list_all():
    _interpqueues.destroy(queue)
