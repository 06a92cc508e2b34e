# Leaves an event loop with tasks that never end, and refuse to be cancelled.
import asyncio


async def forever():
    for _ in range(10):
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass


async def main():
    kept.append(asyncio.ensure_future(forever()))
    await asyncio.sleep(0.01)


kept = []
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(main())
