-- The cases that every binding runs: luajit conformance.lua ../../../conformance/cases.json. Its README says what they
-- mean.

local ffi = require("ffi")
local bit = require("bit")
local subpy = require("subpy")

local ONE_THREAD = "Python's threads print too, and cannot call Lua: only the output of runs is captured"

-- What cannot be said in Lua, by the names of the cases, with the reason.
local SKIPPED = {
  ["a NaN keeps its payload"] = "LuaJIT has one NaN",
  ["a row with an argument that is wrong"] = "bigint() refuses it",
  ["a host function is called on a thread of Python's"] = "a Lua state belongs to one thread: there it is a RuntimeError",
  ["print goes to the interpreter's output"] = ONE_THREAD,
  ["stderr is a stream of its own"] = ONE_THREAD,
  ["a long text arrives whole"] = ONE_THREAD,
}

-- The table is the same for interpreters in processes of their own.
local GRACE = 5
local IN_PROCESSES = os.getenv("SUBPY_CONFORMANCE_PROCESS") ~= nil

local function create(options)
  options = options or {}
  if IN_PROCESSES then options.process, options.grace = true, GRACE end
  return subpy.create(options)
end

-- ---- JSON: null is subpy.none, an array a table with n, an object a list of its names in order, with the values by name.
-- Numbers are small ints.

local function utf8(code)
  if code < 0x80 then return string.char(code) end
  local tail = ""
  local first = 0x40
  while code >= first do
    tail = string.char(0x80 + code % 64) .. tail
    code = math.floor(code / 64)
    first = first / 2
  end
  return string.char(256 - first * 2 + code) .. tail
