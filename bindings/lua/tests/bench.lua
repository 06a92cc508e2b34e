-- What a call costs. Prints microseconds.

local subpy = require("subpy")

local interp = subpy.create()
interp:exec([[
    numbers = list(range(1000))
    def give(): return numbers
    def add(a, b): return a + b
    def take(values): return len(values)
]])
local numbers = interp:eval("numbers")

local function measure(name, rounds, run)
  for _ = 1, rounds / 10 do run() end
  local start = os.clock()
  for _ = 1, rounds do run() end
  print(("%s: %.2f us"):format(name, (os.clock() - start) / rounds * 1e6))
end

measure("a call with two ints", 200000, function() interp:call("add", 1, 2) end)
measure("a result of 1,000 ints", 20000, function() interp:call("give") end)
measure("an argument of 1,000 ints", 20000, function() interp:call("take", numbers) end)

interp:close()
subpy.shutdown()
