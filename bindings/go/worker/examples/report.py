from subpy_worker import current_job


def report():
    job = current_job()  # key, queue, function, deadline, deliveries, traceparent, tracestate
    return f"{job.function}, delivery {job.deliveries}"
