"""Calls for another process: a request a line on stdin, an answer a line on stdout, both JSON."""

import json
import sys

import subpy

with subpy.create() as interp:
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": interp.call(request["callable"], *request["args"])}
        except subpy.InterpreterError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)

subpy.shutdown()
