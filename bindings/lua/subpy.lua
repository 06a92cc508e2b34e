-- Many isolated CPython interpreters in a LuaJIT process: Python's concurrent.interpreters. docs/lua.md explains.
--
-- The library is that of the environment variable SUBPY_LIBRARY; otherwise a libsubpy.so that lies beside this file, or
-- where Lua's C modules are (package.cpath), or where the system's loader finds it. Its declarations, subpy.cdef, come
-- with this file.

local ffi = require("ffi")
local bit = require("bit")

-- The folder of this file, with a slash.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"

local function declarations()
  local path = here .. "?.cdef;" .. package.path:gsub("%.lua", ".cdef")
  local found, tried = package.searchpath("subpy", path)
  if not found then
    error("subpy.cdef, which comes with subpy.lua, is not found:" .. tried, 0)
  end
  local file = assert(io.open(found))
  local text = file:read("*a")
  file:close()
  return text
end

-- They can be given to LuaJIT once.
if not pcall(ffi.typeof, "subpy_value") then
  ffi.cdef(declarations())
end

-- The library, and where it came from.
local function open()
  local chosen = os.getenv("SUBPY_LIBRARY")
  if chosen and chosen ~= "" then
    local ok, library = pcall(ffi.load, chosen)
    if ok then return library, chosen end
    error(("libsubpy cannot be opened: %s. The environment variable SUBPY_LIBRARY names %s; set it to the path of "
      .. "libsubpy.so, or unset it"):format(library, chosen), 0)
  end
  local tried = {}
  local names = { here .. "libsubpy.so", "libsubpy.so.0", "libsubpy.so" }
  local module = package.searchpath("libsubpy", package.cpath)
  if module then table.insert(names, 2, module) end
  for _, name in ipairs(names) do
    local ok, library = pcall(ffi.load, name)
    if ok then return library, name end
    tried[#tried + 1] = "\n  " .. library -- which begins with the name
  end
  error("libsubpy.so, the library that this module drives, cannot be opened. Tried beside the module, where Lua's C "
    .. "modules are (package.cpath) and where the system's loader looks:" .. table.concat(tried)
    .. "\nInstall it (make install in the sources of subpy, then ldconfig), or set the environment variable "
    .. "SUBPY_LIBRARY to its path", 0)
end

-- For what Python holds on to: it must not be in Lua's memory.
ffi.cdef("void *calloc(size_t count, size_t size); void free(void *memory);")

local C, opened = open()

-- First of all: LuaJIT looks functions up when they are used, and another version may lack some.
local known, version = pcall(function() return C.subpy_version() end)
if not known then error(opened .. " is not libsubpy: it has no subpy_version()", 0) end
-- major * 1000 + minor; before 1.0 a minor version may change anything
local needed = math.floor(C.SUBPY_VERSION / 1000)
if math.floor(version / 1000) ~= needed then
  local message = "%s is libsubpy %s, and this module needs %d.%d: install the module and the library of the same version"
  error(message:format(opened, ffi.string(C.subpy_version_string()), math.floor(needed / 1000), needed % 1000), 0)
end

local NONE, BOOL, INT, BIGINT, FLOAT = 0, 1, 2, 3, 4
local STR, BYTES, TUPLE, LIST, DICT, ERROR = 5, 6, 7, 8, 9, 13
local MAX_DEPTH = 1000
local FOR_EVER = 1e12 -- seconds
local MAX_EXACT = 2 ^ 53 - 1 -- the largest whole number that a Lua number tells from its neighbours

local value_array = ffi.typeof("subpy_value[?]")
local pair_array = ffi.typeof("subpy_pair[?]")
local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
local error_out = ffi.typeof("subpy_error *[1]")
local size_out = ffi.typeof("size_t[1]")
local handle_out = ffi.typeof("uint64_t[1]")
local text_out = ffi.typeof("const char *[1]")
local int_out = ffi.typeof("int32_t[1]")
local bool_out = ffi.typeof("bool[1]")

local M = {}

local function is_whole(value)
  return type(value) == "number" and value == math.floor(value) and value >= -MAX_EXACT and value <= MAX_EXACT
end

-- ---- kinds of values that Lua has no type for

local function class(name)
  local c = {}
  c.__index = c
  c.__name = name
  return c
end

--- What None is inside of lists, tuples and dicts; nil everywhere else.
M.none = setmetatable({}, { __tostring = function() return "None" end })

local List, Tuple, Dict, Bytes, BigInt, Float = class("list"), class("tuple"), class("dict"), class("bytes"),
  class("bigint"), class("float")
local Kwargs = class("kwargs")

--- A Python list: list{1, 2, 3}. A table with items 1 to #t is one without being told. `n` says how many there are when
--- some are nil.
function M.list(items)
  return setmetatable(items or {}, List)
end

--- A Python tuple: tuple{1, 2, 3}.
function M.tuple(items)
  return setmetatable(items or {}, Tuple)
end

--- A Python dict, which keeps its order: dict():set("a", 1):set("b", 2), dict{a = 1, b = 2} in no order, or a copy.
function M.dict(entries)
  local dict = setmetatable({ keys = {}, values = {}, places = {} }, Dict)
  if getmetatable(entries) == Dict then
    for key, value in entries:pairs() do dict:set(key, value) end
  else
    for key, value in pairs(entries or {}) do dict:set(key, value) end
  end
  return dict
end

function Dict:set(key, value)
  if key == nil then key = M.none end
  if value == nil then value = M.none end
  local place = self.places[key]
  if not place then
    place = #self.keys + 1
    self.keys[place] = key
    -- NaN is no key for a Lua table; it can be read with pairs() alone.
    if key == key then self.places[key] = place end
  end
  self.values[place] = value
  return self
end

--- The value of a key, nil when there is none. Keys that are tables (bytes, tuples) are found by identity.
function Dict:get(key)
  local place = self.places[key]
  if place then return self.values[place] end
end

--- How many entries.
function Dict:len()
  return #self.keys
end

--- Keys and values, in order.
function Dict:pairs()
  local place = 0
  return function()
    place = place + 1
    if self.keys[place] ~= nil then return self.keys[place], self.values[place] end
  end
end

--- A Python bytes object, from a string.
function M.bytes(data)
  if type(data) ~= "string" then error("bytes: a string is expected", 2) end
  return setmetatable({ data = data }, Bytes)
end

function Bytes:__tostring() return self.data end
function Bytes.__eq(a, b) return a.data == b.data end

--- A Python float, for a whole number that would be an int: float(2) is 2.0.
function M.float(number)
  if type(number) ~= "number" then error("float: a number is expected", 2) end
  return setmetatable({ number = number }, Float)
end

--- A Python int of any size, from hexadecimal text: bigint("-0x1ff").
function M.bigint(hex)
  local sign, digits = tostring(hex):lower():match("^(-?)0x0*(%x+)$")
  if not digits then error("bigint: hexadecimal text such as -0x1ff is expected", 2) end
  return setmetatable({ hex = sign .. "0x" .. digits }, BigInt)
end

function BigInt:__tostring() return self.hex end
function BigInt.__eq(a, b) return a.hex == b.hex end

--- Keyword arguments, the last argument of a call: interp:call("sorted", list, kwargs{reverse = true}).
function M.kwargs(names)
  return setmetatable({ names = names }, Kwargs)
end

-- ---- to Python

-- Raised while arguments are read. `steps` grows on the way out: the innermost comes first.
local Unfit = {}

local function unfit(reason)
  return error(setmetatable({ reason = reason, steps = {} }, Unfit), 0)
end

-- The way to what is unfit; the middle of a long one is left out.
local function way(steps)
  local n, texts = #steps, {}
  for i = n, 1, -1 do
    if n <= 10 or i > n - 5 or i <= 5 then
      texts[#texts + 1] = steps[i]
    elseif i == 6 then
      texts[#texts + 1] = "..."
    end
  end
  return table.concat(texts)
end

local put

-- Names the item that an argument failed at.
local function put_at(step, slot, value, anchors, depth)
  local ok, failure = pcall(put, slot, value, anchors, depth)
  if ok then return end
  if getmetatable(failure) == Unfit then
    failure.steps[#failure.steps + 1] = (type(step) == "string" and "[%q]" or "[%s]"):format(tostring(step))
  end
  error(failure, 0)
end

local function put_text(slot, kind, text)
  slot.kind = kind
  slot.len = #text
  slot.u.as_str = text
end

-- How many items there are, some of which may be nil.
local function count_of(items)
  local n = rawget(items, "n") or #items
  if not is_whole(n) or n < 0 then unfit("has an n that is no count") end
  return n
end

-- Writes the items 1 to n into an array, from an index on.
local function put_each(array, first, items, n, anchors, depth)
  for i = 1, n do
    local item = rawget(items, i)
    local kind_of = type(item)
    if kind_of == "table" or kind_of == "function" or kind_of == "userdata" or kind_of == "thread" then
      put_at(i, array[first + i - 1], item, anchors, depth)
    else
      put(array[first + i - 1], item, anchors, depth)
    end
  end
end

local function put_items(slot, kind, items, anchors, depth)
  if depth > MAX_DEPTH then unfit("is nested more than 1,000 levels deep, or contains itself") end
  local n = count_of(items)
  local array = value_array(n)
  anchors[#anchors + 1] = array
  put_each(array, 0, items, n, anchors, depth)
  slot.kind = kind
  slot.len = n
  slot.u.as_items = array
end

local function put_pairs(slot, n, next_pair, anchors, depth)
  if depth > MAX_DEPTH then unfit("is nested more than 1,000 levels deep, or contains itself") end
  local array = pair_array(n)
  anchors[#anchors + 1] = array
  for i = 0, n - 1 do
    local key, value = next_pair(i)
    put_at(key, array[i].key, key, anchors, depth)
    put_at(key, array[i].value, value, anchors, depth)
  end
  slot.kind = DICT
  slot.len = n
  slot.u.as_pairs = array
end

local function put_dict(slot, dict, anchors, depth)
  put_pairs(slot, #dict.keys, function(i) return dict.keys[i + 1], dict.values[i + 1] end, anchors, depth)
end

local function put_names(slot, names, anchors, depth)
  local keys = {}
  for key in next, names do
    if type(key) ~= "string" then unfit("has a key that is no string among others: use list() or dict()") end
    keys[#keys + 1] = key
  end
  put_pairs(slot, #keys, function(i) return keys[i + 1], rawget(names, keys[i + 1]) end, anchors, depth)
end

local function put_table(slot, value, anchors, depth)
  local meta = getmetatable(value)
  if value == M.none then
    slot.kind = NONE
  elseif meta == List then
    put_items(slot, LIST, value, anchors, depth + 1)
  elseif meta == Tuple then
    put_items(slot, TUPLE, value, anchors, depth + 1)
  elseif meta == Dict then
    put_dict(slot, value, anchors, depth + 1)
  elseif meta == Bytes then
    put_text(slot, BYTES, value.data)
  elseif meta == BigInt then
    put_text(slot, BIGINT, value.hex)
  elseif meta == Float then
    slot.kind = FLOAT
    slot.u.as_float = value.number
  elseif meta ~= nil then
    unfit("is a table with a metatable, which has no Python value")
  elseif rawget(value, 1) ~= nil or next(value) == nil then
    local count = 0
    for _ in next, value do count = count + 1 end
    if count ~= #value then unfit("has items and names, or holes: use list() or dict()") end
    put_items(slot, LIST, value, anchors, depth + 1)
  else
    put_names(slot, value, anchors, depth + 1)
  end
end

-- Writes a value into a subpy_value. Fields are written one by one: constructors that return structs by value cost
-- LuaJIT six times as much. `anchors` keeps what the value points to until the call has returned.
function put(slot, value, anchors, depth)
  local kind = type(value)
  if kind == "number" then
    if is_whole(value) and (value ~= 0 or 1 / value > 0) then
      slot.kind = INT
      slot.u.as_int = value
    else
      slot.kind = FLOAT
      slot.u.as_float = value
    end
  elseif kind == "string" then
    put_text(slot, STR, value)
  elseif kind == "nil" then
    slot.kind = NONE
  elseif kind == "boolean" then
    slot.kind = BOOL
    slot.u.as_int = value and 1 or 0
  elseif kind == "table" then
    put_table(slot, value, anchors, depth)
  elseif kind == "cdata" and ffi.istype(int64, value) then
    slot.kind = INT
    slot.u.as_int = value
  elseif kind == "cdata" and ffi.istype(uint64, value) then
    local text = M.bigint("0x" .. bit.tohex(value, 16))
    anchors[#anchors + 1] = text
    put_text(slot, BIGINT, text.hex)
  else
    unfit(("is a %s, which has no Python value"):format(kind))
  end
end

-- Raises a failure again, with the name of what a user passed and the way to what is unfit.
local function refuse(name, failure)
  if getmetatable(failure) ~= Unfit then error(failure, 0) end
  error(("%s%s %s"):format(name, way(failure.steps), failure.reason), 0)
end

-- Writes what a user passed.
local function encode(name, slot, value, anchors)
  local ok, failure = pcall(put, slot, value, anchors, 0)
  if not ok then refuse(name, failure) end
end

-- How many arguments a row has.
local function width_of(row)
  local meta = getmetatable(row)
  if type(row) ~= "table" or meta ~= nil and meta ~= List and meta ~= Tuple then
    unfit("is not a table of arguments")
  end
  return count_of(row)
end

-- The arguments of all rows in one array, and how many each has. `at` tells where it fails: at.row.
local function put_rows(rows, count, anchors, at)
  at.row = 1
  local width = count > 0 and width_of(rawget(rows, 1)) or 0
  local array = value_array(count * width)
  anchors[#anchors + 1] = array
  for i = 1, count do
    at.row = i
    local row = rawget(rows, i)
    local n = width_of(row)
    if n ~= width then unfit(("has %d arguments, and rows[1] has %d"):format(n, width)) end
    put_each(array, (i - 1) * width, row, n, anchors, 0)
  end
  return array, width
end

local function encode_rows(rows, anchors)
  if type(rows) ~= "table" then error("rows: a table is expected, not a " .. type(rows), 0) end
  local counted, count = pcall(count_of, rows)
  if not counted then refuse("rows", count) end
  local at = {}
  local ok, array, width = pcall(put_rows, rows, count, anchors, at)
  if not ok then refuse(("rows[%d]"):format(at.row), array) end
  return array, count, width
end

-- ---- from Python

local read, row_error

local function read_items(slot, items)
  local array, n = slot.u.as_items, tonumber(slot.len)
  for i = 1, n do
    local item = read(array[i - 1])
    if item == nil then item = M.none end
    items[i] = item
  end
  return items
end

local function read_dict(slot)
  local dict = M.dict()
  local array = slot.u.as_pairs
  for i = 0, tonumber(slot.len) - 1 do
    dict:set(read(array[i].key), read(array[i].value))
  end
  return dict
end

-- The Lua value of a subpy_value.
function read(slot)
  local kind = slot.kind
  if kind == INT then
    local number = slot.u.as_int
    if number >= -MAX_EXACT and number <= MAX_EXACT then return tonumber(number) end
    return number
  elseif kind == FLOAT then
    return slot.u.as_float
  elseif kind == STR then
    return ffi.string(slot.u.as_str, slot.len)
  elseif kind == NONE then
    return nil
  elseif kind == BOOL then
    return slot.u.as_bool
  elseif kind == BYTES then
    return M.bytes(ffi.string(slot.u.as_str, slot.len))
  elseif kind == LIST then
    return read_items(slot, M.list())
  elseif kind == TUPLE then
    return read_items(slot, M.tuple())
  elseif kind == DICT then
    return read_dict(slot)
  elseif kind == BIGINT then
    return M.bigint(ffi.string(slot.u.as_str, slot.len))
  elseif kind == ERROR then
    return row_error(slot.u.as_error)
  end
  error(("result: values of kind %d are unknown to this module; the library is newer"):format(kind), 0)
end

-- ---- errors

--- What the functions raise: a table with `code` ("SUBPY_ERROR_BUSY", "SUBPY_ERROR_UNKNOWN" for one that this version
--- does not know), `status` (-3), `message` and `handle`; for a Python exception `excinfo`, `frames` and `exit_status`;
--- for a source that does not compile `excinfo`, `line`, `column` and `text`; for a row of call_many() `row`; for an
--- exception that a Lua function raised in Python, `cause`: what it raised.
local Error = class("subpy.Error")
M.Error = Error

function Error:__tostring() return self.message end

--- Whether something is an error of this module.
function M.is_error(value)
  return getmetatable(value) == Error
end

local function excinfo(raw)
  local size = size_out()
  local function text(accessor)
    local pointer = accessor(raw, size)
    if pointer ~= nil then return ffi.string(pointer, size[0]) end
  end
  return {
    type = {
      name = text(C.subpy_error_type_name),
      qualname = text(C.subpy_error_type_qualname),
      module = text(C.subpy_error_type_module),
    },
    msg = text(C.subpy_error_exception_message),
    formatted = text(C.subpy_error_formatted),
    errdisplay = text(C.subpy_error_display),
  }
end

local function optional(pointer)
  if pointer ~= nil then return ffi.string(pointer) end
end

local function sized(pointer, length)
  if pointer ~= nil then return ffi.string(pointer, length) end
end

local function frames(raw)
  local list = {}
  local frame = ffi.new("subpy_frame")
  frame.size = ffi.sizeof(frame)
  for i = 1, tonumber(C.subpy_error_frame_count(raw)) do
    C.subpy_error_frame(raw, i - 1, frame)
    list[i] = {
      file = sized(frame.file, frame.file_len),
      name = sized(frame["function"], frame.function_len), -- `function` is a word of Lua
      source = sized(frame.source, frame.source_len),
      line = frame.line,
      end_line = frame.end_line,
      column = frame.column,
      end_column = frame.end_column,
    }
  end
  return list
end

-- What Lua functions have raised in Python, by the number that the library has for each, and how many of these functions
-- are running. A run that is no function's gives up what is left of its own, so one run longer than it may be needed.
local originals, stale, last_tag, calling = {}, {}, 0, 0

local function settle()
  if calling == 0 and (next(originals) ~= nil or next(stale) ~= nil) then
    stale, originals = originals, {}
  end
end

-- An error as one copy without the library's memory.
local function copy_error(status, raw)
  local size = size_out()
  local message = C.subpy_error_message(raw, size)
  local copy = {
    status = status,
    code = ffi.string(C.subpy_status_name(status)),
    message = message ~= nil and ffi.string(message, size[0]) or "",
    handle = tonumber(C.subpy_error_interp(raw)),
  }
  local stopped = status == C.SUBPY_ERROR_TIMEOUT or status == C.SUBPY_ERROR_INTERRUPTED
  if status == C.SUBPY_ERROR_EXECUTION_FAILED or stopped and C.subpy_error_type_name(raw, nil) ~= nil then
    copy.excinfo, copy.frames = excinfo(raw), frames(raw)
    local tag = tonumber(C.subpy_error_tag(raw))
    if tag ~= 0 then
      local original = originals[tag] or stale[tag]
      copy.cause = original and original.value
    end
    local exit_status = int_out()
    if C.subpy_error_exit_status(raw, exit_status) then copy.exit_status = exit_status[0] end
  elseif status == C.SUBPY_ERROR_SYNTAX then
    copy.excinfo = excinfo(raw)
    local line, column, text = int_out(), int_out(), text_out()
    C.subpy_error_syntax(raw, line, column, text)
    copy.line, copy.column, copy.text = line[0], column[0], optional(text[0])
  end
  if C.subpy_error_row(raw, size) then
    -- Rows count from 1 here, so that rows[err.row] is the row.
    copy.row = tonumber(size[0]) + 1
    copy.message = copy.message:gsub("^row %d+", "row " .. copy.row)
  end
  return setmetatable(copy, Error)
end

-- Raises the error of a call that failed.
local function fail(status, failure)
  local raw = ffi.gc(failure[0], C.subpy_error_free)
  local copy = copy_error(status, raw)
  C.subpy_error_free(ffi.gc(raw, nil))
  error(copy, 0)
end

-- The error of a row, which stays the results'.
function row_error(raw)
  return copy_error(C.subpy_error_status(raw), raw)
end

local function string_arg(name, value)
  if type(value) ~= "string" then error(name .. ": a string is expected, not a " .. type(value), 0) end
  return value
end

-- The value of a result, which is freed: at once, or by the garbage collector should reading it run out of memory.
local function take(result)
  local slot = result[0]
  if slot.kind == NONE or slot.kind == BOOL or slot.kind == INT or slot.kind == FLOAT then return read(slot) end
  ffi.gc(result, C.subpy_value_free)
  local value = read(slot)
  C.subpy_value_free(ffi.gc(result, nil))
  return value
end

-- ---- threads

local Thread = class("subpy.Thread")

local function thread(handle, interp)
  -- The interpreter stays alive as long as the thread is not joined.
  local cell = ffi.gc(handle_out(handle), function(last) C.subpy_thread_free(last[0]) end)
  return setmetatable({ cell = cell, interp = interp }, Thread)
end

--- Waits until the thread has ended, at most for so many seconds (nil: as long as it takes). Returns whether it has;
--- join() is still to be called.
function Thread:wait(seconds)
  local milliseconds = -1
  if seconds ~= nil then
    if type(seconds) ~= "number" then error("wait: a number of seconds is expected", 2) end
    milliseconds = math.ceil(math.max(0, math.min(seconds, FOR_EVER)) * 1000)
  end
  local done, failure = bool_out(), error_out()
  local status = C.subpy_thread_wait(self.cell[0], milliseconds, done, failure)
  if status ~= 0 then fail(status, failure) end
  return done[0]
end

--- Waits for the thread, and returns or raises what its run did. Once.
function Thread:join()
  local result, failure = value_array(1), error_out()
  local status = C.subpy_thread_join(self.cell[0], result, failure)
  ffi.gc(self.cell, nil)
  if status ~= 0 then fail(status, failure) end
  return take(result)
end

-- ---- interpreters

local Interpreter = class("subpy.Interpreter")

local function close_last(cell)
  C.subpy_close(cell[0], nil)
end

local function interpreter(handle, owned)
  local cell = handle_out(handle)
  if owned then ffi.gc(cell, close_last) end
  return setmetatable({ cell = cell }, Interpreter)
end

local EXEC, EVAL, CALL, FUNCTION = 1, 2, 3, 4

-- The bits of the options that are set. What is neither a flag nor among `others` is an error.
local function flags(options, bits, others)
  local word = 0
  for name, value in pairs(options) do
    if bits[name] then
      if value then word = word + bits[name] end
    elseif not others[name] then
      error("there is no option " .. tostring(name), 0)
    end
  end
  return word
end

-- What the memory of a call points to is in a table of its own, the anchors, which must be alive until C returns. LuaJIT
-- takes a local variable that is not used any more for dead, so this uses it.
local function keep(anchors)
  anchors.kept = true
  settle()
end

-- ---- what Python calls

local Cancel = class("subpy.Cancel")

-- What a run is to pass to a function as it prints: by number, like Lua functions that Python calls.
local callbacks, last_number = {}, 0

local function number_of(userdata)
  return tonumber(ffi.cast("uintptr_t", userdata))
end

local output_callback, host_callback

-- LuaJIT must call what may call back from its interpreter, not from machine code that it has made. So with the first
-- function that can be called, such functions of this module are compiled no more.
local calling_back, may_call_back = {}, false

local function calls_back(run)
  calling_back[#calling_back + 1] = run
  return run
end

local function prepare_callbacks()
  if may_call_back then return end
  may_call_back = true
  if not jit then return end
  for _, run in ipairs(calling_back) do jit.off(run, true) end
  jit.flush()
end

-- Calls a function with the text that a run has printed. Whatever it raises, the run goes on.
local function on_output(userdata, _, stream, text, len)
  local callback = callbacks[number_of(userdata)]
  local ok, failure = pcall(callback.run, callback.target, stream, ffi.string(text, len))
  if not ok then io.stderr:write("subpy: a function that takes output failed: ", tostring(failure), "\n") end
end

-- What a user said of runs: time limit, token, and a function for output, which is given a number until the run ends.
local function set_limits(filled, options, in_thread)
  if not options then return end
  if options.timeout ~= nil then
    local seconds = options.timeout
    if type(seconds) ~= "number" or not (seconds > 0) then error("timeout: a number of seconds above 0 is expected", 0) end
    filled.timeout_ms = math.max(1, math.ceil(math.min(seconds, FOR_EVER) * 1000))
  end
  if options.cancel ~= nil then
    if getmetatable(options.cancel) ~= Cancel then error("cancel: what subpy.cancel() returns is expected", 0) end
    filled.cancel = options.cancel.cell[0]
  end
  local output = options.output
  if output == nil then return end
  if in_thread then error("output: a Lua function cannot be called on another thread", 0) end
  last_number = last_number + 1
  if type(output) == "function" then
    callbacks[last_number] = { run = function(_, stream, text) output(stream, text) end }
  else
    callbacks[last_number] = { run = function(file, _, text) file:write(text) end, target = output }
  end
  filled.output, filled.output_data = output_callback, ffi.cast("void *", last_number)
  return last_number
end

-- Runs what was requested.
local perform = calls_back(function(filled, anchors, options)
  local number = set_limits(filled, options)
  local result, failure = value_array(1), error_out()
  local status = C.subpy_run(filled, result, failure)
  keep(anchors)
  if number then callbacks[number] = nil end
  if status ~= 0 then fail(status, failure) end
  return take(result)
end)

local Raised = class("subpy.exception")

--- What a function that Python calls raises, to have Python raise it: error(subpy.exception("ValueError", "no good")).
--- `kind` is a builtin exception, or "package.module:Type".
function M.exception(kind, message)
  return setmetatable({ kind = string_arg("kind", kind), message = string_arg("message", message) }, Raised)
end

function Raised:__tostring() return self.kind .. ": " .. self.message end

-- The functions that Python may call, by the address of what stands for each: a result of the library's, which becomes
-- None when the library needs the function no more. It cannot say so by a call, since that may come on any thread.
local functions = {}

local function sweep()
  for address, entry in pairs(functions) do
    if entry.cell.kind == NONE then
      functions[address] = nil
      ffi.C.free(entry.cell)
    end
  end
end

local function note_of(value)
  local text = tostring(type(value) == "table" and value.message or value)
  return { value = value, note = "In Lua:\n\n" .. debug.traceback(text, 2) }
end

-- Has Python raise what a function has raised.
local function raise(ctx, original)
  local value = original.value
  local kind, message = "RuntimeError", tostring(value)
  if getmetatable(value) == Raised then
    kind, message = value.kind, value.message
  elseif M.is_error(value) and value.excinfo then
    local of = value.excinfo.type
    kind = of.module == "builtins" and of.name or of.module .. ":" .. of.qualname
    message = value.excinfo.msg or ""
  end
  if C.subpy_context_raise(ctx, kind, #kind, message, #message) ~= 0 then
    C.subpy_context_raise(ctx, "RuntimeError", 12, "an error whose text is no UTF-8", 31)
  end
  C.subpy_context_note(ctx, original.note, #original.note)
  last_tag = last_tag + 1
  originals[last_tag] = original
  C.subpy_context_tag(ctx, last_tag)
end

local current

local function answer(run, ctx, args, nargs, kwargs)
  local given, n = {}, tonumber(nargs)
  for i = 1, n do given[i] = read(args[i - 1]) end
  if kwargs ~= nil then
    n = n + 1
    given[n] = M.kwargs(read(kwargs[0]))
  end
  local result = run(unpack(given, 1, n))
  local slot, anchors = value_array(1), {}
  encode("result", slot[0], result, anchors)
  C.subpy_context_return(ctx, slot)
  anchors.kept = true
end

local function on_call(userdata, ctx, args, nargs, kwargs)
  local outer = current
  current, calling = ctx, calling + 1
  local entry = functions[number_of(userdata)]
  local ok, original = xpcall(function() answer(entry.run, ctx, args, nargs, kwargs) end, note_of)
  if not ok then
    -- Out of memory, or of stack, there is no table.
    if type(original) ~= "table" then original = { value = original, note = "In Lua" } end
    pcall(raise, ctx, original)
  end
  current, calling = outer, calling - 1
end

--- In a function that Python has called: whether the run that it comes from is to end, by its time limit or its token.
--- The function should return soon then.
function M.cancelled()
  return current ~= nil and C.subpy_context_cancelled(current)
end

--- A token that stops runs: those that are given it with with_options(). `handle`, from cancel:handle(), is for another
--- Lua state, which may be on another thread.
function M.cancel(handle)
  if handle ~= nil then
    if not is_whole(handle) or handle < 0 then error("a handle is a whole number", 2) end
    return setmetatable({ cell = handle_out(handle) }, Cancel)
  end
  local cell, failure = handle_out(), error_out()
  local status = C.subpy_cancel_new(cell, failure)
  if status ~= 0 then fail(status, failure) end
  return setmetatable({ cell = ffi.gc(cell, function(last) C.subpy_cancel_free(last[0]) end) }, Cancel)
end

--- Stops the runs that have it, on threads of their own, and refuses those that are given it later, with
--- SUBPY_ERROR_INTERRUPTED. There is no way back. A function that Python has called may stop the run that it is in.
function Cancel:fire()
  C.subpy_cancel_fire(self.cell[0])
end

--- The library's number for it.
function Cancel:handle()
  return tonumber(self.cell[0])
end

--- The same interpreter, for runs with options: interp:with_options{ timeout = 2 }:call("f"). `options`: timeout, how
--- many seconds a run may take (SUBPY_ERROR_TIMEOUT); cancel, a token; output, a function of the stream (1: stdout, 2:
--- stderr) and the text, or a file to write to, for what a run prints on this thread. Functions that are prepared with
--- it have the options too.
function Interpreter:with_options(options)
  local all = {}
  for name, value in pairs(self.options or {}) do all[name] = value end
  for name, value in pairs(options) do
    if name ~= "timeout" and name ~= "cancel" and name ~= "output" then error("there is no option " .. tostring(name), 0) end
    all[name] = value
  end
  set_limits(ffi.new("subpy_run_request"), { timeout = all.timeout, cancel = all.cancel })
  local kind = type(all.output)
  if all.output ~= nil then
    if kind ~= "function" and (kind ~= "table" and kind ~= "userdata" or not all.output.write) then
      error("output: a function or a file is expected, not a " .. kind, 0)
    end
    prepare_callbacks()
    output_callback = output_callback or ffi.cast("subpy_output_fn", on_output)
  end
  return setmetatable({ cell = self.cell, options = all }, Interpreter)
end

local DEFINE_OPTIONS = { signature = true, doc = true }

--- Lets Python code call a Lua function: "name" in `__main__`, or "package.module:name". It is called on this thread
--- only: for Python code on any other it is a RuntimeError. It gets the arguments, with kwargs{...} behind them if there
--- are any, and returns one value. What it raises is a RuntimeError in Python, unless it is from subpy.exception().
--- `options`: signature, such as "(a, b=0)", and doc.
Interpreter.define = calls_back(function(self, name, run, options)
  string_arg("name", name)
  if type(run) ~= "function" then error("define: a function is expected, not a " .. type(run), 0) end
  options = options or {}
  flags(options, {}, DEFINE_OPTIONS)
  local filled = ffi.new("subpy_define_options")
  filled.size = ffi.sizeof(filled)
  filled.flags = C.SUBPY_DEFINE_CALLER_THREAD_ONLY
  for option in pairs(options) do
    if string_arg(option, options[option]):find("\0", 1, true) then error(option .. ": a string without NUL is expected", 0) end
    filled[option] = options[option]
  end
  prepare_callbacks()
  sweep()
  host_callback = host_callback or ffi.cast("subpy_host_fn", on_call)
  local cell = ffi.cast("subpy_value *", ffi.C.calloc(1, ffi.sizeof("subpy_value")))
  if cell == nil then error("not enough memory", 0) end
  local failure = error_out()
  local status = C.subpy_eval(self.cell[0], "'a result'", 10, cell, failure)
  if status ~= 0 then
    ffi.C.free(cell)
    fail(status, failure)
  end
  functions[number_of(cell)] = { run = run, cell = cell }
  local freed = ffi.cast("subpy_finalize_fn", C.subpy_value_free)
  local anchors = { options, filled }
  status = C.subpy_define_with(self.cell[0], name, #name, filled, host_callback, cell, freed, failure)
  keep(anchors)
  sweep()
  if status ~= 0 then fail(status, failure) end
end)

--- Stops what runs in it now, on threads, with SUBPY_ERROR_INTERRUPTED. Returns at once.
function Interpreter:interrupt()
  local failure = error_out()
  local status = C.subpy_interrupt(self.cell[0], failure)
  if status ~= 0 then fail(status, failure) end
end

-- Positional arguments as an array, and the keyword arguments behind them.
local function arguments(anchors, ...)
  local n = select("#", ...)
  local names
  local last = n > 0 and (select(n, ...))
  if type(last) == "table" and getmetatable(last) == Kwargs then
    n = n - 1
    if type(last.names) ~= "table" or next(last.names) ~= nil then
      names = value_array(1)
      anchors[#anchors + 1] = names
      encode("kwargs", names[0], last.names, anchors)
    end
  end
  local args = value_array(n)
  anchors[#anchors + 1] = args
  for i = 1, n do
    local value = (select(i, ...))
    encode("argument " .. i, args[i - 1], value, anchors)
  end
  anchors[#anchors + 1] = { ... }
  return args, n, names
end

local function request(self, anchors, what, text, options)
  options = options or {}
  local filled = ffi.new("subpy_run_request")
  filled.size = ffi.sizeof(filled)
  filled.interp = self.cell[0]
  filled.what = what
  filled.text = text
  filled.text_len = #text
  if options.filename then
    if string_arg("filename", options.filename):find("\0", 1, true) then
      error("filename: a string without NUL is expected", 0)
    end
    filled.filename = options.filename
  end
  if options.keep_indent then filled.flags = C.SUBPY_KEEP_INDENT end
  anchors[1], anchors[2] = text, options.filename
  return filled
end

local function run(self, what, text, options)
  local anchors = {}
  return perform(request(self, anchors, what, text, options), anchors, self.options)
end

-- A call by name or of a function, which has options.
local function call_with(self, filled, anchors, ...)
  filled.size = ffi.sizeof(filled)
  filled.args, filled.nargs, filled.kwargs = arguments(anchors, ...)
  return perform(filled, anchors, self.options)
end

local function start(filled, anchors, options, interp)
  set_limits(filled, options, true)
  local handle, failure = handle_out(), error_out()
  local status = C.subpy_run_in_thread(filled, handle, failure)
  keep(anchors)
  if status ~= 0 then fail(status, failure) end
  return thread(handle[0], interp)
end

local function run_in_thread(self, what, text, options)
  local anchors = {}
  return start(request(self, anchors, what, text, options), anchors, self.options, self)
end

--- Runs statements. `options`: filename, the name in tracebacks; keep_indent, to leave common indentation.
function Interpreter:exec(code, options)
  run(self, EXEC, string_arg("code", code), options)
end

--- The value of an expression. `options`: filename.
function Interpreter:eval(expression, options)
  return run(self, EVAL, string_arg("expression", expression), options)
end

--- Calls "name" in `__main__`, or "package.module:attribute". The last argument may be kwargs{...}.
Interpreter.call = calls_back(function(self, callable, ...)
  string_arg("callable", callable)
  local anchors = {}
  if self.options then
    local filled = ffi.new("subpy_run_request")
    filled.what, filled.interp, filled.text, filled.text_len = CALL, self.cell[0], callable, #callable
    anchors[1] = callable
    return call_with(self, filled, anchors, ...)
  end
  local args, n, names = arguments(anchors, ...)
  local result, failure = value_array(1), error_out()
  local status = C.subpy_call(self.cell[0], callable, #callable, args, n, names, result, failure)
  keep(anchors)
  if status ~= 0 then fail(status, failure) end
  return take(result)
end)

--- exec() on a thread of its own, which is returned; see Thread:join().
function Interpreter:exec_in_thread(code, options)
  return run_in_thread(self, EXEC, string_arg("code", code), options)
end

--- eval() on a thread of its own.
function Interpreter:eval_in_thread(expression, options)
  return run_in_thread(self, EVAL, string_arg("expression", expression), options)
end

--- call() on a thread of its own.
function Interpreter:call_in_thread(callable, ...)
  string_arg("callable", callable)
  local anchors = { callable }
  local filled = ffi.new("subpy_run_request")
  filled.size = ffi.sizeof(filled)
  filled.what, filled.interp, filled.text, filled.text_len = CALL, self.cell[0], callable, #callable
  filled.args, filled.nargs, filled.kwargs = arguments(anchors, ...)
  return start(filled, anchors, self.options, self)
end

-- ---- prepared functions

local Function = class("subpy.Function")

--- Looks a callable up once, to call it many times: function(...) or function:call(...). Binding its name to something
--- else later does not change it. It ends with its interpreter, when it is closed, and as garbage.
Interpreter.prepare = calls_back(function(self, callable)
  string_arg("callable", callable)
  local handle, failure = handle_out(), error_out()
  local status = C.subpy_function_new(self.cell[0], callable, #callable, handle, failure)
  if status ~= 0 then fail(status, failure) end
  local cell = ffi.gc(handle, function(last) C.subpy_function_free(last[0]) end)
  -- The interpreter stays alive as long as its functions do.
  return setmetatable({ cell = cell, interp = self, options = self.options }, Function)
end)

--- Calls it. The last argument may be kwargs{...}.
Function.call = calls_back(function(self, ...)
  local anchors = {}
  if self.options then
    local filled = ffi.new("subpy_run_request")
    filled.what = FUNCTION
    filled["function"] = self.cell[0]
    return call_with(self, filled, anchors, ...)
  end
  local args, n, names = arguments(anchors, ...)
  local result, failure = value_array(1), error_out()
  local status = C.subpy_function_call(self.cell[0], args, n, names, result, failure)
  keep(anchors)
  if status ~= 0 then fail(status, failure) end
  return take(result)
end)
Function.__call = Function.call

local CALL_MANY_FLAGS = { return_errors = 1 }

--- Calls it with one row of arguments after the other, which takes a fraction of the time of as many calls:
--- function:call_many{ { 1, 2 }, { 3, 4 } }. All rows have the same number of arguments. Returns a list of what the
--- calls return. The first error ends it, and there are no results then. `options`: return_errors, to go on after a row
--- that fails, with its error among the results (is_error() tells).
Function.call_many = calls_back(function(self, rows, options)
  local bits = flags(options or {}, CALL_MANY_FLAGS, {})
  local anchors = { rows }
  local array, count, width = encode_rows(rows, anchors)
  local results, failure = value_array(1), error_out()
  local status = C.subpy_function_call_many(self.cell[0], array, count, width, bits, results, failure)
  keep(anchors)
  if status ~= 0 then fail(status, failure) end
  return take(results)
end)

--- Calls it on a thread of its own.
function Function:call_in_thread(...)
  local anchors = {}
  local filled = ffi.new("subpy_run_request")
  filled.size = ffi.sizeof(filled)
  filled.what = FUNCTION
  filled["function"] = self.cell[0]
  filled.args, filled.nargs, filled.kwargs = arguments(anchors, ...)
  return start(filled, anchors, self.options, self.interp)
end

--- Gives it back. Calls that are running finish.
function Function:close()
  C.subpy_function_free(self.cell[0])
  ffi.gc(self.cell, nil)
end

-- ---- sessions

local Session = class("subpy.Session")

--- Stays in the interpreter until the session is closed: calls of this thread are cheaper, and what Python keeps for a
--- thread (threading.local, contextvars) lasts from call to call. Sessions nest. The interpreter cannot be closed
--- meanwhile. A session that is garbage is closed by the collector.
Interpreter.enter = calls_back(function(self)
  local failure = error_out()
  local status = C.subpy_enter(self.cell[0], failure)
  if status ~= 0 then fail(status, failure) end
  -- The finalizer holds the interpreter's own cell, so that of the two the session is finalized first.
  local inside = self.cell
  local cell = ffi.gc(handle_out(inside[0]), function() C.subpy_leave(inside[0], nil) end)
  return setmetatable({ cell = cell, interp = self }, Session)
end)

--- Leaves the interpreter. Once: a session that is closed already is left alone.
Session.close = calls_back(function(self)
  if not self.cell then return end
  local failure = error_out()
  local status = C.subpy_leave(self.cell[0], failure)
  if status ~= 0 then fail(status, failure) end
  ffi.gc(self.cell, nil)
  self.cell = nil
end)

local function leave(session, ok, ...)
  session:close()
  if not ok then error((...), 0) end
  return ...
end

--- Runs a Lua function in a session, and returns or raises what it did: interp:session(function() ... end).
function Interpreter:session(run, ...)
  local session = self:enter()
  return leave(session, pcall(run, ...))
end

-- ---- what else there is in an interpreter

--- Binds names in `__main__`: a table with names, or a dict.
Interpreter.prepare_main = calls_back(function(self, names)
  local anchors, slot, failure = {}, value_array(1), error_out()
  encode("names", slot[0], names, anchors)
  local status = C.subpy_prepare_main(self.cell[0], slot, failure)
  keep(anchors)
  if status ~= 0 then fail(status, failure) end
end)

--- Whether something is being run in it by this library.
function Interpreter:is_running()
  local running, failure = bool_out(), error_out()
  local status = C.subpy_is_running(self.cell[0], running, failure)
  if status ~= 0 then fail(status, failure) end
  return running[0]
end

--- The id that CPython gave it.
function Interpreter:id()
  local id, failure = ffi.new("int64_t[1]"), error_out()
  local status = C.subpy_id(self.cell[0], id, failure)
  if status ~= 0 then fail(status, failure) end
  return tonumber(id[0])
end

--- Where it came from, in CPython's words.
function Interpreter:whence()
  local whence, failure = text_out(), error_out()
  local status = C.subpy_whence(self.cell[0], whence, failure)
  if status ~= 0 then fail(status, failure) end
  return ffi.string(whence[0])
end

--- The library's number for it.
function Interpreter:handle()
  return tonumber(self.cell[0])
end

calls_back(close_last)

local CLOSE_FLAGS = { drain = 1, interrupt = 2 }

local function close_options(options)
  local filled = ffi.new("subpy_close_options")
  filled.size = ffi.sizeof(filled)
  filled.flags = flags(options, CLOSE_FLAGS, { timeout = true })
  filled.timeout_ms = -1
  if options.timeout ~= nil then
    if type(options.timeout) ~= "number" then error("timeout: a number of seconds is expected", 0) end
    filled.timeout_ms = math.ceil(math.max(0, math.min(options.timeout, FOR_EVER)) * 1000)
  end
  return filled
end

--- Ends it. Waits for the threads that Python code started in it. The garbage collector does it otherwise. `options`:
--- timeout, how many seconds to wait at most; drain, to let runs on other threads finish; interrupt, to make runs and
--- threads end. What has not ended in time is SUBPY_ERROR_BUSY, and the interpreter goes on.
Interpreter.close = calls_back(function(self, options)
  local failure, status = error_out(), nil
  if options then
    status = C.subpy_close_with(self.cell[0], close_options(options), failure)
  else
    status = C.subpy_close(self.cell[0], failure)
  end
  if status ~= 0 then fail(status, failure) end
  ffi.gc(self.cell, nil)
  sweep()
end)

-- ---- the module

local GIL = { own = 0, shared = 1 }
local BUSY = { refuse = 0, wait = 1, share = 2 }
local INTERP_FLAGS = { allow_fork = 1, allow_exec = 2, no_threads = 4, allow_daemon_threads = 8, no_extension_check = 16,
  unbuffered = 32, no_stdin = 64 }
local RUNTIME_FLAGS = { use_environment = 1, no_site = 2, keep_sigpipe = 4 }

local function choice(name, value, choices, default)
  if value == nil then return default end
  return choices[value] or error(("%s: %s is not one of the choices"):format(name, tostring(value)), 0)
end

--- Creates an interpreter. `options`: gil "own" or "shared"; busy "refuse", "wait" or "share"; path, folders to put in
--- front of sys.path; timeout, how many seconds each run may take; allow_fork, allow_exec, no_threads,
--- allow_daemon_threads, no_extension_check, unbuffered, no_stdin.
function M.create(options)
  options = options or {}
  local filled = ffi.new("subpy_interp_options")
  filled.size = ffi.sizeof(filled)
  filled.flags = flags(options, INTERP_FLAGS, { gil = true, busy = true, path = true, timeout = true })
  if options.timeout ~= nil then
    if type(options.timeout) ~= "number" or not (options.timeout > 0) then
      error("timeout: a number of seconds above 0 is expected", 0)
    end
    filled.timeout_ms = math.max(1, math.ceil(math.min(options.timeout, FOR_EVER) * 1000))
  end
  filled.gil = choice("gil", options.gil, GIL, GIL.own)
  filled.busy = choice("busy", options.busy, BUSY, BUSY.refuse)
  local folders = options.path or {}
  if type(folders) ~= "table" then error("path: a table of folders is expected", 0) end
  local texts = ffi.new("const char *[?]", #folders)
  for i, folder in ipairs(folders) do
    if string_arg("path", folder):find("\0", 1, true) then error("path: a string without NUL is expected", 0) end
    texts[i - 1] = folder
  end
  filled.path = texts
  filled.path_len = #folders
  local anchors = { texts, folders }
  local handle, failure = handle_out(), error_out()
  local status = C.subpy_create(filled, handle, failure)
  keep(anchors)
  if status ~= 0 then fail(status, failure) end
  return interpreter(handle[0], true)
end

--- Starts CPython, or makes sure that it runs. `options`: python, path of an executable, of a virtual environment's
--- folder or of a libpython; use_environment, no_site, keep_sigpipe.
function M.init(options)
  options = options or {}
  local filled = ffi.new("subpy_runtime_options")
  filled.size = ffi.sizeof(filled)
  filled.flags = flags(options, RUNTIME_FLAGS, { python = true })
  if options.python then
    if string_arg("python", options.python):find("\0", 1, true) then
      error("python: a string without NUL is expected", 0)
    end
    filled.python = options.python
  end
  local anchors, failure = { options.python }, error_out()
  local status = C.subpy_init(filled, failure)
  keep(anchors)
  if status ~= 0 then fail(status, failure) end
end

--- Closes all interpreters and finalizes CPython. `options` are those of Interpreter:close(), for all of them.
M.shutdown = calls_back(function(options)
  local failure, status = error_out(), nil
  if options then
    status = C.subpy_shutdown_with(close_options(options), failure)
  else
    status = C.subpy_shutdown(failure)
  end
  if status ~= 0 then fail(status, failure) end
  sweep()
end)

--- All interpreters by ascending id.
function M.list_all()
  local room, count, failure = 64, size_out(), error_out()
  while true do
    local handles = ffi.new("uint64_t[?]", room)
    local status = C.subpy_list_all(handles, room, count, failure)
    if status ~= 0 then fail(status, failure) end
    local n = tonumber(count[0])
    if n <= room then
      local list = {}
      for i = 1, n do list[i] = interpreter(handles[i - 1]) end
      return list
    end
    room = n * 2
  end
end

local function found(status, handle, failure)
  if status ~= 0 then fail(status, failure) end
  return interpreter(handle[0])
end

--- The interpreter that this thread is in; a Lua program's is in none.
function M.get_current()
  local handle, failure = handle_out(), error_out()
  return found(C.subpy_get_current(handle, failure), handle, failure)
end

--- The main interpreter.
function M.get_main()
  local handle, failure = handle_out(), error_out()
  return found(C.subpy_get_main(handle, failure), handle, failure)
end

--- The interpreter with this id.
function M.find(id)
  if not is_whole(id) then error("id: a whole number is expected", 2) end
  local handle, failure = handle_out(), error_out()
  return found(C.subpy_find(id, handle, failure), handle, failure)
end

--- The interpreter with this handle, see Interpreter:handle().
function M.interpreter(handle)
  if not is_whole(handle) or handle < 0 then error("a handle is a whole number", 2) end
  return interpreter(handle)
end

--- The version of the library.
function M.version() return ffi.string(C.subpy_version_string()) end

--- The version of the CPython in use; nil before the first start.
function M.python_version() return optional(C.subpy_python_version()) end

--- The path of the libpython in use; nil before the first start.
function M.python_library() return optional(C.subpy_python_library()) end

return M
