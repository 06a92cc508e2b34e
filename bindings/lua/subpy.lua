-- Many isolated CPython interpreters in a LuaJIT process: Python's concurrent.interpreters. docs/lua.md explains.
--
-- The library is that of the environment variable SUBPY_LIBRARY; otherwise a libsubpy.so that lies beside this file, or among the
-- C modules of the tree that it is installed in, or where Lua's C modules are (package.cpath), or where the system's loader finds
-- it. Its declarations, subpy.cdef, come with this file.

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
  local names = { here .. "libsubpy.so" }
  -- LuaRocks puts this file into share/lua/5.1, and the library of the same rock into lib/lua/5.1. Elsewhere three folders up is
  -- no tree of its own, and after ./ it would depend on where the program is started.
  local tree = here:match("^(.*/)share/lua/5%.1/$")
  if tree and tree:sub(1, 1) == "/" then names[#names + 1] = tree .. "lib/lua/5.1/libsubpy.so" end
  names[#names + 1] = package.searchpath("libsubpy", package.cpath)
  names[#names + 1] = "libsubpy.so.0"
  names[#names + 1] = "libsubpy.so"
  for _, name in ipairs(names) do
    local ok, library = pcall(ffi.load, name)
    if ok then return library, name end
    tried[#tried + 1] = "\n  " .. library -- which begins with the name
  end
  error("libsubpy.so, the library that this module drives, cannot be opened. Tried beside the module, in its tree, "
    .. "where Lua's C modules are (package.cpath) and where the system's loader looks:" .. table.concat(tried)
    .. "\nInstall it (make install in the sources of subpy, then ldconfig), or set the environment variable "
    .. "SUBPY_LIBRARY to its path", 0)
end

-- For what Python holds on to: it must not be in Lua's memory. What may come on any thread cannot be a Lua function: there
-- a semaphore counts it. These are named anew, since a program may have declared them in its own way.
ffi.cdef([[
  void *calloc(size_t count, size_t size);
  void free(void *memory);
  typedef struct { long seconds, nanoseconds; } subpy_lua_time;
  int subpy_lua_clock(int clock, subpy_lua_time *now) __asm__("clock_gettime");
  int subpy_lua_init(void *semaphore, int shared, unsigned value) __asm__("sem_init");
  int subpy_lua_post(void *semaphore) __asm__("sem_post");
  int subpy_lua_wait(void *semaphore) __asm__("sem_wait");
  int subpy_lua_try(void *semaphore) __asm__("sem_trywait");
  int subpy_lua_wait_until(void *semaphore, const subpy_lua_time *time) __asm__("sem_timedwait");
]])

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
local STR, BYTES, TUPLE, LIST, DICT = 5, 6, 7, 8, 9
local OBJECT, BUFFER, QUEUE, ERROR = 10, 11, 12, 13
local MAX_DEPTH = 1000
local FOR_EVER = 1e12 -- seconds
local MAX_EXACT = 2 ^ 53 - 1 -- the largest whole number that a Lua number tells from its neighbours

local value_array = ffi.typeof("subpy_value[?]")
local pair_array = ffi.typeof("subpy_pair[?]")
local int64, uint64, complex = ffi.typeof("int64_t"), ffi.typeof("uint64_t"), ffi.typeof("complex")
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
local Tagged, Buffer, Object, Function, Queue = class("subpy.Tagged"), class("subpy.Buffer"), class("subpy.Object"),
  class("subpy.Function"), class("subpy.Queue")

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

local TAGS = { "set", "frozenset", "complex", "date", "time", "datetime", "timedelta", "decimal", "uuid", "enum",
  "dataclass" }
local TAG_NUMBERS = {}
for number, name in ipairs(TAGS) do TAG_NUMBERS[name] = number end

--- A value of a Python type that Lua has no counterpart for: what it is made of, and a tag that says what that stands for,
--- such as tagged("date", "2026-02-28"). The tags are set, frozenset, complex, date, time, datetime, timedelta, decimal,
--- uuid, enum and dataclass.
function M.tagged(tag, value)
  if not TAG_NUMBERS[tag] then error("tagged: there is no tag " .. tostring(tag), 2) end
  return setmetatable({ tag = tag, value = value }, Tagged)
end

function Tagged:__tostring() return self.tag .. " " .. tostring(self.value) end

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

-- What Python has of Lua's memory, by the address of the semaphore that says when Python has let go of it: that, and the
-- buffer, which must not be collected before.
local passed, passed_count, sweep_in = {}, 0, 0

local function let_go(address, pass)
  passed[address] = nil
  passed_count = passed_count - 1
  ffi.C.free(pass.cell)
end

local function sweep_buffers()
  for address, pass in pairs(passed) do
    if C.subpy_lua_try(pass.cell) == 0 then let_go(address, pass) end
  end
  sweep_in = math.max(16, passed_count)
end

-- The library has not taken over what a call passed: nothing will say that Python has let go of it.
local function take_back(anchors)
  for address in pairs(anchors.passes or {}) do let_go(address, passed[address]) end
  anchors.passes = nil
end

local released = ffi.cast("subpy_finalize_fn", C.subpy_lua_post)

local function put_buffer(slot, buffer, anchors)
  if buffer.part then
    if buffer.part.closed then unfit("is a buffer that is closed") end
    ffi.copy(slot, buffer.part.slot, ffi.sizeof("subpy_value"))
    return
  end
  local cell = ffi.C.calloc(1, 64)
  if cell == nil then error("not enough memory", 0) end
  C.subpy_lua_init(cell, 0, 0)
  local layout = ffi.new("subpy_buffer", buffer.layout)
  layout.release, layout.userdata = released, cell
  local address = tonumber(ffi.cast("uintptr_t", cell))
  anchors[#anchors + 1] = layout
  anchors.passes = anchors.passes or {}
  anchors.passes[address] = true
  passed[address] = { cell = cell, buffer = buffer }
  passed_count = passed_count + 1
  slot.kind = BUFFER
  slot.u.as_buffer = layout
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
  elseif meta == Tagged then
    put(slot, value.value, anchors, depth)
    slot.flags = TAG_NUMBERS[value.tag]
  elseif meta == Object or meta == Function then
    slot.kind = OBJECT
    slot.u.as_object = value.cell[0]
  elseif meta == Queue then
    slot.kind = QUEUE
    slot.u.as_queue = value.cell[0]
  elseif meta == Buffer then
    put_buffer(slot, value, anchors)
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
  elseif kind == "cdata" and ffi.istype(complex, value) then
    local parts = value_array(2)
    anchors[#anchors + 1] = parts
    parts[0].kind, parts[1].kind = FLOAT, FLOAT
    parts[0].u.as_float, parts[1].u.as_float = value.re, value.im
    slot.kind = TUPLE
    slot.flags = TAG_NUMBERS.complex
    slot.len = 2
    slot.u.as_items = parts
  else
    unfit(("is a %s, which has no Python value"):format(kind))
  end
end

-- Raises a failure again, with the name of what a user passed and the way to what is unfit.
local function refuse(name, failure, anchors)
  take_back(anchors)
  if getmetatable(failure) ~= Unfit then error(failure, 0) end
  error(("%s%s %s"):format(name, way(failure.steps), failure.reason), 0)
end

-- Writes what a user passed.
local function encode(name, slot, value, anchors)
  local ok, failure = pcall(put, slot, value, anchors, 0)
  if not ok then refuse(name, failure, anchors) end
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
  if not counted then refuse("rows", count, anchors) end
  local at = {}
  local ok, array, width = pcall(put_rows, rows, count, anchors, at)
  if not ok then refuse(("rows[%d]"):format(at.row), array, anchors) end
  return array, count, width
end

-- ---- from Python

local read, row_error, read_object, read_buffer, read_queue

local function read_items(slot, items, scope)
  local array, n = slot.u.as_items, tonumber(slot.len)
  for i = 1, n do
    local item = read(array[i - 1], scope)
    if item == nil then item = M.none end
    items[i] = item
  end
  return items
end

local function read_dict(slot, scope)
  local dict = M.dict()
  local array = slot.u.as_pairs
  for i = 0, tonumber(slot.len) - 1 do
    dict:set(read(array[i].key, scope), read(array[i].value, scope))
  end
  return dict
end

local function read_plain(slot, scope)
  local kind = slot.kind
  if kind == STR then
    return ffi.string(slot.u.as_str, slot.len)
  elseif kind == LIST then
    return read_items(slot, M.list(), scope)
  elseif kind == TUPLE then
    return read_items(slot, M.tuple(), scope)
  elseif kind == DICT then
    return read_dict(slot, scope)
  end
end

local function read_tagged(slot, tag, scope)
  if tag == TAG_NUMBERS.complex then
    local parts = slot.u.as_items
    return complex(parts[0].u.as_float, parts[1].u.as_float)
  end
  return setmetatable({ tag = TAGS[tag], value = read_plain(slot, scope) }, Tagged)
end

-- The Lua value of a subpy_value. `scope` is what it is a part of: `owner`, to keep alive with objects, and `result`, to keep
-- alive with buffers.
function read(slot, scope)
  local kind = slot.kind
  if kind == INT then
    local number = slot.u.as_int
    if number >= -MAX_EXACT and number <= MAX_EXACT then return tonumber(number) end
    return number
  elseif kind == FLOAT then
    return slot.u.as_float
  elseif kind == STR or kind >= TUPLE and kind <= DICT then
    local tag = slot.flags % 256
    if tag ~= 0 then return read_tagged(slot, tag, scope) end
    if kind == STR then return ffi.string(slot.u.as_str, slot.len) end
    return read_plain(slot, scope)
  elseif kind == NONE then
    return nil
  elseif kind == BOOL then
    return slot.u.as_bool
  elseif kind == BYTES then
    return M.bytes(ffi.string(slot.u.as_str, slot.len))
  elseif kind == BIGINT then
    return M.bigint(ffi.string(slot.u.as_str, slot.len))
  elseif kind == ERROR then
    return row_error(slot.u.as_error)
  elseif kind == OBJECT then
    return read_object(slot, scope)
  elseif kind == QUEUE then
    return read_queue(slot)
  elseif kind == BUFFER then
    return read_buffer(slot, scope)
  end
  error(("result: values of kind %d are unknown to this module; the library is newer"):format(kind), 0)
end

-- ---- errors

--- What the functions raise: a table with `code` ("SUBPY_ERROR_BUSY", "SUBPY_ERROR_UNKNOWN" for one that this version
--- does not know), `status` (-3), `message` and `handle`; for a Python exception `excinfo`, `frames` and `exit_status`;
--- for a source that does not compile `excinfo`, `line`, `column` and `text`; for a row of call_many() `row`; for an
--- exception that a Lua function raised in Python, `cause`: what it raised; for a process that has ended
--- (SUBPY_ERROR_CRASHED) `signal`, which killed it, or `exit_code`, and `traceback`, where it was.
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
  else
    local signal, exit_code = int_out(), int_out()
    if C.subpy_error_crash(raw, signal, exit_code) then
      if signal[0] ~= 0 then copy.signal = signal[0] end
      if exit_code[0] ~= -1 then copy.exit_code = exit_code[0] end
      copy.traceback = sized(C.subpy_error_display(raw, size), size[0])
    end
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
-- One that has buffers is freed with the last of them. `owner` is what the objects in it are of.
local function take(result, owner)
  local slot = result[0]
  local kind = slot.kind
  if kind == NONE or kind == BOOL or kind == INT or kind == FLOAT then return read(slot) end
  ffi.gc(result, C.subpy_value_free)
  local scope = kind >= TUPLE and { owner = owner, result = result, buffers = 0 } or nil
  local value = read(slot, scope)
  if not scope or scope.buffers == 0 then C.subpy_value_free(ffi.gc(result, nil)) end
  return value
end

-- ---- threads

local Thread = class("subpy.Thread")

local function thread(handle, interp)
  -- The interpreter stays alive as long as the thread is not joined.
  local cell = ffi.gc(handle_out(handle), function(last) C.subpy_thread_free(last[0]) end)
  return setmetatable({ cell = cell, interp = interp }, Thread)
end

-- A time to wait, in milliseconds. -1: no limit.
local function wait_ms(name, seconds)
  if seconds == nil then return -1 end
  if type(seconds) ~= "number" then error(name .. ": a number of seconds is expected", 0) end
  return math.ceil(math.max(0, math.min(seconds, FOR_EVER)) * 1000)
end

--- Waits until the thread has ended, at most for so many seconds (nil: as long as it takes). Returns whether it has;
--- join() is still to be called.
function Thread:wait(seconds)
  local done, failure = bool_out(), error_out()
  local status = C.subpy_thread_wait(self.cell[0], wait_ms("wait", seconds), done, failure)
  if status ~= 0 then fail(status, failure) end
  return done[0]
end

--- Waits for the thread, and returns or raises what its run did. Once.
function Thread:join()
  local result, failure = value_array(1), error_out()
  local status = C.subpy_thread_join(self.cell[0], result, failure)
  ffi.gc(self.cell, nil)
  if status ~= 0 then fail(status, failure) end
  return take(result, self.interp)
end

--- A file descriptor that becomes readable when it has ended, for event loops. It is the thread's, and closed by join():
--- do not read or close it.
function Thread:fd()
  local fd, failure = int_out(), error_out()
  local status = C.subpy_thread_fd(self.cell[0], fd, failure)
  if status ~= 0 then fail(status, failure) end
  return fd[0]
end

-- The threads that somebody is to be told of, in the order in which they were named, and how many. Each of them posts the
-- semaphore when it has ended.
local told_of, told_count, ended = {}, 0, nil
told_of.next, told_of.previous = told_of, told_of

--- Has poll() call a function with this thread, when it has ended. More than one may be.
function Thread:notify(callback)
  if type(callback) ~= "function" then error("notify: a function is expected, not a " .. type(callback), 2) end
  if not ended then
    ended = ffi.C.calloc(1, 64)
    if ended == nil then error("not enough memory", 0) end
    C.subpy_lua_init(ended, 0, 0)
  end
  local entry, failure = { thread = self, callback = callback }, error_out()
  local status = C.subpy_thread_notify(self.cell[0], ffi.cast("subpy_notify_fn", C.subpy_lua_post), ended, failure)
  if status ~= 0 then fail(status, failure) end
  entry.next, entry.previous = told_of, told_of.previous
  entry.previous.next, told_of.previous = entry, entry
  told_count = told_count + 1
end

-- Takes the first one out that has ended. Most began in this order, so it is among the first.
local function next_ended()
  local done, entry = bool_out(), told_of.next
  while entry ~= told_of do
    -- One that was joined meanwhile is not found.
    if C.subpy_thread_wait(entry.thread.cell[0], 0, done, nil) ~= 0 or done[0] then
      entry.previous.next, entry.next.previous = entry.next, entry.previous
      told_count = told_count - 1
      return entry
    end
    entry = entry.next
  end
end

local function now()
  local time = ffi.new("subpy_lua_time")
  C.subpy_lua_clock(0, time)
  return tonumber(time.seconds) + tonumber(time.nanoseconds) / 1e9
end

-- Waits until a thread has ended that is not called for yet, or for so many seconds; nil: as long as it takes.
local function wait_for_ended(seconds)
  local limit = seconds and now() + math.max(0, math.min(seconds, FOR_EVER))
  while C.subpy_lua_try(ended) ~= 0 do
    local left = limit and limit - now()
    if left and left <= 0 or M.cancelled() then return false end
    -- Nothing else ends this wait when the run that this is in is to end.
    if calling > 0 then left = math.min(left or 0.05, 0.05) end
    if left then
      local at = now() + left
      local whole = math.floor(at)
      if C.subpy_lua_wait_until(ended, ffi.new("subpy_lua_time", whole, (at - whole) * 1e9)) == 0 then break end
    elseif C.subpy_lua_wait(ended) == 0 then
      break
    end
  end
  return true
end

--- Waits until a thread has ended that notify() or await() was called for, at most for so many seconds (nil: as long as it
--- takes), and calls the functions of all that have. Returns how many are still to be called.
function M.poll(seconds)
  if seconds ~= nil and type(seconds) ~= "number" then error("poll: a number of seconds is expected", 2) end
  if told_count == 0 or not wait_for_ended(seconds) then return told_count end
  repeat
    local entry = next_ended()
    entry.callback(entry.thread)
  until told_count == 0 or C.subpy_lua_try(ended) ~= 0
  return told_count
end

--- In a coroutine: join() that lets others run meanwhile. The coroutine yields, and poll() resumes it when the thread has
--- ended.
function Thread:await()
  local waiting = coroutine.running()
  if not waiting then error("await: this is no coroutine; use join()", 2) end
  local done = false
  self:notify(function()
    done = true
    local ok, failure = coroutine.resume(waiting)
    if not ok then error(failure, 0) end
  end)
  repeat coroutine.yield() until done
  return self:join()
end

--- Gives it up. Its run goes on, and prints its error if it fails.
function Thread:close()
  C.subpy_thread_free(self.cell[0])
  ffi.gc(self.cell, nil)
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
local function keep(anchors, status)
  anchors.kept = true
  if anchors.passes and (status == C.SUBPY_ERROR_INVALID_ARGUMENT or status == C.SUBPY_ERROR_FORKED) then
    take_back(anchors)
  end
  if passed_count > 0 then
    sweep_in = sweep_in - 1
    if sweep_in <= 0 then sweep_buffers() end
  end
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

-- What a user said of runs: time limit, token, in what form results come, and a function for output, which is given a
-- number until the run ends.
local function set_limits(filled, options, in_thread)
  if not options then return end
  if options.bits then filled.flags = bit.bor(filled.flags, options.bits) end
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
local perform = calls_back(function(filled, anchors, options, owner)
  local number = set_limits(filled, options)
  local result, failure = value_array(1), error_out()
  local status = C.subpy_run(filled, result, failure)
  keep(anchors, status)
  if number then callbacks[number] = nil end
  if status ~= 0 then fail(status, failure) end
  return take(result, owner)
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

local NO_SCOPE = {} -- of arguments, in which there is nothing to keep alive

local function answer(run, ctx, args, nargs, kwargs)
  local given, n = {}, tonumber(nargs)
  for i = 1, n do given[i] = read(args[i - 1], NO_SCOPE) end
  if kwargs ~= nil then
    n = n + 1
    given[n] = M.kwargs(read(kwargs[0], NO_SCOPE))
  end
  local result = run(unpack(given, 1, n))
  local slot, anchors = value_array(1), {}
  encode("result", slot[0], result, anchors)
  keep(anchors, C.subpy_context_return(ctx, slot))
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

local function choice(name, value, choices, default)
  if value == nil then return default end
  return choices[value] or error(("%s: %s is not one of the choices"):format(name, tostring(value)), 0)
end

local RESULTS = { object = 4, objects = 8, buffer = 16, array = 32 }

-- The flags of a request that options stand for.
local function option_bits(options)
  local bits = (options.abandon and 2 or 0) + (options.async and 64 or 0)
  local result = options.result
  for _, name in ipairs(type(result) == "table" and result or { result }) do
    bits = bit.bor(bits, choice("result", name, RESULTS))
  end
  return bits
end

-- The options of `self` with others on top, which must be among those that there are.
local function more_options(self, options, known)
  local all = {}
  for name, value in pairs(self.options or {}) do all[name] = value end
  for name, value in pairs(options) do
    if not known[name] then error("there is no option " .. tostring(name), 0) end
    all[name] = value
  end
  all.bits = option_bits(all)
  set_limits(ffi.new("subpy_run_request"), { timeout = all.timeout, cancel = all.cancel })
  return all
end

local RUN_OPTIONS = { timeout = true, cancel = true, output = true, result = true, abandon = true, async = true }

local function run_options(self, options)
  local all = more_options(self, options, RUN_OPTIONS)
  local kind = type(all.output)
  if all.output ~= nil then
    if kind ~= "function" and (kind ~= "table" and kind ~= "userdata" or not all.output.write) then
      error("output: a function or a file is expected, not a " .. kind, 0)
    end
    prepare_callbacks()
    output_callback = output_callback or ffi.cast("subpy_output_fn", on_output)
  end
  return all
end

--- The same interpreter, for runs with options: interp:with_options{ timeout = 2 }:call("f"). Functions that are prepared
--- with it have the options too. `options`: timeout, how many seconds a run may take (SUBPY_ERROR_TIMEOUT); cancel, a token;
--- output, a function of the stream (1: stdout, 2: stderr) and the text, or a file to write to, for what a run prints on
--- this thread; result, in what form results come: "object", as an Object; "objects", what has no value as an Object;
--- "buffer", what has a buffer as a Buffer; "array", rows of numbers as a Buffer; or a table of such; async, to run what is
--- awaitable to its end, and have what it comes to as the result; abandon, for runs in threads: who waits learns that the
--- run was stopped even if it does not end.
function Interpreter:with_options(options)
  return setmetatable({ cell = self.cell, options = run_options(self, options) }, Interpreter)
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
  keep(anchors, status)
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
  return perform(request(self, anchors, what, text, options), anchors, self.options, self)
end

-- A call by name or of a function, which has options.
local function call_with(self, owner, filled, anchors, ...)
  filled.size = ffi.sizeof(filled)
  filled.args, filled.nargs, filled.kwargs = arguments(anchors, ...)
  return perform(filled, anchors, self.options, owner)
end

local function start(filled, anchors, options, interp)
  set_limits(filled, options, true)
  local handle, failure = handle_out(), error_out()
  local status = C.subpy_run_in_thread(filled, handle, failure)
  keep(anchors, status)
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
    return call_with(self, self, filled, anchors, ...)
  end
  local args, n, names = arguments(anchors, ...)
  local result, failure = value_array(1), error_out()
  local status = C.subpy_call(self.cell[0], callable, #callable, args, n, names, result, failure)
  keep(anchors, status)
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
    return call_with(self, self.interp, filled, anchors, ...)
  end
  local args, n, names = arguments(anchors, ...)
  local result, failure = value_array(1), error_out()
  local status = C.subpy_function_call(self.cell[0], args, n, names, result, failure)
  keep(anchors, status)
  if status ~= 0 then fail(status, failure) end
  return take(result)
end)
Function.__call = Function.call

local CALL_MANY_FLAGS = { return_errors = 1 }

--- Calls it with one row of arguments after the other, which takes a fraction of the time of as many calls:
--- function:call_many{ { 1, 2 }, { 3, 4 } }. All rows have the same number of arguments. Returns a list of what the
--- calls return. The first error ends it, and there are no results then. `options`: return_errors, to go on after a row
--- that fails, with its error among the results (is_error() tells). Of the options of runs it has `result` and `async`.
Function.call_many = calls_back(function(self, rows, options)
  local bits = flags(options or {}, CALL_MANY_FLAGS, {})
  if self.options then bits = bits + option_bits{ result = self.options.result, async = self.options.async } end
  local anchors = { rows }
  local array, count, width = encode_rows(rows, anchors)
  local results, failure = value_array(1), error_out()
  local status = C.subpy_function_call_many(self.cell[0], array, count, width, bits, results, failure)
  keep(anchors, status)
  if status ~= 0 then fail(status, failure) end
  return take(results, self.interp)
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
  anchors[#anchors + 1] = names
  local status = C.subpy_prepare_main(self.cell[0], slot, failure)
  keep(anchors, status)
  if status ~= 0 then fail(status, failure) end
end)

--- How much memory it uses, in bytes: used, peak, limit (0: none), and refused, how often the limit has led to a
--- MemoryError. For interpreters that were created with count_memory or memory_limit.
function Interpreter:memory()
  local info, failure = ffi.new("subpy_memory_info"), error_out()
  info.size = ffi.sizeof(info)
  local status = C.subpy_memory(self.cell[0], info, failure)
  if status ~= 0 then fail(status, failure) end
  return { used = tonumber(info.used), peak = tonumber(info.peak), limit = tonumber(info.limit),
    refused = tonumber(info.refused) }
end

--- What holds it, if it is locked: landlock, the version of Landlock that keeps it from files (0: none does; 6 is all that is
--- asked for), and seccomp, whether its system calls are filtered.
function Interpreter:lock_info()
  local info, failure = ffi.new("subpy_lock_info"), error_out()
  info.size = ffi.sizeof(info)
  local status = C.subpy_lock_get_info(self.cell[0], info, failure)
  if status ~= 0 then fail(status, failure) end
  return { landlock = info.landlock, seccomp = info.seccomp ~= 0 }
end

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

-- ---- options of new interpreters

local GIL = { own = 0, shared = 1 }
local BUSY = { refuse = 0, wait = 1, share = 2 }
local INTERP_FLAGS = { allow_fork = 1, allow_exec = 2, no_threads = 4, allow_daemon_threads = 8, no_extension_check = 16,
  unbuffered = 32, no_stdin = 64, tagged_values = 128, count_memory = 256, process = 512, locked = 1024,
  lock_best_effort = 2048 }
local INTERP_OPTIONS = { gil = true, busy = true, path = true, timeout = true, memory_limit = true, grace = true,
  cpu_limit = true, readable = true, writable = true, venv = true }
local RUNTIME_FLAGS = { use_environment = 1, no_site = 2, keep_sigpipe = 4 }

-- A number of things, from 0 on.
local function count_arg(name, value)
  if not is_whole(value) or value < 0 then error(name .. ": a whole number from 0 on is expected", 0) end
  return value
end

-- A time in milliseconds, 0 when there is none.
local function time_arg(name, seconds)
  if seconds == nil then return 0 end
  if type(seconds) ~= "number" or not (seconds > 0) then
    error(name .. ": a number of seconds above 0 is expected", 0)
  end
  return math.max(1, math.ceil(math.min(seconds, FOR_EVER) * 1000))
end

-- Texts as C has them, with NULL behind the last one, and how many they are.
local function text_list(name, list, of, anchors)
  if type(list) ~= "table" then error(name .. ": a table of " .. of .. " is expected", 0) end
  local texts = ffi.new("const char *[?]", #list + 1)
  for i, text in ipairs(list) do
    if string_arg(name, text):find("\0", 1, true) then error(name .. ": a string without NUL is expected", 0) end
    texts[i - 1] = text
    anchors[#anchors + 1] = text
  end
  anchors[#anchors + 1] = texts
  return texts, #list
end

-- Options of new interpreters. `others` are names of options that are not for these.
local function interp_options(options, others, anchors)
  local filled = ffi.new("subpy_interp_options")
  filled.size = ffi.sizeof(filled)
  filled.flags = flags(options, INTERP_FLAGS, setmetatable(others, { __index = INTERP_OPTIONS }))
  filled.timeout_ms = time_arg("timeout", options.timeout)
  filled.grace_ms = time_arg("grace", options.grace)
  filled.cpu_limit_ms = time_arg("cpu_limit", options.cpu_limit)
  filled.gil = choice("gil", options.gil, GIL, GIL.own)
  filled.busy = choice("busy", options.busy, BUSY, BUSY.refuse)
  filled.path, filled.path_len = text_list("path", options.path or {}, "folders", anchors)
  if options.readable ~= nil then filled.readable = text_list("readable", options.readable, "folders", anchors) end
  if options.writable ~= nil then filled.writable = text_list("writable", options.writable, "folders", anchors) end
  if options.venv ~= nil then filled.venv = text_list("venv", { options.venv }, "one folder", anchors)[0] end
  if options.memory_limit ~= nil then filled.memory_limit = count_arg("memory_limit", options.memory_limit) end
  anchors[#anchors + 1] = filled
  return filled
end

-- ---- objects

local function free_object(cell) C.subpy_object_free(cell[0]) end

-- `interp`, if it is known, stays alive as long as its objects do.
local function keep_object(handle, interp, options)
  local own, failure = handle_out(), error_out()
  local status = C.subpy_object_keep(handle, own, failure)
  if status ~= 0 then fail(status, failure) end
  return setmetatable({ cell = ffi.gc(own, free_object), interp = interp, options = options }, Object)
end

function read_object(slot, scope)
  return keep_object(slot.u.as_object, scope.owner)
end

-- The flags for what an object gives: what has no value is an object, unless the user says otherwise.
local function bits_of(self, default)
  local result = self.options and self.options.result
  return result and option_bits{ result = result } or default or RESULTS.objects
end

--- The same object with options, which are those of Interpreter:with_options(). All that an object gives comes in the form
--- that `result` says; without it, what has no value is an Object. The others are for calls.
function Object:with_options(options)
  return keep_object(self.cell[0], self.interp, run_options(self, options))
end

local read_attr = calls_back(function(self, name, bits)
  local result, failure = value_array(1), error_out()
  local status = C.subpy_object_attr(self.cell[0], name, #name, bits, result, failure)
  if status ~= 0 then fail(status, failure) end
  return take(result, self.interp)
end)

--- An attribute. Python: getattr().
function Object:attr(name) return read_attr(self, string_arg("name", name), bits_of(self)) end

--- An item. Python: object[key]; so a list's first one is item(0).
Object.item = calls_back(function(self, key)
  local anchors, slot, result, failure = { key }, value_array(1), value_array(1), error_out()
  encode("key", slot[0], key, anchors)
  local status = C.subpy_object_item(self.cell[0], slot, bits_of(self), result, failure)
  keep(anchors, status)
  if status ~= 0 then fail(status, failure) end
  return take(result, self.interp)
end)

local call_object = calls_back(function(self, method, ...)
  local anchors = {}
  if self.options then
    local callable = method and read_attr(self, method, RESULTS.object) or self
    local filled = ffi.new("subpy_run_request")
    filled.what, filled.flags = FUNCTION, bits_of(self)
    filled["function"] = callable.cell[0]
    anchors[1] = callable
    return call_with(self, self.interp, filled, anchors, ...)
  end
  local args, n, names = arguments(anchors, ...)
  local result, failure = value_array(1), error_out()
  local status = C.subpy_object_call(self.cell[0], method, method and #method or 0, args, n, names, bits_of(self), result,
    failure)
  keep(anchors, status)
  if status ~= 0 then fail(status, failure) end
  return take(result, self.interp)
end)

--- Calls it: object(...) or object:call(...). The last argument may be kwargs{...}.
function Object:call(...) return call_object(self, nil, ...) end
Object.__call = Object.call

--- Calls it on a thread of its own, and with many rows, as functions that are prepared.
Object.call_in_thread, Object.call_many = Function.call_in_thread, Function.call_many

--- Calls a method of it: object:method("predict", 1, 2).
function Object:method(name, ...) return call_object(self, string_arg("name", name), ...) end

local next_of = calls_back(function(self, iterator)
  local more, result, failure = bool_out(), value_array(1), error_out()
  local status = C.subpy_object_next(iterator[0], bits_of(self), more, result, failure)
  if status ~= 0 then fail(status, failure) end
  if not more[0] then return nil end
  local value = take(result, self.interp)
  if value == nil then return M.none end
  return value
end)

--- Iterates over it, also when it is a generator: for item in object:iter() do. None is subpy.none.
Object.iter = calls_back(function(self)
  local iterator, failure = handle_out(), error_out()
  local status = C.subpy_object_iter(self.cell[0], iterator, failure)
  if status ~= 0 then fail(status, failure) end
  ffi.gc(iterator, free_object)
  return function() return next_of(self, iterator) end
end)

--- Its value, as runs have it: a copy. What has none is SUBPY_ERROR_NOT_SHAREABLE. With the option async it is what an
--- awaitable comes to.
Object.value = calls_back(function(self)
  local result, failure = value_array(1), error_out()
  local bits = bits_of(self, 0) + (self.options and self.options.async and C.SUBPY_RUN_ASYNC or 0)
  local status = C.subpy_object_value(self.cell[0], bits, result, failure)
  if status ~= 0 then fail(status, failure) end
  return take(result, self.interp)
end)

--- It as text. Python: str().
Object.text = calls_back(function(self)
  local result, failure = value_array(1), error_out()
  local status = C.subpy_object_text(self.cell[0], result, failure)
  if status ~= 0 then fail(status, failure) end
  return take(result)
end)

--- Another handle of the same object, which is closed by itself.
function Object:keep() return keep_object(self.cell[0], self.interp, self.options) end

--- The interpreter that it is of.
function Object:interpreter()
  local handle, failure = handle_out(), error_out()
  local status = C.subpy_object_interp(self.cell[0], handle, failure)
  if status ~= 0 then fail(status, failure) end
  -- That of a pool's is not ours; any other is kept alive.
  local known = getmetatable(self.interp) == Interpreter and self.interp.cell or handle
  return setmetatable({ cell = known }, Interpreter)
end

--- Lets it go. The garbage collector does it otherwise.
function Object:close()
  C.subpy_object_free(self.cell[0])
  ffi.gc(self.cell, nil)
end

-- ---- buffers

do
  -- The elements of Lua's arrays, as LuaJIT shows their types, in the letters of Python's struct module; and back.
  local FORMATS = { ["bool"] = "?", ["char"] = "b", ["unsigned char"] = "B", ["short"] = "h", ["unsigned short"] = "H",
    ["int"] = "i", ["unsigned int"] = "I", ["int64_t"] = "q", ["uint64_t"] = "Q", ["float"] = "f", ["double"] = "d" }
  local ELEMENTS = { c = "char", l = "int64_t", L = "uint64_t", n = "int64_t", N = "uint64_t" }
  for element, letter in pairs(FORMATS) do ELEMENTS[letter] = element end

  -- The numbers of a table as an array of C's.
  local function number_array(name, type_name, numbers)
    if type(numbers) ~= "table" then error(name .. ": a table of whole numbers is expected", 0) end
    for _, number in ipairs(numbers) do
      if not is_whole(number) then error(name .. ": a table of whole numbers is expected", 0) end
    end
    return ffi.new(type_name, #numbers, numbers)
  end

  -- What LuaJIT knows of a cdata: its format, its shape, and its size in bytes unless it is a pointer.
  local function layout_of(memory)
    -- A field that is an array is a reference to it.
    local element, suffix = tostring(ffi.typeof(memory)):gsub("%(&%)", ""):match("^ctype<(.-) *([%[%*].*)>$")
    if not element then error("buffer: an array or a pointer is expected", 0) end
    local shape = {}
    for length in suffix:gmatch("%[(%d+)%]") do shape[#shape + 1] = tonumber(length) end
    return FORMATS[element:gsub("^const ", "")], shape, suffix:find("%[") and ffi.sizeof(memory)
  end

  local BUFFER_OPTIONS = { format = true, itemsize = true, shape = true, strides = true, nbytes = true }
  local BUFFER_FLAGS = { writable = 1, lent = 2 }

  --- Memory that Python sees as a memoryview, without a copy: that of a string, or of a cdata, an array or a pointer. What is
  --- passed is not collected before Python has let go of it; that must be so when this Lua state ends. `options`: format, in the letters of Python's struct
  --- module; itemsize; shape, a table; strides, likewise, in bytes; nbytes, how many bytes, needed for a pointer; writable;
  --- lent, for one call. What an array is made of need not be said.
  function M.buffer(memory, options)
    options = options or {}
    local layout = ffi.new("subpy_buffer")
    layout.size = ffi.sizeof(layout)
    layout.flags = flags(options, BUFFER_FLAGS, BUFFER_OPTIONS)
    local format, shape, nbytes = "B", {}, nil
    if type(memory) == "string" then
      if options.writable then error("buffer: a string cannot be writable", 0) end
      nbytes = #memory
      layout.data = ffi.cast("char *", memory)
    elseif type(memory) == "cdata" then
      format, shape, nbytes = layout_of(memory)
      layout.data = ffi.cast("void *", memory)
    else
      error("buffer: a string or a cdata is expected, not a " .. type(memory), 0)
    end
    nbytes = options.nbytes or nbytes or error("buffer: nbytes is missing, the size of what the pointer points to", 0)
    layout.len = count_arg("nbytes", nbytes)
    if options.itemsize then layout.itemsize = count_arg("itemsize", options.itemsize) end
    format = options.format or format
      or error("buffer: format is missing, the elements are none of Python's struct module", 0)
    if string_arg("format", format):find("\0", 1, true) then error("format: a string without NUL is expected", 0) end
    layout.format = format
    shape = options.shape or not options.format and #shape > 1 and shape or nil
    local sizes = shape and number_array("shape", "size_t[?]", shape)
    local steps = options.strides and number_array("strides", "ptrdiff_t[?]", options.strides)
    layout.shape, layout.strides, layout.ndim = sizes, steps, shape and #shape or steps and #options.strides or 1
    return setmetatable({ layout = layout, anchors = { memory, format, sizes, steps } }, Buffer)
  end

  --- Memory of so many bytes, all zero, that interpreters in processes (process) see without a copy, and so do all others.
  --- Python may write to it, as Lua may, with pointer(). `options` as for buffer(). Any other memory goes to such a process
  --- as a copy when Python may only read it, and is refused otherwise. It is there as long as something has it.
  function M.shared_buffer(nbytes, options)
    local made, failure = ffi.new("subpy_buffer"), error_out()
    local status = C.subpy_buffer_new(count_arg("nbytes", nbytes), BUFFER_FLAGS.writable, made, failure)
    if status ~= 0 then fail(status, failure) end
    ffi.gc(made, C.subpy_buffer_free)
    local all = { nbytes = nbytes, writable = true }
    for name, value in pairs(options or {}) do all[name] = value end
    local buffer = M.buffer(ffi.cast("unsigned char *", made.data), all)
    buffer.anchors.made = made
    return buffer
  end

  function read_buffer(slot, scope)
    if not scope.result then error("a buffer that is an argument of a function is unknown to this module", 0) end
    scope.buffers = scope.buffers + 1
    local layout = slot.u.as_buffer
    return setmetatable({ layout = layout, part = { slot = slot, scope = scope } }, Buffer)
  end

  local function layout_in(self)
    if self.part and self.part.closed then error("the buffer is closed", 0) end
    return self.layout
  end

  local function elements(array, n)
    local items = {}
    for i = 1, n do items[i] = tonumber(array[i - 1]) end
    return items
  end

  -- A letter, which native sizes may have an @ in front of.
  local function element_of(layout)
    return ELEMENTS[ffi.string(layout.format):match("^@?(.)$") or ""]
  end

  local function itemsize_of(layout)
    if layout.itemsize ~= 0 then return tonumber(layout.itemsize) end
    local element = element_of(layout)
    return element and ffi.sizeof(element) or error("the buffer has no itemsize, and its format does not say it", 0)
  end

  --- What its elements are, in the letters of Python's struct module.
  function Buffer:format() return ffi.string(layout_in(self).format) end

  --- How many bytes an element has.
  function Buffer:itemsize() return itemsize_of(layout_in(self)) end

  --- How many bytes there are.
  function Buffer:nbytes() return tonumber(layout_in(self).len) end

  --- How many elements there are in each dimension, a table.
  function Buffer:shape()
    local layout = layout_in(self)
    if layout.shape == nil then return { tonumber(layout.len) / itemsize_of(layout) } end
    return elements(layout.shape, layout.ndim)
  end

  --- How many bytes there are from one element to the next in each dimension, a table.
  function Buffer:strides()
    local layout = layout_in(self)
    if layout.strides ~= nil then return elements(layout.strides, layout.ndim) end
    local strides, step, shape = {}, itemsize_of(layout), self:shape()
    for i = #shape, 1, -1 do
      strides[i] = step
      step = step * shape[i]
    end
    return strides
  end

  --- Whether the memory must not be written to.
  function Buffer:readonly() return bit.band(layout_in(self).flags, BUFFER_FLAGS.writable) == 0 end

  --- A pointer to the elements, to be read, and written to unless the buffer is readonly. It is good until the buffer is
  --- closed, and keeps it from being collected; another one that is made from it does not.
  function Buffer:pointer()
    local layout = layout_in(self)
    local kind = (self:readonly() and "const " or "") .. (element_of(layout) or "uint8_t") .. " *"
    return ffi.gc(ffi.cast(kind, layout.data), function() return self end)
  end

  --- The bytes, copied into a string: all, or so many from an offset on.
  function Buffer:bytes(offset, n)
    local layout = layout_in(self)
    offset = offset or 0
    n = n or tonumber(layout.len) - offset
    if not (is_whole(offset) and is_whole(n) and offset >= 0 and n >= 0 and offset + n <= tonumber(layout.len)) then
      error("bytes: the buffer has not so many bytes", 2)
    end
    return ffi.string(ffi.cast("const char *", layout.data) + offset, n)
  end

  --- How many elements there are in the first dimension.
  function Buffer:len() return self:shape()[1] or 1 end

  --- Lets Python's memory go: pointers to it must not be used any more. The garbage collector does it otherwise.
  --- A result with several buffers goes with the last of them. A buffer of Lua's own memory is left as it is.
  function Buffer:close()
    local part = self.part
    if not part or part.closed then return end
    part.closed = true
    local scope = part.scope
    scope.buffers = scope.buffers - 1
    if scope.buffers == 0 then C.subpy_value_free(ffi.gc(scope.result, nil)) end
  end

  --- Whether Python has let go of it, every time that it was passed.
  function Buffer:released()
    sweep_buffers()
    for _, pass in pairs(passed) do
      if pass.buffer == self then return false end
    end
    return true
  end
end

-- ---- queues

local function free_queue(cell) C.subpy_queue_free(cell[0]) end

local function queue(handle)
  return setmetatable({ cell = ffi.gc(handle_out(handle), free_queue) }, Queue)
end

local function keep_queue(handle)
  local own, failure = handle_out(), error_out()
  local status = C.subpy_queue_keep(handle, own, failure)
  if status ~= 0 then fail(status, failure) end
  return queue(own[0])
end

function read_queue(slot)
  return keep_queue(slot.u.as_queue)
end

--- A queue between Lua and interpreters, and between interpreters. As an argument it is one in Python, with the methods of
--- concurrent.interpreters.Queue. `options`: capacity, how many items have room. Instead of options it may be the handle of
--- a queue that another Lua state has.
function M.queue(options)
  if type(options) == "number" then return keep_queue(count_arg("handle", options)) end
  options = options or {}
  flags(options, {}, { capacity = true })
  local filled, handle, failure = ffi.new("subpy_queue_options"), handle_out(), error_out()
  filled.size = ffi.sizeof(filled)
  if options.capacity ~= nil then filled.capacity = count_arg("capacity", options.capacity) end
  local status = C.subpy_queue_new(filled, handle, failure)
  if status ~= 0 then fail(status, failure) end
  return queue(handle[0])
end

-- The number of a token, 0 for none.
local function token_of(cancel)
  if cancel == nil then return 0 end
  if getmetatable(cancel) ~= Cancel then error("cancel: what subpy.cancel() returns is expected", 0) end
  return cancel.cell[0]
end

--- Puts a copy of a value in. Waits while there is no room, at most for so many seconds (nil: as long as it takes; 0: not at
--- all), or until a token is fired. No room in time is SUBPY_ERROR_TIMEOUT, a closed queue SUBPY_ERROR_WRONG_STATE.
function Queue:put(value, seconds, cancel)
  local anchors, slot, failure = { value }, value_array(1), error_out()
  local milliseconds, token = wait_ms("put", seconds), token_of(cancel)
  encode("value", slot[0], value, anchors)
  local status = C.subpy_queue_put_with(self.cell[0], slot, milliseconds, token, failure)
  keep(anchors, status)
  if status ~= 0 then fail(status, failure) end
end

--- Takes the first item out. Waits as put() does while there is none. A queue that is closed and empty is
--- SUBPY_ERROR_WRONG_STATE.
function Queue:get(seconds, cancel)
  local result, failure = value_array(1), error_out()
  local status = C.subpy_queue_get_with(self.cell[0], wait_ms("get", seconds), result, token_of(cancel), failure)
  if status ~= 0 then fail(status, failure) end
  return take(result)
end

--- Takes the first item out if there is one: true and the item, or false.
function Queue:try_get()
  local result, failure = value_array(1), error_out()
  local status = C.subpy_queue_get(self.cell[0], 0, result, failure)
  if status == C.SUBPY_ERROR_TIMEOUT then
    C.subpy_error_free(failure[0])
    return false
  end
  if status ~= 0 then fail(status, failure) end
  return true, take(result)
end

--- Takes items out until the queue is closed and empty: for item in queue:items() do. None is subpy.none.
function Queue:items()
  return function()
    local result, failure = value_array(1), error_out()
    local status = C.subpy_queue_get(self.cell[0], -1, result, failure)
    if status == C.SUBPY_ERROR_WRONG_STATE then
      C.subpy_error_free(failure[0])
      return nil
    end
    if status ~= 0 then fail(status, failure) end
    local item = take(result)
    if item == nil then return M.none end
    return item
  end
end

--- What it is: id, the same one for all handles of a queue, capacity (0: no limit), len, and closed.
function Queue:info()
  local info, failure = ffi.new("subpy_queue_info"), error_out()
  info.size = ffi.sizeof(info)
  local status = C.subpy_queue_get_info(self.cell[0], info, failure)
  if status ~= 0 then fail(status, failure) end
  return { id = tonumber(info.id), capacity = tonumber(info.capacity), len = tonumber(info.len), closed = info.closed ~= 0 }
end

--- How many items are in it.
function Queue:len()
  local len, failure = size_out(), error_out()
  local status = C.subpy_queue_len(self.cell[0], len, failure)
  if status ~= 0 then fail(status, failure) end
  return tonumber(len[0])
end

--- A file descriptor that is readable while there is something to get, or the queue is closed, for event loops. It is the
--- queue's: do not read or close it, and take items with try_get().
function Queue:fd()
  local fd, failure = int_out(), error_out()
  local status = C.subpy_queue_fd(self.cell[0], fd, failure)
  if status ~= 0 then fail(status, failure) end
  return fd[0]
end

--- Closes it for everybody: nothing goes in any more, and what is in it can still be taken out.
function Queue:close()
  local failure = error_out()
  local status = C.subpy_queue_close(self.cell[0], failure)
  if status ~= 0 then fail(status, failure) end
end

--- Gives this Lua state's hold on it up, which the garbage collector does otherwise. Others still have it.
function Queue:free()
  C.subpy_queue_free(self.cell[0])
  ffi.gc(self.cell, nil)
end

--- The library's number for it.
function Queue:handle()
  return tonumber(self.cell[0])
end

-- ---- pools

do
  local Pool = class("subpy.Pool")

  local POOL_FLAGS = { refuse = 1, no_spares = 2 }
  local ISOLATION = { own_gil = C.SUBPY_ISOLATION_OWN_GIL, process = C.SUBPY_ISOLATION_PROCESS, auto = C.SUBPY_ISOLATION_AUTO }
  local POOL_NUMBERS = { "workers", "backlog", "spares", "runs_per_worker" }
  local TASK_OPTIONS = { timeout = true, cancel = true, result = true, abandon = true, async = true, submitter = true }
  local MAP_FLAGS = { return_errors = 1 }

  -- What has no owner any more is of no use to anybody: it ends.
  local function close_pool(cell)
    local options = ffi.new("subpy_close_options")
    options.size = ffi.sizeof(options)
    options.timeout_ms, options.flags = 1000, C.SUBPY_CLOSE_INTERRUPT
    C.subpy_pool_close(cell[0], options, nil)
  end

  --- A pool of interpreters, each with a thread, that runs tasks. `options`: those of create(), for each of them, and setup,
  --- statements that run once in each; workers, how many run tasks at the same time (one a core); backlog, how many tasks may
  --- wait (16 a worker); refuse, to refuse those beyond with SUBPY_ERROR_BUSY, where submit() waits otherwise; spares, how many
  --- interpreters are ready to take the place of one (1); no_spares; runs_per_worker, how many runs there are in one
  --- interpreter before it is replaced; isolation, where they live: "own_gil", in this process, as their options say;
  --- "process", each in one of its own; "auto", in this process until an extension module refuses that, then each in one of
  --- its own: a task that ended with that ImportError begins anew, and does twice what it did before. Instead of options it may be the handle of a pool that another Lua state has.
  function M.pool(options)
    if type(options) == "number" then
      return setmetatable({ cell = handle_out(count_arg("handle", options)) }, Pool)
    end
    options = options or {}
    if options.prepare then error("prepare: a Lua function cannot be called on another thread", 0) end
    local filled, own, others, anchors = ffi.new("subpy_pool_options"), {}, {}, {}
    filled.size = ffi.sizeof(filled)
    for _, name in ipairs(POOL_NUMBERS) do
      if options[name] ~= nil then filled[name] = count_arg(name, options[name]) end
      others[name] = true
    end
    for name, value in pairs(options) do
      if POOL_FLAGS[name] then own[name], others[name] = value, true end
    end
    filled.flags = flags(own, POOL_FLAGS, {})
    if options.setup ~= nil then
      filled.setup, filled.setup_len = string_arg("setup", options.setup), #options.setup
    end
    others.setup, others.isolation = true, true
    filled.isolation = choice("isolation", options.isolation, ISOLATION, ISOLATION.own_gil)
    filled.interp = interp_options(options, others, anchors)
    anchors[#anchors + 1] = options
    local handle, failure = handle_out(), error_out()
    local status = C.subpy_pool_new(filled, handle, failure)
    keep(anchors, status)
    if status ~= 0 then fail(status, failure) end
    return setmetatable({ cell = ffi.gc(handle, close_pool) }, Pool)
  end

  --- The same pool, for tasks with options: timeout, how many seconds a task may run; cancel, a token, which takes tasks out of
  --- the queue too; result, async and abandon as in Interpreter:with_options(); submitter, a number: those that have tasks
  --- waiting take turns.
  function Pool:with_options(options)
    if options.output ~= nil then error("output: a Lua function cannot be called on another thread", 0) end
    local all = more_options(self, options, TASK_OPTIONS)
    if all.submitter ~= nil then count_arg("submitter", all.submitter) end
    return setmetatable({ cell = self.cell, options = all }, Pool)
  end

  local function task(what, text)
    local filled = ffi.new("subpy_run_request")
    filled.size = ffi.sizeof(filled)
    filled.what, filled.text, filled.text_len = what, text, #text
    return filled
  end

  local function submit(self, filled, anchors)
    local options = self.options or {}
    set_limits(filled, options)
    local handle, failure = handle_out(), error_out()
    local status = C.subpy_pool_submit_as(self.cell[0], options.submitter or 0, filled, handle, failure)
    keep(anchors, status)
    if status ~= 0 then fail(status, failure) end
    return thread(handle[0], self)
  end

  --- Has the pool call something, as Interpreter:call() does. Returns a Thread at once, or when the pool has room.
  function Pool:submit(callable, ...)
    local filled, anchors = task(CALL, string_arg("callable", callable)), { callable }
    filled.args, filled.nargs, filled.kwargs = arguments(anchors, ...)
    return submit(self, filled, anchors)
  end

  --- Has the pool run statements. Returns a Thread.
  function Pool:submit_exec(code)
    return submit(self, task(EXEC, string_arg("code", code)), { code })
  end

  --- Has the pool evaluate an expression. Returns a Thread.
  function Pool:submit_eval(expression)
    return submit(self, task(EVAL, string_arg("expression", expression)), { expression })
  end

  -- The error of a task that is a row, as the library has it of rows.
  local function of_row(failure, row)
    if M.is_error(failure) then
      failure.row, failure.message = row, ("row %d: %s"):format(row, failure.message)
    end
    return failure
  end

  -- What takes the results of call_many(). It must be called from LuaJIT's interpreter, and so must what calls it.
  local taking, take_row

  local function on_row(_, index, result, failure)
    local map, row = taking, tonumber(index) + 1
    local ok, stopped = pcall(function()
      if failure ~= nil then
        local copy = row_error(failure)
        if not map.return_errors then
          map.failure = copy
          return true
        end
        map.results[row] = copy
        return false
      end
      local own = value_array(1)
      own[0] = result[0]
      result[0].kind, result[0].flags = NONE, 0
      local value = take(own, map.pool)
      if value == nil then value = M.none end
      map.results[row] = value
      return false
    end)
    if not ok then map.failure = stopped end
    return ok and not stopped
  end

  --- Calls something once for each row of arguments, in all of the pool's interpreters: pool:call_many("f", { { 1 }, { 2 } }).
  --- Returns a list of what the calls return, in the order of the rows. The first error ends it, and there are no results
  --- then. `options`: return_errors, to go on after a row that fails, with its error among the results; chunk, how many rows
  --- make a task (1): more cost less, and are less evenly spread.
  function Pool:call_many(callable, rows, options)
    options = options or {}
    flags(options, MAP_FLAGS, { chunk = true })
    local chunk = count_arg("chunk", options.chunk or 1)
    local filled, anchors = task(CALL, string_arg("callable", callable)), { callable, rows }
    set_limits(filled, self.options)
    local array, count, width = encode_rows(rows, anchors)
    take_row = take_row or ffi.cast("subpy_map_fn", on_row)
    local map, outer = { results = M.list(), return_errors = options.return_errors, pool = self }, taking
    local failure = error_out()
    taking = map
    local status = C.subpy_pool_map(self.cell[0], filled, array, count, width, chunk, take_row, nil, failure)
    taking = outer
    keep(anchors, status)
    if status ~= 0 then fail(status, failure) end
    if map.failure then error(map.failure, 0) end
    return map.results
  end
  if jit then jit.off(Pool.call_many) end

  -- Rows one after the other: those of a table, or what a function returns until it returns nil.
  local function each_row(rows)
    if type(rows) == "function" then return rows end
    if type(rows) ~= "table" then error("rows: a table or a function is expected, not a " .. type(rows), 0) end
    local i = 0
    return function()
      i = i + 1
      return rows[i]
    end
  end

  --- Calls something once for each row of arguments, and iterates over the rows and what the calls return, in order, as they
  --- come: for i, result in pool:map("f", rows) do. `rows` is a table of rows, or a function that returns one after the other.
  --- Only some are submitted in advance. The first error ends it: those that have begun are cancelled. `options`:
  --- return_errors, to have errors as results; ahead, how many rows are submitted before the first result is asked for (two a
  --- worker).
  function Pool:map(callable, rows, options)
    options = options or {}
    flags(options, MAP_FLAGS, { ahead = true })
    local ahead = count_arg("ahead", options.ahead or 2 * self:stats().workers)
    local next_row, tasks, first, last, given = each_row(rows), {}, 1, 0, false
    local own = not (self.options and self.options.cancel) and M.cancel() or nil
    local pool = own and self:with_options{ cancel = own } or self
    local function stop(failure)
      if own then own:fire() end
      for i = first, last do pcall(tasks[i].join, tasks[i]) end
      first, given = last + 1, true
      error(failure, 0)
    end
    local function fill()
      while not given and last - first < ahead do
        local row = next_row()
        if row == nil then
          given = true
        else
          local counted, n = pcall(width_of, row)
          if not counted then refuse(("rows[%d]"):format(last + 1), n, {}) end
          tasks[last + 1] = pool:submit(callable, unpack(row, 1, n))
          last = last + 1
        end
      end
    end
    return function()
      local ok, result = pcall(fill)
      if not ok then stop(result) end
      if first > last then return nil end
      local row, current_task = first, tasks[first]
      tasks[first], first = nil, first + 1
      ok, result = pcall(current_task.join, current_task)
      if ok then return row, result end
      if not options.return_errors or not M.is_error(result) then stop(of_row(result, row)) end
      return row, of_row(result, row)
    end
  end

  --- What it has done and has to do: workers, spares, queued, running, submitted, done, failed, cancelled, replaced, left,
  --- crashed, the interpreters whose process has ended or was killed; isolation, "own_gil" or "process", and reason, why they
  --- have moved with "auto"; and how long tasks have waited and run, in microseconds: wait_p50_us, wait_p90_us, wait_p99_us,
  --- run_p50_us, and so on.
  function Pool:stats()
    local stats, failure = ffi.new("subpy_pool_stats"), error_out()
    stats.size = ffi.sizeof(stats)
    local status = C.subpy_pool_get_stats(self.cell[0], stats, failure)
    if status ~= 0 then fail(status, failure) end
    local copy = {}
    for _, name in ipairs{ "workers", "spares", "queued", "running", "submitted", "done", "failed", "cancelled", "replaced",
      "wait_p50_us", "wait_p90_us", "wait_p99_us", "run_p50_us", "run_p90_us", "run_p99_us", "left", "crashed" } do
      copy[name] = tonumber(stats[name])
    end
    copy.isolation = stats.isolation == ISOLATION.own_gil and "own_gil" or "process"
    copy.reason = ffi.string(stats.reason)
    return copy
  end

  --- Ends it when its tasks have ended, however long that takes. `options` are those of Interpreter:close(): with `interrupt`
  --- tasks that wait are cancelled, and those that run interrupted. The garbage collector does that otherwise.
  function Pool:close(options)
    local failure = error_out()
    local status = C.subpy_pool_close(self.cell[0], close_options(options or { drain = true }), failure)
    if status ~= 0 then fail(status, failure) end
    ffi.gc(self.cell, nil)
  end

  --- The library's number for it.
  function Pool:handle()
    return tonumber(self.cell[0])
  end
end

-- ---- the module

--- Creates an interpreter. `options`: gil "own" or "shared"; busy "refuse", "wait" or "share"; path, folders to put in
--- front of sys.path; venv, the folder of a virtual environment, whose packages it has in place of those of the process;
--- timeout, how many seconds each run may take; memory_limit, how many bytes it may use; tagged_values,
--- to have sets, dates and more as results; count_memory, for memory(); allow_fork, allow_exec, no_threads,
--- allow_daemon_threads, no_extension_check, unbuffered, no_stdin; process, for a process of its own, and then grace, how
--- many seconds after the exception that ends a run that process is killed (0.1), cpu_limit, how many seconds of processors
--- it may use, and locked, to lock it down but for the folders in readable and writable, absolute paths; lock_best_effort, to
--- make do with what an older Linux has for that, see lock_info().
function M.create(options)
  local anchors = {}
  local filled = interp_options(options or {}, {}, anchors)
  local handle, failure = handle_out(), error_out()
  local status = C.subpy_create(filled, handle, failure)
  keep(anchors, status)
  if status ~= 0 then fail(status, failure) end
  return interpreter(handle[0], true)
end

--- Starts CPython, or makes sure that it runs. `options`: python, path of an executable, of a virtual environment's
--- folder or of a libpython; use_environment, no_site, keep_sigpipe; preload, names of modules that are imported once for
--- all interpreters with processes of their own, and worker, path of the program that these begin with.
function M.init(options)
  options = options or {}
  local filled = ffi.new("subpy_runtime_options")
  filled.size = ffi.sizeof(filled)
  filled.flags = flags(options, RUNTIME_FLAGS, { python = true, worker = true, preload = true })
  local anchors, failure = { filled }, error_out()
  for _, name in ipairs{ "python", "worker" } do
    if options[name] then
      filled[name] = text_list(name, { options[name] }, "paths", anchors)[0]
    end
  end
  if options.preload then filled.preload = text_list("preload", options.preload, "modules", anchors) end
  local status = C.subpy_init(filled, failure)
  keep(anchors, status)
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
