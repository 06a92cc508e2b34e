-- Runs tasks in a pool of interpreters.

local subpy = require("subpy")

local pool = subpy.pool{ workers = 2, setup = [[
def primes(first, last):
    return sum(all(n % k for k in range(2, int(n ** 0.5) + 1)) for n in range(max(first, 2), last))
]] }

-- A row of arguments for each call, and what they return in the order of the rows, as it comes.
local sum = 0
for _, count in pool:map("primes", { { 0, 10000 }, { 10000, 20000 }, { 20000, 30000 } }) do
  sum = sum + count
end
print("primes below 30,000: " .. sum)

-- A coroutine that waits for its tasks lets the others go on.
local lines = {}
for i, last in ipairs{ 100, 10000 } do
  coroutine.wrap(function()
    local all = pool:submit("primes", 0, last)
    local half = pool:submit("primes", 0, last / 2)
    lines[i] = ("%d primes below %d, %d of them in the first half"):format(all:await(), last, half:await())
  end)()
end
while subpy.poll() > 0 do end
print(table.concat(lines, "\n"))

-- A task has limits, as any run, and can have a function called when it has ended.
pool:with_options{ timeout = 0.05 }:submit_exec("while True: pass"):notify(function(task)
  local _, failure = pcall(task.join, task)
  print(failure.code)
end)
while subpy.poll() > 0 do end

pool:close()
subpy.shutdown()
