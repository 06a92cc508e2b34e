-- Tests of subpy.lua, wherever require() finds it. Prints a line for each, and exits with 1 when one fails.

local here = arg[0]:match("^(.*/)") or "./"

local ffi = require("ffi")
local bit = require("bit")
local subpy = require("subpy")

local none, list, tuple, dict, bytes = subpy.none, subpy.list, subpy.tuple, subpy.dict, subpy.bytes

local check = dofile(here .. "check.lua")
local test, equal, raised, refused = check.test, check.equal, check.raised, check.refused

local function nest(levels)
  local value = "core"
  for i = 1, levels do value = i % 2 == 0 and list{ value } or dict():set("k", value) end
  return value
end

-- File, line and function of each frame.
local function places(frames)
  local list = {}
  for i, frame in ipairs(frames) do list[i] = { frame.file, frame.line, frame.name } end
  return list
end

local interp = subpy.create()

-- ---- interpreters

test("interpreters are isolated from each other", function()
  local one, two = subpy.create(), subpy.create()
  one:exec("x = 1")
  two:exec("x = 2")
  equal(one:eval("x"), 1)
  equal(two:eval("x"), 2)
  one:prepare_main{ x = "new" }
  equal(one:eval("x"), "new")
  one:prepare_main(dict():set("y", list{ 1, none }))
  equal(one:eval("y"), list{ 1, none })
  one:close()
  two:close()
end)

test("what can be asked about interpreters", function()
  local main = subpy.get_main()
  equal(main:id(), 0)
  equal(main:whence(), "runtime init")
  equal(interp:whence(), "C-API")
  equal(interp:is_running(), false)
  equal(subpy.find(interp:id()):handle(), interp:handle())
  local one = subpy.create()
  local handles = {}
  for i, each in ipairs(subpy.list_all()) do handles[i] = each:handle() end
  equal(handles, { main:handle(), interp:handle(), one:handle() })
  one:close()
  raised("SUBPY_ERROR_NOT_FOUND", subpy.get_current)
  assert(subpy.version():match("^%d+%.%d+%.%d+$"))
  assert(subpy.python_version():match("^3%.%d+%.%d+"))
  assert(subpy.python_library():match("libpython3"))
end)

test("options of create, exec and eval", function()
  local one = subpy.create{ path = { "/späth", "/two" }, busy = "wait", gil = "own", allow_daemon_threads = true }
  equal(one:eval("__import__('sys').path[:2]"), list{ "/späth", "/two" })
  one:close()
  local failure = raised("SUBPY_ERROR_EXECUTION_FAILED", interp.exec, interp, "1 / 0", { filename = "näme.py" })
  equal(places(failure.frames), { { "näme.py", 1, "<module>" } })
  local this = here .. "subpy_test.lua"
  failure = raised("SUBPY_ERROR_EXECUTION_FAILED", interp.exec, interp, "x = missing", { filename = this })
  local frame = failure.frames[1]
  assert(frame.source:find("^%-%- Tests of subpy.lua"))
  equal({ frame.line, frame.end_line, frame.column, frame.end_column }, { 1, 1, 5, 12 })
  interp:exec("  indented = 1")
  raised("SUBPY_ERROR_SYNTAX", interp.exec, interp, "  indented = 1", { keep_indent = true })
  refused("busy: never is not one of the choices", subpy.create, { busy = "never" })
  refused("there is no option gli", subpy.create, { gli = "own" })
  refused("path: a table of folders is expected", subpy.create, { path = "folder" })
  refused("path: a string is expected", subpy.create, { path = { 5 } })
  refused("without NUL", subpy.create, { path = { "a\0b" } })
  refused("without NUL", interp.exec, interp, "1", { filename = "a\0b" })
  refused("python: a string without NUL", subpy.init, { python = "a\0b" })
  raised("SUBPY_ERROR_INVALID_ARGUMENT", subpy.create, { no_extension_check = true })
  raised("SUBPY_ERROR_WRONG_STATE", subpy.init, { no_site = true })
  subpy.init()
end)

test("an interpreter has the packages of a virtual environment", function()
  local maker = subpy.create()
  maker:exec([[
    import os, shutil, sys, tempfile
    folder = tempfile.mkdtemp()
    os.makedirs(folder + '/lib/python%d.%d/site-packages' % sys.version_info[:2])
    open(folder + '/pyvenv.cfg', 'w').close()
  ]])
  local folder = maker:eval("folder")
  local interp = subpy.create { venv = folder }
  equal(interp:eval("__import__('sys').prefix"), folder)
  interp:close()
  maker:exec("shutil.rmtree(folder)")
  maker:close()
  local message = raised("SUBPY_ERROR_INVALID_ARGUMENT", subpy.create, { venv = folder }).message
  equal(message:find("is no folder; make one with: python3.", 1, true) ~= nil, true)
  refused("venv: a string without NUL is expected", subpy.create, { venv = "a\0b" })
  refused("venv: a string is expected, not a number", subpy.create, { venv = 1 })
end)

test("options of processes, and errors that are no crashes", function()
  local function invalid(message, options)
    equal(raised("SUBPY_ERROR_INVALID_ARGUMENT", subpy.create, options).message, message)
    equal(raised("SUBPY_ERROR_INVALID_ARGUMENT", subpy.pool, options).message, message)
  end
  local needed = " needs SUBPY_INTERP_PROCESS: it is about a process"
  invalid("SUBPY_INTERP_LOCKED" .. needed, { locked = true })
  invalid("SUBPY_INTERP_LOCK_BEST_EFFORT needs SUBPY_INTERP_LOCKED: without it nothing is locked",
    { process = true, lock_best_effort = true })
  invalid("subpy_interp_options.grace_ms" .. needed, { grace = 1e-6 })
  invalid("subpy_interp_options.cpu_limit_ms" .. needed, { cpu_limit = 1 })
  invalid("subpy_interp_options.readable" .. needed, { readable = {} })
  invalid("subpy_interp_options.writable" .. needed, { writable = { "/tmp" } })
  invalid("SUBPY_INTERP_PROCESS needs SUBPY_GIL_OWN: an interpreter in a process of its own shares no GIL",
    { process = true, gil = "shared" })
  invalid("SUBPY_INTERP_NO_EXTENSION_CHECK is not for SUBPY_INTERP_PROCESS: an interpreter in a process of its own loads "
    .. "all extension modules anyway", { process = true, no_extension_check = true })
  invalid("writable folders need SUBPY_INTERP_LOCKED: without it all that the host can open is open",
    { process = true, writable = { "/tmp" } })
  invalid("SUBPY_INTERP_ALLOW_FORK and SUBPY_INTERP_ALLOW_EXEC are not for SUBPY_INTERP_LOCKED, which allows neither",
    { process = true, locked = true, allow_exec = true })
  invalid('readable[1] is "here", must be an absolute path',
    { process = true, locked = true, readable = { "/usr", "here" } })
  refused("grace: a number of seconds above 0 is expected", subpy.create, { grace = 0 })
  refused("cpu_limit: a number of seconds above 0 is expected", subpy.create, { cpu_limit = "1" })
  refused("readable: a table of folders is expected", subpy.create, { readable = "/usr" })
  refused("writable: a string without NUL", subpy.create, { writable = { "a\0b" } })
  refused("worker: a string without NUL", subpy.init, { worker = "a\0b" })
  refused("preload: a table of modules is expected", subpy.init, { preload = "json" })
  refused("preload: a string without NUL", subpy.init, { preload = { "json", "a\0b" } })
  raised("SUBPY_ERROR_WRONG_STATE", subpy.init, { preload = { "json" } })
  raised("SUBPY_ERROR_WRONG_STATE", subpy.init, { worker = "/nowhere" })
  for _, failure in ipairs{
    raised("SUBPY_ERROR_EXECUTION_FAILED", interp.exec, interp, "1 / 0"),
    raised("SUBPY_ERROR_NOT_FOUND", subpy.find, 999999),
  } do
    equal({ failure.signal, failure.exit_code, failure.traceback }, {})
  end
end)

