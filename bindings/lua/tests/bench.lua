-- What a call costs. Prints microseconds.

local subpy = require("subpy")

local interp = subpy.create()
interp:exec([[
    numbers = list(range(1000))
    def give(): return numbers
    def add(a, b): return a + b
    def take(values): return len(values)
]])
local add = interp:prepare("add")
local rows = {}
for i = 1, 100 do rows[i] = { i, 2 } end
local numbers = interp:eval("numbers")

local function measure(name, rounds, run, each)
  for _ = 1, rounds / 10 do run() end
  local start = os.clock()
  for _ = 1, rounds do run() end
  print(("%s: %.2f us"):format(name, (os.clock() - start) / rounds / (each or 1) * 1e6))
end

measure("a call with two ints", 200000, function() interp:call("add", 1, 2) end)
measure("the same of a prepared function", 200000, function() add(1, 2) end)
measure("a row of 100 of call_many", 20000, function() add:call_many(rows) end, #rows)
measure("a result of 1,000 ints", 20000, function() interp:call("give") end)
measure("an argument of 1,000 ints", 20000, function() interp:call("take", numbers) end)

interp:close()
subpy.shutdown()
