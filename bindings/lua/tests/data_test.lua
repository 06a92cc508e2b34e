-- Tests of objects, buffers, tagged values, queues, pools and memory in subpy.lua, as subpy_test.lua.

local here = arg[0]:match("^(.*/)") or "./"

local ffi = require("ffi")
local subpy = require("subpy")

local none, list, tuple, dict, kwargs = subpy.none, subpy.list, subpy.tuple, subpy.dict, subpy.kwargs

local check = dofile(here .. "check.lua")
local test, equal, raised, refused = check.test, check.equal, check.raised, check.refused

ffi.cdef[[
  typedef struct { int fd; short events, revents; } check_pollfd;
  int poll(check_pollfd *fds, unsigned long count, int milliseconds);
]]

local function readable(fd, milliseconds)
  return ffi.C.poll(ffi.new("check_pollfd[1]", { { fd, 1, 0 } }), 1, milliseconds) == 1
end

local function resident()
  local file = assert(io.open("/proc/self/statm"))
  local pages = file:read("*a"):match("%d+ (%d+)")
  file:close()
  return tonumber(pages) * 4096
end

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Raises what a function raises in Python.
local function exception(type_name, run, ...)
  local failure = raised("SUBPY_ERROR_EXECUTION_FAILED", run, ...)
  equal(failure.excinfo.type.name, type_name)
  return failure
end

local MODEL = [=[
    class Model:
        def __init__(self, factor): self.factor = factor
        def predict(self, xs, *, offset=0): return [x * self.factor + offset for x in xs]
        def layer(self, n): return Model(n)
        def fail(self): raise LookupError('no')
        def loop(self):
            while True: pass
        def __call__(self, x): return x + self.factor
        def __str__(self): return f'Model({self.factor})'
    def is_model(x): return isinstance(x, Model)
    def factors(models): return [m.factor for m in models['all']]
    def lines():
        yield 'one'
        yield None
        yield Model(5)
]=]

-- ---- objects

test("an object stays in Python", function()
  local interp = subpy.create()
  interp:exec(MODEL)
  local model = interp:with_options{ result = "object" }:call("Model", 3)
  equal(model:method("predict", { 1, 2 }, kwargs{ offset = 1 }), list{ 4, 7 })
  equal(model:attr("factor"), 3)
  equal(model(4), 7)
  equal(model:call(5), 8)
  equal(model:text(), "Model(3)")
  equal(model:interpreter():handle(), interp:handle())
  equal(model:interpreter():eval("1"), 1)
  -- What has no value is an object.
  local layer = model:method("layer", 9)
  equal(layer:attr("factor"), 9)
  equal(model:attr("__class__"):attr("__name__"), "Model")
  -- As an argument, also nested, and with functions that are prepared.
  equal(interp:call("is_model", model), true)
  equal(interp:call("factors", { all = { model, layer } }), list{ 3, 9 })
  equal(interp:call("builtins:callable", interp:prepare("is_model")), true)
  interp:prepare_main{ mine = model }
  equal(interp:eval("mine.factor"), 3)
  interp:close()
end)

