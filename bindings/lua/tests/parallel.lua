-- Four interpreters count primes at the same time.

local subpy = require("subpy")

local threads = {}
for i = 0, 3 do
  local interp = subpy.create()
  interp:exec([[
    def primes(first, last):
        return sum(all(n % k for k in range(2, int(n ** 0.5) + 1)) for n in range(max(first, 2), last))
  ]])
  threads[i + 1] = interp:call_in_thread("primes", i * 25000, (i + 1) * 25000)
end

local sum = 0
for _, thread in ipairs(threads) do
  sum = sum + thread:join()
end
print("primes below 100,000: " .. sum)
subpy.shutdown()
