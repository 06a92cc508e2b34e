local subpy = require("subpy")

local interp = subpy.create()
interp:exec([[
    import collections

    def count(text, *, least=1):
        words = collections.Counter(text.split())
        return {word: n for word, n in words.items() if n >= least}
]])

local counts = interp:call("count", "to be or not to be", subpy.kwargs{ least = 2 })
for word, n in counts:pairs() do
  print(word .. ": " .. n)
end

local ok, failure = pcall(interp.exec, interp, "count(42)")
if not ok then
  print(failure.excinfo.errdisplay)
end

interp:close()
subpy.shutdown()