test("what ends or blocks the process of an interpreter is an error", function()
  local function ended_by(code, source)
    local ended = subpy.create{ process = true, grace = 0.05, timeout = 0.1 }
    local failure = raised(code, ended.exec, ended, source)
    raised("SUBPY_ERROR_NOT_FOUND", ended.exec, ended, "1")
    raised("SUBPY_ERROR_NOT_FOUND", ended.close, ended)
    return failure
  end
  local aborted = ended_by("SUBPY_ERROR_CRASHED", "import os\ndef fail():\n    os.abort()\nfail()")
  equal(aborted.message, "the interpreter's process was killed by signal 6 (SIGABRT)")
  equal({ aborted.signal, aborted.exit_code }, { 6 })
  assert(aborted.traceback:find("Fatal Python error: Aborted\n", 1, true) == 1, aborted.traceback)
  assert(aborted.traceback:find('\n  File "<script>", line 3 in fail\n', 1, true), aborted.traceback)
  local left = ended_by("SUBPY_ERROR_CRASHED", "import os; os._exit(3)")
  equal(left.message, "the interpreter's process has ended with exit code 3")
  equal({ left.signal, left.exit_code, left.traceback }, { nil, 3, left.message })
  local late = ended_by("SUBPY_ERROR_TIMEOUT", "import ctypes\nctypes.CDLL(None).sleep(1000)")
  equal(late.message, "timed out after 100 ms, and the code did not end within 50 ms more: its process was killed")
end)

test("what holds an interpreter that is locked", function()
  for _, best_effort in ipairs{ false, true } do
    local locked = subpy.create{ process = true, locked = true, lock_best_effort = best_effort }
    local info = locked:lock_info()
    assert(info.landlock >= 6 and info.seccomp == true)
    local failure = raised("SUBPY_ERROR_EXECUTION_FAILED", locked.exec, locked, "open('/etc/passwd')")
    equal(failure.excinfo.type.name, "PermissionError")
    locked:close()
    raised("SUBPY_ERROR_NOT_FOUND", locked.lock_info, locked)
  end
  raised("SUBPY_ERROR_WRONG_STATE", interp.lock_info, interp)
end)

-- ---- values

local both = {
  { "True", true },
  { "False", false },
  { "0", 0 },
  { "-1", -1 },
  { "2**32 + 5", 2 ^ 32 + 5 },
  { "2**53 - 1", 2 ^ 53 - 1 },
  { "-2**53 + 1", -2 ^ 53 + 1 },
  { "2**53", 9007199254740992LL },
  { "2**63 - 1", 9223372036854775807LL },
  { "-2**63", -9223372036854775807LL - 1LL },
  { "2**63", subpy.bigint("0x8000000000000000") },
  { "-2**63 - 1", subpy.bigint("-0x8000000000000001") },
  { "3**200", nil },
  { "0.5", 0.5 },
  { "-0.0", -0.0 },
  { "1e300", 1e300 },
  { "5e-324", 5e-324 },
  { "float('nan')", 0 / 0 },
  { "float('inf')", math.huge },
  { "-float('inf')", -math.huge },
  { "''", "" },
  { "'a\\0b'", "a\0b" },
  { "'\\ufeffäöü \\u20ac \\U0001f40d'", "\239\187\191äöü € 🐍" },
  { "'x' * 100_000", ("x"):rep(100000) },
  { "b''", bytes("") },
  { "b'\\0\\xff\\x80'", bytes("\0\255\128") },
  { "[]", list{} },
  { "()", tuple{} },
  { "(5,)", tuple{ 5 } },
  { "{}", dict{} },
  { "[None, [1, (2, [3])], ()]", list{ none, list{ 1, tuple{ 2, list{ 3 } } }, tuple{} } },
  { "{1: 'int', '1': 'str', True + 1: None, None: 0}", dict():set(1, "int"):set("1", "str"):set(2, none):set(none, 0) },
  { "{(1, 2): b'', b'k': [], 2**60: 0, float('nan'): 1}", nil },
  {
    "{'a': [(1, 'x'), (2**63 - 1, b'\\0')], 'b': {'c': [(), {}]}, 'z': float('nan')}",
    dict():set("a", list{ tuple{ 1, "x" }, tuple{ 9223372036854775807LL, bytes("\0") } })
      :set("b", dict():set("c", list{ tuple{}, dict{} })):set("z", 0 / 0),
  },
}

test("values are equal on both sides", function()
  interp:exec([[
    def same(ours, theirs):
        # repr tells types, order, signs of zero and nan apart
        return repr(ours) == repr(theirs)
    def kept(value):
        global keep
        keep = value
  ]])
  for _, row in ipairs(both) do
    local expression, value = row[1], row[2]
    local out = interp:eval(expression)
    if value ~= nil then equal(out, value, expression) end
    interp:call("kept", out)
    equal(interp:eval(("same(keep, %s)"):format(expression)), true, expression .. " goes back as it came")
  end
  equal(interp:eval("None"), nil)
  equal(interp:call("builtins:repr", nil), "None")
  equal(interp:call("builtins:repr", none), "None")
end)

