-- What a call costs. Prints microseconds.

local ffi = require("ffi")
local subpy = require("subpy")

local interp = subpy.create()
interp:exec([[
    numbers = list(range(1000))
    def give(): return numbers
    def add(a, b): return a + b
    def take(values): return len(values)
    class Adder:
        def add(self, a, b): return a + b
]])
local adder = interp:with_options{ result = "object" }:call("Adder")
local arrays = interp:with_options{ result = "array" }
local buffer = subpy.buffer(ffi.new("uint8_t[1000000]"))
local queue = subpy.queue()
local pool = subpy.pool{ workers = 2, setup = "def add(a, b): return a + b" }
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
measure("the same as an array", 20000, function() arrays:call("give"):close() end)
measure("an argument of 1,000 ints", 20000, function() interp:call("take", numbers) end)
measure("a buffer of 1 MB as an argument", 20000, function() interp:call("take", buffer) end)
measure("a method of an object with two ints", 100000, function() adder:method("add", 1, 2) end)
measure("an int into a queue and out of it", 100000, function()
  queue:put(1)
  queue:get()
end)

-- The pool's threads take time too: seconds that pass, not those of this thread.
local function measure_rows(name, rounds, run)
  run()
  local start = ffi.new("long[2]")
  ffi.C.clock_gettime(1, start)
  for _ = 1, rounds do run() end
  local ended = ffi.new("long[2]")
  ffi.C.clock_gettime(1, ended)
  local passed = tonumber(ended[0] - start[0]) * 1e6 + tonumber(ended[1] - start[1]) / 1e3
  print(("%s: %.2f us"):format(name, passed / rounds / #rows))
end

ffi.cdef("int clock_gettime(int clock, long *time);")
measure_rows("a row of a pool's map", 50, function() for _ in pool:map("add", rows) do end end)
measure_rows("a row of a pool's call_many, in chunks of 25", 200, function() pool:call_many("add", rows, { chunk = 25 }) end)

pool:close()
interp:close()
subpy.shutdown()
