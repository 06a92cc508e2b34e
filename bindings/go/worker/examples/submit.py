"""Submits one job with nats-py, waits for its result and prints the value: submit.py SERVER QUEUE FUNCTION ARGUMENTS-AS-JSON"""

import asyncio
import json
import sys
import uuid

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy


async def call(js, queue, function, args, timeout=60):
    key = uuid.uuid4().hex
    request = json.dumps({"function": function, "args": args, "key": key})
    await js.publish(f"subpy.1.{queue}.jobs", request.encode(), headers={"Nats-Msg-Id": key})
    results = await js.subscribe(
        f"subpy.1.{queue}.results.{key}",
        stream=f"subpy-{queue}-results",
        ordered_consumer=True,
        config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
    )
    result = json.loads((await results.next_msg(timeout)).data)
    await results.unsubscribe()
    if result["status"] != "ok":
        raise RuntimeError(f"{result['error']['kind']}: {result['error']['message']}\n{result['error']['traceback']}")
    return result["value"]


async def main(server, queue, function, args):
    nc = await nats.connect(server)
    print(await call(nc.jetstream(), queue, function, json.loads(args)))
    await nc.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