end

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function json(text)
  local at = 1
  local function take(pattern)
    local first, last, found = text:find("^%s*(" .. pattern .. ")", at)
    if first then
      at = last + 1
      return found
    end
  end
  local function expect(pattern)
    return take(pattern) or error(("JSON: %s is expected at byte %d"):format(pattern, at))
  end
  local function hex4()
    local digits = text:match("^%x%x%x%x", at) or error("JSON: four hexadecimal digits are expected at byte " .. at)
    at = at + 4
    return tonumber(digits, 16)
  end
  local function str()
    local parts = {}
    while true do
      local plain = text:match('^[^"\\]*', at)
      parts[#parts + 1] = plain
      at = at + #plain + 1
      if text:sub(at - 1, at - 1) == '"' then return table.concat(parts) end
      local escape = text:sub(at, at)
      at = at + 1
      if escape == "u" then
        local code = hex4()
        if code >= 0xd800 and code < 0xdc00 and text:sub(at, at + 1) == "\\u" then
          at = at + 2
          code = 0x10000 + (code - 0xd800) * 0x400 + hex4() - 0xdc00
        end
        parts[#parts + 1] = utf8(code)
      else
        parts[#parts + 1] = ESCAPES[escape] or escape
      end
    end
  end
  local value
  local function items(closing, item)
    if take(closing) then return end
    repeat item() until not take(",")
    expect(closing)
  end
  function value()
    if take('"') then return str() end
    if take("%[") then
      local array = { n = 0 }
      items("%]", function()
        array.n = array.n + 1
        array[array.n] = value()
      end)
      return array
    elseif take("{") then
      local object = {}
      items("}", function()
        expect('"')
        local name = str()
        expect(":")
        object[#object + 1] = name
        object[name] = value()
      end)
      return object
    elseif take("true") then
      return true
    elseif take("false") then
      return false
    elseif take("null") then
      return subpy.none
    end
    return tonumber(expect("-?%d+"))
  end
  local read = value()
  if text:find("%S", at) then error("JSON: more behind the end, at byte " .. at) end
  return read
end

-- ---- values

local function hex_to_bytes(hex)
  return (hex:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function bytes_to_hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function double(hex)
  local bits = ffi.new("union { uint64_t word; double number; }")
  bits.word = bit.lshift(0ULL + tonumber(hex:sub(1, 8), 16), 32) + tonumber(hex:sub(9), 16)
  return bits.number
end

local function double_to_hex(number)
  local bits = ffi.new("union { uint64_t word; double number; }")
  bits.number = number
  return bit.tohex(bits.word, 16)
end

-- Wraps around, so that -2^63 comes out right.
local function int64(decimal)
  local number = 0LL
  for digit in decimal:gmatch("%d") do number = number * 10 + tonumber(digit) end
  return decimal:sub(1, 1) == "-" and -number or number
end

-- The Lua value that a value of the table stands for.
local function value(written)
  if type(written) ~= "table" or written == subpy.none then return written end
  local kind = written[1]
  local content = written[kind]
  if kind == "int" then
    return int64(content)
  elseif kind == "bigint" then
    return subpy.bigint(content)
  elseif kind == "float" then
    return subpy.float(double(content))
  elseif kind == "bytes" then
    return subpy.bytes(hex_to_bytes(content))
  elseif kind == "tuple" or kind == "list" then
    local items = { n = content.n }
    for i = 1, content.n do items[i] = value(content[i]) end
    return subpy[kind](items)
  elseif kind == "dict" then
    local dict = subpy.dict()
    for i = 1, content.n do dict:set(value(content[i][1]), value(content[i][2])) end
    return dict
  elseif kind == "tag" then
    local inner = value(written.value)
    if content ~= "complex" then return subpy.tagged(content, inner) end
    return ffi.new("complex", inner[1].number, inner[2].number)
  elseif kind == "buffer" then
    return subpy.buffer(hex_to_bytes(content.bytes), { format = content.format, shape = content.shape })
  end
  error("there is no kind " .. tostring(kind))
end

-- The class of what subpy.list{}, ... make.
local LIST, TUPLE, DICT = getmetatable(subpy.list()), getmetatable(subpy.tuple()), getmetatable(subpy.dict())
local KWARGS = getmetatable(subpy.kwargs{})
local BYTES, BIGINT = getmetatable(subpy.bytes("")), getmetatable(subpy.bigint("0x0"))
local TAGGED, BUFFER = getmetatable(subpy.tagged("date", "")), getmetatable(subpy.buffer(""))

local function shown_buffer(format, shape, hex)
  return ("buffer %s [%s] %s"):format(format, table.concat(shape, ", "), hex)
end

-- A result and a value of the table as texts, which are the same when the values are. A number that is whole is an int:
-- the case has to say that it expects a float.
local function shown(result, expected)
  local class = getmetatable(result)
  local wanted = type(expected) == "table" and expected[1]
  if result == nil or rawequal(result, subpy.none) then
    return "null"
  elseif type(result) == "boolean" then
    return tostring(result)
  elseif type(result) == "string" then
    return ("str %q"):format(result)
  elseif type(result) == "number" then
    local whole = result == math.floor(result) and math.abs(result) < 2 ^ 53 and 1 / result ~= -math.huge
    if whole and wanted ~= "float" then return ("int %d"):format(result) end
    return "float " .. double_to_hex(result)
  elseif type(result) == "cdata" and ffi.istype("complex", result) then
    return ("tag complex tuple (float %s, float %s)"):format(double_to_hex(result.re), double_to_hex(result.im))
  elseif type(result) == "cdata" then
    return "int " .. tostring(result):gsub("LL$", "")
  elseif class == BYTES then
    return "bytes " .. bytes_to_hex(result.data)
  elseif class == BIGINT then
    return "bigint " .. result.hex
  elseif class == TAGGED then
    return ("tag %s %s"):format(result.tag, shown(result.value, wanted == "tag" and expected.value or nil))
  elseif class == BUFFER then
    return shown_buffer(result:format(), result:shape(), bytes_to_hex(result:bytes()))
  elseif class.__name == "subpy.Object" then
    return "object " .. result:text()
  end
  local parts = {}
  local items = wanted and expected[wanted] or {}
  if class == DICT then
    for key, item in result:pairs() do
      local pair = items[#parts + 1] or {}
      parts[#parts + 1] = shown(key, pair[1]) .. ": " .. shown(item, pair[2])
    end
  elseif class == LIST or class == TUPLE then
    for i, item in ipairs(result) do parts[i] = shown(item, items[i]) end
  else
    error("a result of " .. type(result))
  end
  return ("%s (%s)"):format(class.__name, table.concat(parts, ", "))
end

local function shown_expected(expected)
  if type(expected) ~= "table" or rawequal(expected, subpy.none) then return shown(expected) end
  local kind = expected[1]
  local content = expected[kind]
  if kind == "tag" then return ("tag %s %s"):format(content, shown_expected(expected.value)) end
  if kind == "buffer" then return shown_buffer(content.format, content.shape, content.bytes) end
  if type(content) == "string" then return kind .. " " .. content end
  local parts = {}
  for i = 1, content.n do
    local item = content[i]
    parts[i] = kind == "dict" and shown_expected(item[1]) .. ": " .. shown_expected(item[2]) or shown_expected(item)
  end
  return ("%s (%s)"):format(kind, table.concat(parts, ", "))
end

-- ---- cases

local function compare(what, found, expected)
  if found ~= expected then
    error(("%s is %s and not %s"):format(what, tostring(found), tostring(expected)), 0)
  end
end

local EXCINFO = { exception_message = "msg", formatted = "formatted", display = "errdisplay" }

local function compare_error(failure, expected)
  local excinfo = failure.excinfo or { type = {} }
  for _, name in ipairs(expected) do
    local wanted = expected[name]
    if name == "status" then
      compare(name, failure.code, wanted)
    elseif name == "message" then
      compare(name, failure.message, wanted)
    elseif name:find("^type_") then
      compare(name, excinfo.type[name:sub(6)], wanted)
    elseif EXCINFO[name] then
      compare(name, excinfo[EXCINFO[name]], wanted)
    elseif name == "row" then
      compare(name, failure.row, wanted)
    elseif name == "exit_status" then
      compare(name, failure.exit_status, wanted)
    elseif name == "syntax" then
      for _, field in ipairs(wanted) do compare("syntax." .. field, failure[field], wanted[field]) end
    elseif name == "frames" then
      local frames = failure.frames or {}
      compare("the number of frames", #frames, wanted.n)
      for i = 1, wanted.n do
        for _, field in ipairs(wanted[i]) do
          local found = frames[i][field == "function" and "name" or field]
          compare(("frames[%d].%s"):format(i, field), found, wanted[i][field])
        end
      end
    else
      error("there is no field " .. name, 0)
    end
  end
end

-- Values out of the table, behind each other, after those that are made for an interpreter.
local function arguments(case, made)
  local args, n = {}, #made
  for i = 1, n do args[i] = made[i] end
  for i = 1, case.args and case.args.n or 0 do
    n = n + 1
    args[n] = value(case.args[i])
  end
  if case.kwargs then
    n = n + 1
    local names = subpy.dict()
    for i = 1, case.kwargs.n do names:set(case.kwargs[i][1], value(case.kwargs[i][2])) end
    args[n] = subpy.kwargs(names)
  end
  return args, n
end

-- A task of a pool with one worker.
local function in_pool(case)
  local pool = subpy.pool{ workers = 1, setup = case.setup, isolation = IN_PROCESSES and "process" or nil,
    grace = IN_PROCESSES and GRACE or nil }
  local tasks = case.timeout_ms and pool:with_options{ timeout = case.timeout_ms / 1000 } or pool
  local args, n = arguments(case, {})
  local submit = case["do"] == "exec" and tasks.submit_exec or case["do"] == "eval" and tasks.submit_eval or tasks.submit
  local task = submit(tasks, case.text, unpack(args, 1, n))
  local ok, result = pcall(task.join, task)
  pool:close()
  if not ok then error(result, 0) end
  return result
end

-- What a case does, in every way that there is: names, and functions of the interpreter and of first arguments.
local function ways(case)
  local text, options = case.text, { filename = case.filename, keep_indent = case.keep_indent }
  if case.pool then return { { "in a pool", function() return in_pool(case) end } } end
  local function given(made)
    local args, n = arguments(case, made)
    return unpack(args, 1, n)
  end
  if case.cancel_ms and case.cancel_ms > 0 then -- nothing in a Lua state can fire a token while it waits for a run
    return { { "on a thread", function(interp)
      local start = case["do"] == "eval" and interp.eval_in_thread or interp.call_in_thread
      local thread = start(interp, text)
      thread:wait(case.cancel_ms / 1000)
      interp.options.cancel:fire()
      return thread:join()
    end } }
  end
  if case["do"] == "exec" then
    return { { "exec", function(interp) interp:exec(text, options) end } }
  elseif case["do"] == "eval" then
    return { { "eval", function(interp) return interp:eval(text, options) end } }
  elseif case["do"] == "prepare_main" then
    return { { "prepare_main", function(interp)
      interp:prepare_main(given({}).names)
      return interp:eval(text)
    end } }
  elseif case["do"] ~= "call" then
    error("there is no " .. tostring(case["do"]) .. " to do")
  end
  local by_name = { "by name", function(interp, made) return interp:call(text, given(made)) end }
  local prepared = { "prepared", function(interp, made) return interp:prepare(text)(given(made)) end }
  -- On other threads it would be a RuntimeError.
  if case.section == "host" then return { by_name, prepared } end
  return {
    by_name,
    prepared,
    { "on a thread", function(interp, made) return interp:call_in_thread(text, given(made)):join() end },
    { "in a session", function(interp, made)
      return interp:session(function() return interp:call(text, given(made)) end)
    end },
  }
end

local function define_host(interp)
  interp:define("host:echo", function(value) return value end)
  interp:define("host:arguments", function(...)
    local given, n = { ... }, select("#", ...)
    local names = subpy.dict()
    if n > 0 and getmetatable(given[n]) == KWARGS then names, n = given[n].names, n - 1 end
    local args = { n = n }
    for i = 1, n do args[i] = given[i] end
    return subpy.tuple{ subpy.list(args), names }
  end)
  interp:define("host:nothing", function() end)
  interp:define("host:fail", function(kind, message) error(subpy.exception(kind, message)) end)
  interp:define("host:again", function(text) return interp:eval(text) end)
end

-- An interpreter with what the case says of it, and an object of it with the case's options.
local function prepared(case)
  local limit = case.interp_timeout_ms and case.interp_timeout_ms / 1000
  local interp = create{ timeout = limit, no_stdin = case.no_stdin, tagged_values = case.tagged_values,
    memory_limit = case.memory_limit }
  if case.section == "host" then define_host(interp) end
  local options, printed = { timeout = case.timeout_ms and case.timeout_ms / 1000 }, { "", "" }
  if case.cancel_ms then
    options.cancel = subpy.cancel()
    if case.cancel_ms == 0 then options.cancel:fire() end
  end
  if case.flags then
    options.result = {}
    for i, flag in ipairs(case.flags) do
      if flag == "async" then options.async = true else options.result[i] = flag end
    end
  end
  if case.output then
    options.output = function(stream, text) printed[stream] = printed[stream] .. text end
  end
  return interp, next(options) and interp:with_options(options) or interp, printed
end

-- What a case has as its first arguments: an object, and a queue with items.
local function made_for(case, interp)
  local made, queue, other = {}, nil, nil
  if case.object then
    local of = interp
    if case.object_in == "another" then
      other = create()
      of = other
    end
    made[1] = of:with_options{ result = "object" }:eval(case.object)
  end
  if case.queue then
    queue = subpy.queue()
    for i = 1, case.queue.n do queue:put(value(case.queue[i])) end
    if case.queue_closed then queue:close() end
    made[#made + 1] = queue
  end
  return made, queue, other
end

local function check_queue(queue, expected)
  for i = 1, expected.n do
    local item = queue:get(0)
    compare("item " .. i .. " of the queue", shown(item, expected[i]), shown_expected(expected[i]))
  end
  compare("what is left in the queue", queue:len(), 0)
end

local function check(case, interp, way, printed)
  local made, queue, other = made_for(case, interp)
  local ok, result = pcall(way, interp, made)
  if queue and case.queue_after then check_queue(queue, case.queue_after) end
  if other then other:close() end
  if case.stdout then compare("stdout", printed[1], case.stdout) end
  if case.stderr then compare("stderr", printed[2], case.stderr) end
  if ok then
    if case.error then error("returned " .. shown(result), 0) end
    if case.result ~= nil then compare("the result", shown(result, case.result), shown_expected(case.result)) end
  elseif case.error and subpy.is_error(result) then
    compare_error(result, case.error)
  else
    error(result, 0)
  end
end

-- ---- many calls

-- The error of a row, as the module says it: rows count from 1.
local function of_row(expected, row)
  local copy = { "row", row = row + 1 }
  for _, name in ipairs(expected) do
    if name ~= "row" then
      copy[#copy + 1] = name
      copy[name] = expected[name]
    end
  end
  if copy.message then
    copy.message = ("row %d: "):format(row + 1) .. assert(copy.message:match("^row " .. row .. ": (.*)$"), copy.message)
  end
  return copy
end

-- What call_many() is to end with, if it is to.
local function ends(case, return_errors)
  if case.ends then return case.ends.row and of_row(case.ends, case.ends.row) or case.ends end
  for i = 1, return_errors and 0 or case.outcomes.n do
    local expected = case.outcomes[i].error
    if expected then return of_row(expected, i - 1) end
  end
end

local function check_many(case, interp, return_errors)
  if case.setup then interp:exec(case.setup) end
  local rows = {}
  for i = 1, case.rows.n do
    rows[i] = { n = case.rows[i].n }
    for k = 1, rows[i].n do rows[i][k] = value(case.rows[i][k]) end
  end
  local f, last = interp:prepare(case.text), ends(case, return_errors)
  local ok, results = pcall(f.call_many, f, rows, { return_errors = return_errors })
  if not ok then
    if not last or not subpy.is_error(results) then error(results, 0) end
    if not last.row then compare("row", results.row, nil) end
    return compare_error(results, last)
  end
  if last then error("it did not fail", 0) end
  compare("the number of results", #results, case.outcomes.n)
  for i = 1, #results do
    local expected = case.outcomes[i]
    compare("an error in row " .. i, subpy.is_error(results[i]), expected.error ~= nil)
    if expected.error then
      compare_error(results[i], of_row(expected.error, i - 1))
    else
      compare("the result of row " .. i, shown(results[i], expected.result), shown_expected(expected.result))
    end
  end
end

local file = assert(io.open(arg[1], "rb"))
local text = file:read("*a")
file:close()

local parsed = json(text)
local names, count, failed = {}, 0, 0
local cases = { n = 0 }
for _, section in ipairs{ "cases", "host", "limits", "output", "data" } do
  assert(parsed[section].n > 0)
  for i = 1, parsed[section].n do
    cases.n = cases.n + 1
    cases[cases.n] = parsed[section][i]
    cases[cases.n].section = section
  end
end
for i = 1, cases.n do
  local case = cases[i]
  names[case.name] = true
  if SKIPPED[case.name] then
    print(("skipped: conformance in Lua: %s: %s"):format(case.name, SKIPPED[case.name]))
  else
    count = count + 1
    for _, way in ipairs(ways(case)) do
      local interp, with_options, printed = prepared(case)
      if case.setup and not case.pool then interp:exec(case.setup) end
      local ok, failure = pcall(check, case, with_options, way[2], printed)
      interp:close()
      if not ok then
        failed = failed + 1
        print(("FAILED  %s, %s: %s"):format(case.name, way[1], tostring(failure)))
      end
    end
  end
end

local many = parsed.many
assert(many.n > 0)
for i = 1, many.n do
  local case = many[i]
  names[case.name] = true
  if SKIPPED[case.name] then
    print(("skipped: conformance in Lua: %s: %s"):format(case.name, SKIPPED[case.name]))
  else
    count = count + 1
    for _, return_errors in ipairs{ false, true } do
      local interp = create()
      local ok, failure = pcall(check_many, case, interp, return_errors)
      interp:close()
      if not ok then
        failed = failed + 1
        print(("FAILED  %s, return_errors %s: %s"):format(case.name, tostring(return_errors), tostring(failure)))
      end
    end
  end
end
for name in pairs(SKIPPED) do
  if not names[name] then error("skipped, but not there: " .. name) end
end
subpy.shutdown()
print(("conformance: %d cases in Lua%s"):format(count, IN_PROCESSES and ", in processes" or ""))
os.exit(failed == 0 and 0 or 1, true)