test("objects have items, and can be iterated over", function()
  local interp = subpy.create()
  interp:exec(MODEL)
  local objects = interp:with_options{ result = "object" }
  local items = objects:eval("[10, None, {'k': (1, Model(2))}]")
  equal(items:item(0), 10)
  equal(items:item(1), nil)
  equal(items:item(2):get("k")[2]:attr("factor"), 2)
  equal(items:with_options{ result = "object" }:item(2):item("k")[2]:attr("factor"), 2)
  equal(items:with_options{ result = "object" }:item(1):text(), "None")
  exception("IndexError", items.item, items, 3)
  exception("TypeError", items.item, items, "k")
  exception("AttributeError", items.attr, items, "missing")
  local seen = {}
  for line in objects:call("lines"):iter() do seen[#seen + 1] = line end
  equal({ seen[1], seen[2], seen[3]:attr("factor"), #seen }, { "one", none, 5, 3 })
  local next_line = objects:call("lines"):with_options{ result = "array" }:iter()
  equal({ next_line(), next_line() }, { "one", none })
  raised("SUBPY_ERROR_NOT_SHAREABLE", next_line) -- and was taken
  equal(next_line(), nil)
  exception("TypeError", function() objects:eval("5"):iter() end)
  interp:close()
end)

test("what has no value comes back as an object inside of a result", function()
  local interp = subpy.create()
  interp:exec(MODEL)
  raised("SUBPY_ERROR_NOT_SHAREABLE", interp.eval, interp, "[1, Model(2)]")
  local found = interp:with_options{ result = "objects" }:eval("[1, {'m': Model(2)}, Model(3)]")
  equal({ found[1], found[2]:get("m"):attr("factor"), found[3]:text() }, { 1, 2, "Model(3)" })
  equal(found[3]:with_options{ result = "array" }:attr("factor"), 3)
  raised("SUBPY_ERROR_NOT_SHAREABLE", found[3].value, found[3])
  refused("result: value is not one of the choices", interp.with_options, interp, { result = "value" })
  refused("result: 5 is not one of the choices", interp.with_options, interp, { result = { "array", 5 } })
  interp:close()
end)

test("calls of objects have options, and run in threads and in rows", function()
  local interp = subpy.create()
  interp:exec(MODEL)
  local model = interp:with_options{ result = "object" }:call("Model", 3)
  local short = model:with_options{ timeout = 0.05 }
  raised("SUBPY_ERROR_TIMEOUT", short.method, short, "loop")
  equal(short:method("layer", 2):attr("factor"), 2)
  equal(short(1), 4)
  local printed = ""
  interp:exec("def show(x): print('shown', x)")
  local show = interp:with_options{ result = "object" }:eval("show")
  show:with_options{ output = function(_, text) printed = printed .. text end }:call(1)
  equal(printed, "shown 1\n")
  equal(model:call_in_thread(10):join(), 13)
  equal(model:call_many{ { 1 }, { 2 } }, list{ 4, 5 })
  local layers = interp:with_options{ result = "objects" }:prepare("Model"):call_many{ { 8 }, { 9 } }
  equal({ layers[1]:attr("factor"), layers[2]:text() }, { 8, "Model(9)" })
  local failure = exception("LookupError", model.method, model, "fail")
  equal(failure.frames[1].name, "fail")
  local cancel = subpy.cancel()
  cancel:fire()
  raised("SUBPY_ERROR_INTERRUPTED", function() model:with_options{ cancel = cancel }:call(1) end)
  refused("there is no option limit", model.with_options, model, { limit = 1 })
  interp:close()
end)

test("an object ends when it is closed, and with its interpreter", function()
  local one, two = subpy.create(), subpy.create()
  one:exec(MODEL .. "\n    gone = []\n    import weakref\n    def watch(m): weakref.finalize(m, gone.append, 1)")
  local objects = one:with_options{ result = "object" }
  local model = objects:call("Model", 1)
  one:call("watch", model)
  local other = model:keep()
  model:close()
  model:close()
  raised("SUBPY_ERROR_NOT_FOUND", model.attr, model, "factor")
  raised("SUBPY_ERROR_NOT_FOUND", one.call, one, "is_model", model)
  equal(other:attr("factor"), 1)
  raised("SUBPY_ERROR_NOT_SHAREABLE", two.call, two, "builtins:print", other)
  equal(one:eval("len(gone)"), 0)
  other:close()
  one:exec("pass")
  equal(one:eval("len(gone)"), 1)
  -- The collector closes them too.
  for _ = 1, 3 do one:call("watch", objects:call("Model", 1)) end
  collect()
  one:exec("pass")
  equal(one:eval("len(gone)"), 4)
  local last = objects:call("Model", 1)
  one:close()
  two:close()
  raised("SUBPY_ERROR_NOT_FOUND", last.text, last)
  raised("SUBPY_ERROR_NOT_FOUND", function() last:iter() end)
end)

test("an object keeps its interpreter", function()
  local model = subpy.create():with_options{ result = "object" }:eval("{'k': [1]}")
  collect()
  equal(model:item("k"), list{ 1 })
end)

test("objects, queues and buffers go through Lua functions", function()
  local interp = subpy.create()
  interp:exec(MODEL)
  local model = interp:with_options{ result = "object" }:call("Model", 7)
  local queue = subpy.queue()
  interp:define("host:model", function() return { model, queue } end)
  interp:define("host:put", function(q, value) q:put(value) end)
  interp:define("host:view", function() return subpy.buffer("abc") end)
  interp:define("host:predict", function(x) return model:method("predict", { x }) end)
  interp:exec([[
    import host
    m, q = host.model()
    host.put(q, 'through')
    seen = (m.factor, q.get(), bytes(host.view()), host.predict(2))
  ]])
  equal(interp:eval("seen"), tuple{ 7, "through", subpy.bytes("abc"), list{ 14 } })
  interp:close()
end)

test("coroutines of Python's are run to their end", function()
  local interp = subpy.create()
  interp:exec([[
    import asyncio
    async def double(x):
        await asyncio.sleep(0)
        return 2 * x
    async def fail(): raise KeyError('k')
    async def for_ever(): await asyncio.Event().wait()
  ]])
  raised("SUBPY_ERROR_NOT_SHAREABLE", interp.call, interp, "double", 1)
  local async = interp:with_options{ async = true }
  equal(async:call("double", 4), 8)
  equal(async:eval("await double(1) + 1"), 3)
  equal(async:prepare("double")(3), 6)
  equal(async:prepare("double"):call_many{ { 1 }, { 2 } }, list{ 2, 4 })
  equal(async:call_in_thread("double", 2):join(), 4)
  equal(async:call("builtins:len", "abc"), 3)
  exception("KeyError", async.call, async, "fail")
  local failure = raised("SUBPY_ERROR_TIMEOUT", function() async:with_options{ timeout = 0.05 }:call("for_ever") end)
  equal(failure.excinfo.type.name, "CancelledError")
  local double = interp:with_options{ result = "object" }:eval("double")
  equal(double:with_options{ async = true }:call(5), 10)
  equal(double(6):with_options{ async = true }:value(), 12)
  interp:close()
  local pool = subpy.pool{ workers = 1, setup = "async def one(): return 1" }
  equal(pool:with_options{ async = true }:submit("one"):join(), 1)
  pool:close()
end)

-- ---- buffers

local LOOK = [[
    kept = []
    def look(b): return (type(b).__name__, b.format, b.itemsize, b.shape, b.strides, b.readonly, b.tolist())
    def keep(b): kept.append(b)
    def part(b): kept.append(b[1:])
    def drop(): kept.clear()
    def fill(b, x): b[0] = x
]]

test("Python sees Lua's memory", function()
  local interp = subpy.create()
  interp:exec(LOOK)
  local function seen(...)
    local look = interp:call("look", subpy.buffer(...))
    return { look[2], look[3], look[4], look[5], look[6], look[7] }
  end
  equal(seen("abc"), { "B", 1, tuple{ 3 }, tuple{ 1 }, true, list{ 97, 98, 99 } })
  equal(seen(ffi.new("double[2]", { 0.5, 1.5 })), { "d", 8, tuple{ 2 }, tuple{ 8 }, true, list{ 0.5, 1.5 } })
  equal(seen(ffi.new("int32_t[?]", 2, { 1, -2 })), { "i", 4, tuple{ 2 }, tuple{ 4 }, true, list{ 1, -2 } })
  equal(seen(ffi.new("const uint64_t[1]", { 5 })), { "Q", 8, tuple{ 1 }, tuple{ 8 }, true, list{ 5 } })
  equal(seen(ffi.new("float[2][3]", { { 1, 2, 3 }, { 4, 5, 6 } })),
    { "f", 4, tuple{ 2, 3 }, tuple{ 12, 4 }, true, list{ list{ 1, 2, 3 }, list{ 4, 5, 6 } } })
  equal(seen(ffi.new("short[6]", { 1, 2, 3, 4, 5, 6 }), { shape = { 3, 2 }, strides = { 2, 6 } }),
    { "h", 2, tuple{ 3, 2 }, tuple{ 2, 6 }, true, list{ list{ 1, 4 }, list{ 2, 5 }, list{ 3, 6 } } })
  equal(seen(ffi.new("uint8_t[4]", { 1, 0, 2, 0 }), { format = "h" }), { "h", 2, tuple{ 2 }, tuple{ 2 }, true, list{ 1, 2 } })
  local fields = ffi.new("struct { int n; uint8_t bytes[3]; }", { 0, { 7, 8, 9 } })
  equal(seen(fields.bytes)[6], list{ 7, 8, 9 })
  local array = ffi.new("int16_t[2]", { 3, 4 }) -- which a pointer does not keep
  equal(seen(ffi.cast("int16_t *", array), { nbytes = 4 })[6], list{ 3, 4 })
  array[0] = 5
  equal(interp:eval("kept"), list{})
  interp:close()
end)

test("Python and Lua write to the same memory", function()
  local interp = subpy.create()
  interp:exec(LOOK)
  local numbers = ffi.new("double[2]", { 1, 2 })
  exception("TypeError", interp.call, interp, "fill", subpy.buffer(numbers), 9)
  local buffer = subpy.buffer(numbers, { writable = true })
  interp:call("fill", buffer, 9.5)
  equal(numbers[0], 9.5)
  interp:prepare_main{ shared = buffer }
  numbers[1] = 0.25
  equal(interp:eval("shared[1]"), 0.25)
  equal({ buffer:format(), buffer:itemsize(), buffer:nbytes(), buffer:len(), buffer:readonly() }, { "d", 8, 16, 2, false })
  equal(buffer:pointer()[0], 9.5)
  interp:close()
end)

test("memory is used until Python lets go of it", function()
  local interp = subpy.create()
  interp:exec(LOOK)
  local alive = setmetatable({}, { __mode = "k" })
  for i = 1, 50 do
    local memory = ffi.new("int[1000]")
    memory[999] = i
    alive[memory] = true
    interp:call("keep", subpy.buffer(memory))
  end
  collect()
  equal(interp:eval("[b[999] for b in kept] == list(range(1, 51))"), true)
  interp:call("drop")
  interp:eval("1")
  equal(subpy.buffer(""):released(), true)
  collect()
  equal(next(alive), nil)

  local buffer = subpy.buffer(("x"):rep(1e6))
  interp:call("keep", buffer)
  interp:call("keep", buffer)
  equal(buffer:released(), false)
  interp:exec("del kept[0]")
  equal(buffer:released(), false)
  interp:close() -- lets go of all
  equal(buffer:released(), true)
end)

test("memory that a call did not take is free at once", function()
  local interp = subpy.create()
  interp:exec(LOOK)
  local buffer = subpy.buffer("abc", { shape = { 2 } })
  raised("SUBPY_ERROR_INVALID_ARGUMENT", interp.call, interp, "look", buffer)
  equal(buffer:released(), true)
  local good = subpy.buffer("abc")
  refused("argument 2 is a function", interp.call, interp, "look", good, print)
  equal(good:released(), true)
  local queue = subpy.queue()
  queue:close()
  raised("SUBPY_ERROR_WRONG_STATE", queue.put, queue, good)
  equal(good:released(), true)
  interp:close()
  raised("SUBPY_ERROR_NOT_FOUND", interp.call, interp, "look", good)
  equal(good:released(), true)
end)

test("memory is shared with an interpreter in a process", function()
  local interp = subpy.create{ process = true }
  interp:exec("def fill(view): view[1] = 2.5; return view\ndef look(view): return view.tolist()")
  local shared = subpy.shared_buffer(800000, { format = "d" })
  equal({ shared:format(), shared:nbytes(), shared:readonly() }, { "d", 800000, false })
  local back = interp:with_options{ result = "buffer" }:call("fill", shared)
  equal(shared:pointer()[1], 2.5)
  shared:pointer()[2] = 7
  equal(back:pointer()[2], 7)
  back:close()
  equal(interp:call("look", subpy.buffer("ab")), list{ 97, 98 })
  raised("SUBPY_ERROR_NOT_SHAREABLE", interp.call, interp, "look", subpy.buffer(ffi.new("char[2]"), { writable = true }))
  interp:close()
  equal(shared:released(), true)
end)

test("memory is lent for one call", function()
  local interp = subpy.create()
  interp:exec(LOOK)
  local buffer = subpy.buffer("abcd", { lent = true })
  equal(interp:call("look", buffer)[7], list{ 97, 98, 99, 100 })
  interp:call("keep", buffer)
  exception("ValueError", interp.eval, interp, "kept[0][0]")
  equal(buffer:released(), true)
  local failure = raised("SUBPY_ERROR_BUSY", interp.call, interp, "part", buffer)
  assert(failure.message:find("1 views", 1, true), failure.message)
  equal(buffer:released(), false)
  equal(interp:eval("bytes(kept[1])"), subpy.bytes("bcd"))
  interp:call("drop")
  interp:eval("1")
  equal(buffer:released(), true)
  interp:close()
end)

test("what is no memory, and layouts that do not fit, are errors", function()
  refused("a string or a cdata is expected, not a table", subpy.buffer, {})
  refused("a string cannot be writable", subpy.buffer, "abc", { writable = true })
  refused("there is no option size", subpy.buffer, "abc", { size = 3 })
  refused("nbytes is missing", subpy.buffer, ffi.cast("int *", ffi.new("int[2]")))
  refused("an array or a pointer is expected", subpy.buffer, 5LL)
  refused("format is missing", subpy.buffer, ffi.new("struct { int a; }[2]"))
  refused("shape: a table of whole numbers", subpy.buffer, "abc", { shape = { 1.5 } })
  refused("strides: a table of whole numbers", subpy.buffer, "abc", { strides = 5 })
  refused("nbytes: a whole number from 0 on", subpy.buffer, "abc", { nbytes = -1 })
  refused("format: a string without NUL", subpy.buffer, "abc", { format = "B\0" })
end)

test("results share Python's memory", function()
  local interp = subpy.create()
  interp:exec("import array\nblock = bytearray(b'xyz' * 4000)\nnumbers = array.array('d', [k / 2 for k in range(1000)])")
  local shared = interp:with_options{ result = "buffer" }
  local block = shared:eval("block")
  equal({ block:format(), block:nbytes(), block:readonly(), block:bytes(0, 3), block:bytes(11999) },
    { "B", 12000, false, "xyz", "z" })
  block:pointer()[1] = 65
  equal(interp:eval("block[:3]"), subpy.bytes("xAz"))
  exception("BufferError", interp.exec, interp, "block.clear()")
  block:close()
  block:close()
  refused("the buffer is closed", block.pointer, block)
  interp:exec("block.clear()")
  local pair = shared:eval("('a', numbers, memoryview(bytes(range(6))).cast('B', (2, 3)))")
  local numbers = pair[2]
  equal({ pair[1], numbers:len(), numbers:pointer()[999], numbers:readonly() }, { "a", 1000, 499.5, false })
  equal({ pair[3]:shape(), pair[3]:strides(), pair[3]:pointer()[5] }, { { 2, 3 }, { 3, 1 }, 5 })
  refused("has not so many bytes", pair[3].bytes, pair[3], 5, 2)
  -- A pointer keeps it, and it keeps the result.
  local pointer = numbers:pointer()
  numbers, pair = nil, nil
  collect()
  for k = 0, 999 do equal(pointer[k], k / 2) end
  interp:close()
  equal(pointer[10], 5)
end)

test("rows of numbers come back as arrays", function()
  local interp = subpy.create()
  local arrays = interp:with_options{ result = { "array", "objects" } }
  local found = arrays:eval("[[1.5, 2.5], (1, -2), [1, 2.0], object]")
  equal({ found[1]:format(), found[1]:pointer()[1], found[1]:len() }, { "d", 2.5, 2 })
  equal({ found[2]:format(), tonumber(found[2]:pointer()[1]) }, { "q", -2 })
  equal(found[3], list{ 1, 2 })
  equal(found[4]:attr("__name__"), "object")
  found[1]:close()
  equal(tonumber(found[2]:pointer()[0]), 1)
  interp:close()
end)

test("a buffer of a result is an argument, in another interpreter too", function()
  local one, two = subpy.create(), subpy.create()
  one:exec("block = bytes(range(256)) * 100")
  two:exec(LOOK)
  local block = one:with_options{ result = "buffer" }:eval("block")
  equal(two:call("look", block)[4], tuple{ 25600 })
  two:call("keep", block)
  block:close()
  one:exec("del block")
  equal(two:eval("kept[0][255]"), 255)
  refused("argument 1 is a buffer that is closed", two.call, two, "look", block)
  two:close()
  one:close()
end)

test("buffers leave no memory behind", function()
  local interp = subpy.create()
  interp:exec(LOOK)
  interp:exec("def give(n): return bytearray(n)")
  local shared = interp:with_options{ result = "buffer" }
  local function grow()
    collect()
    local before = resident()
    for i = 1, 200 do
      interp:call("look", subpy.buffer(ffi.new("uint8_t[1000000]"), { shape = { 0 } }))
      local block = shared:call("give", 1000000)
      if i % 2 == 0 then block:close() end
      if i % 10 == 0 then collect() end
    end
    collect()
    interp:exec("pass")
    return resident() - before
  end
  grow()
  local grown = grow()
  assert(grown < 100e6, ("%d bytes"):format(grown))
  interp:close()
end)

-- ---- tagged values

test("tagged values go both ways", function()
  local interp = subpy.create{ tagged_values = true }
  local plain = subpy.create()
  interp:exec("import datetime, decimal, uuid\ndef same(x): return x\ndef show(x): return f'{type(x).__name__} {x}'")
  plain:exec("def show(x): return f'{type(x).__name__} {x}'")
  for _, case in ipairs{
    { "datetime.date(2026, 2, 28)", "date", "2026-02-28", "date 2026-02-28" },
    { "datetime.time(1, 2, 3)", "time", "01:02:03", "time 01:02:03" },
    { "datetime.datetime(2026, 2, 28, 1)", "datetime", "2026-02-28T01:00:00", "datetime 2026-02-28 01:00:00" },
    { "datetime.timedelta(1, 2, 3)", "timedelta", tuple{ 1, 2, 3 }, "timedelta 1 day, 0:00:02.000003" },
    { "decimal.Decimal('1.50')", "decimal", "1.50", "Decimal 1.50" },
    { "{7}", "set", list{ 7 }, "set {7}" },
    { "frozenset({'a'})", "frozenset", tuple{ "a" }, "frozenset frozenset({'a'})" },
  } do
    local expression, tag, content, shown = unpack(case)
    local value = interp:eval(expression)
    equal(value, subpy.tagged(tag, content))
    equal(interp:call("same", value), value)
    equal(interp:call("show", value), shown)
    equal(plain:call("show", value), shown)
  end
  local number = interp:eval("[1.5 - 2j]")[1]
  equal({ ffi.istype("complex", number), number.re, number.im }, { true, 1.5, -2 })
  equal(plain:call("show", number), "complex (1.5-2j)")
  equal(tostring(interp:eval("datetime.date(2026, 2, 28)")), "date 2026-02-28")
  raised("SUBPY_ERROR_NOT_SHAREABLE", plain.eval, plain, "{7}")
  refused("there is no tag day", subpy.tagged, "day", "2026-02-28")
  raised("SUBPY_ERROR_INVALID_ARGUMENT", interp.call, interp, "same", subpy.tagged("date", 5))
  exception("ValueError", interp.call, interp, "same", subpy.tagged("date", "2026-02-30"))
  refused("argument 1[2] is a function", interp.call, interp, "same", subpy.tagged("set", { 1, print }))
  interp:close()
  plain:close()
end)

-- ---- queues

test("a queue carries values both ways", function()
  local interp = subpy.create()
  local tasks, results = subpy.queue(), subpy.queue{ capacity = 10 }
  interp:exec("def work(tasks, results):\n    for n in tasks: results.put({'n': n, 'square': n ** 2})\n    results.close()")
  local thread = interp:call_in_thread("work", tasks, results)
  for n = 1, 100 do tasks:put(n) end
  tasks:close()
  local sum = 0
  for item in results:items() do sum = sum + item:get("square") end
  equal(sum, 338350)
  equal(results:info().closed, true)
  thread:join()
  raised("SUBPY_ERROR_WRONG_STATE", tasks.put, tasks, 1)
  raised("SUBPY_ERROR_WRONG_STATE", results.get, results)
  raised("SUBPY_ERROR_WRONG_STATE", results.try_get, results)
  interp:close()
end)

test("a queue is bounded, and its waits have limits and tokens", function()
  local queue = subpy.queue{ capacity = 2 }
  queue:put(1)
  queue:put(nil, 0)
  equal(queue:len(), 2)
  local info, other = queue:info(), subpy.queue(queue:handle())
  equal({ info.capacity, info.len, info.closed }, { 2, 2, false })
  equal(other:info(), info)
  assert(subpy.queue():info().id ~= info.id)
  raised("SUBPY_ERROR_TIMEOUT", queue.put, queue, 3, 0)
  raised("SUBPY_ERROR_TIMEOUT", queue.put, queue, 3, 0.01)
  equal({ queue:try_get() }, { true, 1 })
  equal(queue:get(), nil)
  equal(queue:try_get(), false)
  raised("SUBPY_ERROR_TIMEOUT", queue.get, queue, 0.01)
  local cancel = subpy.cancel()
  cancel:fire()
  raised("SUBPY_ERROR_INTERRUPTED", queue.get, queue, nil, cancel)
  raised("SUBPY_ERROR_INTERRUPTED", function()
    queue:put(1)
    queue:put(2)
    queue:put(3, nil, cancel)
  end)
  refused("cancel: what subpy.cancel() returns", queue.get, queue, 1, true)
  refused("put: a number of seconds is expected", queue.put, queue, 1, "1")
  refused("capacity: a whole number from 0 on", subpy.queue, { capacity = -1 })
  refused("there is no option size", subpy.queue, { size = 1 })
  refused("value[1] is a function", queue.put, queue, { print }, 0)
  queue:free()
  queue:free()
  raised("SUBPY_ERROR_NOT_FOUND", queue.len, queue)
end)

test("a wait in a Lua function ends with the run that it is in", function()
  local interp = subpy.create()
  local queue = subpy.queue()
  interp:define("host:wait", function() return queue:get() end)
  local short = interp:with_options{ timeout = 0.05 }
  raised("SUBPY_ERROR_TIMEOUT", short.call, short, "host:wait")
  interp:close()
end)

test("queues and what is in them outlive interpreters", function()
  local queue = subpy.queue()
  local one = subpy.create()
  one:exec([[
    import subpy_queues
    def f(q):
        inner = subpy_queues.create()
        inner.put('deep')
        q.put([inner, b'x'])
        return q
  ]])
  equal(one:call("f", queue):handle() == queue:handle(), false) -- a handle of its own
  one:close()
  local item = queue:get(0)
  equal(item[1]:get(0), "deep")
  equal(item[2], subpy.bytes("x"))
  local same_queue = subpy.queue(queue:handle())
  same_queue:put("shared")
  same_queue:free()
  equal(queue:get(0), "shared")
  local buffer = subpy.buffer("in a queue")
  queue:put(buffer)
  local found = queue:get(0)
  equal(found:bytes(), "in a queue")
  equal(buffer:released(), false)
  found:close()
  equal(buffer:released(), true)
  local interp = subpy.create()
  local object = interp:with_options{ result = "object" }:eval("object()")
  raised("SUBPY_ERROR_NOT_SHAREABLE", queue.put, queue, object)
  interp:close()
end)

test("a queue has a descriptor for event loops", function()
  local queue = subpy.queue()
  local fd = queue:fd()
  equal(queue:fd(), fd)
  equal(readable(fd, 0), false)
  queue:put(1)
  equal(readable(fd, 0), true)
  queue:get()
  equal(readable(fd, 0), false)
  queue:close()
  equal(readable(fd, 0), true)
end)

-- ---- threads that tell

test("threads tell when they have ended", function()
  local interp = subpy.create{ busy = "wait" }
  local told = {}
  for i = 1, 5 do
    interp:eval_in_thread(tostring(i)):notify(function(thread) told[#told + 1] = thread:join() end)
  end
  while subpy.poll() > 0 do end
  table.sort(told)
  equal(told, { 1, 2, 3, 4, 5 })
  equal(subpy.poll(), 0)

  local queue = subpy.queue()
  interp:exec("def wait(q): return q.get()")
  local thread = interp:call_in_thread("wait", queue)
  local fd, count = thread:fd(), 0
  thread:notify(function() count = count + 1 end)
  thread:notify(function() count = count + 10 end)
  equal(subpy.poll(0), 2)
  equal(subpy.poll(0.01), 2)
  equal(readable(fd, 0), false)
  queue:put("x")
  equal(readable(fd, -1), true)
  while subpy.poll(60) > 0 do end
  equal({ count, thread:join() }, { 11, "x" })
  raised("SUBPY_ERROR_NOT_FOUND", thread.notify, thread, print)
  raised("SUBPY_ERROR_NOT_FOUND", thread.fd, thread)
  refused("notify: a function is expected", thread.notify, thread, 1)
  refused("poll: a number of seconds", subpy.poll, "1")

  -- One that was joined or closed before it is asked for is told too; what a function raises comes out of poll().
  thread = interp:eval_in_thread("1")
  thread:notify(function() error("from here", 0) end)
  thread:join()
  interp:eval_in_thread("2"):notify(function(other) other:close() end)
  refused("from here", function() while subpy.poll() > 0 do end end)
  while subpy.poll() > 0 do end
  interp:close()
end)

test("coroutines await threads", function()
  local interp = subpy.create{ busy = "wait" }
  local log = {}
  for name = 1, 3 do
    coroutine.wrap(function()
      for step = 1, 3 do
        interp:eval_in_thread("None"):await()
        log[#log + 1] = name .. "." .. step
      end
      local ok, failure = pcall(function() return interp:eval_in_thread("1 / 0"):await() end)
      log[#log + 1] = name .. tostring(ok) .. failure.excinfo.type.name
    end)()
  end
  equal(#log, 0)
  while subpy.poll() > 0 do end
  table.sort(log)
  equal(log, { "1.1", "1.2", "1.3", "1falseZeroDivisionError", "2.1", "2.2", "2.3", "2falseZeroDivisionError", "3.1", "3.2",
    "3.3", "3falseZeroDivisionError" })
  local thread = interp:eval_in_thread("1")
  refused("await: this is no coroutine", thread.await, thread)
  thread:join()
  coroutine.wrap(function()
    interp:eval_in_thread("1"):await()
    error("in a coroutine", 0)
  end)()
  refused("in a coroutine", function() while subpy.poll() > 0 do end end)
  interp:close()
end)

test("a wait in poll() ends with the run that it is in", function()
  local one, two = subpy.create(), subpy.create()
  local queue = subpy.queue()
  two:exec("def wait(q): return q.get()")
  two:call_in_thread("wait", queue):notify(function(thread) thread:join() end)
  local left, cancelled
  one:define("host:poll", function() left, cancelled = subpy.poll(), subpy.cancelled() end)
  local short = one:with_options{ timeout = 0.05 }
  raised("SUBPY_ERROR_TIMEOUT", short.exec, short, "import host\nhost.poll()\nwhile True: pass")
  equal({ left, cancelled }, { 1, true })
  queue:put(1)
  equal(subpy.poll(), 0)
  one:close()
  two:close()
end)

-- ---- pools

local SETUP = [[
def add(a, b=0): return a + b
def fail(text): raise ValueError(text)
def loop():
    while True: pass
def wait(q): return q.get()
def half(n):
    if n % 2: raise ValueError(n)
    return n // 2
]]

test("a pool runs tasks", function()
  local pool = subpy.pool{ workers = 2, setup = SETUP, tagged_values = true }
  equal(pool:submit("add", 1, kwargs{ b = 2 }):join(), 3)
  equal(pool:submit_eval("add(2, 3)"):join(), 5)
  equal(pool:submit_eval("{1}"):join(), subpy.tagged("set", list{ 1 }))
  equal(pool:submit_exec("x = 1"):join(), nil)
  exception("ValueError", function() pool:submit("fail", "no"):join() end)
  local tasks = {}
  for i = 1, 50 do tasks[i] = pool:submit("add", i, 1) end
  for i = 1, 50 do equal(tasks[i]:join(), i + 1) end
  local found = pool:with_options{ result = "array", submitter = 7 }:submit_eval("[1.0, 2.0]"):join()
  equal(found:pointer()[1], 2)
  found:close()
  local stats = pool:stats()
  equal({ stats.workers, stats.submitted, stats.done, stats.failed, stats.queued }, { 2, 56, 56, 1, 0 })
  equal(subpy.pool(pool:handle()):submit("add", 1):join(), 1)
  pool:close()
  raised("SUBPY_ERROR_NOT_FOUND", pool.submit, pool, "add", 1)
  raised("SUBPY_ERROR_NOT_FOUND", pool.stats, pool)
end)

test("tasks have limits, and interpreters are replaced", function()
  local pool = subpy.pool{ workers = 1, setup = SETUP, memory_limit = 100e6 }
  raised("SUBPY_ERROR_TIMEOUT", function() pool:with_options{ timeout = 0.05 }:submit("loop"):join() end)
  exception("MemoryError", function() pool:submit_eval("bytes(200_000_000)"):join() end)
  local cancel = subpy.cancel()
  local cancelled = pool:with_options{ cancel = cancel }
  local running, waiting = cancelled:submit("loop"), cancelled:submit("loop")
  equal(waiting:wait(0), false)
  cancel:fire()
  raised("SUBPY_ERROR_INTERRUPTED", running.join, running)
  raised("SUBPY_ERROR_INTERRUPTED", waiting.join, waiting)
  equal(pool:submit("add", 1):join(), 1)
  assert(pool:stats().replaced >= 2)
  pool:close()

  local queue = subpy.queue()
  local full = subpy.pool{ workers = 1, backlog = 1, refuse = true, no_spares = true, setup = SETUP }
  local first = full:submit("wait", queue)
  while full:stats().running == 0 do end
  local second = full:submit("wait", queue)
  raised("SUBPY_ERROR_BUSY", full.submit, full, "wait", queue)
  raised("SUBPY_ERROR_BUSY", full.close, full, { timeout = 0 })
  queue:put(1)
  queue:put(2)
  equal({ first:join(), second:join() }, { 1, 2 })
  local last = full:submit("loop")
  full:close{ interrupt = true, timeout = 60 }
  raised("SUBPY_ERROR_INTERRUPTED", last.join, last)
end)

test("a pool of processes", function()
  local pool = subpy.pool{ workers = 2, setup = SETUP .. "import os, ctypes, itertools", isolation = "process", grace = 0.05 }
  local good, bad = {}, {}
  local function submit()
    for _ = 1, 30 do good[#good + 1] = pool:submit("add", #good, 1) end
  end
  submit()
  bad[1] = pool:submit_exec("os._exit(3)")
  submit()
  bad[2] = pool:submit_exec("ctypes.string_at(1)")
  submit()
  bad[3] = pool:with_options{ timeout = 0.03 }:submit_exec("sum(itertools.repeat(1))")
  submit()
  for i = 1, #good do equal(good[i]:join(), i) end
  equal(raised("SUBPY_ERROR_CRASHED", bad[1].join, bad[1]).exit_code, 3)
  equal(raised("SUBPY_ERROR_CRASHED", bad[2].join, bad[2]).signal, 11)
  raised("SUBPY_ERROR_TIMEOUT", bad[3].join, bad[3])
  local stats = pool:stats()
  equal({ stats.crashed, stats.isolation, stats.reason }, { 3, "process", "" })
  pool:close()
end)

test("a pool moves to processes when a module needs one", function()
  refused("isolation: thread is not one of the choices", subpy.pool, { isolation = "thread" })
  local pool = subpy.pool{ workers = 1, isolation = "auto" }
  equal({ pool:stats().isolation, pool:stats().reason }, { "own_gil", "" })
  local here = pool:submit("os:getpid"):join()
  pool:submit_exec("import faulthandler"):join()
  local stats = pool:stats()
  equal({ stats.isolation, stats.reason }, { "process", "module faulthandler does not support loading in subinterpreters" })
  equal(pool:submit("os:getpid"):join() == here, false)
  pool:close()
end)

test("a pool calls something for many rows", function()
  local pool = subpy.pool{ workers = 2, setup = SETUP }
  equal(pool:call_many("add", { { 1, 2 }, { 3, 4 }, { 5, 6 } }), list{ 3, 7, 11 })
  equal(pool:call_many("add", {}), list{})
  local rows = {}
  for i = 1, 100 do rows[i] = { 2 * i } end
  equal(pool:call_many("half", rows, { chunk = 7 })[100], 100)
  rows[33] = { 5 }
  local failure = exception("ValueError", pool.call_many, pool, "half", rows, { chunk = 7 })
  equal({ failure.row, failure.message }, { 33, "row 33: ValueError: 5" })
  local results = pool:call_many("half", rows, { chunk = 7, return_errors = true })
  equal({ #results, subpy.is_error(results[33]), results[33].row, results[32] }, { 100, true, 33, 32 })
  equal(pool:with_options{ result = "object" }:call_many("add", { { 1 } })[1]:text(), "1")
  equal(pool:call_many("builtins:print", { {} }), list{ none })
  refused("rows[2] has 2 arguments, and rows[1] has 1", pool.call_many, pool, "half", { { 1 }, { 1, 2 } })
  refused("rows[1][1] is a function", pool.call_many, pool, "half", { { print } })
  refused("there is no option size", pool.call_many, pool, "half", {}, { size = 1 })
  local cancel = subpy.cancel()
  cancel:fire()
  raised("SUBPY_ERROR_INTERRUPTED", function() pool:with_options{ cancel = cancel }:call_many("half", rows) end)
  -- Buffers in rows that are not called are free too.
  local buffer = subpy.buffer("abc")
  exception("TypeError", pool.call_many, pool, "half", { { buffer }, { buffer }, { buffer } })
  repeat until buffer:released() -- a worker drops its arguments when it has passed on what came of them
  pool:close()
end)

test("a pool maps rows as they come", function()
  local pool = subpy.pool{ workers = 2, setup = SETUP }
  local seen = {}
  for i, result in pool:map("add", { { 1, 2 }, { 3 }, { n = 2, 5, 6 } }) do seen[i] = result end
  equal(seen, { 3, 3, 11 })
  -- Rows of a function are asked for as they are needed.
  local asked = 0
  local function rows()
    asked = asked + 1
    return { 2 * asked }
  end
  for i, result in pool:map("half", rows, { ahead = 3 }) do
    equal(result, i)
    assert(asked <= i + 3)
    if i == 50 then break end
  end
  local results = {}
  for i, result in pool:map("half", { { 2 }, { 3 }, { 4 } }, { return_errors = true }) do results[i] = result end
  equal({ results[1], results[2].row, results[2].excinfo.msg, results[3] }, { 1, 2, "3", 2 })
  local last
  local failure = exception("ValueError", function()
    for i in pool:map("half", { { 2 }, { 3 }, { 4 } }) do last = i end
  end)
  equal({ last, failure.row, failure.message }, { 1, 2, "row 2: ValueError: 3" })
  refused("rows[2] is not a table of arguments", function() for _ in pool:map("half", { { 2 }, 3 }) do end end)
  refused("rows: a table or a function", pool.map, pool, "half", 5)
  refused("no more", function() for _ in pool:map("half", function() error("no more", 0) end) do end end)
  -- An error cancels what has begun.
  exception("ValueError", function()
    local n = 0
    for _ in pool:map("builtins:eval", function()
      n = n + 1
      return { n == 1 and "int('x')" or "[0 for _ in iter(int, 1)]" }
    end) do end
  end)
  pool:close()
end)

test("tasks tell when they have ended, and coroutines await them", function()
  local pool = subpy.pool{ workers = 2, setup = SETUP }
  local sum, count = 0, 0
  for i = 1, 200 do
    pool:submit("half", i):notify(function(task)
      local ok, result = pcall(task.join, task)
      if ok then sum = sum + result else count = count + 1 end
    end)
  end
  while subpy.poll() > 0 do end
  equal({ sum, count }, { 5050, 100 })
  -- The second is not held up by the first.
  local queue, order = subpy.queue(), {}
  for name, task in pairs{ slow = pool:submit("wait", queue), fast = pool:submit("add", 1) } do
    coroutine.wrap(function()
      task:await()
      order[#order + 1] = name
      if name == "fast" then queue:put(1) end
    end)()
  end
  while subpy.poll() > 0 do end
  equal(order, { "fast", "slow" })
  pool:close()
end)

test("a pool whose setup fails is none, and wrong options are errors", function()
  exception("ZeroDivisionError", subpy.pool, { workers = 1, setup = "1 / 0" })
  raised("SUBPY_ERROR_SYNTAX", subpy.pool, { workers = 1, setup = "def" })
  refused("workers: a whole number from 0 on", subpy.pool, { workers = -1 })
  refused("there is no option worker", subpy.pool, { worker = 1 })
  refused("setup: a string is expected", subpy.pool, { setup = 1 })
  raised("SUBPY_ERROR_NOT_FOUND", function() subpy.pool(12345):submit("f") end)
  local pool = subpy.pool{ workers = 1 }
  refused("output: a Lua function cannot be called on another thread", pool.with_options, pool, { output = print })
  refused("prepare: a Lua function cannot be called on another thread", subpy.pool, { prepare = print })
  refused("there is no option limit", pool.with_options, pool, { limit = 1 })
  refused("submitter: a whole number", pool.with_options, pool, { submitter = "one" })
  refused("argument 1 is a function", pool.submit, pool, "f", print)
  refused("callable: a string is expected", pool.submit, pool, print)
  pool:close()
end)

test("a pool that is garbage ends, with its tasks", function()
  local before = #subpy.list_all()
  do
    local pool = subpy.pool{ workers = 1, setup = SETUP }
    pool:submit("add", 1):join()
  end
  collect()
  equal(#subpy.list_all(), before)
end)

-- ---- memory

test("memory is counted and limited", function()
  local one = subpy.create{ memory_limit = 50e6 }
  local before = one:memory()
  equal({ before.limit, before.refused }, { 50e6, 0 })
  assert(before.used > 1e6 and before.peak >= before.used)
  exception("MemoryError", one.exec, one, "x = bytes(100_000_000)")
  local after = one:memory()
  assert(after.refused > 0)
  one:exec("x = bytes(10_000_000)")
  assert(one:memory().used > after.used + 9e6)
  one:close()
  raised("SUBPY_ERROR_NOT_FOUND", one.memory, one)
  local counted, plain = subpy.create{ count_memory = true }, subpy.create()
  equal(counted:memory().limit, 0)
  raised("SUBPY_ERROR_WRONG_STATE", plain.memory, plain)
  refused("memory_limit: a whole number", subpy.create, { memory_limit = "1" })
  raised("SUBPY_ERROR_INVALID_ARGUMENT", subpy.create, { memory_limit = 1000 })
  counted:close()
  plain:close()
end)

test("data leaves no memory behind", function()
  local interp = subpy.create{ tagged_values = true }
  interp:exec(MODEL)
  local pool = subpy.pool{ workers = 1, setup = SETUP }
  local objects = interp:with_options{ result = "object" }
  local function grow()
    collect()
    local before = resident()
    for i = 1, 300 do
      local model = objects:call("Model", 1)
      model:method("layer", 2):attr("factor")
      pcall(model.method, model, "fail")
      local queue = subpy.queue()
      queue:put({ ("x"):rep(1e5), queue and i })
      queue:put(("x"):rep(1e5))
      queue:get()
      pool:submit("add", ("x"):rep(1e5), "y"):join()
      pool:submit("add", ("x"):rep(1e5), "y"):notify(function(task) task:join() end)
      pool:submit("add", ("x"):rep(1e5), "y")
      while subpy.poll() > 0 do end
      interp:eval("{'" .. ("x"):rep(1e5) .. "'}")
    end
    collect()
    interp:exec("pass")
    return resident() - before
  end
  grow()
  local grown = grow()
  assert(grown < 60e6, ("%d bytes"):format(grown))
  pool:close()
  interp:close()
end)

test("after a shutdown what is left can be freed", function()
  local interp = subpy.create()
  local object = interp:with_options{ result = "object" }:eval("object()")
  local block = interp:with_options{ result = "buffer" }:eval("bytes(range(256)) * 100")
  local queue, pool = subpy.queue(), subpy.pool{ workers = 1 }
  queue:put("stays")
  local task = pool:submit_eval("6 * 7")
  task:wait()
  subpy.shutdown()
  raised("SUBPY_ERROR_NOT_FOUND", object.text, object)
  raised("SUBPY_ERROR_NOT_FOUND", pool.submit_eval, pool, "1")
  equal(block:pointer()[255], 255)
  equal(queue:get(0), "stays")
  block:close()
  object:close()
  queue:free()
end)

check.finish()
