# Has `sys.monitoring` call a function that raises for every event, and leaves it so.
import sys

tool, events = 3, sys.monitoring.events


def event(*_):
    raise RuntimeError("event")


sys.monitoring.use_tool_id(tool, "hell")
for kind in (events.PY_START, events.LINE, events.CALL, events.RAISE, events.PY_UNWIND, events.INSTRUCTION):
    sys.monitoring.register_callback(tool, kind, event)
sys.monitoring.set_events(tool, events.PY_START | events.LINE | events.CALL | events.INSTRUCTION)
