-- What the tests share: dofile() it.

local subpy = require("subpy")

local none = subpy.none

local failed = 0
local function test(name, run)
  local ok, failure = xpcall(run, function(e)
    return tostring(e) .. (type(e) == "table" and e.excinfo and "\n" .. e.excinfo.errdisplay or "") .. "\n" .. debug.traceback()
  end)
  print((ok and "ok      " or "FAILED  ") .. name)
  if not ok then
    failed = failed + 1
    print(failure)
  end
end

-- Whether two values are the same: kinds, order, signs of zero and nan.
local function same(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) == "number" then return a == b and 1 / a == 1 / b or a ~= a and b ~= b end
  if type(a) ~= "table" then return a == b end
  if a == none or b == none then return rawequal(a, b) end
  if getmetatable(a) ~= getmetatable(b) then return false end
  for key, value in pairs(a) do
    if key ~= "places" and not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function equal(a, b, what)
  if not same(a, b) then error(("%s: %s is not %s"):format(what or "value", tostring(a), tostring(b)), 2) end
end

-- The error that a function raises.
local function raised(code, run, ...)
  local ok, failure = pcall(run, ...)
  if ok then error("nothing was raised", 2) end
  if not subpy.is_error(failure) then error("another error: " .. tostring(failure), 2) end
  equal(failure.code, code)
  return failure
end

local function refused(message, run, ...)
  local ok, failure = pcall(run, ...)
  if ok then error("nothing was raised", 2) end
  if type(failure) ~= "string" or not failure:find(message, 1, true) then error("another error: " .. tostring(failure), 2) end
end

return {
  test = test,
  equal = equal,
  raised = raised,
  refused = refused,
  finish = function() os.exit(failed == 0 and 0 or 1, true) end,
}
