"""The jobs as actors of dramatiq, with Redis for messages and for results."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

import jobs

broker = RedisBroker(url=os.environ["BENCH_REDIS"])
broker.add_middleware(Results(backend=RedisBackend(client=broker.client), store_results=True))
dramatiq.set_broker(broker)
actors = {"noop": dramatiq.actor(jobs.noop), "busy": dramatiq.actor(jobs.busy)}