test("many values", function()
  local numbers = interp:eval("list(range(100_000))")
  equal(#numbers, 100000)
  equal(interp:call("builtins:sum", numbers), 4999950000)
  equal(interp:eval("{i: str(i) for i in range(10_000)}"):get(9999), "9999")
  local strings = {}
  for i = 1, 20000 do strings[i] = "text " .. i end
  equal(interp:call("builtins:len", strings), 20000)
end)

test("floats that are whole numbers come out as numbers, and go back as ints unless told otherwise", function()
  equal(interp:eval("2.0"), 2)
  equal(interp:call("builtins:repr", 2), "2")
  equal(interp:call("builtins:repr", list{ subpy.float(2), subpy.float(-0.0), 2 ^ 53 }), "[2.0, -0.0, 9007199254740992.0]")
end)

test("other Lua values that have a Python value", function()
  local function shown(...) return interp:call("builtins:repr", ...) end
  equal(shown({ 1, { 2 } }), "[1, [2]]")
  equal(shown({}), "[]")
  equal(shown({ a = 1 }), "{'a': 1}")
  equal(shown(list{ nil, 2, nil, n = 3 }), "[None, 2, None]")
  equal(shown(18446744073709551615ULL), "18446744073709551615")
  equal(shown(5ULL), "5")
  equal(shown(subpy.bigint("-0X00fF")), "-255")
  equal(shown(subpy.bigint("0x" .. ("f"):rep(1000))), interp:eval("repr(16**1000 - 1)"))
  equal(interp:call("builtins:sorted", { 3, 1, 2 }, subpy.kwargs{ reverse = true }), list{ 3, 2, 1 })
  equal(interp:call("builtins:dict", subpy.kwargs{}), dict{})
  local one = dict():set("z", 1):set("a", nil):set("z", 2)
  equal({ one:len(), one:get("z"), one:get("a"), one:get("b") }, { 2, 2, none })
  equal(shown(dict(one)), "{'z': 2, 'a': None}")
  equal(interp:call("builtins:dict", subpy.kwargs(dict():set("ключ", 1))):get("ключ"), 1)
end)

test("Lua values that have no Python value are named with the way to them", function()
  local call = function(...) return interp:call("builtins:repr", ...) end
  refused("argument 1 is a function, which has no Python value", call, print)
  refused('argument 2[1]["a"][2] is a function', call, 1, { { a = { 0, print } } })
  refused("argument 1 is a thread", call, coroutine.create(print))
  refused("argument 1 is a userdata", call, io.stdout)
  refused("argument 1 is a cdata", call, ffi.new("int[2]"))
  refused("argument 1 is a table with a metatable", call, setmetatable({}, {}))
  refused("argument 1 has items and names, or holes", call, { 1, x = 2 })
  refused("argument 1 has items and names, or holes", call, { 1, nil, nil, 4 })
  refused("argument 1 has a key that is no string", call, { [2.5] = 1 })
  refused("argument 1 has an n that is no count", call, list{ n = -1 })
  refused("kwargs is a function", call, subpy.kwargs(print))
  refused("names is a function", interp.prepare_main, interp, print)
  raised("SUBPY_ERROR_INVALID_ARGUMENT", call, "\255 is not UTF-8")
  raised("SUBPY_ERROR_INVALID_ARGUMENT", interp.prepare_main, interp, {})
  local failure = raised("SUBPY_ERROR_EXECUTION_FAILED", call, dict():set(list{}, 1))
  equal(failure.excinfo.type.name, "TypeError")
end)

test("values are nested 1,000 levels deep at most", function()
  interp:exec("def echo(x): return x")
  equal(interp:call("echo", nest(1000)), nest(1000))
  refused("is nested more than 1,000 levels deep", interp.call, interp, "echo", nest(1001))
  local cycle = {}
  cycle[1] = cycle
  local way = "argument 1[1][1][1][1][1]...[1][1][1][1][1] is nested more than 1,000 levels deep, or contains itself"
  local ok, failure = pcall(interp.call, interp, "echo", cycle)
  equal({ ok, failure }, { false, way })
  local deep = dict()
  deep:set("k", deep)
  ok, failure = pcall(interp.call, interp, "echo", deep)
  equal({ ok, failure }, { false, (way:gsub("%[1%]", '["k"]')) })
  interp:exec("deep = []\nfor i in range(1000): deep = [deep]")
  raised("SUBPY_ERROR_NOT_SHAREABLE", interp.eval, interp, "deep")
end)

test("Python objects without a value are named with the way to them", function()
  local failure = raised("SUBPY_ERROR_NOT_SHAREABLE", interp.eval, interp, "{'a': [1, 2, object()]}")
  equal(failure.message, "result['a'][2]: object cannot be shared")
end)

local function resident()
  local file = assert(io.open("/proc/self/statm"))
  local pages = file:read("*a"):match("^%d+ (%d+)")
  file:close()
  return tonumber(pages) * 4096
end

test("results, errors and what was forgotten leave no memory behind", function()
  local patient = subpy.create{ busy = "wait" }
  patient:exec("block = b'x' * 1_000_000\ncount = 0\ndef tick():\n  global count\n  count += 1")
  local function grow()
    collectgarbage()
    local before = resident()
    for _ = 1, 200 do
      patient:eval("(block, [None] * 1000)")
      pcall(patient.exec, patient, "raise ValueError('x' * 1_000_000)")
      patient:eval_in_thread("1"):join()
      patient:call_in_thread("tick")
    end
    collectgarbage()
    collectgarbage()
    return resident() - before
  end
  grow()
  local grown = grow()
  assert(grown < 100e6, ("%d bytes"):format(grown))
  while patient:eval("count") < 400 do end
  patient:close()
end)

test("memory that is in use is not collected", function()
  local step, pause = collectgarbage("setstepmul", 1000), collectgarbage("setpause", 10)
  interp:exec("def join(a, b, *, c): return a[0][0] + b['k'] + c")
  for i = 1, 20000 do
    local text = interp:call("join", { { "a" .. i } }, { k = "b" .. i }, subpy.kwargs{ c = "c" .. i })
    if text ~= "a" .. i .. "b" .. i .. "c" .. i then error(text) end
    if i % 100 == 0 then equal(interp:eval("'x" .. i .. "' + 'y'", { filename = "f" .. i }), "x" .. i .. "y") end
  end
  collectgarbage("setstepmul", step)
  collectgarbage("setpause", pause)
end)

test("interpreters that are garbage are closed", function()
  local before = #subpy.list_all()
  for _ = 1, 3 do subpy.create():exec("x = 1") end
  collectgarbage()
  collectgarbage()
  equal(#subpy.list_all(), before)
end)

-- ---- errors

test("an exception has its traceback", function()
  local failure = raised("SUBPY_ERROR_EXECUTION_FAILED", interp.exec, interp, [[
    class Outer:
        class Error(Exception): pass
    def fail(n):
        if n: fail(n - 1)
        raise Outer.Error('nul \0 and é')
    fail(1)
  ]])
  equal(failure.status, -4)
  equal(failure.handle, interp:handle())
  equal(failure.message, "Outer.Error: nul \0 and é")
  equal(tostring(failure), failure.message)
  equal(failure.excinfo.type, { name = "Error", qualname = "Outer.Error", module = "__main__" })
  equal(failure.excinfo.msg, "nul \0 and é")
  equal(failure.excinfo.formatted, "Outer.Error: nul \0 and é")
  assert(failure.excinfo.errdisplay:find('^Traceback %(most recent call last%):\n  File "<script>", line 6, in <module>\n'))
  equal(places(failure.frames), { { "<script>", 6, "<module>" }, { "<script>", 4, "fail" }, { "<script>", 5, "fail" } })
  equal(failure.exit_status, nil)
  equal(raised("SUBPY_ERROR_EXECUTION_FAILED", interp.exec, interp, "raise SystemExit(3)").exit_status, 3)
  equal(raised("SUBPY_ERROR_EXECUTION_FAILED", interp.call, interp, "nope").excinfo.type.name, "AttributeError")
end)

test("a source that does not compile says where", function()
  local failure = raised("SUBPY_ERROR_SYNTAX", interp.exec, interp, "x = 1\ny =")
  equal({ failure.line, failure.column }, { 2, 4 })
  equal(failure.excinfo.type.name, "SyntaxError")
end)

test("an interpreter that is closed is not found, and neither is one that never was", function()
  local one = subpy.create()
  one:close()
  for _, gone in ipairs{ one, subpy.interpreter(0), subpy.interpreter(77), subpy.interpreter(2 ^ 53 - 1) } do
    for _, use in ipairs{ "is_running", "id", "whence", "close" } do
      raised("SUBPY_ERROR_NOT_FOUND", gone[use], gone)
    end
    for _, use in ipairs{ "exec", "eval", "call", "exec_in_thread", "eval_in_thread", "call_in_thread" } do
      raised("SUBPY_ERROR_NOT_FOUND", gone[use], gone, "x")
    end
    raised("SUBPY_ERROR_NOT_FOUND", gone.prepare_main, gone, { x = 1 })
  end
  raised("SUBPY_ERROR_NOT_FOUND", subpy.find, 999999)
  raised("SUBPY_ERROR_INVALID_ARGUMENT", subpy.find, -1)
end)

test("wrong arguments are errors", function()
  for _, source in ipairs{ 5, {}, true, print } do
    for _, use in ipairs{ "exec", "eval", "call", "exec_in_thread", "eval_in_thread", "call_in_thread" } do
      refused("a string is expected", interp[use], interp, source)
    end
  end
  refused("a string is expected, not a nil", interp.exec, interp)
  refused("a whole number is expected", subpy.find, "0")
  refused("a whole number is expected", subpy.find, 0.5)
  refused("a handle is a whole number", subpy.interpreter, "x")
  refused("a handle is a whole number", subpy.interpreter, -1)
  refused("a handle is a whole number", subpy.interpreter, 0 / 0)
  refused("a handle is a whole number", subpy.interpreter, 1.5)
  refused("a string is expected", bytes, 5)
  refused("a number is expected", subpy.float, "5")
  refused("hexadecimal text", subpy.bigint, "12")
  refused("hexadecimal text", subpy.bigint, "0x")
end)

test("recursion that uses up the stack is a RecursionError", function()
  interp:exec([[
    deep = []
    for i in range(200_000): deep = [deep]
    def through_c(n): return sorted([1], key=lambda _: through_c(n + 1))
  ]])
  for _, code in ipairs{ "repr(deep)", "through_c(0)", "(f := lambda: f())()" } do
    for _, run in ipairs{ function() interp:eval(code) end, function() interp:eval_in_thread(code):join() end } do
      -- On the stack of a coroutine too, which LuaJIT keeps apart from C's.
      for _, on in ipairs{ run, coroutine.wrap(function() return run() end) } do
        local failure = raised("SUBPY_ERROR_EXECUTION_FAILED", on)
        equal(failure.excinfo.type.name, "RecursionError", code)
      end
    end
  end
  interp:exec("del deep")
end)

-- ---- threads

test("threads: results, errors, once", function()
  local thread = interp:call_in_thread("builtins:pow", 2, 62)
  equal(thread:join(), 4611686018427387904LL)
  raised("SUBPY_ERROR_NOT_FOUND", thread.join, thread)
  local failing = interp:exec_in_thread("1 / 0", { filename = "late.py" })
  equal(raised("SUBPY_ERROR_EXECUTION_FAILED", failing.join, failing).frames[1].file, "late.py")
  local unfit = interp:eval_in_thread("object()")
  raised("SUBPY_ERROR_NOT_SHAREABLE", unfit.join, unfit)
end)

test("an interpreter runs one thing at a time, unless it is told to wait", function()
  local strict, patient = subpy.create(), subpy.create{ busy = "wait" }
  local ends = strict:eval("__import__('os').pipe()")
  local running = strict:call_in_thread("os:read", ends[1], 1)
  while not strict:is_running() do end
  raised("SUBPY_ERROR_BUSY", strict.exec, strict, "1")
  raised("SUBPY_ERROR_BUSY", strict.close, strict)
  raised("SUBPY_ERROR_BUSY", subpy.shutdown)
  patient:call("os:write", ends[2], bytes("x"))
  equal(running:join(), bytes("x"))
  patient:exec("order = []")
  local threads = {}
  for i = 1, 20 do threads[i] = patient:exec_in_thread("order.append(" .. i .. ")") end
  for _, thread in ipairs(threads) do thread:join() end
  equal(patient:eval("sorted(order) == list(range(1, 21))"), true)
  strict:exec(("import os; os.close(%d); os.close(%d)"):format(ends[1], ends[2]))
  strict:close()
  patient:close()
end)

test("interpreters run in parallel", function()
  local one, two = subpy.create(), subpy.create()
  for _, each in ipairs{ one, two } do
    each:exec([[
      import ctypes, os, select
      def primes(n):
          sieve = bytearray([1]) * n
          for i in range(2, n):
              if sieve[i]:
                  for k in range(i * i, n, i): sieve[k] = 0
          return sum(sieve[2:])
      # PyDLL keeps the GIL while C runs: nobody else runs Python in this interpreter until the pipe can be read.
      def wait_with_gil(fd):
          class pollfd(ctypes.Structure):
              _fields_ = [('fd', ctypes.c_int), ('events', ctypes.c_short), ('revents', ctypes.c_short)]
          return ctypes.PyDLL(None).poll(ctypes.byref(pollfd(fd, select.POLLIN)), ctypes.c_ulong(1), 60_000)
    ]])
  end
  local ends = one:eval("os.pipe()")
  local waiting = one:call_in_thread("wait_with_gil", ends[1])
  while not one:is_running() do end
  equal(two:call("primes", 50000), 5133)
  two:call("os:write", ends[2], bytes("x"))
  equal(waiting:join(), 1)
  local threads = { one:call_in_thread("primes", 1000000), two:call_in_thread("primes", 1000000) }
  equal({ threads[1]:join(), threads[2]:join() }, { 78498, 78498 })
  one:exec(("os.close(%d); os.close(%d)"):format(ends[1], ends[2]))
  one:close()
  two:close()
end)

test("waiting for a thread takes nothing", function()
  local one = subpy.create()
  local ends = one:eval("__import__('os').pipe()")
  local reading = one:call_in_thread("os:read", ends[1], 1)
  equal(reading:wait(0), false)
  equal(reading:wait(-5), false)
  equal(reading:wait(0.01), false)
  refused("a number of seconds is expected", reading.wait, reading, "1")
  subpy.get_main():call("os:write", ends[2], bytes("x"))
  equal(reading:wait(), true)
  equal(reading:wait(math.huge), true)
  equal(reading:join(), bytes("x"))
  raised("SUBPY_ERROR_NOT_FOUND", reading.wait, reading, 0)
  one:exec(("import os; os.close(%d); os.close(%d)"):format(ends[1], ends[2]))
  one:close()
end)

-- ---- prepared functions and sessions

test("a prepared function is looked up once", function()
  local one = subpy.create()
  one:exec("def f(*args, **kwargs): return (args, kwargs)\nkept = f")
  local f = one:prepare("f")
  one:exec("def f(): return 'another'")
  equal(f(1, "a", subpy.kwargs{ k = 2 }), tuple{ tuple{ 1, "a" }, dict{ k = 2 } })
  equal(f:call(), tuple{ tuple{}, dict{} })
  equal(f:call_in_thread(list{ 1 }, subpy.kwargs{ k = 2 }):join(), tuple{ tuple{ list{ 1 } }, dict{ k = 2 } })
  equal(one:prepare("math:gcd")(12, 18), 6)
  for _ = 1, 50 do
    local gcd = one:prepare("math:gcd")
    local thread = gcd:call_in_thread(12, 18)
    gcd:close() -- the thread keeps what it runs
    equal(thread:join(), 6)
  end
  refused("argument 1 is a function", f, print)
  refused("kwargs is a function", f.call_in_thread, f, subpy.kwargs(print))
  refused("a string is expected", one.prepare, one, print)
  equal(raised("SUBPY_ERROR_EXECUTION_FAILED", one.prepare, one, "nope").excinfo.type.name, "AttributeError")
  f:close()
  f:close()
  raised("SUBPY_ERROR_NOT_FOUND", f.call, f)
  raised("SUBPY_ERROR_NOT_FOUND", f.call_in_thread, f)
  -- One that is garbage is given back.
  one:exec("import weakref\nclass Gone:\n  def __call__(self): pass\ngone = Gone()\nseen = weakref.ref(gone)")
  one:prepare("gone")
  one:exec("del gone")
  equal(one:eval("seen() is None"), false)
  collectgarbage()
  collectgarbage()
  one:exec("1")
  equal(one:eval("seen() is None"), true)
  local last = one:prepare("kept")
  one:close()
  raised("SUBPY_ERROR_NOT_FOUND", last)
end)

test("many calls return what single calls return", function()
  local one = subpy.create()
  one:exec("def pair(a, b=None): return (a, b)\ndef none(): return None")
  local pair = one:prepare("pair")
  local values = {
    none, true, 1, -9007199254740992LL, subpy.bigint("0x1ffffffffffffffff"), 0.5, "text", "Zo\195\171", "", bytes("\0\255"),
    tuple{ 1, list{ 2 } }, list{ list{}, list{ list{} } }, dict{ k = tuple{ "x" } }, ("x"):rep(1000),
  }
  for _, count in ipairs{ 0, 1, 2, 255, 256, 257, 1000, 20000 } do
    local rows, expected = {}, list{}
    for i = 1, count do
      rows[i] = { values[i % #values + 1], i }
      expected[i] = tuple{ values[i % #values + 1], i }
    end
    equal(pair:call_many(rows), expected)
    equal(pair:call_many(rows, { return_errors = true }), expected)
  end
  equal(pair:call_many{ { "a" }, list{ "b" }, tuple{ "c" } }, list{ tuple{ "a", none }, tuple{ "b", none }, tuple{ "c", none } })
  equal(pair:call_many({ { nil, "x", n = 2 }, { nil, nil, n = 2 } }), list{ tuple{ none, "x" }, tuple{ none, none } })
  equal(one:prepare("none"):call_many{ {}, {}, {} }, list{ none, none, none })
  local wide = {}
  for row = 1, 3 do
    wide[row] = {}
    for i = 1, 10000 do wide[row][i] = i * row end
  end
  equal(one:prepare("builtins:max"):call_many(wide), list{ 10000, 20000, 30000 })
  -- The results as a whole are an argument.
  equal(one:call("builtins:sum", one:prepare("builtins:max"):call_many(wide)), 60000)
  -- What the rows point to is not collected meanwhile.
  for _ = 1, 20 do
    local rows = {}
    for i = 1, 200 do rows[i] = { { tostring(i), { subpy.bigint("0x1" .. ("%020x"):format(i)) } }, 18446744073709551615ULL } end
    local results = pair:call_many(rows)
    equal(results[200], tuple{ list{ "200", list{ subpy.bigint("0x1000000000000000000c8") } }, subpy.bigint("0xffffffffffffffff") })
  end
  one:close()
  raised("SUBPY_ERROR_NOT_FOUND", pair.call_many, pair, { { 1 } })
end)

test("many calls end at the first error, or have errors among their results", function()
  local one = subpy.create()
  one:exec([[
    class Own(Exception): pass
    calls = 0
    def f(n):
        global calls
        calls += 1
        if n == 7: raise KeyboardInterrupt
        if n == 8: raise SystemExit(3)
        if n % 3 == 1: raise Own(n)
        if n % 3 == 2: return [n, lambda: n]
        return [n]
  ]])
  local f = one:prepare("f")
  local failure = raised("SUBPY_ERROR_EXECUTION_FAILED", f.call_many, f, { { 0 }, { 3 }, { 4 }, { 6 } })
  equal(failure.row, 3)
  equal(failure.message, "row 3: Own: 4")
  equal(failure.excinfo.type, { name = "Own", qualname = "Own", module = "__main__" })
  equal(failure.excinfo.formatted, "Own: 4") -- without the row
  equal(failure.frames[1].name, "f")
  equal(failure.handle, one:handle())
  equal(one:eval("calls"), 3)
  failure = raised("SUBPY_ERROR_NOT_SHAREABLE", f.call_many, f, { { 2 }, { 3 } })
  equal({ failure.row, failure.message }, { 1, "row 1: result[1]: function cannot be shared" })
  -- Other errors are no row's.
  equal(raised("SUBPY_ERROR_EXECUTION_FAILED", f.call, f, 4).row, nil)
  equal(raised("SUBPY_ERROR_SYNTAX", one.exec, one, "1 +").row, nil)

  local rows = {}
  for i = 1, 600 do rows[i] = { i + 8 } end
  local results = f:call_many(rows, { return_errors = true })
  equal(#results, 600)
  for i = 1, 600 do
    local result, n = results[i], i + 8
    if n % 3 == 0 then
      equal(result, list{ n })
    else
      assert(subpy.is_error(result))
      equal(result.row, i)
      equal(rows[result.row][1], n)
      if n % 3 == 1 then
        equal({ result.code, result.status, result.message }, { "SUBPY_ERROR_EXECUTION_FAILED", -4, ("row %d: Own: %d"):format(i, n) })
        equal({ result.excinfo.type.name, result.excinfo.msg, result.frames[1].name }, { "Own", tostring(n), "f" })
        assert(result.excinfo.errdisplay:find("raise Own(n)", 1, true))
      else
        equal({ result.code, result.excinfo, result.frames }, { "SUBPY_ERROR_NOT_SHAREABLE" })
        equal(result.message, ("row %d: result[1]: function cannot be shared"):format(i))
      end
    end
  end
  refused("argument 1[2] is a table with a metatable", one.call, one, "builtins:len", results)
  -- What `except Exception` does not catch ends the call.
  failure = raised("SUBPY_ERROR_EXECUTION_FAILED", f.call_many, f, { { 10 }, { 7 }, { 9 } }, { return_errors = true })
  equal({ failure.row, failure.excinfo.type.name }, { 2, "KeyboardInterrupt" })
  failure = raised("SUBPY_ERROR_EXECUTION_FAILED", f.call_many, f, { { 10 }, { 8 } }, { return_errors = true })
  equal({ failure.row, failure.exit_status }, { 2, 3 })
  one:close()
end)

test("many calls of the documentation", function()
  local one = subpy.create()
  one:exec("def price(amount, rate): return round(amount * (1 + rate), 2)")
  local price = one:prepare("price")
  local shown = {}
  local function print(...) shown[#shown + 1] = table.concat({ ... }, " ") end

  local results = price:call_many({ { 100, 0.19 }, { "free", 0.07 } }, { return_errors = true })
  for i, result in ipairs(results) do
    if subpy.is_error(result) then
      print(i, result.excinfo.msg)
    else
      print(i, result)
    end
  end
  equal(shown, { "1 119", "2 can't multiply sequence by non-int of type 'float'" })
  one:close()
end)

test("rows that are none are errors that name them, and nothing runs", function()
  local one = subpy.create()
  one:exec("calls = 0\ndef f(*args):\n  global calls\n  calls += 1")
  local f = one:prepare("f")
  local loop = {}
  loop[1] = loop
  for message, rows in pairs{
    ["rows: a table is expected, not a string"] = "ab",
    ["rows[1] is not a table of arguments"] = { 1, 2 },
    ["rows[2] is not a table of arguments"] = { { 1 }, "b" },
    ["rows[2] is not a table of arguments "] = { n = 2, { 1 } },
    ["rows[1] is not a table of arguments  "] = { dict{ a = 1 } },
    ["rows[3] has 1 arguments, and rows[1] has 2"] = { { 1, 2 }, { 3, 4 }, { 5 } },
    ["rows[2] has 1 arguments, and rows[1] has 0"] = { {}, { 1 } },
    ["rows has an n that is no count"] = { n = -1 },
    ["rows[2] has an n that is no count"] = { { 1 }, { n = 0.5 } },
    ['rows[2][2]["k"][1] is a function, which has no Python value'] = { { 1, 2 }, { 3, { k = { print } } } },
    ["rows[1][2] is a table with a metatable"] = { { 1, subpy.kwargs{ a = 1 } } },
    ["rows[2][1][1][1][1][1]...[1][1][1][1][1] is nested more than 1,000 levels deep"] = { { 1 }, { loop } },
  } do
    refused((message:gsub(" +$", "")), f.call_many, f, rows)
  end
  refused("rows: a table is expected, not a nil", f.call_many, f)
  refused("there is no option errors", f.call_many, f, {}, { errors = true })
  raised("SUBPY_ERROR_INVALID_ARGUMENT", f.call_many, f, { { "a" }, { "\255" } })
  equal(one:eval("calls"), 0)
  f:close()
  raised("SUBPY_ERROR_NOT_FOUND", f.call_many, f, { { 1 } })
  one:close()
end)

test("the results of many calls leave no memory behind", function()
  local one = subpy.create()
  one:exec("def f(n):\n  if n % 2: raise ValueError('x' * 10_000)\n  return 'x' * 10_000")
  local f, rows = one:prepare("f"), {}
  for i = 1, 100 do rows[i] = { i } end
  local function pages()
    for _ = 1, 30 do
      equal(#f:call_many(rows, { return_errors = true }), 100)
      collectgarbage()
    end
    local file = assert(io.open("/proc/self/statm"))
    local _, resident = file:read("*n", "*n")
    file:close()
    return resident
  end
  pages()
  local before = pages()
  for _ = 1, 3 do pages() end -- more than 60 MB each
  assert((pages() - before) * 4096 < 100e6)
  one:close()
end)

test("what Python keeps for a thread lasts as long as a session", function()
  local one = subpy.create()
  one:exec([[
    import threading
    local = threading.local()
    def tick():
        local.n = getattr(local, 'n', 0) + 1
        return local.n
  ]])
  equal({ one:call("tick"), one:call("tick") }, { 1, 1 })
  local session = one:enter()
  local tick = one:prepare("tick")
  equal({ one:call("tick"), tick(), one:eval("tick()") }, { 1, 2, 3 })
  local inner = one:enter()
  equal(one:call("tick"), 4)
  raised("SUBPY_ERROR_BUSY", one.close, one)
  inner:close()
  inner:close()
  equal(one:call("tick"), 5)
  session:close()
  equal(one:call("tick"), 1)
  local function twice(...) return one:call("tick"), one:call("tick"), ... end
  equal({ one:session(twice, "more", nil, 5) }, { 1, 2, "more", nil, 5 })
  local ok, failure = pcall(one.session, one, function() error{ reason = 7 } end)
  equal({ ok, failure }, { false, { reason = 7 } })
  equal(one:call("tick"), 1)
  -- One that is garbage is closed, before its interpreter.
  one:enter()
  collectgarbage()
  collectgarbage()
  one:close()
  raised("SUBPY_ERROR_NOT_FOUND", one.enter, one)
  raised("SUBPY_ERROR_NOT_FOUND", one.session, one, print)
  local before = #subpy.list_all()
  subpy.create():enter()
  for _ = 1, 4 do collectgarbage() end
  equal(#subpy.list_all(), before)
end)

-- ---- a newer library

-- The module once more, with a library whose functions can be replaced.
local function with(replaced)
  local module = assert(loadfile(assert(package.searchpath("subpy", package.path))))
  local library = ffi.load(os.getenv("SUBPY_LIBRARY") or "subpy")
  local proxy = setmetatable({}, { __index = function(_, name) return replaced[name] or library[name] end })
  package.loaded.ffi = setmetatable({ load = function() return proxy end }, { __index = ffi })
  local ok, made = pcall(module, "subpy")
  package.loaded.ffi = ffi
  if not ok then error(made, 0) end
  return made
end

test("a kind or a status that this version does not know is an error with its number", function()
  local newer = with{
    subpy_run = function(_, result)
      result[0].kind = 77
      return 0
    end,
    subpy_call = function() return -77 end,
  }
  local one = newer.interpreter(interp:handle())
  refused("result: values of kind 77 are unknown to this module; the library is newer", one.eval, one, "1")
  local ok, failure = pcall(one.call, one, "f")
  equal({ ok, failure.status, failure.code, failure.message }, { false, -77, "SUBPY_ERROR_UNKNOWN", "" })
end)

-- ---- host control

test("Python calls Lua functions", function()
  local one = subpy.create()
  one:define("host:add", function(a, b) return a + b end, { signature = "(a, b, /)", doc = "The sum." })
  one:define("plain", function() end)
  one:exec("import host, inspect")
  equal(one:eval("(host.add(2, 3), plain(), host.add.__doc__, str(inspect.signature(host.add)))"),
    tuple{ 5, none, "The sum.", "(a, b, /)" })
  local sum = 0
  for n = 1, 2000 do sum = sum + one:call("host:add", n, 1) end -- hot: it would be compiled
  equal(sum, 2003000)
  local add = one:prepare("host:add")
  for n = 1, 2000 do equal(add(n, 1), n + 1) end
  equal(#add:call_many({ { 1, 2 }, { 3, 4 } }), 2)
  one:define("host:seen", function(...)
    local last = select(select("#", ...), ...)
    return list{ select("#", ...), (...), last.names:get("k") }
  end)
  equal(one:eval("host.seen(None, b'x', k=[1])"), list{ 3, none, list{ 1 } })
  one:define("host:add", function() return "anew" end)
  equal(one:eval("host.add(1, 2)"), "anew")
  for _, wrong in ipairs{ "", "a..b:c", "host:a.b" } do
    raised("SUBPY_ERROR_INVALID_ARGUMENT", one.define, one, wrong, print)
  end
  refused("define: a function is expected", one.define, one, "f", 1)
  refused("there is no option keep", one.define, one, "f", print, { keep = true })
  one:close()
  raised("SUBPY_ERROR_NOT_FOUND", one.define, one, "f", print)
end)

test("what a Lua function raises is an exception, and comes back", function()
  local one = subpy.create()
  local original = { "a table" }
  one:define("host:fail", function(how)
    if how == "kind" then error(subpy.exception("KeyError", "k")) end
    if how == "module" then error(subpy.exception("decimal:InvalidOperation", "d")) end
    if how == "table" then error(original) end
    if how == "python" then one:exec("[][1]") end
    if how == "result" then return print end
    error("in words", 0)
  end)
  one:exec("import host\ndef catch(how):\n    try: host.fail(how)\n    except Exception as e: return type(e).__name__, str(e)")
  equal(one:call("catch", "kind"), tuple{ "KeyError", "'k'" })
  equal(one:call("catch", "module"), tuple{ "InvalidOperation", "d" })
  equal(one:call("catch", "words"), tuple{ "RuntimeError", "in words" })
  equal(one:call("catch", "python"), tuple{ "IndexError", "list index out of range" })
  equal(one:call("catch", "result"), tuple{ "RuntimeError", "result is a function, which has no Python value" })
  equal(one:call("catch", "table")[1], "RuntimeError")
  local failure = raised("SUBPY_ERROR_EXECUTION_FAILED", one.exec, one, "host.fail('table')")
  if failure.cause ~= original then error("the original is lost") end
  if not failure.excinfo.errdisplay:find("In Lua:", 1, true) then error(failure.excinfo.errdisplay) end
  failure = raised("SUBPY_ERROR_EXECUTION_FAILED", one.exec, one, "host.fail('python')")
  equal({ failure.excinfo.type.name, failure.cause.code }, { "IndexError", "SUBPY_ERROR_EXECUTION_FAILED" })
  one:close()
end)

test("Lua functions run Python, in the same interpreter and in others", function()
  local one, two = subpy.create(), subpy.create()
  one:define("host:again", function(text) return one:eval(text) end)
  one:define("host:over", function(text) return two:eval(text) end)
  two:define("back", function(text) return one:eval(text) end)
  one:exec("import host; x = 20")
  for _ = 1, 300 do
    equal(one:eval("host.again('x + 1') + 1"), 22)
    equal(one:eval("host.over('back(\"x\")')"), 20)
    equal(one:eval("host.again('host.over(\"back(1)\")') if False else host.again('host.again(\"3\")')"), 3)
  end
  one:define("host:co", function() coroutine.yield(1) end)
  local co = coroutine.wrap(function()
    equal(one:eval("host.again('x')"), 20)
    return one:exec("host.co()")
  end)
  local ok, failure = pcall(co)
  equal({ ok, failure.excinfo.type.name }, { false, "RuntimeError" })
  one:session(function() equal(one:eval("host.again('x')"), 20) end)
  two:close()
  one:close()
end)

test("Python's own threads cannot call Lua functions", function()
  local one = subpy.create()
  one:define("host:f", function() return 1 end)
  one:exec([[
    import host, threading
    def work():
        global seen
        try: host.f()
        except RuntimeError as e: seen = str(e)
    t = threading.Thread(target=work, daemon=False); t.start(); t.join()
  ]])
  equal(one:eval("seen"), "host.f() may be called only on the thread that defined it")
  local failure = raised("SUBPY_ERROR_EXECUTION_FAILED", function() one:call_in_thread("host:f"):join() end)
  equal(failure.excinfo.type.name, "RuntimeError")
  one:exec("import atexit; atexit.register(lambda: host.f() and None)")
  one:close()
end)

test("nothing is left of functions and errors", function()
  local one = subpy.create()
  local alive = setmetatable({}, { __mode = "k" })
  one:define("host:raises", function()
    local original = { string.rep("x", 1000) }
    alive[original] = true
    error(original)
  end)
  one:exec("import host\ndef swallow():\n    try: host.raises()\n    except RuntimeError: pass")
  for _ = 1, 200 do
    local f = function() return 1 end
    alive[f] = true
    one:define("host:f", f)
    one:call("swallow")
    pcall(one.exec, one, "host.raises()")
  end
  one:define("host:f", print)
  one:exec("pass")
  one:exec("pass")
  collectgarbage()
  collectgarbage()
  local left = 0
  for _ in pairs(alive) do left = left + 1 end
  if left > 2 then error(left .. " are alive") end
  one:close()
end)

test("runs have time limits and tokens", function()
  local one = subpy.create()
  one:exec("def loop():\n    while True: pass")
  local short = one:with_options{ timeout = 0.05 }
  equal(short:eval("1"), 1)
  local failure = raised("SUBPY_ERROR_TIMEOUT", short.exec, short, "while True: pass")
  equal({ failure.excinfo.type.name, #failure.frames }, { "KeyboardInterrupt", 1 })
  raised("SUBPY_ERROR_TIMEOUT", short.call, short, "loop")
  raised("SUBPY_ERROR_TIMEOUT", short:prepare("loop"))
  raised("SUBPY_ERROR_TIMEOUT", function() short:call_in_thread("loop"):join() end)
  raised("SUBPY_ERROR_TIMEOUT", function() short:exec_in_thread("loop()"):join() end)
  one:define("wait", function() repeat until subpy.cancelled() end)
  raised("SUBPY_ERROR_TIMEOUT", short.exec, short, "wait()")
  equal(subpy.cancelled(), false)

  local token = subpy.cancel()
  local mine = one:with_options{ cancel = token }
  equal(mine:eval("1"), 1)
  local thread = mine:call_in_thread("loop")
  subpy.cancel(token:handle()):fire()
  raised("SUBPY_ERROR_INTERRUPTED", thread.join, thread)
  equal(raised("SUBPY_ERROR_INTERRUPTED", mine.eval, mine, "1").excinfo, nil)
  local own = subpy.cancel()
  one:define("stop", function() own:fire() end)
  local stopped = one:with_options{ cancel = own }
  raised("SUBPY_ERROR_INTERRUPTED", stopped.exec, stopped, "stop()\nloop()")
  thread = one:call_in_thread("loop")
  repeat one:interrupt() until thread:wait(0.01) -- nothing is hit before it has begun
  raised("SUBPY_ERROR_INTERRUPTED", thread.join, thread)
  for _, wrong in ipairs{ 0, -1, 0 / 0, "1" } do
    refused("timeout: a number of seconds above 0", one.with_options, one, { timeout = wrong })
  end
  refused("cancel: what subpy.cancel() returns", one.with_options, one, { cancel = 1 })
  refused("there is no option limit", one.with_options, one, { limit = 1 })
  equal(one:eval("1"), 1)
  one:close()

  local limited = subpy.create{ timeout = 0.05, no_stdin = true }
  raised("SUBPY_ERROR_TIMEOUT", limited.exec, limited, "while True: pass")
  equal(raised("SUBPY_ERROR_EXECUTION_FAILED", limited.exec, limited, "input()").excinfo.type.name, "EOFError")
  limited:close()
end)

test("what a run prints comes to a function or a file", function()
  local one = subpy.create()
  local texts = { "", "" }
  local captured = one:with_options{ output = function(stream, text) texts[stream] = texts[stream] .. text end }
  captured:exec("import sys\nprint('out')\nprint('err', file=sys.stderr)")
  equal(texts, { "out\n", "err\n" })
  captured:call("builtins:print", "more")
  captured:prepare("builtins:print")("most")
  equal(texts[1], "out\nmore\nmost\n")
  for _ = 1, 1000 do captured:call("builtins:print", "x") end
  equal(#texts[1], 14 + 2000)
  local nested = one:with_options{ output = function() texts[3] = one:eval("6 * 7") end }
  nested:exec("print(1)")
  equal(texts[3], 42)
  local file = assert(io.tmpfile())
  one:with_options{ output = file }:exec("print('to a file')")
  file:seek("set")
  equal(file:read("*a"), "to a file\n")
  refused("output: a Lua function cannot be called on another thread", captured.call_in_thread, captured, "builtins:print")
  refused("output: a function or a file is expected", one.with_options, one, { output = 3 })
  one:close()
end)

test("an interpreter is closed within a time", function()
  local one = subpy.create()
  one:exec("def loop():\n    while True: pass")
  local thread = one:call_in_thread("loop")
  repeat until one:is_running()
  raised("SUBPY_ERROR_BUSY", one.close, one, { timeout = 0 })
  raised("SUBPY_ERROR_BUSY", one.close, one, { timeout = 0.05, drain = true })
  raised("SUBPY_ERROR_BUSY", subpy.shutdown, { timeout = 0 })
  refused("there is no option now", one.close, one, { now = true })
  one:close{ timeout = 60, interrupt = true }
  raised("SUBPY_ERROR_INTERRUPTED", thread.join, thread)
end)

-- ---- the standard library

test("extension modules find what they need", function()
  local one = subpy.create{ path = { here .. "../../../tests/support" } }
  local seen = one:call("stdlib:use")
  print(("Python %s: %s"):format(subpy.python_version(), seen:get("versions")))
  equal(seen:get("tls"), "through TLS")
  equal(seen:get("sha256"), "1ac33dff70ee99332fb47fd6adc6ebfe4d7f327d62cd192ed65451204af1d76c")
  equal(seen:get("rows"), 6)
  equal(seen:get("asyncio"), "later")
  equal(seen:get("json"), dict():set("a", list{ 1, none }))
  equal(seen:get("ctypes"), 5)
  equal(seen:get("zlib"), true)
  one:close()
end)

-- ---- the process

test("after a shutdown everything is gone, and can be started again", function()
  local thread = interp:eval_in_thread("1")
  equal(thread:join(), 1)
  subpy.shutdown()
  raised("SUBPY_ERROR_NOT_FOUND", interp.exec, interp, "1")
  local again = subpy.create()
  equal(again:eval("1 + 1"), 2)
  again:close()
  subpy.shutdown()
end)

test("the examples print what the documentation says", function()
  local function printed(program)
    local command = "cd '%s' && luajit %s"
    local pipe = assert(io.popen(command:format(here, program)))
    local text = pipe:read("*a")
    pipe:close()
    return text
  end
  equal(printed("hello.lua"), [[
to: 2
be: 2
Traceback (most recent call last):
  File "<script>", line 1, in <module>
    count(42)
    ~~~~~^^^^
  File "<script>", line 4, in count
    words = collections.Counter(text.split())
                                ^^^^^^^^^^
AttributeError: 'int' object has no attribute 'split'
]])
  equal(printed("parallel.lua"), "primes below 100,000: 9592\n")
  equal(printed("pool.lua"), [[
primes below 30,000: 3245
25 primes below 100, 15 of them in the first half
1229 primes below 10000, 669 of them in the first half
SUBPY_ERROR_TIMEOUT
]])
end)

check.finish()
